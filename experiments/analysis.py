"""Analyse experiments: read exposures and events once each, check, and only then compare.

The raw rows are reduced to sums in the backend; everything after that is arithmetic on a few rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final

import pyarrow as pa

from engine.config.experiments import ExperimentSettings, MetricSettings
from engine.domain.marts import EXPERIMENT_HEALTH, EXPERIMENT_RESULTS
from engine.lake.engine import Engine
from engine.lake.schema import arrow_schema, to_contract
from experiments import adjustment, effects, integrity, metrics, moments, units
from experiments.effects import Effect
from experiments.integrity import Check
from experiments.metrics import DENOMINATOR, NUMERATOR, VALUE, Reading
from experiments.moments import Moments, Sample, Sums
from experiments.spec import changes, fingerprint

Samples = Mapping[tuple[str, str], Sample]
"""The sample of each (metric, variant)."""

DAY: Final = "exposed_on"
"""The key of the sums that tells the day of exposure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentTables:
    """The marts `experiment_results` and `experiment_health`, sorted by key."""

    results: pa.Table
    health: pa.Table


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
    who came as far as the activation event; everybody without one.
    """

    exposed: Exposed
    sums: Sums
    active: Mapping[str, int]

    def samples(self, experiment: ExperimentSettings) -> dict[tuple[str, str], Sample]:
        """Return the sample of each metric, and of each twin without a cap, in each variant."""
        return {
            (reading.name, variant): self.sums.sample(reading.name, variant=variant)
            for reading in metrics.readings(experiment)
            for variant in experiment.weights
        }


def run(
    engine: Engine,
    exposures: Any,
    events: Any,
    experiments: Sequence[ExperimentSettings],
    as_of: datetime,
    *,
    attributes: Any = None,
    registered: Mapping[str, Mapping[str, Any]] | None = None,
    withhold: bool = True,
) -> ExperimentTables:
    """Compare every variant of every experiment with its control.

    Parameters
    ----------
    exposures, events : Ibis tables with the columns named in `experiments.units`, attached to the engine.
    attributes : Ibis table with customer_id and the columns that experiments name as strata, segments or clusters.
    registered : the plan of each experiment at its first look, where there was one: a plan that has changed is told.
    withhold : with True, an experiment that fails a check shows counts of customers and the reason, no numbers.
        With False the numbers are shown all the same; the failed check stays in the health table.

    Each variant is compared on its own: with several variants or metrics nothing corrects for their number.
    """
    results: list[dict[str, Any]] = []
    health: list[dict[str, Any]] = []
    for experiment in experiments:
        collected = collect(engine, exposures, events, experiment, as_of, attributes=attributes)
        samples = collected.samples(experiment)
        first = (registered or {}).get(experiment.experiment_id)
        checks = list(_checks(experiment, collected, samples, first))
        health += [{"experiment_id": experiment.experiment_id, **asdict(check)} for check in checks]
        stopped = integrity.withheld(checks)
        results += compare(experiment, samples, stopped if withhold else None)
    return ExperimentTables(
        results=to_contract(EXPERIMENT_RESULTS, pa.Table.from_pylist(results, arrow_schema(EXPERIMENT_RESULTS))),
        health=to_contract(EXPERIMENT_HEALTH, pa.Table.from_pylist(health, arrow_schema(EXPERIMENT_HEALTH))),
    )


def compare(experiment: ExperimentSettings, samples: Samples, stopped: str | None = None) -> list[dict[str, Any]]:
    """Return a row of the results mart for each metric, twin and variant; without numbers when `stopped` says why."""
    return [
        _row(experiment, reading, variant, samples, stopped)
        for reading in metrics.readings(experiment)
        for variant in experiment.variants
    ]


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
    if experiment.activation_event is None:
        return Collected(exposed=exposed, sums=sums, active=exposed.customers)
    came = {
        row["variant"]: int(row["customers"])
        for row in engine.arrow(active.group_by("variant").aggregate(customers=active.count())).to_pylist()
    }
    return Collected(exposed=exposed, sums=sums, active={name: came.get(name, 0) for name in experiment.weights})


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


def _checks(
    experiment: ExperimentSettings, collected: Collected, samples: Samples, first: Mapping[str, Any] | None
) -> Iterator[Check]:
    exposed = collected.exposed
    yield _plan(experiment, first)
    yield integrity.sample_ratio(experiment, exposed.customers)
    single = sum(exposed.customers.values())
    everybody = single + exposed.several + sum(exposed.unplanned.values())
    yield integrity.several_variants(exposed.several, everybody)
    yield integrity.unknown_variants(exposed.unplanned)
    yield integrity.incomplete_exposures(exposed.incomplete)
    if exposed.outside:
        yield Check(
            check="outside_period",
            status="warning",
            detail=f"{integrity.grouped(exposed.outside)} exposures are before the start or after the end of the "
            "experiment and do not count.",
        )
    if experiment.activation_event is not None:
        yield _activation(experiment, exposed.customers, collected.active)
    for name, metric in _answered(experiment):
        of_it = {variant: samples[name, variant] for variant in experiment.weights}
        unknown = {variant: sample.unknown for variant, sample in of_it.items()}
        yield integrity.left_out(
            name,
            immature=sum(sample.immature for sample in of_it.values()),
            unknown=sum(unknown.values()) if metric.nulls != "zero" else 0,
            units=sum(collected.active.values()),
            windowed=metric.window_seconds is not None,
        )
        if any(unknown.values()):
            yield integrity.unknown_values(name, unknown, collected.active, metric.nulls)


def _plan(experiment: ExperimentSettings, first: Mapping[str, Any] | None) -> Check:
    found = f"SHA-256 of the plan: {fingerprint(experiment)}"
    changed = changes(experiment, first) if first is not None else ()
    if not changed:
        return Check(check="plan", status="ok", detail=found)
    named = ", ".join(changed)
    return Check(check="plan", status="warning", detail=f"{found}. It was changed after the first look, in: {named}.")


def _activation(experiment: ExperimentSettings, customers: Mapping[str, int], active: Mapping[str, int]) -> Check:
    """Report who never came as far as the activation event; `stop` when that depends on the variant."""
    missing = {name: customers[name] - active[name] for name in customers}
    checked = integrity.unknown_values("activation", missing, customers, "drop")
    away = f"{integrity.grouped(sum(missing.values()))} of {integrity.grouped(sum(customers.values()))} customers"
    found = f'{away} had no "{experiment.activation_event}" after their exposure and are left out'
    if checked.status == "stop":
        found += ", not equally often in every variant, so that who is left cannot be compared. Results are withheld"
    return Check(
        check="activation",
        status="stop" if checked.status == "stop" else "ok",
        p_value=checked.p_value,
        detail=f"{found}.",
    )


def _answered(experiment: ExperimentSettings) -> list[tuple[str, MetricSettings]]:
    """Return the metrics that moments answer, without the twins, which leave out the same customers."""
    names = {metric.metric for metric in experiment.metrics}
    return [(one.name, one.metric) for one in metrics.readings(experiment) if one.name in names]


def _row(
    experiment: ExperimentSettings, reading: Reading, variant: str, samples: Samples, stopped: str | None
) -> dict[str, Any]:
    name, metric = reading.name, reading.metric
    of_variant = samples[name, variant].moments
    of_control = samples[name, experiment.control].moments
    row: dict[str, Any] = {
        "experiment_id": experiment.experiment_id,
        "metric": name,
        "role": metric.role if name == metric.metric else "secondary",
        "metric_kind": metric.kind,
        "variant": variant,
        "control": experiment.control,
        "variant_units": of_variant.n,
        "control_units": of_control.n,
    }
    if stopped is not None:
        return row | {"verdict": "withheld", "withheld_reason": stopped}
    effect = _effect(metric.kind, of_variant, of_control, experiment.alpha)
    adjusted = _adjusted(experiment, name, variant, samples)
    told = effect if adjusted is None or adjusted.p_value is None else adjusted
    reason = None if effect.reason is None else f"No comparison of {name}: {effect.reason}."
    row |= {
        "variant_mean": _value(of_variant),
        "control_mean": _value(of_control),
        "difference": effect.difference,
        "lower": effect.lower,
        "upper": effect.upper,
        "p_value": effect.p_value,
        "relative_difference": effect.relative_difference,
        "relative_lower": effect.relative_lower,
        "relative_upper": effect.relative_upper,
        "verdict": effects.verdict(told, metric.direction, experiment.alpha),
        "withheld_reason": reason,
    }
    if adjusted is None:
        return row
    return row | {
        "adjusted_difference": adjusted.difference,
        "adjusted_lower": adjusted.lower,
        "adjusted_upper": adjusted.upper,
        "adjusted_p_value": adjusted.p_value,
    }


def _effect(kind: str, variant: Moments, control: Moments, alpha: float) -> Effect:
    if NUMERATOR in variant.columns:
        return effects.ratios(variant, control, alpha=alpha)
    test = effects.proportions if kind in ("proportion", "retention") else effects.means
    return test(variant.take(VALUE), control.take(VALUE), alpha=alpha)


def _value(one: Moments) -> float | None:
    if not one.n or NUMERATOR not in one.columns:
        return one.mean
    above, below = (float(value) for value in one.take(NUMERATOR, DENOMINATOR).means)
    return above / below if below else None


def _adjusted(experiment: ExperimentSettings, name: str, variant: str, samples: Samples) -> Effect | None:
    """Return the effect adjusted by the covariates of the metric; None where it has none."""
    arms = {arm: samples[name, arm].moments for arm in experiment.weights if samples[name, arm].moments.n}
    columns = next(iter(arms.values())).columns if arms else ()
    outcome: adjustment.Term = (NUMERATOR, DENOMINATOR) if NUMERATOR in columns else VALUE
    covariates = [column for column in columns if column not in (NUMERATOR, DENOMINATOR, VALUE)]
    if not covariates or variant not in arms or experiment.control not in arms:
        return None
    found = adjustment.adjust(arms, outcome, covariates)
    return None if found is None else found.effect(variant, experiment.control, alpha=experiment.alpha).adjusted
