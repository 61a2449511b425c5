"""From raw exposures and events to one row per customer with a value for every metric, as Ibis expressions.

Exposures carry experiment_id, customer_id, variant, exposed_at; events carry customer_id, event_name, occurred_at,
value. Instants are naive UTC.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import ibis

from engine.config.experiments import ExperimentSettings, MetricSettings
from engine.lake.schema import instant

SCALE: Final = 1_000_000
"""Values are whole millionths: sums of integers are exact and equal whatever the order in which rows are read."""

_LARGEST: Final = 1e12  # more than any amount of a bank; not a number and infinite fail the comparison as well


def units(exposures: Any, experiment: ExperimentSettings, as_of: datetime) -> Any:
    """Return one row per exposed customer: customer_id, variant, exposed_at (the first), several.

    `several` is true for customers seen in more than one variant; their variant is only one of those.
    """
    seen = exposures.filter(
        exposures.experiment_id == experiment.experiment_id,
        exposures.exposed_at <= instant(as_of),
        exposures.customer_id.notnull(),
        exposures.variant.notnull(),
    )
    first = seen.group_by("customer_id").aggregate(
        variant=seen.variant.min(), other=seen.variant.max(), exposed_at=seen.exposed_at.min()
    )
    return first.select("customer_id", "variant", "exposed_at", several=first.variant != first.other)


def incomplete(exposures: Any, experiment: ExperimentSettings, as_of: datetime) -> Any:
    """Return the number of exposures that name no customer or no variant, as a table of one row."""
    unusable = exposures.customer_id.isnull() | exposures.variant.isnull()
    of_it = (exposures.experiment_id == experiment.experiment_id) & (exposures.exposed_at <= instant(as_of))
    return exposures.filter(of_it, unusable).aggregate(exposures=ibis._.count())


def values(exposed: Any, events: Any, experiment: ExperimentSettings, as_of: datetime) -> Any:
    """Return one row per customer seen in one planned variant, with value_i and matured_i for metric i.

    A window runs from the first exposure, which counts, to the end, which does not. `matured_i` is false while it is
    still open at as_of. A mean's value is in millionths, 0 for customers without any event; it is null when an event
    carries no usable number, since what is unknown is not 0.
    """
    single = exposed.filter(~exposed.several, exposed.variant.isin(sorted(experiment.weights)))
    names = sorted({metric.event for metric in experiment.metrics})
    known = events.filter(events.event_name.isin(names), events.occurred_at <= instant(as_of))
    known = known.select("customer_id", "event_name", "occurred_at", "value")
    happened = single.join(known, "customer_id")
    happened = happened.filter(happened.occurred_at >= happened.exposed_at)
    measured = happened.group_by("customer_id").aggregate(
        **{
            name: column
            for index, metric in enumerate(experiment.metrics)
            for name, column in _measure(happened, metric, index).items()
        }
    )
    rows = single.left_join(measured, "customer_id")
    columns: dict[str, Any] = {"variant": rows.variant}
    for index, metric in enumerate(experiment.metrics):
        value = rows[f"value_{index}"].fill_null(0)
        if metric.kind == "mean":
            value = ibis.ifelse(rows[f"unknown_{index}"] > 0, None, value)
        columns[f"value_{index}"] = value
        columns[f"matured_{index}"] = _matured(rows, metric, as_of)
    return rows.select(**columns)


def _measure(happened: Any, metric: MetricSettings, index: int) -> dict[str, Any]:
    counted = happened.event_name == metric.event
    if metric.window_seconds is not None:
        end = happened.exposed_at + ibis.interval(seconds=metric.window_seconds)
        counted = counted & (happened.occurred_at < end)
    if metric.kind == "proportion":
        return {f"value_{index}": counted.cast("int64").max()}
    usable = (happened.value.abs() < _LARGEST).fill_null(False)
    amount = ibis.ifelse(counted & usable, happened.value, 0.0)
    return {
        f"value_{index}": (amount * SCALE).round().cast("int64").sum().cast("int64"),
        f"unknown_{index}": (counted & ~usable).cast("int64").sum(),
    }


def _matured(rows: Any, metric: MetricSettings, as_of: datetime) -> Any:
    if metric.window_seconds is None:
        return ibis.literal(True)
    return rows.exposed_at <= instant(as_of - timedelta(seconds=metric.window_seconds))
