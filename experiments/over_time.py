"""How an effect came about: by the day of first exposure, and by days since exposure, with intervals of all days.

Two clocks. On the calendar an effect is that of everybody first exposed until a day, with all that is known of them
now; its intervals are those of a confidence sequence and hold on all days together. Since exposure it is the share to
whom the event has happened by a day, or the mean of that day alone; there the level is shared out among the days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date
from fractions import Fraction
from functools import reduce
from math import nan
from typing import Any, Final

import ibis
import numpy as np

from engine.config.experiments import ExperimentSettings, Mean, MetricSettings, Proportion, TimeToEvent
from engine.lake.schema import instant
from engine.numerics import multiplicity
from experiments import analysis, effects, epochs, looks, metrics, time_to_event
from experiments.collection import DAY, EPOCH, Collected, Sources, active_units, epoch_of
from experiments.effects import Effect
from experiments.looks import AnyTime
from experiments.moments import Moments
from experiments.result import effect_json, number
from experiments.sample_ratio import Epoch
from experiments.time_to_event import DailyCounts

MOST_DAYS: Final = 60
"""Days since exposure that are followed: what is new wears off within weeks."""

MOST_POINTS: Final = 60
"""Days of the calendar that are drawn; of a longer experiment every second, third, ... day."""

FOLLOWED: Final = 28
"""Days that are followed of a metric without a window."""

FEWEST_DAYS: Final = 4
"""Days of a window below which an early and a late half say nothing about each other."""

_DAY: Final = 86_400
_HUNDREDTHS: Final = 100  # amounts of a day: millionths of a square would not fit

Key = tuple[str, str]
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What the days since exposure say: rows of means by day, of halves by customer, of first events, of who was seen.

    Every row is of one variant and one span of days with one split.
    """

    seen: Rows
    daily: Rows = ()
    halves: Rows = ()
    firsts: Rows = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """One metric of one variant by days since exposure; the key of `by_day` is the number of days that have passed.

    measure : "cumulative_share", to whom it has happened by then, or "daily_mean", the mean of that day alone.
    wear : of daily means, how much the effect of a day is larger in the second half than in the first.
    """

    measure: str
    by_day: Mapping[int, Effect]
    wear: Effect | None = None


def by_calendar(experiment: ExperimentSettings, collected: Collected) -> dict[Key, dict[str, Effect]]:
    """Return the effect among those first exposed until each day, by metric and variant, of metrics that add up."""
    days = sorted({row[DAY] for row in collected.sums.rows})
    thin = _thinned(collected)
    made: dict[Key, dict[str, Effect]] = {}
    for metric in experiment.metrics:
        if metric.kind in ("quantile", "time_to_event"):
            continue
        for variant in experiment.variants:
            series = {}
            for last in _spread_out(days):
                part = _until(thin, last)
                found = analysis.compared(experiment, metric.metric, metric, variant, part, adjusting=False)
                design = AnyTime(units=sum(found.units.values()), tuned_for=experiment.alpha)
                series[last.isoformat()] = looks.at_look(found.plain, design, experiment.alpha)
            made[metric.metric, variant] = series
    return made


def _thinned(collected: Collected) -> Collected:
    parts = {name: _thinned(part) for name, part in collected.epochs.items()}
    return replace(collected, sums=collected.sums.by("variant", DAY), epochs=parts)


def _until(collected: Collected, last: date) -> Collected:
    parts = {name: _until(part, last) for name, part in collected.epochs.items()}
    return replace(collected, sums=collected.sums.until(DAY, last), epochs=parts)


def _spread_out(days: Sequence[date]) -> list[date]:
    """Return at most so many of the days as are drawn, the last one among them."""
    step = -(-len(days) // MOST_POINTS) or 1
    return list(days)[::-1][::step][::-1]


# Days since exposure: one more reading of the events


def follow(sources: Sources, experiment: ExperimentSettings, spans: Sequence[Epoch]) -> Followed | None:
    """Read the events of customers by days since exposure; None where what was drawn is more than a customer.

    spans : the days of each epoch, where the split changed.

    A day counts when it is over at as_of. Amounts are taken in hundredths, without the cap of their metric.
    """
    if experiment.randomised_by is not None:
        return None
    active, engine, events = active_units(sources, experiment), sources.engine, sources.events
    until = int(sources.as_of.astimezone(UTC).timestamp())
    watched = ((ibis.literal(until, "int64") - active.exposed_at.epoch_seconds()) // _DAY).cast("int64")
    dated = active.mutate(exposed_on=active.seen_at.date(), watched=ibis.least(watched, MOST_DAYS))
    units = dated.select("customer_id", "variant", "exposed_at", "watched", **{EPOCH: epoch_of(dated, spans)})
    seen = units.group_by("variant", EPOCH, "watched").aggregate(customers=units.count())
    wanted = sorted({str(one.event) for one in experiment.metrics if isinstance(one, Mean | Proportion)})
    if not wanted:
        return Followed(seen=engine.arrow(seen).to_pylist())
    known = events.filter(events.event_name.isin(wanted), events.occurred_at <= instant(sources.as_of))
    happened = units.join(known.select("customer_id", "event_name", "occurred_at", "value"), "customer_id")
    happened = happened.filter(happened.occurred_at >= happened.exposed_at)
    passed = happened.occurred_at.epoch_seconds() - happened.exposed_at.epoch_seconds()
    happened = happened.mutate(day=(passed // _DAY).cast("int64"))
    happened = happened.filter(happened.day < happened.watched)
    means = [(place, one) for place, one in enumerate(experiment.metrics) if isinstance(one, Mean)]
    firsts = [(place, one) for place, one in enumerate(experiment.metrics) if isinstance(one, Proportion)]
    days = _customer_days(happened, means) if means else None
    return Followed(
        seen=engine.arrow(seen).to_pylist(),
        daily=() if days is None else engine.arrow(_daily(days, means)).to_pylist(),
        halves=() if days is None else engine.arrow(_halves(days, means)).to_pylist(),
        firsts=engine.arrow(_firsts(happened, firsts)).to_pylist() if firsts else (),
    )


def horizon(metric: MetricSettings) -> int:
    """Return how many days since exposure a metric is followed."""
    if isinstance(metric, TimeToEvent):
        return metric.horizon_days
    window = metric.window_seconds
    return FOLLOWED if window is None else max(1, min(window // _DAY, MOST_DAYS))


def _customer_days(happened: Any, means: Sequence[tuple[int, Mean]]) -> Any:
    """Return one row per customer and day with any of the events: the amount of each mean, null where it is unknown."""
    columns: dict[str, Any] = {}
    for place, metric in means:
        counts = metrics.in_window(happened, metric) & (happened.event_name == metric.event)
        usable = metrics.is_usable(happened.value) if metric.measured == "value" else ibis.literal(True)
        if metric.measured == "value":
            # what is no number must not come as far as the cast
            amount = (ibis.ifelse(counts & usable, happened.value, 0.0) * _HUNDREDTHS).round().cast("int64")
        else:
            amount = counts.cast("int64")
        columns[f"value_{place}"] = amount.sum().cast("int64")
        missing = ibis.literal(False) if metric.nulls == "zero" else ~usable
        columns[f"unknown_{place}"] = (counts & missing).cast("int64").max()
    return happened.group_by("customer_id", "variant", EPOCH, "watched", "day").aggregate(**columns)


def _daily(days: Any, means: Sequence[tuple[int, Mean]]) -> Any:
    columns: dict[str, Any] = {}
    for place, _ in means:
        columns |= _sums(days, place, days[f"value_{place}"])
    return days.group_by("variant", EPOCH, "day").aggregate(**columns)


def _sums(rows: Any, place: int, value: Any) -> dict[str, Any]:
    """Return the sums of a value and of its squares over those who are known, and how many are not."""
    wide, known = value.cast("decimal(38, 0)"), rows[f"unknown_{place}"] == 0
    return {
        f"total_{place}": wide.sum(where=known),
        f"squares_{place}": (wide * wide).sum(where=known),
        f"unknown_{place}": (~known).cast("int64").sum(),
    }


def _halves(days: Any, means: Sequence[tuple[int, Mean]]) -> Any:
    """Return the sums of each customer's amount per day in the second half minus that in the first, times both."""
    columns: dict[str, Any] = {}
    for place, metric in means:
        whole = horizon(metric)
        first = whole // 2
        side = ibis.ifelse(days.day < first, -(whole - first), first)
        inside = (days.watched >= whole) & (days.day < whole)
        columns[f"change_{place}"] = (days[f"value_{place}"] * side).sum(where=inside).fill_null(0).cast("int64")
        columns[f"unknown_{place}"] = days[f"unknown_{place}"].max(where=inside).fill_null(0)
    each = days.group_by("customer_id", "variant", EPOCH).aggregate(**columns)
    sums: dict[str, Any] = {}
    for place, _ in means:
        sums |= _sums(each, place, each[f"change_{place}"])
    return each.group_by("variant", EPOCH).aggregate(**sums)


def _firsts(happened: Any, shares: Sequence[tuple[int, Proportion]]) -> Any:
    """Return one row for each metric, variant, epoch, days watched and day of the first event: customers."""
    columns = {}
    for place, metric in shares:
        counts = metrics.in_window(happened, metric) & (happened.event_name == metric.event)
        columns[f"first_{place}"] = happened.day.min(where=counts & (happened.day < horizon(metric)))
    each = happened.group_by("customer_id", "variant", EPOCH, "watched").aggregate(**columns)
    counted = [
        each.filter(each[f"first_{place}"].notnull())
        .group_by("variant", EPOCH, "watched", day=each[f"first_{place}"])
        .aggregate(customers=ibis._.count())
        .mutate(metric=ibis.literal(place, "int64"))
        for place, _ in shares
    ]
    return reduce(lambda one, other: one.union(other), counted)


# Effects of days


def by_days_since(experiment: ExperimentSettings, collected: Collected, followed: Followed | None) -> dict[Key, Days]:
    """Return every metric of which days can be told by days since exposure, by metric and variant."""
    names = [span.name for span in collected.spans if span.name in collected.epochs] or [""]
    made: dict[Key, Days] = {}
    for place, metric in enumerate(experiment.metrics):
        for variant in experiment.variants:
            both = (variant, experiment.control)
            if isinstance(metric, TimeToEvent):
                sources = {name: collected.epochs.get(name, collected).days for name in names}
                counts = {name: {arm: days[metric.metric, arm] for arm in both} for name, days in sources.items()}
                made[metric.metric, variant] = _curve(experiment, metric, variant, counts)
            elif isinstance(metric, Proportion) and followed is not None:
                counts = {
                    name: {arm: _first_days(followed, place, metric, arm, name) for arm in both} for name in names
                }
                made[metric.metric, variant] = _curve(experiment, metric, variant, counts)
            elif isinstance(metric, Mean) and followed is not None:
                made[metric.metric, variant] = _means(experiment, followed, metric, variant, names)
    return made


def _curve(
    experiment: ExperimentSettings,
    metric: MetricSettings,
    variant: str,
    counts: Mapping[str, Mapping[str, DailyCounts]],
) -> Days:
    days = range(1, horizon(metric) + 1)
    step = -(-len(days) // MOST_POINTS)
    found = {
        day: {
            name: time_to_event.compare(arms[variant], arms[experiment.control], day, alpha=experiment.alpha)
            for name, arms in counts.items()
        }
        for day in list(days)[::-1][::step][::-1]
    }
    return Days(measure="cumulative_share", by_day=_shared_level(experiment, found))


def _first_days(followed: Followed, place: int, metric: MetricSettings, arm: str, epoch: str) -> DailyCounts:
    whole = horizon(metric)
    happened, unfinished = np.zeros(whole, dtype=np.int64), np.zeros(whole + 1, dtype=np.int64)
    for row in followed.seen:
        if row["variant"] == arm and row[EPOCH] == epoch:
            unfinished[max(0, min(int(row["watched"]), whole))] += int(row["customers"])
    for row in followed.firsts:
        if (row["metric"], row["variant"], row[EPOCH]) == (place, arm, epoch):
            happened[int(row["day"])] += int(row["customers"])
            unfinished[min(int(row["watched"]), whole)] -= int(row["customers"])
    return DailyCounts.of_ends(happened, unfinished)


def _means(
    experiment: ExperimentSettings, followed: Followed, metric: Mean, variant: str, names: Sequence[str]
) -> Days:
    place = experiment.metrics.index(metric)
    whole, scale = horizon(metric), _HUNDREDTHS if metric.measured == "value" else 1
    both = (variant, experiment.control)
    rows = {(row["variant"], row[EPOCH], row["day"]): row for row in followed.daily}
    found = {
        day + 1: {
            name: effects.means(
                *(
                    _moments(_watched(followed, arm, name, day + 1), rows.get((arm, name, day)), place, scale)
                    for arm in both
                ),
                alpha=experiment.alpha,
            )
            for name in names
        }
        for day in range(whole)
    }
    wear = None
    if whole >= FEWEST_DAYS:
        halves = {(row["variant"], row[EPOCH]): row for row in followed.halves}
        times = scale * (whole // 2) * (whole - whole // 2)
        arms = {
            name: [
                _moments(_watched(followed, arm, name, whole), halves.get((arm, name)), place, times) for arm in both
            ]
            for name in names
        }
        parts = {name: effects.means(*one, alpha=experiment.alpha) for name, one in arms.items()}
        wear = _at_any_time(experiment, _joined(parts, experiment.alpha), experiment.alpha)
    return Days(measure="daily_mean", by_day=_shared_level(experiment, found), wear=wear)


def _watched(followed: Followed, arm: str, epoch: str, days: int) -> int:
    """Return the customers of an arm who were watched for so many whole days."""
    return sum(
        int(row["customers"])
        for row in followed.seen
        if row["variant"] == arm and row[EPOCH] == epoch and row["watched"] >= days
    )


def _moments(watched: int, row: Mapping[str, Any] | None, place: int, scale: int) -> Moments:
    """Return the moments of those watched: what no row tells is 0, and who is unknown is left out."""
    if row is None:
        return Moments.of(watched, 0, 0)
    n = watched - int(row[f"unknown_{place}"])
    total, squares = int(row[f"total_{place}"] or 0), int(row[f"squares_{place}"] or 0)
    return Moments.of(n, Fraction(total, scale), Fraction(squares, scale**2))


def _shared_level(experiment: ExperimentSettings, found: Mapping[int, Mapping[str, Effect]]) -> dict[int, Effect]:
    level = experiment.alpha / max(len(found), 1)
    return {day: _at_any_time(experiment, _joined(parts, experiment.alpha), level) for day, parts in found.items()}


def _joined(parts: Mapping[str, Effect], alpha: float) -> Effect:
    return next(iter(parts.values())) if len(parts) == 1 else epochs.put_together(parts, alpha)


def _at_any_time(experiment: ExperimentSettings, effect: Effect, level: float) -> Effect:
    n = sum(arm.n for arm in (effect.variant, effect.control) if arm is not None)
    return looks.at_look(effect, AnyTime(units=n, tuned_for=experiment.alpha), level)


# As plain values


def as_json(calendar: Mapping[Key, Mapping[str, Effect]], since: Mapping[Key, Days]) -> dict[Key, dict[str, Any]]:
    """Return both clocks of each metric and variant as plain values; tests of wear are corrected (Holm)."""
    wears = {key: days.wear for key, days in since.items() if days.wear is not None}
    p_values = [nan if one.p_value is None else one.p_value for one in wears.values()]
    adjusted = dict(zip(wears, multiplicity.holm(p_values), strict=True))
    made: dict[Key, dict[str, Any]] = {}
    for key in dict.fromkeys((*calendar, *since)):
        made[key] = {
            "calendar": [_point(day, one) for day, one in calendar.get(key, {}).items()],
            "since_exposure": None if key not in since else _since(since[key], adjusted.get(key)),
        }
    return made


def _since(days: Days, adjusted: float | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "measure": days.measure,
        "days": [_point(day, one) for day, one in days.by_day.items()],
        "wear": None,
    }
    if days.wear is not None:
        told = effect_json(days.wear)["absolute"]
        made["wear"] = told | {"adjusted_p_value": number(None if adjusted is None else float(adjusted))}
    return made


def _point(day: str | int, effect: Effect) -> dict[str, Any]:
    arms = {"control": effect.control, "variant": effect.variant}
    return {
        "day": day,
        "n": {name: 0 if arm is None else arm.n for name, arm in arms.items()},
        "value": {name: None if arm is None else number(arm.value) for name, arm in arms.items()},
        **effect_json(effect),
    }
