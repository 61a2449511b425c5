"""Analyse experiments: read exposures and events once each, check, and only then compare.

The raw rows are reduced to sums in the backend; everything after that is arithmetic on a few rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from engine.config.experiments import ExperimentSettings, MetricSettings, Quantile, TimeToEvent
from experiments import (
    adjustment,
    effects,
    epochs,
    estimates,
    health_zh,
    integrity,
    looks,
    metrics,
    progress,
    quantiles,
    result,
    strata,
    time_to_event,
)
from experiments.adjustment import JointEstimates
from experiments.bayes import Prior
from experiments.collection import Collected
from experiments.effects import Effect
from experiments.estimates import ArmEstimate
from experiments.integrity import Check
from experiments.looks import AnyTime, Looks
from experiments.metrics import DENOMINATOR, NUMERATOR, VALUE
from experiments.moments import Moments
from experiments.progress import Progress
from experiments.result import Comparison, ExperimentResult, MetricResult
from experiments.sample_ratio import Epoch
from experiments.spec import changes, fingerprint


def judge(
    experiment: ExperimentSettings,
    collected: Collected,
    as_of: datetime,
    *,
    registered: Mapping[str, Any] | None = None,
    priors: Mapping[str, Prior] | None = None,
    withhold: bool = True,
) -> ExperimentResult:
    """Return checks, comparisons, verdicts and the decision of one experiment.

    registered : its plan at the first look, where there was one. priors : of the difference, by metric, from past
    experiments; flat for the others.
    """
    checks = list(_checks(experiment, collected, as_of, registered))
    compared = [
        _comparison(experiment, name, metric, variant, collected)
        for name, metric in named_metrics(experiment)
        for variant in experiment.variants
    ]
    so_far = _progress(experiment, collected, compared, as_of)
    return result.assemble(
        experiment.experiment_id,
        compared,
        checks,
        looks=_looks(experiment, collected, compared, so_far),
        progress=so_far,
        rules=experiment.decision,
        alpha=experiment.alpha,
        guardrail_alpha=experiment.guardrail_alpha,
        priors=priors,
        withhold=withhold,
        spec_hash=fingerprint(experiment),
        changed=() if registered is None else changes(experiment, registered),
    )


def rows(experiment: ExperimentSettings, judged: ExperimentResult, withheld: str | None = None) -> list[dict[str, Any]]:
    """Return a row of the results mart for each metric, twin and variant; without numbers where `withheld` says why."""
    kinds = {name: metric.kind for name, metric in named_metrics(experiment)}
    spec = {"spec_hash": judged.spec_hash}
    return [
        _row(experiment.experiment_id, kinds[one.comparison.metric], one, withheld) | spec for one in judged.metrics
    ]


def _checks(
    experiment: ExperimentSettings, collected: Collected, as_of: datetime, first: Mapping[str, Any] | None
) -> Iterator[Check]:
    exposed = collected.exposed
    yield _plan(experiment, first)
    yield from _split(experiment, collected, as_of)
    single = sum(exposed.customers.values())
    everybody = single + exposed.several + sum(exposed.unplanned.values())
    yield integrity.several_variants(exposed.several, everybody)
    yield integrity.unknown_variants(exposed.unplanned)
    yield integrity.incomplete_exposures(exposed.incomplete)
    if exposed.outside:
        yield integrity.outside_period(exposed.outside)
    if experiment.activation_event is not None:
        missing = {name: count - collected.active[name] for name, count in exposed.customers.items()}
        yield integrity.inactive(experiment.activation_event, missing, exposed.customers)
    if experiment.covariates:
        yield integrity.balance(_before(experiment, collected), experiment.control)
    for metric in experiment.metrics:
        if not isinstance(metric, TimeToEvent):
            yield from _left_out(experiment, metric, collected)
    yield from collected.arrivals


def _split(experiment: ExperimentSettings, collected: Collected, as_of: datetime) -> Iterator[Check]:
    """Check the split: as a whole, or by the epochs of a planned ramp; by day; and by every dimension named."""
    exposed, today = collected.exposed, as_of.astimezone(UTC).date()
    dimensions = dict.fromkeys((*experiment.segments, *experiment.fairness.attributes))
    if not collected.ramp:
        yield integrity.sample_ratio(experiment, exposed.customers)
    else:
        yield integrity.sample_ratio_by_epoch(collected.ramp)
    yield from integrity.over_time(exposed.daily, experiment.weights, today, collected.ramp)
    for name in dimensions:
        if not collected.ramp:
            groups = _counts_by(experiment, collected, name)
            yield integrity.sample_ratio_by_dimension(name, groups, experiment.weights)
            continue
        plans: dict[str, Mapping[str, float]] = {}
        counts: dict[str, dict[str, int]] = {}
        for span, weights in collected.ramp:
            if weights is not None:
                found = _counts_by(experiment, collected.epochs.get(span.name, collected), name)
                counts |= {f"{value}, {span.name}": one for value, one in found.items()}
                plans |= {f"{value}, {span.name}": weights for value in found}
        yield integrity.sample_ratio_by_dimension(name, counts, experiment.weights, plans=plans)
    if len(collected.spans) > 1:
        lost = [span for span in collected.spans if not _fair(experiment, collected, span)]
        yield epochs.unjudged_spans(sum(sum(span.counts.values()) for span in lost), lost)


def _fair(experiment: ExperimentSettings, collected: Collected, span: Epoch) -> bool:
    """Whether a span can say something of some variant against control."""
    of_control = span.counts.get(experiment.control, 0)
    most = max((span.counts.get(name, 0) for name in experiment.variants), default=0)
    return span.name in collected.epochs and min(of_control, most) >= epochs.FEWEST


def _before(experiment: ExperimentSettings, collected: Collected) -> dict[str, dict[str, ArmEstimate | None]]:
    """Return the mean of each covariate in each arm, of a changed split in its largest epoch."""
    part = collected
    if collected.epochs:
        largest = max((span for span in collected.spans if span.name in collected.epochs), key=_customers)
        part = collected.epochs[largest.name]
    means: dict[str, dict[str, ArmEstimate | None]] = {}
    for reading in metrics.readings(experiment):
        for one in (part.name for part in reading.parts if part.name not in (VALUE, NUMERATOR, DENOMINATOR)):
            if one not in means:
                samples = {arm: part.sums.sample(reading.name, variant=arm).moments for arm in experiment.weights}
                means[one] = {arm: estimates.mean(found.take(one)) for arm, found in samples.items()}
    return means


def _customers(span: Epoch) -> int:
    return sum(span.counts.values())


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
    named = ", ".join(changes(experiment, first)) if first is not None else ""
    zh = health_zh.plan(fingerprint(experiment), named)
    if not named:
        return Check(check="plan", status="ok", detail=found, detail_zh=zh)
    told = f"{found}. It was changed after the first look, in: {named}."
    return Check(check="plan", status="warning", detail=told, detail_zh=zh)


def named_metrics(experiment: ExperimentSettings) -> list[tuple[str, MetricSettings]]:
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
    found = compared(experiment, name, metric, variant, collected)
    is_twin = name != metric.metric
    return Comparison(
        metric=name,
        role="secondary" if is_twin else metric.role,
        direction=metric.direction,
        variant=variant,
        control=experiment.control,
        units=found.units,
        values=found.values,
        pooled=found.pooled,
        plain=found.plain,
        adjusted=found.adjusted,
        margin=None if is_twin else metric.margin,
        margin_relative=metric.margin_is == "relative",
        planned_effect=None if is_twin else metric.planned_effect,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One metric of one variant against control: customers and values by arm, control first; the effect, adjusted.

    pooled : the values over all epochs of a changed split together, no fair comparison; empty where it did not change.
    """

    units: Mapping[str, int]
    values: Mapping[str, float | None]
    plain: Effect
    adjusted: Effect | None
    pooled: Mapping[str, float | None] = field(default_factory=dict)


def compared(
    experiment: ExperimentSettings,
    name: str,
    metric: MetricSettings,
    variant: str,
    collected: Collected,
    *,
    adjusting: bool = True,
) -> Compared:
    """Compare a variant with control; where the split changed, within its epochs, never over them.

    adjusting : with False the effect is not adjusted by covariates and strata as well.
    """
    if not collected.epochs:
        return _compared(experiment, name, metric, variant, collected, adjusting=adjusting)
    parts = {
        epoch: _compared(experiment, name, metric, variant, part, adjusting=adjusting)
        for epoch, part in collected.epochs.items()
    }
    plain = epochs.put_together({epoch: one.plain for epoch, one in parts.items()}, experiment.alpha)
    adjusted = None
    if any(one.adjusted is not None for one in parts.values()):
        sharper = {epoch: _sharper(one) for epoch, one in parts.items()}
        adjusted = epochs.put_together(sharper, experiment.alpha)
    arms = {experiment.control: plain.control, variant: plain.variant}
    return Compared(
        units={arm: 0 if one is None else one.n for arm, one in arms.items()},
        values={arm: None if one is None else one.value for arm, one in arms.items()},
        plain=plain,
        adjusted=adjusted,
        pooled=_compared(experiment, name, metric, variant, collected, adjusting=False).values,
    )


def _sharper(one: Compared) -> Effect:
    return one.plain if one.adjusted is None or one.adjusted.p_value is None else one.adjusted


def _compared(
    experiment: ExperimentSettings,
    name: str,
    metric: MetricSettings,
    variant: str,
    collected: Collected,
    *,
    adjusting: bool,
) -> Compared:
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
        plain = effect_of(metric.kind, arms[variant], arms[experiment.control], experiment.alpha)
        adjusted = _adjusted(experiment, name, variant, collected) if adjusting else None
        counts = {arm: one.n for arm, one in arms.items()}
        values = {arm: value_of(one) for arm, one in arms.items()}
    return Compared(units=counts, values=values, plain=plain, adjusted=adjusted)


def _progress(
    experiment: ExperimentSettings, collected: Collected, compared: Sequence[Comparison], as_of: datetime
) -> Progress:
    """Return how far the experiment is; without a planned end by the first goal, where that states a planned effect."""
    first = next((metric for metric in experiment.metrics if metric.role == "goal"), None)
    sought = [
        progress.Sought(
            planned_effect=one.planned_effect,
            standard_error=result.base(one).standard_error,
            units=sum(one.units.values()),
        )
        for one in compared
        if first is not None and one.metric == first.metric and one.planned_effect is not None
    ]
    first_day = next(iter(collected.exposed.daily), None)
    return progress.of_plan(experiment, as_of.astimezone(UTC).date(), first_day, sought)


def _looks(
    experiment: ExperimentSettings,
    collected: Collected,
    compared: Sequence[Comparison],
    so_far: Progress,
) -> Looks | dict[tuple[str, str], Looks]:
    if experiment.looks is None:
        return {
            (one.metric, one.variant): AnyTime(units=sum(one.units.values()), tuned_for=experiment.alpha)
            for one in compared
        }
    return looks.of_plan(
        experiment.looks,
        units=sum(collected.exposed.customers.values()),
        day=so_far.day,
        ended=so_far.complete,
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
        "judged_relative_lower": one.judged.relative_lower,
        "judged_relative_upper": one.judged.relative_upper,
        "verdict": one.verdict,
        "withheld_reason": None if plain.reason is None else f"No comparison of {asked.metric}: {plain.reason}.",
    }


def effect_of(kind: str, variant: Moments, control: Moments, alpha: float) -> Effect:
    """Compare two arms by the test of the kind of metric, without covariates."""
    if NUMERATOR in variant.columns:
        return effects.ratios(variant, control, alpha=alpha)
    test = effects.proportions if kind in ("proportion", "retention") else effects.means
    return test(variant.take(VALUE), control.take(VALUE), alpha=alpha)


def value_of(one: Moments) -> float | None:
    """Return the mean, the share or the ratio of one arm; None where there is none."""
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
