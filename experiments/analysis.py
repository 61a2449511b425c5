"""Analyse experiments: read exposures and events once each, check, and only then compare.

The raw rows are reduced to sums in the backend; everything after that is arithmetic on a few rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from engine.config.experiments import ExperimentSettings, MetricSettings
from engine.domain.marts import EXPERIMENT_HEALTH, EXPERIMENT_RESULTS
from engine.lake.engine import Engine
from engine.lake.schema import arrow_schema, to_contract
from experiments import effects, integrity, metrics, moments
from experiments.integrity import Check
from experiments.moments import Sample
from experiments.spec import fingerprint

Samples = Mapping[tuple[str, str], Sample]
"""The sample of each (metric, variant)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentTables:
    """The marts `experiment_results` and `experiment_health`, sorted by key."""

    results: pa.Table
    health: pa.Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """Who was exposed to one experiment: customers per planned variant, and those who cannot be used."""

    customers: Mapping[str, int]
    unplanned: Mapping[str, int]
    several: int
    incomplete: int


def run(
    engine: Engine,
    exposures: Any,
    events: Any,
    experiments: Sequence[ExperimentSettings],
    as_of: datetime,
    *,
    withhold: bool = True,
) -> ExperimentTables:
    """Compare every variant of every experiment with its control.

    Parameters
    ----------
    exposures, events : Ibis tables with the columns named in `experiments.metrics`, attached to the engine.
    withhold : with True, an experiment that fails a check shows counts of customers and the reason, no numbers.
        With False the numbers are shown all the same; the failed check stays in the health table.

    Each variant is compared on its own: with several variants or metrics nothing corrects for their number.
    """
    results: list[dict[str, Any]] = []
    health: list[dict[str, Any]] = []
    for experiment in experiments:
        exposed, samples = _collect(engine, exposures, events, experiment, as_of)
        checks = list(_checks(experiment, exposed, samples))
        health += [{"experiment_id": experiment.experiment_id, **asdict(check)} for check in checks]
        stopped = next((check.detail for check in checks if check.status == "stop"), None)
        results += compare(experiment, samples, stopped if withhold else None)
    return ExperimentTables(
        results=to_contract(EXPERIMENT_RESULTS, pa.Table.from_pylist(results, arrow_schema(EXPERIMENT_RESULTS))),
        health=to_contract(EXPERIMENT_HEALTH, pa.Table.from_pylist(health, arrow_schema(EXPERIMENT_HEALTH))),
    )


def compare(experiment: ExperimentSettings, samples: Samples, stopped: str | None = None) -> list[dict[str, Any]]:
    """Return a row of the results mart for each metric and variant; without numbers when `stopped` says why."""
    return [
        _row(experiment, metric, variant, samples, stopped)
        for metric in experiment.metrics
        for variant in experiment.variants
    ]


def _collect(
    engine: Engine, exposures: Any, events: Any, experiment: ExperimentSettings, as_of: datetime
) -> tuple[Exposed, Samples]:
    units = metrics.units(exposures, experiment, as_of)
    counted = engine.arrow(units.group_by("variant", "several").aggregate(customers=units.count())).to_pylist()
    unusable = engine.arrow(metrics.incomplete(exposures, experiment, as_of)).to_pylist()
    values = metrics.values(units, events, experiment, as_of)
    rows = {row["variant"]: row for row in engine.arrow(moments.sums(values, len(experiment.metrics))).to_pylist()}
    samples = {
        (metric.metric, variant): moments.sample(rows[variant], index, metric.kind)
        if variant in rows
        else moments.EMPTY
        for index, metric in enumerate(experiment.metrics)
        for variant in experiment.weights
    }
    single = {row["variant"]: int(row["customers"]) for row in counted if not row["several"]}
    exposed = Exposed(
        customers={name: single.get(name, 0) for name in experiment.weights},
        unplanned={name: count for name, count in single.items() if name not in experiment.weights},
        several=sum(int(row["customers"]) for row in counted if row["several"]),
        incomplete=int(unusable[0]["exposures"]),
    )
    return exposed, samples


def _checks(experiment: ExperimentSettings, exposed: Exposed, samples: Samples) -> Iterator[Check]:
    yield Check(check="plan", status="ok", detail=f"SHA-256 of the plan: {fingerprint(experiment)}")
    yield integrity.sample_ratio(experiment, exposed.customers)
    single = sum(exposed.customers.values())
    everybody = single + exposed.several + sum(exposed.unplanned.values())
    yield integrity.several_variants(exposed.several, everybody)
    yield integrity.unknown_variants(exposed.unplanned)
    yield integrity.incomplete_exposures(exposed.incomplete)
    for metric in experiment.metrics:
        of_it = [samples[metric.metric, variant] for variant in experiment.weights]
        yield integrity.left_out(
            metric.metric,
            immature=sum(sample.immature for sample in of_it),
            unknown=sum(sample.unknown for sample in of_it),
            units=single,
            windowed=metric.window_days is not None,
        )


def _row(
    experiment: ExperimentSettings, metric: MetricSettings, variant: str, samples: Samples, stopped: str | None
) -> dict[str, Any]:
    of_variant = samples[metric.metric, variant].moments
    of_control = samples[metric.metric, experiment.control].moments
    row: dict[str, Any] = {
        "experiment_id": experiment.experiment_id,
        "metric": metric.metric,
        "role": metric.role,
        "metric_kind": metric.kind,
        "variant": variant,
        "control": experiment.control,
        "variant_units": of_variant.n,
        "control_units": of_control.n,
    }
    if stopped is not None:
        return row | {"verdict": "withheld", "withheld_reason": stopped}
    test = effects.means if metric.kind == "mean" else effects.proportions
    effect = test(of_variant, of_control)
    reason = None if effect.reason is None else f"No comparison of {metric.metric}: {effect.reason}."
    return row | {
        "variant_mean": of_variant.mean,
        "control_mean": of_control.mean,
        "difference": effect.difference,
        "lower": effect.lower,
        "upper": effect.upper,
        "p_value": effect.p_value,
        "relative_difference": effect.relative_difference,
        "relative_lower": effect.relative_lower,
        "relative_upper": effect.relative_upper,
        "verdict": effects.verdict(effect, metric.direction),
        "withheld_reason": reason,
    }
