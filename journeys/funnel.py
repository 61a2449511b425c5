"""Count how far customers get in the bank's journeys, where they leave them, and how long each step takes.

The events of all journeys are read once; their attempts, one narrow row per customer and journey, give both marts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import ibis
import numpy as np
import pyarrow as pa

from engine.config.journeys import JourneySettings
from engine.domain.marts import JOURNEY_FUNNELS, JOURNEY_STAGES
from engine.domain.words import JourneyStatus
from engine.lake.engine import Engine
from engine.lake.schema import empty, to_contract
from journeys import attempts, histories, spec, stages
from journeys.event_log import EVENTS_PER_BLOCK, EventLog
from journeys.histories import Coded, Histories, Ints

UNKNOWN: Final = "unknown"
"""The group of customers of whom a breakdown says nothing."""

_ATTEMPTS: Final = "_journey_attempts"
_CHANNEL: Final = "channel"
_PRODUCT: Final = "product"
_LIFECYCLE: Final = "lifecycle"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelTables:
    """All journeys, computed: the marts `journey_stages` and `journey_funnels`, sorted by key."""

    stages: pa.Table
    funnels: pa.Table


def run(
    engine: Engine, log: EventLog, journeys: Sequence[JourneySettings], as_of: datetime, groups: Any = None
) -> FunnelTables:
    """Compute all journeys as of a date.

    Parameters
    ----------
    groups : table with customer_id and one text column per breakdown, or None. A customer whom it does not know
        counts in the group "unknown". The channel of the entry event is always a breakdown.
    """
    staged, counted = [empty(JOURNEY_STAGES)], [empty(JOURNEY_FUNNELS)]
    for journey, best in _each(engine, log, journeys, as_of):
        staged.append(to_contract(JOURNEY_STAGES, engine.arrow(stages.table(best, journey, as_of))))
        counted.append(to_contract(JOURNEY_FUNNELS, engine.arrow(counts(best, journey, as_of, groups))))
    return FunnelTables(
        stages=to_contract(JOURNEY_STAGES, pa.concat_tables(staged)),
        funnels=to_contract(JOURNEY_FUNNELS, pa.concat_tables(counted)),
    )


def where_customers_stand(
    engine: Engine, log: EventLog, journeys: Sequence[JourneySettings], as_of: datetime
) -> pa.Table:
    """Return the mart `journey_stages` of some journeys as of any date: nothing later counts."""
    staged = [empty(JOURNEY_STAGES)]
    for journey, best in _each(engine, log, journeys, as_of):
        staged.append(to_contract(JOURNEY_STAGES, engine.arrow(stages.table(best, journey, as_of))))
    return to_contract(JOURNEY_STAGES, pa.concat_tables(staged))


def _each(
    engine: Engine, log: EventLog, journeys: Sequence[JourneySettings], as_of: datetime
) -> Iterator[tuple[JourneySettings, Any]]:
    """Yield every journey with its attempts as an expression; one journey's are attached at a time."""
    found = attempted(engine, log, journeys, as_of) if journeys else None
    for place, journey in enumerate(journeys):
        engine.attach(_ATTEMPTS, _of_journey(found, place))
        yield journey, ibis.table(_columns(len(journey.steps)), name=_ATTEMPTS)


def attempted(engine: Engine, log: EventLog, journeys: Sequence[JourneySettings], as_of: datetime) -> pa.Table:
    """Return the attempts at all journeys that count, one row per customer and journey, in no order.

    Columns: journey (its place among them), customer_id, channel (of the entry event), depth, entered_at, open_until
    (null when nothing can go on any more), standing (the step at which the customer stands, see `stages`),
    standing_since, stage_since, and reached_1 to reached_K, K being the most steps of any journey.
    """
    events = _events(log, journeys, as_of)
    asked = tuple(
        _Asked(
            funnel=spec.of(journey),
            products=journey.products if log.product is not None else (),
            stages=tuple(step.stage for step in journey.steps),
            last_stage=journey.stage_names[-1],
        )
        for journey in journeys
    )
    function = partial(_attempts_of_block, asked=asked, as_of=round(as_of.timestamp() * 1_000_000))
    rows = engine.arrow(events.aggregate(n=events.count())).column("n")[0].as_py()
    return engine.map_blocks(events, histories.CUSTOMER, function, blocks=1 + int(rows) // EVENTS_PER_BLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked of one journey. stages : those of its steps; last_stage : the last of the journey."""

    funnel: spec.Funnel
    products: tuple[str, ...]
    stages: tuple[str, ...]
    last_stage: str


def _events(log: EventLog, journeys: Sequence[JourneySettings], as_of: datetime) -> Any:
    """Return the events that can matter to any journey, with the roles that they read as columns of fixed names."""
    asked = [spec.of(journey) for journey in journeys]
    named = [funnel.names() for funnel in asked]
    names = None if None in named else sorted({name for listed in named for name in listed or ()})
    roles = {_CHANNEL: log.channel, _PRODUCT: log.product, _LIFECYCLE: log.lifecycle}
    table = log.table.mutate(
        **{f"_{role}": ibis.null("string") if column is None else log.table[column] for role, column in roles.items()}
    )
    products = {product for journey in journeys for product in journey.products}
    if log.product is not None and all(journey.products for journey in journeys):
        table = table.filter(table[log.product].isin(sorted(products)))
    conditions = {name for funnel in asked for name in funnel.attributes()}
    read = [_CHANNEL, *([_PRODUCT] if products else []), *([_LIFECYCLE] if _LIFECYCLE in conditions else [])]
    columns = sorted(conditions - {_CHANNEL, _LIFECYCLE})
    # which of the tied events of one instant comes first does not matter here
    own = EventLog(table=table, customer=log.customer, event=log.event, time=log.time, seq=None)
    events = own.events(as_of, names=names, attributes=[*(f"_{role}" for role in read), *columns], ordered=False)
    return events.rename({role: f"_{role}" for role in read})


def _attempts_of_block(block: pa.Table, *, asked: Sequence[_Asked], as_of: int) -> pa.Table:
    people = histories.of(block)
    longest = max(len(one.funnel.steps) for one in asked)
    pieces = []
    for place, one in enumerate(asked):
        own = people.keep(_about(people.attributes[_PRODUCT], one.products)) if one.products else people
        pieces.append(_rows(own, one, place, longest, as_of))
    return pa.concat_tables(pieces)


def _about(product: Coded, products: Sequence[str]) -> Any:
    return np.isin(product.codes, [product.code_of(name) for name in products])


def _rows(people: Histories, asked: _Asked, place: int, longest: int, as_of: int) -> pa.Table:
    found = attempts.find(people, asked.funnel)
    stands = stages.standing(people, asked.funnel, found, stages=asked.stages, last_stage=asked.last_stage, as_of=as_of)
    reached = np.full((len(found.customer), longest), attempts.MISSING)
    reached[:, : len(asked.funnel.steps)] = found.at
    return pa.table(
        {
            "journey": np.full(len(found.customer), place, dtype=np.int64),
            "customer_id": people.ids.cast(pa.string()).take(found.customer),
            "channel": people.attributes[_CHANNEL].texts(found.row[:, 0]),
            "depth": found.depth.astype(np.int64),
            "entered_at": _times(found.at[:, 0]),
            "open_until": _times(found.open_until),
            "standing": stands.step.astype(np.int64),
            "standing_since": _times(stands.since),
            "stage_since": _times(stands.stage_since),
            **{f"reached_{step + 1}": _times(reached[:, step]) for step in range(longest)},
        }
    )


def _times(at: Ints) -> pa.Array:
    return pa.array(at, mask=at == attempts.MISSING).cast(pa.timestamp("us"))


def _of_journey(found: pa.Table, place: int) -> pa.Table:
    return found.filter(pa.array(np.asarray(found.column("journey")) == place))


def _columns(steps: int) -> dict[str, str]:
    """Return the columns of one journey's attempts and their types."""
    reached = [f"reached_{step}" for step in range(1, steps + 1)]
    times = dict.fromkeys(["entered_at", "open_until", "standing_since", "stage_since", *reached], "timestamp(6)")
    return {"customer_id": "string", "channel": "string", "depth": "int64", "standing": "int64", **times}


def counts(best: Any, journey: JourneySettings, as_of: datetime, groups: Any = None) -> Any:
    """Return the mart `journey_funnels` of one journey: one row per breakdown, group and step.

    customers = continued + dropped + in_progress at every step. At the last step all have completed the journey
    and count as continued. A rate without a denominator is null, as is the rate from the step before the first; the
    step before is always one that is not optional.
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
    """Everything counted in one pass over the attempts: per step, who came, who left, who may yet go on.

    Nobody stops at an optional step: whoever goes no further stops at the required one before.
    """
    measures = {}
    for level, step in enumerate(journey.steps, start=1):
        stopped = rows.depth == level
        measures[f"customers_{level}"] = _count(
            rows[f"reached_{level}"].notnull() if step.optional else rows.depth >= level
        )
        measures[f"dropped_{level}"] = _count(stopped & (rows.status == JourneyStatus.DROPPED.value))
        measures[f"in_progress_{level}"] = _count(stopped & (rows.status == JourneyStatus.IN_PROGRESS.value))
        before = _required_before(journey, level)
        if before:
            # whole microseconds: the median of intervals costs twenty times as much
            waited = rows[f"reached_{level}"].delta(rows[f"reached_{before}"], unit="microsecond")
            measures[f"waited_{level}"] = waited.median().cast("float64") / 1e6
    return measures


def _required_before(journey: JourneySettings, level: int) -> int:
    """Return the place of the last step before that is not optional, from 1; 0 before the first."""
    return max((place for place in range(1, level) if not journey.steps[place - 1].optional), default=0)


def _count(condition: Any) -> Any:
    return condition.cast("int64").sum().fill_null(0).cast("int64")


def _step(wide: Any, journey: JourneySettings, level: int) -> Any:
    """One step of every group, out of the wide table of measures."""
    came = wide[f"customers_{level}"]
    dropped, in_progress = wide[f"dropped_{level}"], wide[f"in_progress_{level}"]
    step = journey.steps[level - 1]
    none = ibis.null("float64")
    before = _required_before(journey, level)
    return wide.select(
        journey=ibis.literal(journey.journey),
        breakdown=wide.breakdown,
        group=wide.group,
        step_index=ibis.literal(level, "int64"),
        step=ibis.literal(step.step),
        stage=ibis.literal(step.stage),
        customers=came,
        continued=came - dropped - in_progress,
        dropped=dropped,
        in_progress=in_progress,
        rate_from_first=_rate(came, wide.customers_1),
        rate_from_previous=_rate(came, wide[f"customers_{before}"]) if before else none,
        median_seconds_from_previous=wide[f"waited_{level}"] if before else none,
    )


def _rate(part: Any, whole: Any) -> Any:
    return part.cast("float64") / whole.nullif(0)
