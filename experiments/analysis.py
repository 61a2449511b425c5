"""Analyse experiments: read exposures and events once each, check, and only then compare.

The raw rows are reduced to sums in the backend; everything after that is arithmetic on a few rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from engine.config.experiments import ExperimentSettings, MetricSettings, Quantile, TimeToEvent
from engine.domain.marts import EXPERIMENT_HEALTH, EXPERIMENT_RESULTS
from engine.lake.engine import Engine
from engine.lake.schema import arrow_schema, to_contract
from experiments import adjustment, effects, integrity, looks, metrics, quantiles, result, strata, time_to_event
from experiments.adjustment import JointEstimates
from experiments.collection import Collected, collect
from experiments.decide import Progress
from experiments.effects import Effect
from experiments.integrity import Check
from experiments.looks import AnyTime, Looks
from experiments.metrics import DENOMINATOR, NUMERATOR, VALUE
from experiments.moments import Moments
from experiments.result import Comparison, ExperimentResult, MetricResult
from experiments.spec import changes, fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentTables:
    """The marts `experiment_results` and `experiment_health`, sorted by key."""

    results: pa.Table
    health: pa.Table


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

    The differences, intervals and p-values are those of one look at one comparison. The verdict holds at this look,
    however many there are, and among all comparisons of the experiment.
    """
    results: list[dict[str, Any]] = []
    health: list[dict[str, Any]] = []
    for experiment in experiments:
        collected = collect(engine, exposures, events, experiment, as_of, attributes=attributes)
        first = (registered or {}).get(experiment.experiment_id)
        judged = judge(experiment, collected, as_of, registered=first, withhold=withhold)
        health += [{"experiment_id": experiment.experiment_id, **asdict(check)} for check in judged.health]
        results += rows(experiment, judged, withheld=judged.withheld if withhold else None)
    return ExperimentTables(
        results=to_contract(EXPERIMENT_RESULTS, pa.Table.from_pylist(results, arrow_schema(EXPERIMENT_RESULTS))),
        health=to_contract(EXPERIMENT_HEALTH, pa.Table.from_pylist(health, arrow_schema(EXPERIMENT_HEALTH))),
    )


def judge(
    experiment: ExperimentSettings,
    collected: Collected,
    as_of: datetime,
    *,
    registered: Mapping[str, Any] | None = None,
    withhold: bool = True,
) -> ExperimentResult:
    """Return checks, comparisons, verdicts and the decision of one experiment.

    registered : its plan at the first look, where there was one.
    """
    checks = list(_checks(experiment, collected, as_of, registered))
    compared = [
        _comparison(experiment, name, metric, variant, collected)
        for name, metric in _names(experiment)
        for variant in experiment.variants
    ]
    day, to_go, complete = _progress(experiment, collected, as_of)
    return result.assemble(
        experiment.experiment_id,
        compared,
        checks,
        looks=_looks(experiment, collected, compared, day, ended=complete),
        progress=Progress(day=day, days_to_go=to_go, complete=complete),
        rules=experiment.decision,
        alpha=experiment.alpha,
        withhold=withhold,
        spec_hash=fingerprint(experiment),
        changed=() if registered is None else changes(experiment, registered),
    )


def rows(experiment: ExperimentSettings, judged: ExperimentResult, withheld: str | None = None) -> list[dict[str, Any]]:
    """Return a row of the results mart for each metric, twin and variant; without numbers where `withheld` says why."""
    kinds = {name: metric.kind for name, metric in _names(experiment)}
    return [_row(experiment.experiment_id, kinds[one.comparison.metric], one, withheld) for one in judged.metrics]


def _checks(
    experiment: ExperimentSettings, collected: Collected, as_of: datetime, first: Mapping[str, Any] | None
) -> Iterator[Check]:
    exposed = collected.exposed
    yield _plan(experiment, first)
    yield integrity.sample_ratio(experiment, exposed.customers)
    yield from integrity.over_time(exposed.daily, experiment.weights, as_of.astimezone(UTC).date())
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
    for segment in experiment.segments:
        yield integrity.sample_ratio_by_dimension(
            segment, _counts_by(experiment, collected, segment), experiment.weights
        )
    for metric in experiment.metrics:
        if not isinstance(metric, TimeToEvent):
            yield from _left_out(experiment, metric, collected)


def _left_out(experiment: ExperimentSettings, metric: MetricSettings, collected: Collected) -> Iterator[Check]:
    name = metric.metric
    if isinstance(metric, Quantile):
        immature = {arm: collected.immature[name, arm] for arm in experiment.weights}
        unknown = {arm: collected.unknown[name, arm] for arm in experiment.weights}
    else:
        samples = {arm: collected.sums.sample(name, variant=arm) for arm in experiment.weights}
        immature = {arm: sample.immature for arm, sample in samples.items()}
        unknown = {arm: sample.unknown for arm, sample in samples.items()}
    yield integrity.left_out(
        name,
        immature=sum(immature.values()),
        unknown=sum(unknown.values()) if metric.nulls != "zero" else 0,
        units=sum(collected.active.values()),
        windowed=metric.window_seconds is not None,
    )
    if any(unknown.values()):
        yield integrity.unknown_values(name, unknown, collected.active, metric.nulls)


def _counts_by(experiment: ExperimentSettings, collected: Collected, segment: str) -> dict[str, dict[str, int]]:
    groups: dict[str, dict[str, int]] = {}
    for row in collected.sums.rows:
        counts = groups.setdefault(str(row[segment]), dict.fromkeys(experiment.weights, 0))
        counts[row["variant"]] += int(row["units"])
    return groups


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


def _names(experiment: ExperimentSettings) -> list[tuple[str, MetricSettings]]:
    """Return every metric by the name it is shown under, each twin without a cap behind its metric."""
    twins = {one.name: one.metric for one in metrics.readings(experiment)}
    return [
        (name, metric)
        for metric in experiment.metrics
        for name in (metric.metric, f"{metric.metric}.{metrics.UNCAPPED}")
        if name in twins or name == metric.metric
    ]


def _comparison(
    experiment: ExperimentSettings, name: str, metric: MetricSettings, variant: str, collected: Collected
) -> Comparison:
    both = (experiment.control, variant)
    adjusted = None
    if isinstance(metric, TimeToEvent):
        days = {arm: collected.days[name, arm] for arm in both}
        found = {arm: time_to_event.rate(one, metric.horizon_days) for arm, one in days.items()}
        plain = time_to_event.compare(
            days[variant], days[experiment.control], metric.horizon_days, alpha=experiment.alpha
        )
        counts = {arm: one.n for arm, one in days.items()}
        values = {arm: None if one is None else one.value for arm, one in found.items()}
    elif isinstance(metric, Quantile):
        spread = {arm: collected.distributions[name, arm] for arm in both}
        plain = quantiles.compare(spread[variant], spread[experiment.control], metric.quantile, alpha=experiment.alpha)
        counts = {arm: one.n for arm, one in spread.items()}
        values = {arm: quantiles.quantile(one, metric.quantile) for arm, one in spread.items()}
    else:
        arms = {arm: collected.sums.sample(name, variant=arm).moments for arm in both}
        plain = _effect(metric.kind, arms[variant], arms[experiment.control], experiment.alpha)
        adjusted = _adjusted(experiment, name, variant, collected)
        counts = {arm: one.n for arm, one in arms.items()}
        values = {arm: _value(one) for arm, one in arms.items()}
    is_twin = name != metric.metric
    return Comparison(
        metric=name,
        role="secondary" if is_twin else metric.role,
        direction=metric.direction,
        variant=variant,
        control=experiment.control,
        units=counts,
        values=values,
        plain=plain,
        adjusted=adjusted,
        margin=None if is_twin else metric.margin,
        margin_relative=metric.margin_is == "relative",
    )


def _progress(experiment: ExperimentSettings, collected: Collected, as_of: datetime) -> tuple[int, int | None, bool]:
    """Return the day of the experiment, 1 on the first, how many are left, and whether it has come to its end."""
    today = as_of.astimezone(UTC).date()
    first = (
        experiment.starts_at.astimezone(UTC).date()
        if experiment.starts_at
        else next(iter(collected.exposed.daily), today)
    )
    day = max((today - first).days + 1, 1)
    if experiment.ends_at is not None:
        left = (experiment.ends_at.astimezone(UTC).date() - today).days
    elif experiment.looks is not None:
        left = experiment.looks.days - day
    else:
        return day, None, False
    return day, max(left, 0), left <= 0


def _looks(
    experiment: ExperimentSettings,
    collected: Collected,
    compared: Sequence[Comparison],
    day: int,
    *,
    ended: bool,
) -> Looks | dict[tuple[str, str], Looks]:
    if experiment.looks is None:
        return {
            (one.metric, one.variant): AnyTime(units=sum(one.units.values()), tuned_for=experiment.alpha)
            for one in compared
        }
    return looks.of_plan(
        experiment.looks,
        units=sum(collected.exposed.customers.values()),
        day=day,
        ended=ended,
        alpha=experiment.alpha,
    )


def _row(experiment_id: str, kind: str, one: MetricResult, withheld: str | None) -> dict[str, Any]:
    asked = one.comparison
    row: dict[str, Any] = {
        "experiment_id": experiment_id,
        "metric": asked.metric,
        "role": asked.role,
        "metric_kind": kind,
        "variant": asked.variant,
        "control": asked.control,
        "variant_units": asked.units[asked.variant],
        "control_units": asked.units[asked.control],
    }
    if withheld is not None:
        return row | {"verdict": "withheld", "withheld_reason": withheld}
    plain, adjusted = asked.plain, asked.adjusted
    return row | {
        "variant_mean": asked.values[asked.variant],
        "control_mean": asked.values[asked.control],
        "difference": plain.difference,
        "lower": plain.lower,
        "upper": plain.upper,
        "p_value": plain.p_value,
        "relative_difference": plain.relative_difference,
        "relative_lower": plain.relative_lower,
        "relative_upper": plain.relative_upper,
        "adjusted_difference": None if adjusted is None else adjusted.difference,
        "adjusted_lower": None if adjusted is None else adjusted.lower,
        "adjusted_upper": None if adjusted is None else adjusted.upper,
        "adjusted_p_value": None if adjusted is None else adjusted.p_value,
        "judged_lower": one.judged.lower,
        "judged_upper": one.judged.upper,
        "judged_p_value": one.judged.p_value,
        "verdict": one.verdict,
        "withheld_reason": None if plain.reason is None else f"No comparison of {asked.metric}: {plain.reason}.",
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


def _adjusted(experiment: ExperimentSettings, name: str, variant: str, collected: Collected) -> Effect | None:
    """Return the effect adjusted by the covariates of the metric and by strata; None where there are neither."""
    arms = {arm: collected.sums.sample(name, variant=arm).moments for arm in experiment.weights}
    present = {arm: one for arm, one in arms.items() if one.n}
    if variant not in present or experiment.control not in present:
        return None
    columns = arms[variant].columns
    outcome: adjustment.Term = (NUMERATOR, DENOMINATOR) if NUMERATOR in columns else VALUE
    covariates = [column for column in columns if column not in (NUMERATOR, DENOMINATOR, VALUE)]
    found: JointEstimates | None = None
    if experiment.strata:
        of_strata = {arm: _strata(experiment, name, arm, collected) for arm in present}
        found = strata.adjusted(present, of_strata, outcome, covariates)
    elif covariates:
        found = adjustment.adjust(present, outcome, covariates)
    return None if found is None else found.effect(variant, experiment.control, alpha=experiment.alpha).adjusted


def _strata(experiment: ExperimentSettings, name: str, arm: str, collected: Collected) -> dict[str, Moments]:
    """Return the moments of an arm in each stratum: one value of each of the columns together."""
    cells = sorted({tuple(str(row[key]) for key in experiment.strata) for row in collected.sums.rows})
    values = {tuple(str(row[key]) for key in experiment.strata): row for row in collected.sums.rows}
    return {
        " / ".join(cell): collected.sums.sample(
            name, variant=arm, **{key: values[cell][key] for key in experiment.strata}
        ).moments
        for cell in cells
    }
