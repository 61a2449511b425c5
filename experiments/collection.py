"""Read the exposures and the events of one experiment once, and keep sums, daily counts and distributions of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final

import ibis
import numpy as np

from engine.config.experiments import ExperimentSettings, Quantile, TimeToEvent
from engine.lake.engine import Engine
from experiments import arrivals, assignment, metrics, moments, sample_ratio, units
from experiments.assignment import PlannedEpoch
from experiments.integrity import Check, Ramp
from experiments.metrics import SCALE
from experiments.moments import Sums
from experiments.quantiles import Distribution
from experiments.sample_ratio import Epoch
from experiments.time_to_event import DailyCounts

DAY: Final = "exposed_on"
"""The key of the sums that tells the day of exposure."""

EPOCH: Final = "epoch"
"""The key that tells the span of days with one split; "" where the split did not change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """Who was exposed to one experiment: customers per planned variant, and those who cannot be used.

    daily : customers per variant of each day of exposure. outside : exposures before the start or after the end.
    """

    customers: Mapping[str, int]
    unplanned: Mapping[str, int]
    daily: Mapping[date, Mapping[str, int]]
    several: int
    incomplete: int
    outside: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Collected:
    """All that is kept of the raw rows of one experiment.

    sums : of each metric and twin, by variant, day of exposure, epoch, stratum and segment. active : customers per
    variant who came as far as the activation event; everybody without one. days : of each time to an event, per
    variant. distributions : of each quantile, per variant; `unknown` and `immature` who is not in them.
    ends : the rows that both were made of, by metric. arrivals : the checks of how events came in.
    ramp : the epochs for which splits were planned, where there are several. epochs : the same sums for the customers
    of each span of days with one split, by its name, where the split changed; of a planned ramp only those of one
    planned split. `spans` tells the days of all of them.
    """

    exposed: Exposed
    sums: Sums
    active: Mapping[str, int]
    days: Mapping[tuple[str, str], DailyCounts] = field(default_factory=dict)
    distributions: Mapping[tuple[str, str], Distribution] = field(default_factory=dict)
    unknown: Mapping[tuple[str, str], int] = field(default_factory=dict)
    immature: Mapping[tuple[str, str], int] = field(default_factory=dict)
    ends: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    arrivals: tuple[Check, ...] = ()
    ramp: Ramp = ()
    spans: tuple[Epoch, ...] = ()
    epochs: Mapping[str, Collected] = field(default_factory=dict)

    def where(self, experiment: ExperimentSettings, **cells: Any) -> Collected:
        """Return what was collected of the customers of whom this is true, such as of one segment; `exposed` stays."""
        ends = {
            name: [row for row in rows if all(row[key] == value for key, value in cells.items())]
            for name, rows in self.ends.items()
        }
        return replace(
            self,
            sums=self.sums.where(**cells),
            ends=ends,
            epochs={name: part.where(experiment, **cells) for name, part in self.epochs.items()},
            **_distributed(experiment, ends),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where exposures, events and attributes of customers are read, and until when."""

    engine: Engine
    exposures: Any
    events: Any
    as_of: datetime
    attributes: Any = None


def collect(sources: Sources, experiment: ExperimentSettings, *, ramp: Sequence[PlannedEpoch] = ()) -> Collected:
    """Read the exposures and the events of one experiment, and keep sums.

    ramp : the times of equal weights, where the split was changed by plan; a change that nobody planned is found.
    """
    engine, as_of = sources.engine, sources.as_of
    seen = exposed_units(sources, experiment)
    counted = engine.arrow(units.counted(seen)).to_pylist()
    (unusable,) = engine.arrow(units.incomplete(sources.exposures, experiment, as_of)).to_pylist()
    exposed = _exposed(experiment, counted, unusable)
    planned, spans = _spans(ramp, exposed.daily)
    active = active_units(sources, experiment)
    rows = metrics.values(active, sources.events, experiment, as_of)
    if experiment.randomised_by is not None:
        rows = metrics.by_cluster(rows, experiment)
    rows = rows.mutate(**{EPOCH: epoch_of(rows, spans)})
    readings = metrics.readings(experiment)
    keys = list(dict.fromkeys((*experiment.strata, *experiment.segments, *experiment.fairness.attributes)))
    ends: dict[str, list[Any]] = {}
    for index, metric in enumerate(experiment.metrics):
        if isinstance(metric, TimeToEvent):
            ends[metric.metric] = engine.arrow(_ends(rows, index, metric, as_of, keys)).to_pylist()
        if isinstance(metric, Quantile):
            ends[metric.metric] = engine.arrow(_seen(rows, index, keys)).to_pylist()
    whole = Collected(
        exposed=exposed,
        sums=Sums(readings, engine.arrow(moments.sums(rows, readings, ["variant", DAY, EPOCH, *keys])).to_pylist()),
        active=_active(engine, active, experiment, exposed),
        arrivals=tuple(
            arrivals.checks(
                engine,
                units.single(seen, experiment),
                sources.events,
                experiment,
                as_of=as_of,
                customers=exposed.customers,
            )
        ),
        ramp=planned,
        spans=spans,
    )
    judged = spans if not planned else tuple(span for span, weights in planned if weights is not None)
    whole = replace(whole, ends=ends, **_distributed(experiment, ends))
    if len(spans) < 2:
        return whole
    return replace(whole, epochs={span.name: whole.where(experiment, **{EPOCH: span.name}) for span in judged})


def exposed_units(sources: Sources, experiment: ExperimentSettings) -> Any:
    """Return one row per exposed customer, with the attributes that the experiment names."""
    asked = (*experiment.strata, *experiment.segments, *experiment.fairness.attributes, *_cluster(experiment))
    seen = units.exposed(sources.exposures, experiment, sources.as_of)
    seen = units.with_attributes(seen, sources.attributes, list(dict.fromkeys(asked)))
    return seen if experiment.randomised_by is None else units.drawn_together(seen, experiment.randomised_by)


def active_units(sources: Sources, experiment: ExperimentSettings) -> Any:
    """Return the customers in one planned variant who came as far as the activation event, from when on they count."""
    single = units.single(exposed_units(sources, experiment), experiment)
    return units.activated(single, sources.events, experiment, sources.as_of)


def _spans(ramp: Sequence[PlannedEpoch], daily: Mapping[date, Mapping[str, int]]) -> tuple[Ramp, tuple[Epoch, ...]]:
    """Return the epochs of a planned ramp with their plans, none without one, and all epochs of the exposures."""
    if len(ramp) > 1:
        planned = assignment.epochs_of_days(ramp, daily)
        return planned, tuple(span for span, _ in planned)
    return (), sample_ratio.epochs(daily)


def epoch_of(rows: Any, spans: Sequence[Epoch]) -> Any:
    """Return the name of the epoch of each row's day of first exposure; "" where the split did not change."""
    if len(spans) < 2:
        return ibis.literal("")
    return ibis.cases(*((rows[DAY] <= span.last, span.name) for span in spans[:-1]), else_=spans[-1].name)


def _distributed(experiment: ExperimentSettings, ends: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the daily counts of times to events and the distributions of quantiles, out of their rows."""
    days: dict[tuple[str, str], DailyCounts] = {}
    spread: dict[tuple[str, str], _Spread] = {}
    for metric in experiment.metrics:
        if isinstance(metric, TimeToEvent):
            days |= _days(ends[metric.metric], metric, experiment)
        if isinstance(metric, Quantile):
            spread |= _spread(ends[metric.metric], metric, experiment)
    return {
        "days": days,
        "distributions": {key: one.values for key, one in spread.items()},
        "unknown": {key: one.unknown for key, one in spread.items()},
        "immature": {key: one.immature for key, one in spread.items()},
    }


def _active(engine: Engine, active: Any, experiment: ExperimentSettings, exposed: Exposed) -> Mapping[str, int]:
    if experiment.activation_event is None:
        return exposed.customers
    counted = engine.arrow(active.group_by("variant").aggregate(customers=active.count())).to_pylist()
    came = {row["variant"]: int(row["customers"]) for row in counted}
    return {name: came.get(name, 0) for name in experiment.weights}


def _ends(rows: Any, index: int, metric: TimeToEvent, as_of: datetime, keys: Sequence[str]) -> Any:
    """Return one row for each variant, day since exposure and whether the event ended the history then: customers.

    A day counts when it is over: an event of a day that is not over at as_of has not happened yet.
    """
    until = int(as_of.astimezone(UTC).timestamp())
    watched = ((ibis.literal(until, "int64") - rows.exposed_at.epoch_seconds()) // 86_400).cast("int64")
    watched = ibis.ifelse(watched > metric.horizon_days, metric.horizon_days, watched)
    when = (rows[f"seconds_{index}"] // 86_400).cast("int64")
    happened = (when < watched).fill_null(False)
    ended = rows.select("variant", EPOCH, *keys, happened=happened, day=ibis.ifelse(happened, when, watched))
    return ended.group_by("variant", EPOCH, *keys, "happened", "day").aggregate(customers=ended.count())


def _days(
    found: Sequence[Mapping[str, Any]], metric: TimeToEvent, experiment: ExperimentSettings
) -> dict[tuple[str, str], DailyCounts]:
    made = {}
    for variant in experiment.weights:
        ends = np.zeros((2, metric.horizon_days + 1), dtype=np.int64)
        for row in found:
            if row["variant"] == variant:
                ends[int(row["happened"]), int(row["day"])] += int(row["customers"])
        made[metric.metric, variant] = DailyCounts.of_ends(ends[1, :-1], ends[0])
    return made


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Spread:
    """The values of one variant, and how many customers have none: unknown, or their window is still open."""

    values: Distribution
    unknown: int
    immature: int


def _seen(rows: Any, index: int, keys: Sequence[str]) -> Any:
    """Return one row for each variant, whether its window is over, and value: customers."""
    known = rows.select("variant", EPOCH, *keys, matured=rows[f"matured_{index}"], value=rows[f"value_{index}"])
    return known.group_by("variant", EPOCH, *keys, "matured", "value").aggregate(customers=known.count())


def _spread(
    found: Sequence[Mapping[str, Any]], metric: Quantile, experiment: ExperimentSettings
) -> dict[tuple[str, str], _Spread]:
    scale = SCALE if metric.measured == "value" else 1
    made = {}
    for variant in experiment.weights:
        own = [row for row in found if row["variant"] == variant]
        over = [row for row in own if row["matured"]]
        known = [row for row in over if row["value"] is not None]
        made[metric.metric, variant] = _Spread(
            values=Distribution.of_counts(
                np.array([row["value"] for row in known], dtype=np.float64) / scale,
                np.array([row["customers"] for row in known], dtype=np.int64),
            ),
            unknown=sum(int(row["customers"]) for row in over if row["value"] is None),
            immature=sum(int(row["customers"]) for row in own if not row["matured"]),
        )
    return made


def _cluster(experiment: ExperimentSettings) -> tuple[str, ...]:
    return () if experiment.randomised_by is None else (experiment.randomised_by,)


def _exposed(
    experiment: ExperimentSettings, counted: Sequence[Mapping[str, Any]], unusable: Mapping[str, Any]
) -> Exposed:
    single: dict[str, int] = {}
    daily: dict[date, dict[str, int]] = {}
    for row in counted:
        if row["several"]:
            continue
        name, count = row["variant"], int(row["customers"])
        single[name] = single.get(name, 0) + count
        if name in experiment.weights:
            daily.setdefault(row[DAY], {})[name] = count
    return Exposed(
        customers={name: single.get(name, 0) for name in experiment.weights},
        unplanned={name: count for name, count in single.items() if name not in experiment.weights},
        # arms in the order of the plan, whatever the order in which rows came
        daily={
            day: {name: daily[day][name] for name in experiment.weights if name in daily[day]} for day in sorted(daily)
        },
        several=sum(int(row["customers"]) for row in counted if row["several"]),
        incomplete=int(unusable["exposures"]),
        outside=int(unusable["outside"]),
    )
