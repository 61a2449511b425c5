"""What an analysis says, in one form for commands, files and screens: checks, metrics with their effects, no more.

Every number comes out of the moments; what cannot be said is None, and "why" says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from engine.config.experiments import ExperimentSettings, MetricSettings
from experiments import adjustment, effects, stratification
from experiments.adjustment import JointEstimates
from experiments.effects import Effect
from experiments.integrity import Check
from experiments.moments import VALUE, Moments
from experiments.unit_tables import ARM, Cells, Measure

_OF_STRATUM: Final = "stratum "


def health(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Return the checks as plain mappings."""
    return [asdict(check) for check in checks]


def metrics(
    plan: ExperimentSettings,
    measures: Mapping[str, Measure],
    cells: Cells,
    *,
    stratum: str | None = None,
    segments: Mapping[str, str] | None = None,
    withheld: str | None = None,
) -> list[dict[str, Any]]:
    """Return one mapping for each metric and variant.

    Parameters
    ----------
    measures : of each metric by its name.
    stratum : key of the cells by which effects are stratified; combined with covariates in one regression.
    segments : key of the cells for each segment column; each value is shown on its own.
    withheld : the sentence that says why nothing is shown but how many units there are.
    """
    made = []
    for metric in plan.metrics:
        measure = measures[metric.metric]
        arms = {arm: cells.moments(measure, arm=arm) for arm in plan.weights}
        reading = _Reading(plan=plan, metric=metric, measure=measure, arms=arms, cells=cells)
        joint = None if withheld else reading.joint(stratum)
        for variant in plan.variants:
            if withheld:
                made.append(reading.withheld(variant, withheld))
                continue
            entry = reading.entry(variant, joint)
            if segments:
                entry["segments"] = [
                    reading.of_segment(variant, column, key, value)
                    for column, key in segments.items()
                    for value in cells.values(key)
                ]
            made.append(entry)
    return made


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


def absolute(effect: Effect) -> dict[str, Any]:
    """Return the difference with its interval; one that cannot be told says why."""
    made: dict[str, Any] = {
        "difference": effect.difference,
        "interval": _interval(effect.lower, effect.upper),
        "p_value": effect.p_value,
    }
    return made if effect.difference is not None else made | {"why": _sentence(effect.reason)}


def relative(effect: Effect) -> dict[str, Any]:
    """Return the relative difference with its interval; what cannot be told says why."""
    made: dict[str, Any] = {
        "lift": effect.relative_difference,
        "interval": _interval(effect.relative_lower, effect.relative_upper),
        "p_value": effect.p_value,
    }
    if effect.difference is None:
        return made | {"why": _sentence(effect.reason)}
    if effect.relative_difference is None:
        return made | {"why": "The value of control is 0, so there is nothing to divide by."}
    if made["interval"] is None:
        return made | {"why": "Control cannot be told from 0, so that any relative difference is possible."}
    return made


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Reading:
    """One metric in all arms: what each entry about it is made of."""

    plan: ExperimentSettings
    metric: MetricSettings
    measure: Measure
    arms: Mapping[str, Moments]
    cells: Cells

    def _head(self, variant: str) -> dict[str, Any]:
        return {
            "metric": self.metric.metric,
            "kind": self.metric.kind,
            "role": self.metric.role,
            "direction": self.metric.direction,
            "variant": variant,
            "control": self.plan.control,
            "n": {arm: self.arms[arm].n for arm in (self.plan.control, variant)},
        }

    def withheld(self, variant: str, why: str) -> dict[str, Any]:
        nothing = {"interval": None, "p_value": None, "why": why}
        return self._head(variant) | {
            "value": dict.fromkeys((self.plan.control, variant)),
            "absolute": {"difference": None, **nothing},
            "relative": {"lift": None, **nothing},
            "adjusted": None,
            "verdict": "withheld",
            "why": why,
        }

    def entry(self, variant: str, joint: JointEstimates | None) -> dict[str, Any]:
        control, alpha = self.plan.control, self.plan.alpha
        plain = compared(self.measure.kind, self.arms[variant], self.arms[control], alpha)
        both = joint.effect(variant, control, alpha=alpha) if joint and variant in joint.arms else None
        told = plain if both is None or both.adjusted.p_value is None else both.adjusted
        entry = self._head(variant) | {
            "value": {arm: value(self.measure.kind, self.arms[arm]) for arm in (control, variant)},
            "method": plain.method,
            "absolute": absolute(plain),
            "relative": relative(plain),
            "adjusted": None,
            "verdict": effects.verdict(told, self.metric.direction, alpha),
            "verdict_from": "unadjusted" if told is plain else "adjusted",
        }
        if both is not None:
            entry["adjusted"] = {
                "method": both.adjusted.method,
                "absolute": absolute(both.adjusted),
                "relative": relative(both.adjusted),
                "variance_removed": both.variance_removed,
            }
        return entry if told.difference is not None else entry | {"why": _sentence(told.reason)}

    def joint(self, stratum: str | None) -> JointEstimates | None:
        """Return the adjusted estimates of all arms; None where nothing is there to adjust by."""
        measure = self.measure
        outcome: adjustment.Term = ("numerator", "denominator") if measure.kind == "ratio" else VALUE
        present = {name: moments for name, moments in self.arms.items() if moments.n}
        if self.plan.control not in present:
            return None
        if stratum is None:
            return adjustment.adjust(present, outcome, measure.covariates) if measure.covariates else None
        values = self.cells.values(stratum)
        strata = {
            arm: {str(one): self.cells.moments(measure, arm=arm, **{stratum: one}) for one in values} for arm in present
        }
        if not measure.covariates:
            some = {arm: {name: one for name, one in found.items() if one.n} for arm, found in strata.items()}
            return stratification.post_stratify(some, outcome)
        names = [str(one) for one in values][1:]
        widened = {arm: _with_strata(self.arms[arm], found, names) for arm, found in strata.items()}
        return adjustment.adjust(widened, outcome, (*measure.covariates, *(_OF_STRATUM + name for name in names)))

    def of_segment(self, variant: str, column: str, key: str, segment: Any) -> dict[str, Any]:
        control, kind, alpha = self.plan.control, self.measure.kind, self.plan.alpha
        one, other = (self.cells.moments(self.measure, **{ARM: arm, key: segment}) for arm in (variant, control))
        effect = compared(kind, one, other, alpha)
        return {
            "segment": column,
            "of": segment,
            "n": {control: other.n, variant: one.n},
            "value": {control: value(kind, other), variant: value(kind, one)},
            "absolute": absolute(effect),
            "relative": relative(effect),
            "verdict": effects.verdict(effect, self.metric.direction, alpha),
        }


def _with_strata(whole: Moments, strata: Mapping[str, Moments], names: Sequence[str]) -> Moments:
    """Return the moments with a column for each named stratum that is 1 in it and 0 elsewhere."""
    p, count = len(whole.columns), len(names)
    inside = [strata[name].about(whole.shift) for name in names]
    products = np.zeros((p + count, p + count))
    products[:p, :p] = whole.products
    for place, one in enumerate(inside):
        products[p + place, :p] = products[:p, p + place] = one.total
        products[p + place, p + place] = one.n
    return Moments(
        columns=(*whole.columns, *(_OF_STRATUM + name for name in names)),
        n=whole.n,
        shift=np.concatenate([whole.shift, np.zeros(count)]),
        total=np.concatenate([whole.total, [float(one.n) for one in inside]]),
        products=products,
    )


def _interval(lower: float | None, upper: float | None) -> list[float] | None:
    return None if lower is None or upper is None else [lower, upper]


def _sentence(reason: str | None) -> str:
    told = reason or "it cannot be told"
    return f"{told[0].upper()}{told[1:]}."


def decision(plan: ExperimentSettings, entries: Sequence[Mapping[str, Any]], stopped: str | None) -> dict[str, Any]:
    """Return what to do and why, by the rules of the plan."""
    if stopped:
        return {"action": "Review", "reasons": [stopped]}
    told = {name: [one for one in entries if one["role"] == name] for name in ("goal", "guardrail")}
    harmed = [one for one in told["guardrail"] if one["verdict"] == "worse"]
    if harmed:
        action = "Roll back" if plan.decision.harmed_guardrail == "roll_back" else "Review"
        return {"action": action, "reasons": [_reason(one) for one in harmed]}
    return {"action": "Review", "reasons": [_reason(one) for one in told["goal"]]}


def _reason(one: Mapping[str, Any]) -> str:
    return f"{one['metric']} of {one['variant']}: {one['verdict'].replace('_', ' ')}."
