"""From units and events to one row per unit with a value for every metric, as Ibis expressions.

Values are whole millionths, so that their sums are exact and equal whatever the order in which rows are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import and_
from typing import Any, Final, cast

import ibis

from engine.config.experiments import (
    Capped,
    Composite,
    CovariateSettings,
    ExperimentSettings,
    MetricSettings,
    Ratio,
)
from engine.lake.schema import instant

SCALE: Final = 1_000_000
"""Values are whole millionths: sums of integers are exact and equal whatever the order in which rows are read."""

_LARGEST: Final = 1e12  # more than any amount of a bank; not a number and infinite fail the comparison as well

VALUE: Final = "value"
NUMERATOR: Final = "numerator"
DENOMINATOR: Final = "denominator"
UNCAPPED: Final = "uncapped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One column of a metric's moments: its name there, its column in `values`, and how many of it make 1."""

    name: str
    column: str
    scale: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How one metric, or its twin without a cap, is read from the rows of `values`.

    name : of the metric; the twin has ".uncapped" behind it. parts : its columns, covariates last.
    unknown : column that is 1 for customers with an event that carries no usable number; "" where none can.
    waiting, ones : columns of clusters: customers whose window is open, and customers with a value.
    """

    name: str
    metric: MetricSettings
    parts: tuple[Part, ...]
    matured: str
    waiting: str
    unknown: str
    ones: str


def readings(experiment: ExperimentSettings) -> tuple[Reading, ...]:
    """Return what is read for the metrics that moments can answer, each twin behind its metric."""
    made: list[Reading] = []
    for index, metric in enumerate(experiment.metrics):
        if metric.kind in ("quantile", "time_to_event"):
            continue
        made.append(_reading(experiment, metric, index, ""))
        if isinstance(metric, Capped) and (metric.cap is not None or metric.cap_percentile is not None):
            made.append(_reading(experiment, metric, index, UNCAPPED))
    return tuple(made)


def values(exposed: Any, events: Any, experiment: ExperimentSettings, as_of: datetime) -> Any:
    """Return one row per customer of a planned variant: variant, exposed_on, attributes, each metric's value.

    `exposed_on` is the day of the first exposure, also where a customer counts from a later activation on.

    Parameters
    ----------
    exposed : customers in one planned variant, with the attributes that the experiment names.

    Metric i has value_i (a ratio also under_i) and matured_i, false while its window is still open at as_of; a capped
    one also uncapped_i, a time to an event seconds_i, null where it has not happened. A window runs from the first
    exposure, which counts, to the end, which does not. A mean is 0 for customers without any event. It is null where
    an event carries no usable number, since what is unknown is not 0, unless the metric says that it is: unknown_i
    counts those in either case. Covariate j is covariate_j.
    """
    wanted = sorted(
        {name for metric in experiment.metrics for name in metric.events}
        | {str(one.event) for one in experiment.covariates if one.event is not None}
    )
    known = events.filter(events.event_name.isin(wanted), events.occurred_at <= instant(as_of))
    known = known.select("customer_id", "event_name", "occurred_at", "value")
    happened = exposed.join(known, "customer_id")
    before = max((one.days for one in experiment.covariates), default=0)
    earliest = ibis.interval(seconds=round(before * 86_400))
    happened = happened.filter(
        happened.occurred_at >= (happened.exposed_at - earliest if before else happened.exposed_at)
    )
    columns: dict[str, Any] = {}
    for index, metric in enumerate(experiment.metrics):
        columns |= _measures(happened, metric, index)
    for index, covariate in enumerate(experiment.covariates):
        columns |= _before(happened, covariate, index)
    measured = happened.group_by("customer_id").aggregate(**columns)
    rows = exposed.left_join(measured, "customer_id")
    seen = "seen_at" if "seen_at" in exposed.columns else "exposed_at"
    attributes = [name for name in exposed.columns if name not in ("customer_id", "several", "exposed_at", "seen_at")]
    plain = rows.select(
        *attributes,
        "exposed_at",
        exposed_on=rows[seen].date(),
        **{name: rows[name] if name.startswith("seconds_") else rows[name].fill_null(0) for name in columns},
        **{f"matured_{index}": _matured(rows, metric, as_of) for index, metric in enumerate(experiment.metrics)},
    )
    return _capped(_known(plain, experiment), experiment)


def by_cluster(rows: Any, experiment: ExperimentSettings) -> Any:
    """Return one row per cluster and variant: the sums of its customers' values, and how many have one.

    What was randomised is the cluster: the mean over customers becomes the ratio of value_i and one_i.
    """
    columns: dict[str, Any] = {}
    for reading in readings(experiment):
        own = [part.column for part in reading.parts if not part.column.startswith(("covariate_", "one_"))]
        usable = reduce(and_, [rows[column].notnull() for column in own], rows[reading.matured])
        columns |= {column: rows[column].sum(where=usable).fill_null(0).cast("int64") for column in own}
        columns[reading.ones] = usable.cast("int64").sum().cast("int64")
        columns[reading.matured] = rows[reading.matured].max()
        columns[reading.waiting] = (~rows[reading.matured]).cast("int64").sum().cast("int64")
        if reading.unknown:
            columns[reading.unknown] = rows[reading.unknown].sum(where=rows[reading.matured]).fill_null(0).cast("int64")
    for index in range(len(experiment.covariates)):
        columns[f"covariate_{index}"] = rows[f"covariate_{index}"].sum().cast("int64")
    keys = dict.fromkeys((*experiment.strata, *experiment.segments, *experiment.fairness.attributes))
    return rows.group_by([str(experiment.randomised_by), "variant"]).aggregate(
        **columns, exposed_on=rows.exposed_on.min(), **{name: rows[name].min() for name in keys}
    )


def _reading(experiment: ExperimentSettings, metric: MetricSettings, index: int, twin: str) -> Reading:
    value = f"{twin}_{index}" if twin else f"value_{index}"
    scale = _scale(metric)
    if isinstance(metric, Ratio):
        parts = [Part(name=NUMERATOR, column=value, scale=scale)]
        under = SCALE if metric.denominator_measured == "value" else 1
        parts.append(Part(name=DENOMINATOR, column=f"under_{index}", scale=under))
    elif experiment.randomised_by is not None:
        parts = [Part(name=NUMERATOR, column=value, scale=scale)]
        parts.append(Part(name=DENOMINATOR, column=f"one_{twin}{index}", scale=1))
    else:
        parts = [Part(name=VALUE, column=value, scale=scale)]
    covariates = [one.covariate for one in experiment.covariates]
    wanted = covariates if metric.covariates is None else metric.covariates
    parts += [
        Part(name=name, column=f"covariate_{place}", scale=_covariate_scale(experiment.covariates[place]))
        for place, name in enumerate(covariates)
        if name in wanted
    ]
    reads_numbers = isinstance(metric, Composite) or "value" in (
        getattr(metric, "measured", ""),
        getattr(metric, "denominator_measured", ""),
    )
    return Reading(
        name=f"{metric.metric}.{twin}" if twin else metric.metric,
        metric=metric,
        parts=tuple(parts),
        matured=f"matured_{index}",
        waiting=f"waiting_{index}",
        unknown=f"unknown_{index}" if reads_numbers else "",
        ones=f"one_{twin}{index}",
    )


def _scale(metric: MetricSettings) -> int:
    if isinstance(metric, Composite):
        return SCALE
    return SCALE if getattr(metric, "measured", "") == "value" else 1


def _covariate_scale(covariate: CovariateSettings) -> int:
    return SCALE if covariate.measured == "value" else 1


def _measures(happened: Any, metric: MetricSettings, index: int) -> dict[str, Any]:
    """Return the aggregates of one metric over a customer's events."""
    if isinstance(metric, Composite):
        return {}
    names = metric.events
    counts = in_window(happened, metric) & (happened.event_name == names[0])
    if metric.kind in ("proportion", "retention"):
        return {f"value_{index}": counts.cast("int64").max()}
    if metric.kind == "time_to_event":
        at = ibis.ifelse(counts, happened.occurred_at.epoch_seconds() - happened.exposed_at.epoch_seconds(), None)
        return {f"seconds_{index}": at.min()}
    columns, unknown = _amount(happened, counts, metric.measured)  # type: ignore[attr-defined]
    made = {f"value_{index}": columns}
    if isinstance(metric, Ratio):
        below = in_window(happened, metric) & (happened.event_name == names[1])
        made[f"under_{index}"], other = _amount(happened, below, metric.denominator_measured)
        unknown = other if unknown is None else unknown if other is None else unknown + other
    return made if unknown is None else made | {f"unknown_{index}": unknown}


def _amount(happened: Any, counts: Any, measured: str) -> tuple[Any, Any]:
    """Return the sum of the events' values in millionths and how many have none, or how many events there are."""
    if measured == "count":
        return counts.cast("int64").sum().cast("int64"), None
    usable = is_usable(happened.value)
    amount = ibis.ifelse(counts & usable, happened.value, 0.0)
    total = (amount * SCALE).round().cast("int64").sum().cast("int64")
    return total, (counts & ~usable).cast("int64").sum()


def is_usable(value: Any) -> Any:
    """Return whether an event's value is a number that can be added up: neither missing nor beyond any amount."""
    return (value.abs() < _LARGEST).fill_null(False)


def _before(happened: Any, covariate: CovariateSettings, index: int) -> dict[str, Any]:
    start = happened.exposed_at - ibis.interval(seconds=round(covariate.days * 86_400))
    within = (happened.occurred_at >= start) & (happened.occurred_at < happened.exposed_at)
    total, _ = _amount(happened, within & (happened.event_name == covariate.event), covariate.measured)
    return {f"covariate_{index}": total}


def in_window(happened: Any, metric: MetricSettings) -> Any:
    """Return whether each event lies in the metric's window after exposure; whose event it is does not matter."""
    opens = happened.exposed_at
    if metric.opens_seconds:
        opens = opens + ibis.interval(seconds=metric.opens_seconds)
    inside = happened.occurred_at >= opens
    if metric.window_seconds is not None:
        inside &= happened.occurred_at < happened.exposed_at + ibis.interval(seconds=metric.window_seconds)
    return inside


def _matured(rows: Any, metric: MetricSettings, as_of: datetime) -> Any:
    if metric.window_seconds is None:
        return ibis.literal(True)
    return rows.exposed_at <= instant(as_of - timedelta(seconds=metric.window_seconds))


def _known(rows: Any, experiment: ExperimentSettings) -> Any:
    """Return the rows with null where a value is not known, unless the metric counts it as 0."""
    changed: dict[str, Any] = {}
    for index, metric in enumerate(experiment.metrics):
        unknown = f"unknown_{index}"
        if unknown not in rows.columns:
            continue
        if metric.nulls != "zero":
            for column in (f"value_{index}", f"under_{index}"):
                if column in rows.columns:
                    changed[column] = ibis.ifelse(rows[unknown] > 0, None, rows[column])
        changed[unknown] = (rows[unknown] > 0).cast("int64")
    return rows.mutate(**changed) if changed else rows


def _capped(rows: Any, experiment: ExperimentSettings) -> Any:
    """Return the rows with the capped values beside those as they were, then with the composites made of them."""
    limits: dict[str, Any] = {}
    changed: dict[str, Any] = {}
    for index, metric in enumerate(experiment.metrics):
        if not isinstance(metric, Capped):
            continue
        value, scale = rows[f"value_{index}"], _scale(metric)
        if metric.cap is not None:
            changed[f"uncapped_{index}"] = value
            changed[f"value_{index}"] = _least(value, ibis.literal(round(metric.cap * scale), "int64"))
        if metric.cap_percentile is not None:
            share = metric.cap_percentile / 100
            limits[f"cap_{index}"] = value.quantile(share, where=rows[f"matured_{index}"]).round().cast("int64")
    if limits:
        rows = rows.cross_join(rows.aggregate(**limits))
        for name in limits:
            value = f"value_{name.removeprefix('cap_')}"
            changed |= {value.replace("value", UNCAPPED): rows[value], value: _least(rows[value], rows[name])}
    rows = rows.mutate(**changed) if changed else rows
    made: dict[str, Any] = {}
    names = {metric.metric: index for index, metric in enumerate(experiment.metrics)}
    for index, metric in enumerate(experiment.metrics):
        if isinstance(metric, Composite):
            made |= _composite(rows, metric, index, {name: names[name] for name in metric.terms}, experiment.metrics)
    return rows.mutate(**made) if made else rows


def _least(value: Any, limit: Any) -> Any:
    return ibis.ifelse(value > limit, limit, value)


def _composite(
    rows: Any, metric: Composite, index: int, places: Mapping[str, int], metrics: Sequence[MetricSettings]
) -> dict[str, Any]:
    parts = [
        rows[f"value_{place}"].cast("float64") * (metric.terms[name] * SCALE / _scale(metrics[place]))
        for name, place in places.items()
    ]
    total = cast("Any", reduce(lambda one, other: one + other, parts))
    unknown = [rows[f"unknown_{place}"] for place in places.values() if f"unknown_{place}" in rows.columns]
    return {
        f"value_{index}": total.round().cast("int64"),
        f"matured_{index}": reduce(and_, [rows[f"matured_{place}"] for place in places.values()]),
        f"unknown_{index}": reduce(ibis.greatest, unknown) if unknown else ibis.literal(0, "int64"),
    }
