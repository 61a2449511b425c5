"""From the moments of a table of units to comparisons: plain, adjusted, and within segments.

What is judged, withheld and decided comes after; see `experiments.result`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.config.experiments import ExperimentSettings, MetricSettings, Quantile, TimeToEvent
from experiments import adjustment, effects, quantiles, reasons_zh, segments, strata, time_to_event
from experiments.adjustment import JointEstimates
from experiments.effects import Effect
from experiments.moments import VALUE, Moments
from experiments.result import Comparison, effect_json
from experiments.segments import Breakdown
from experiments.unit_ends import OrderedCells
from experiments.unit_tables import ARM, Cells, Measure
from experiments.writing import NO_SEGMENT


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """One metric, or its twin without a cap, in all arms: what every comparison of it is made of."""

    plan: ExperimentSettings
    metric: MetricSettings
    measure: Measure
    cells: Cells

    @property
    def name(self) -> str:
        """The name under which it is shown."""
        return self.measure.name

    def sample(self, **wanted: Any) -> Moments:
        """Return the moments of the cells with these values of their keys."""
        return self.cells.moments(self.measure, **wanted)

    def groups(self, key: str) -> list[Any]:
        """Return the values of a key, what is not known last."""
        return self.cells.values(key)

    def value(self, sample: Moments) -> float | None:
        """Return the mean, the share or the ratio; None where there is none."""
        return value(self.measure.kind, sample)

    def effect(self, variant: Moments, control: Moments) -> Effect:
        """Compare two samples without covariates."""
        return compared(self.measure.kind, variant, control, self.plan.alpha)

    def joint(self, arms: Mapping[str, Moments], stratum: str | None) -> JointEstimates | None:
        """Return the adjusted estimates of all arms; None where nothing is there to adjust by."""
        return _joint(self, arms, stratum)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrderedReading:
    """A quantile or a time to an event in all arms: as `Reading`, of what moments do not keep. It has no covariates."""

    plan: ExperimentSettings
    metric: Quantile | TimeToEvent
    cells: OrderedCells[Any]

    @property
    def name(self) -> str:
        """The name under which it is shown."""
        return self.metric.metric

    def sample(self, **wanted: Any) -> Any:
        """Return the distribution, or the daily counts, of the cells with these values of their keys."""
        return self.cells.of(**wanted)

    def groups(self, key: str) -> list[Any]:
        """Return the values of a key, what is not known last."""
        return sorted(set(self.cells.keys[key]), key=lambda one: (one is None, one))

    def value(self, sample: Any) -> float | None:
        """Return the quantile, or the rate by the horizon; None where it cannot be told."""
        if isinstance(self.metric, Quantile):
            return quantiles.quantile(sample, self.metric.quantile)
        found = time_to_event.rate(sample, self.metric.horizon_days)
        return None if found is None else found.value

    def effect(self, variant: Any, control: Any) -> Effect:
        """Compare two samples."""
        if isinstance(self.metric, Quantile):
            return quantiles.compare(variant, control, self.metric.quantile, alpha=self.plan.alpha)
        return time_to_event.compare(variant, control, self.metric.horizon_days, alpha=self.plan.alpha)

    def joint(self, arms: Mapping[str, Any], stratum: str | None) -> None:
        """Return None: there is no adjusted estimate."""


def comparisons(reading: Reading | OrderedReading, *, stratum: str | None = None) -> list[Comparison]:
    """Return the comparison of each variant with control.

    stratum : key of the cells within whose values arms are compared; with covariates both enter one regression.
    """
    plan, metric = reading.plan, reading.metric
    arms = {arm: reading.sample(arm=arm) for arm in plan.weights}
    joint, is_twin = reading.joint(arms, stratum), reading.name != metric.metric
    made = []
    for variant in plan.variants:
        both = (variant, plan.control)
        adjusted = None
        if joint is not None and all(arm in joint.arms for arm in both):
            adjusted = joint.effect(variant, plan.control, alpha=plan.alpha).adjusted
        made.append(
            Comparison(
                metric=reading.name,
                role="secondary" if is_twin else metric.role,
                direction=metric.direction,
                variant=variant,
                control=plan.control,
                units={arm: arms[arm].n for arm in reversed(both)},
                values={arm: reading.value(arms[arm]) for arm in reversed(both)},
                plain=reading.effect(arms[variant], arms[plan.control]),
                adjusted=adjusted,
                margin=None if is_twin else metric.margin,
                margin_relative=metric.margin_is == "relative",
            )
        )
    return made


def by_segment(reading: Reading | OrderedReading, keys: Mapping[str, str], variant: str) -> list[dict[str, Any]]:
    """Return the breakdown of a variant's effect by each segment column, with the units and values of each segment.

    keys : key of the cells for each column.
    """
    control = reading.plan.control
    parts = {
        column: {
            NO_SEGMENT if one is None else str(one): {
                arm: reading.sample(**{ARM: arm, key: one}) for arm in (control, variant)
            }
            for one in reading.groups(key)
        }
        for column, key in keys.items()
    }
    found = segments.breakdowns(
        {
            column: {name: reading.effect(arms[variant], arms[control]) for name, arms in groups.items()}
            for column, groups in parts.items()
        }
    )
    return [_broken_down(one, parts[one.dimension], reading) for one in found]


def compared(kind: str, variant: Moments, control: Moments, alpha: float) -> Effect:
    """Compare two arms by the test of the kind of metric, without covariates."""
    if kind == "ratio":
        return effects.ratios(variant, control, alpha=alpha)
    test = effects.proportions if kind == "proportion" else effects.means
    return test(variant.take(VALUE), control.take(VALUE), alpha=alpha)


def value(kind: str, moments: Moments) -> float | None:
    """Return the mean, the share or the ratio of one arm; None where there is none."""
    if not moments.n:
        return None
    if kind != "ratio":
        return moments.take(VALUE).mean
    above, below = (float(one) for one in moments.take("numerator", "denominator").means)
    return above / below if below else None


def _broken_down(
    found: Breakdown, parts: Mapping[str, Mapping[str, Any]], reading: Reading | OrderedReading
) -> dict[str, Any]:
    test = found.interaction
    return {
        "segment": found.dimension,
        "interaction": {
            "p_value": test.p_value,
            "adjusted_p_value": test.adjusted_p_value,
            **reasons_zh.told(test.reason),
        },
        "values": [
            {
                "of": name,
                "n": {arm: one.n for arm, one in arms.items()},
                "value": {arm: reading.value(one) for arm, one in arms.items()}
                if found.effects[name].difference is not None
                else dict.fromkeys(arms),
                **effect_json(found.effects[name]),
            }
            for name, arms in parts.items()
        ],
    }


def _joint(reading: Reading, arms: Mapping[str, Moments], stratum: str | None) -> JointEstimates | None:
    measure = reading.measure
    outcome: adjustment.Term = ("numerator", "denominator") if measure.kind == "ratio" else VALUE
    present = {name: moments for name, moments in arms.items() if moments.n}
    if reading.plan.control not in present:
        return None
    if stratum is None:
        return adjustment.adjust(present, outcome, measure.covariates) if measure.covariates else None
    values = reading.cells.values(stratum)
    of_strata = {
        arm: {str(one): reading.cells.moments(measure, arm=arm, **{stratum: one}) for one in values} for arm in present
    }
    return strata.adjusted(present, of_strata, outcome, measure.covariates)
