"""From the columns of a table of units to what each metric reads: unknown values, caps and weighted sums.

A metric that reads its columns as they are reads them straight from the table; only the others get columns of their
own, as Ibis expressions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ibis

from engine.config.experiments import (
    Capped,
    Composite,
    ExperimentSettings,
    MetricSettings,
    Quantile,
    Ratio,
    TimeToEvent,
)
from engine.lake.engine import Engine
from experiments.metrics import UNCAPPED
from experiments.unit_tables import Kind, Measure, cleaned

ORDERED: Final = (Quantile, TimeToEvent)
"""Metrics that need the order of the values, which moments do not keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitMetric:
    """How one metric, or its twin without a cap, is read from a table of units.

    name : of the metric; the twin has ".uncapped" behind it. measure : its columns. source : the same before unknown
    values became 0, where the metric counts them so; their number is told from it.
    """

    name: str
    metric: MetricSettings
    measure: Measure
    source: Measure | None = None

    @property
    def is_twin(self) -> bool:
        """Whether it shows a metric without its cap."""
        return self.name != self.metric.metric

    @property
    def is_ordered(self) -> bool:
        """Whether it needs the order of the values."""
        return isinstance(self.metric, ORDERED)


def prepared(
    engine: Engine, units: Any, plan: ExperimentSettings, of: Mapping[str, str]
) -> tuple[Any, list[UnitMetric]]:
    """Return the table with the columns that metrics need beside its own, and how each metric reads it.

    Parameters
    ----------
    units : Ibis table attached to the engine, one row per unit.
    of : the table's name of each column that the plan names.

    A value is null where it is not known, or 0 where the metric says so; a cap by percentile is that of all arms
    together. A composite is not known where one of its terms is not.
    """
    read = {metric.metric: tuple(of[column] for column in metric.columns) for metric in plan.metrics}
    units, read = _zeros(units, plan, read)
    units, read, twins = _capped(engine, units, plan, read)
    units, read = _composites(units, plan, read)
    made: list[UnitMetric] = []
    for metric in plan.metrics:
        name = metric.metric
        own = _measure(plan, metric, of, name, read[name])
        source = None
        if metric.nulls == "zero" and metric.columns:
            source = _measure(plan, metric, of, name, tuple(of[column] for column in metric.columns))
        made.append(UnitMetric(name=name, metric=metric, measure=own, source=source))
        if name in twins:
            twin = f"{name}.{UNCAPPED}"
            made.append(UnitMetric(name=twin, metric=metric, measure=_measure(plan, metric, of, twin, twins[name])))
    return units, made


Read = dict[str, tuple[str, ...]]
"""The columns that each metric reads."""


def _measure(
    plan: ExperimentSettings, metric: MetricSettings, of: Mapping[str, str], name: str, columns: Sequence[str]
) -> Measure:
    kind: Kind = "ratio" if isinstance(metric, Ratio) else "mean"
    if metric.kind in ("proportion", "retention"):
        kind = "proportion"
    wanted = [one for one in plan.covariates if metric.covariates is None or one.covariate in metric.covariates]
    covariates = () if isinstance(metric, ORDERED) else tuple(of[str(one.column)] for one in wanted)
    return Measure(name=name, kind=kind, columns=tuple(columns), covariates=covariates)


def _zeros(units: Any, plan: ExperimentSettings, read: Read) -> tuple[Any, Read]:
    changed: dict[str, Any] = {}
    told = dict(read)
    for place, metric in enumerate(plan.metrics):
        if metric.nulls != "zero" or isinstance(metric, TimeToEvent):
            continue  # nobody knows a time that is not known to be the first day
        names = [f"known_{place}_{number}" for number, _ in enumerate(read[metric.metric])]
        changed |= {
            name: cleaned(units, column).fill_null(0.0) for name, column in zip(names, read[metric.metric], strict=True)
        }
        told[metric.metric] = tuple(names)
    return (units.mutate(**changed) if changed else units), told


def _capped(engine: Engine, units: Any, plan: ExperimentSettings, read: Read) -> tuple[Any, Read, Read]:
    asked = [
        (f"capped_{place}", metric)
        for place, metric in enumerate(plan.metrics)
        if isinstance(metric, Capped) and (metric.cap is not None or metric.cap_percentile is not None)
    ]
    limits = {
        name: cleaned(units, read[metric.metric][0]).quantile(metric.cap_percentile / 100)
        for name, metric in asked
        if metric.cap_percentile is not None
    }
    found = engine.arrow(units.aggregate(**limits)).to_pylist()[0] if limits else {}
    changed: dict[str, Any] = {}
    told, twins = dict(read), {}
    for name, metric in asked:
        limit = metric.cap if metric.cap is not None else found[name]
        if limit is None:
            continue  # nothing is known, and nothing to cap
        value = cleaned(units, read[metric.metric][0])
        changed[name] = ibis.ifelse(value > limit, ibis.literal(limit, "float64"), value)
        told[metric.metric], twins[metric.metric] = (name,), read[metric.metric]
    return (units.mutate(**changed) if changed else units), told, twins


def _composites(units: Any, plan: ExperimentSettings, read: Read) -> tuple[Any, Read]:
    changed: dict[str, Any] = {}
    told = dict(read)
    for place, metric in enumerate(plan.metrics):
        if isinstance(metric, Composite):
            terms = [cleaned(units, read[name][0]) * weight for name, weight in metric.terms.items()]
            changed[f"sum_{place}"] = sum(terms[1:], terms[0])
            told[metric.metric] = (f"sum_{place}",)
    return (units.mutate(**changed) if changed else units), told
