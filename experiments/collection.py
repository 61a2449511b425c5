"""Read the exposures and the events of one experiment once, and keep sums, daily counts and distributions of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

import ibis
import numpy as np

from engine.config.experiments import ExperimentSettings, Quantile, TimeToEvent
from engine.lake.engine import Engine
from experiments import metrics, moments, units
from experiments.metrics import SCALE
from experiments.moments import Sample, Sums
from experiments.quantiles import Distribution
from experiments.time_to_event import DailyCounts

DAY: Final = "exposed_on"
"""The key of the sums that tells the day of exposure."""


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

    sums : of each metric and twin, by variant, day of exposure, stratum and segment. active : customers per variant
    who came as far as the activation event; everybody without one. days : of each time to an event, per variant.
    distributions : of each quantile, per variant; `unknown` and `immature` who is not in them.
    """

    exposed: Exposed
    sums: Sums
    active: Mapping[str, int]
    days: Mapping[tuple[str, str], DailyCounts] = field(default_factory=dict)
    distributions: Mapping[tuple[str, str], Distribution] = field(default_factory=dict)
    unknown: Mapping[tuple[str, str], int] = field(default_factory=dict)
    immature: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def samples(self, experiment: ExperimentSettings) -> dict[tuple[str, str], Sample]:
        """Return the sample of each metric, and of each twin without a cap, in each variant."""
        return {
            (reading.name, variant): self.sums.sample(reading.name, variant=variant)
            for reading in metrics.readings(experiment)
            for variant in experiment.weights
        }


def collect(
    engine: Engine,
    exposures: Any,
    events: Any,
    experiment: ExperimentSettings,
    as_of: datetime,
    *,
    attributes: Any = None,
) -> Collected:
    """Read the exposures and the events of one experiment, and keep sums."""
    names = list(dict.fromkeys((*experiment.strata, *experiment.segments, *_cluster(experiment))))
    seen = units.with_attributes(units.exposed(exposures, experiment, as_of), attributes, names)
    if experiment.randomised_by is not None:
        seen = units.drawn_together(seen, experiment.randomised_by)
    counted = engine.arrow(units.counted(seen)).to_pylist()
    (unusable,) = engine.arrow(units.incomplete(exposures, experiment, as_of)).to_pylist()
    active = units.activated(units.single(seen, experiment), events, experiment, as_of)
    rows = metrics.values(active, events, experiment, as_of)
    if experiment.randomised_by is not None:
        rows = metrics.by_cluster(rows, experiment)
    readings = metrics.readings(experiment)
    by = ["variant", DAY, *dict.fromkeys((*experiment.strata, *experiment.segments))]
    sums = Sums(readings, engine.arrow(moments.sums(rows, readings, by)).to_pylist())
    exposed = _exposed(experiment, counted, unusable)
    days: dict[tuple[str, str], DailyCounts] = {}
    spread: dict[tuple[str, str], _Spread] = {}
    for index, metric in enumerate(experiment.metrics):
        if isinstance(metric, TimeToEvent):
            days |= _days(engine.arrow(_ends(rows, index, metric, as_of)).to_pylist(), metric, experiment)
        if isinstance(metric, Quantile):
            spread |= _spread(engine.arrow(_seen(rows, index)).to_pylist(), metric, experiment)
    return Collected(
        exposed=exposed,
        sums=sums,
        active=_active(engine, active, experiment, exposed),
        days=days,
        distributions={key: one.values for key, one in spread.items()},
        unknown={key: one.unknown for key, one in spread.items()},
        immature={key: one.immature for key, one in spread.items()},
    )


def _active(engine: Engine, active: Any, experiment: ExperimentSettings, exposed: Exposed) -> Mapping[str, int]:
    if experiment.activation_event is None:
        return exposed.customers
    counted = engine.arrow(active.group_by("variant").aggregate(customers=active.count())).to_pylist()
    came = {row["variant"]: int(row["customers"]) for row in counted}
    return {name: came.get(name, 0) for name in experiment.weights}


def _ends(rows: Any, index: int, metric: TimeToEvent, as_of: datetime) -> Any:
    """Return one row for each variant, day since exposure and whether the event ended the history then: customers.

    A day counts when it is over: an event of a day that is not over at as_of has not happened yet.
    """
    until = int(as_of.astimezone(UTC).timestamp())
    watched = ((ibis.literal(until, "int64") - rows.exposed_at.epoch_seconds()) // 86_400).cast("int64")
    watched = ibis.ifelse(watched > metric.horizon_days, metric.horizon_days, watched)
    when = (rows[f"seconds_{index}"] // 86_400).cast("int64")
    happened = (when < watched).fill_null(False)
    ended = rows.select("variant", happened=happened, day=ibis.ifelse(happened, when, watched))
    return ended.group_by("variant", "happened", "day").aggregate(customers=ended.count())


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


def _seen(rows: Any, index: int) -> Any:
    """Return one row for each variant, whether its window is over, and value: customers."""
    known = rows.select("variant", matured=rows[f"matured_{index}"], value=rows[f"value_{index}"])
    return known.group_by("variant", "matured", "value").aggregate(customers=known.count())


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
        daily=dict(sorted(daily.items())),
        several=sum(int(row["customers"]) for row in counted if row["several"]),
        incomplete=int(unusable["exposures"]),
        outside=int(unusable["outside"]),
    )
