"""How the events of an experiment came in: before the exposure they belong to, late, or twice.

One more reading of the events of exposed customers, in the backend; what comes back is a row per arm and event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import ibis

from engine.config.experiments import ExperimentSettings
from engine.lake.engine import Engine
from engine.lake.schema import instant
from experiments import integrity
from experiments.integrity import Check

RACE_SECONDS: Final = 60
"""An event this shortly before the exposure is likely to follow from it: the exposure was logged too late."""

LATE_DAYS: Final = 3
"""An event that arrives later than this after it occurred is missing from the latest days when they are read."""


def checks(
    engine: Engine,
    units: Any,
    events: Any,
    experiment: ExperimentSettings,
    *,
    as_of: datetime,
    customers: Mapping[str, int],
) -> Iterator[Check]:
    """Check every event that a metric reads for exposures logged too late, then all of them for late and repeated rows.

    Parameters
    ----------
    units : Ibis table of customers in one planned variant: customer_id, variant, exposed_at.
    events : Ibis table with customer_id, event_name, occurred_at, ingested_at, value.
    customers : how many of each arm there are.
    """
    found = engine.arrow(counted(units, events, experiment, as_of)).to_pylist()
    for metric in experiment.metrics:
        if metric.events:
            early = {row["variant"]: int(row["early"]) for row in found if row["event_name"] == metric.events[0]}
            yield integrity.exposure_race(metric.metric, early, customers)
    dated = _total(found, "dated")
    if dated:
        yield integrity.late_events(_total(found, "late"), dated, LATE_DAYS)
    yield integrity.duplicates("events", _total(found, "repeated"), _total(found, "events"))


def counted(units: Any, events: Any, experiment: ExperimentSettings, as_of: datetime) -> Any:
    """Return one row for each variant and event of a metric, over the events of exposed customers until as_of.

    early : customers with it within `RACE_SECONDS` before their exposure. events : all rows; `repeated` those that
    repeat another of the same customer, instant and value; `dated` those whose arrival is known; `late` those of them
    that arrived more than `LATE_DAYS` after they occurred.
    """
    wanted = sorted({name for metric in experiment.metrics for name in metric.events})
    known = events.filter(events.event_name.isin(wanted), events.occurred_at <= instant(as_of))
    known = known.select("customer_id", "event_name", "occurred_at", "ingested_at", "value")
    happened = units.select("customer_id", "variant", "exposed_at").join(known, "customer_id")
    shortly = happened.exposed_at - ibis.interval(seconds=RACE_SECONDS)
    is_early = (happened.occurred_at >= shortly) & (happened.occurred_at < happened.exposed_at)
    is_late = happened.ingested_at > happened.occurred_at + ibis.interval(seconds=LATE_DAYS * 86_400)
    once = happened.group_by("variant", "event_name", "customer_id", "occurred_at", "value").aggregate(
        times=happened.count(),
        early=is_early.cast("int64").max(),
        dated=happened.ingested_at.count(),
        late=is_late.fill_null(False).cast("int64").sum(),
    )
    return once.group_by("variant", "event_name").aggregate(
        early=once.customer_id.nunique(where=once.early == 1),
        events=once.times.sum(),
        repeated=(once.times - 1).sum(),
        dated=once.dated.sum(),
        late=once.late.sum(),
    )


def _total(found: Sequence[Mapping[str, Any]], column: str) -> int:
    return sum(int(row[column]) for row in found)
