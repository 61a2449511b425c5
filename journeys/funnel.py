"""Count how far customers get in a journey, where they leave it, and how long each step takes.

Expressions are built apart from running them: `study` only builds, `run` hands them to an engine of the lake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import ibis
import pyarrow as pa

from engine.config.journeys import JourneySettings
from engine.domain.marts import JOURNEY_FUNNELS, JOURNEY_STAGES
from engine.domain.words import JourneyStatus
from engine.lake.engine import Engine
from engine.lake.schema import empty, to_contract
from journeys import attempts, stages
from journeys.event_log import EventLog

UNKNOWN: Final = "unknown"
"""The group of customers of whom a breakdown says nothing."""

_ATTEMPTS: Final = "_journey_attempts"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelStudy:
    """One journey as expressions: best attempts, the mart `journey_stages`, the mart `journey_funnels`."""

    attempts: Any
    stages: Any
    funnels: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelTables:
    """All journeys, computed: the marts `journey_stages` and `journey_funnels`, sorted by key."""

    stages: pa.Table
    funnels: pa.Table


def study(
    log: EventLog, journey: JourneySettings, as_of: datetime, groups: Any = None, attempted: Any = None
) -> FunnelStudy:
    """Return what a journey looks like at as_of, as expressions.

    Parameters
    ----------
    groups : table with customer_id and one text column per breakdown, or None. A customer whom it does not know
        counts in the group "unknown". The channel of the entry event is always a breakdown.
    attempted : the rows of `attempts.best`, computed before; by default the expression itself.
    """
    best = attempts.best(log, journey, as_of) if attempted is None else attempted
    return FunnelStudy(
        attempts=best,
        stages=stages.table(best, journey, as_of),
        funnels=counts(best, journey, as_of, groups),
    )


def run(
    engine: Engine, log: EventLog, journeys: Sequence[JourneySettings], as_of: datetime, groups: Any = None
) -> FunnelTables:
    """Compute all journeys: the events are read once per journey, everything else from its attempts.

    Known limit: the attempts of one journey, one narrow row per customer who entered, pass through this process.
    """
    staged, counted = [empty(JOURNEY_STAGES)], [empty(JOURNEY_FUNNELS)]
    for journey in journeys:
        best = attempts.best(log, journey, as_of)
        engine.attach(_ATTEMPTS, engine.arrow(best))
        computed = study(log, journey, as_of, groups, ibis.table(best.schema(), name=_ATTEMPTS))
        staged.append(to_contract(JOURNEY_STAGES, engine.arrow(computed.stages)))
        counted.append(to_contract(JOURNEY_FUNNELS, engine.arrow(computed.funnels)))
    return FunnelTables(
        stages=to_contract(JOURNEY_STAGES, pa.concat_tables(staged)),
        funnels=to_contract(JOURNEY_FUNNELS, pa.concat_tables(counted)),
    )


def counts(best: Any, journey: JourneySettings, as_of: datetime, groups: Any = None) -> Any:
    """Return the mart `journey_funnels` of one journey: one row per breakdown, group and step.

    customers = continued + dropped + in_progress at every step. At the last step all have completed the journey
    and count as continued. A rate without a denominator is null, as is the rate from the step before the first.
    """
    rows = best.mutate(status=stages.status(best, journey, as_of), channel=best.channel.fill_null(UNKNOWN))
    breakdowns = ["channel"]
    if groups is not None:
        named = [name for name in groups.columns if name not in ("customer_id", "channel")]
        known = groups.select("customer_id", *named)
        rows = rows.left_join(known, "customer_id").drop("customer_id_right")
        rows = rows.mutate(**{name: rows[name].cast("string").fill_null(UNKNOWN) for name in named})
        breakdowns += named
    everybody = rows.aggregate(**_measures(rows, journey))
    tables = [everybody.mutate(breakdown=ibis.literal("all"), group=ibis.literal("all"))]
    for name in breakdowns:
        grouped = rows.group_by(group=rows[name]).aggregate(**_measures(rows, journey))
        tables.append(grouped.mutate(breakdown=ibis.literal(name)))
    wide = ibis.union(*(table.select(sorted(table.columns)) for table in tables))
    return ibis.union(*(_step(wide, journey, level) for level in range(1, len(journey.steps) + 1)))


def _measures(rows: Any, journey: JourneySettings) -> dict[str, Any]:
    """Everything counted in one pass over the attempts: per step, who came, who left, who may yet go on."""
    measures = {}
    for level in range(1, len(journey.steps) + 1):
        stopped = rows.depth == level
        measures[f"customers_{level}"] = _count(rows.depth >= level)
        measures[f"dropped_{level}"] = _count(stopped & (rows.status == JourneyStatus.DROPPED.value))
        measures[f"in_progress_{level}"] = _count(stopped & (rows.status == JourneyStatus.IN_PROGRESS.value))
        if level > 1:
            # whole microseconds: the median of intervals costs twenty times as much
            waited = rows[f"reached_{level}"].delta(rows[f"reached_{level - 1}"], unit="microsecond")
            measures[f"waited_{level}"] = waited.median().cast("float64") / 1e6
    return measures


def _count(condition: Any) -> Any:
    return condition.cast("int64").sum().fill_null(0).cast("int64")


def _step(wide: Any, journey: JourneySettings, level: int) -> Any:
    """One step of every group, out of the wide table of measures."""
    came = wide[f"customers_{level}"]
    dropped, in_progress = wide[f"dropped_{level}"], wide[f"in_progress_{level}"]
    step = journey.steps[level - 1]
    none = ibis.null("float64")
    return wide.select(
        journey=ibis.literal(journey.journey),
        breakdown=wide.breakdown,
        group=wide.group,
        step_index=ibis.literal(level, "int64"),
        step=ibis.literal(step.step),
        stage=ibis.literal(step.stage.value),
        customers=came,
        continued=came - dropped - in_progress,
        dropped=dropped,
        in_progress=in_progress,
        rate_from_first=_rate(came, wide.customers_1),
        rate_from_previous=none if level == 1 else _rate(came, wide[f"customers_{level - 1}"]),
        median_seconds_from_previous=none if level == 1 else wide[f"waited_{level}"],
    )


def _rate(part: Any, whole: Any) -> Any:
    return part.cast("float64") / whole.nullif(0)
