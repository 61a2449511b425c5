"""The result of an experiment: one frozen object that banner, badges, chart, report and export all read.

`assemble` is the only place where effects meet looks, corrections, guardrails and rules. Whatever shows a result reads
it here and computes nothing, so that no two places can disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Literal

import numpy as np

from engine.config.experiments import DecisionSettings
from experiments import bayes, effects, multiplicity, reasons_zh
from experiments.bayes import FLAT, Posterior, Prior
from experiments.decide import Decision, Finding, Role, decide, judge_goal, judge_guardrail
from experiments.effects import ALPHA, Direction, Effect, OneSided, Verdict
from experiments.integrity import Check
from experiments.looks import Design, Looks
from experiments.multiplicity import Adjusted
from experiments.progress import Progress
from experiments.sentences import Sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One metric of one variant against control, as the methods of `experiments` give it.

    units, values : of the two arms, by name; a value is None where it is not known.
    plain : the effect as it is, for a single look at the planned end.
    adjusted : the same effect with less noise (covariates, strata), where the plan names any; the verdict follows it.
    margin : of a guardrail: the worsening still accepted, a share of control's value where `margin_relative`.
    planned_effect : smallest difference that matters, in the metric's unit, where the plan states one.
    pooled : where the split changed, the values of the arms over all its epochs together: what was counted, no
        comparison. Empty where it did not change.
    """

    metric: str
    role: Role
    direction: Direction
    variant: str
    control: str
    units: Mapping[str, int]
    values: Mapping[str, float | None]
    plain: Effect
    adjusted: Effect | None = None
    margin: float | None = None
    margin_relative: bool = True
    planned_effect: float | None = None
    pooled: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricResult:
    """One metric of one variant, judged.

    judged : the effect that the verdict rests on: adjusted where it can be, valid at this look and corrected for the
        number of comparisons. Its p-value is below alpha (that of guardrails for them) exactly when its intervals leave
        out 0.
    verdict : a guardrail is worse as soon as its one-sided test alarms, which is before its two-sided interval does.
    """

    comparison: Comparison
    judged: Effect
    verdict: Verdict
    finding: Finding
    posterior: Posterior | None = None

    @property
    def why(self) -> str | None:
        """Why there are no numbers, or no interval to judge by; None where there are."""
        return self.comparison.plain.reason or self.judged.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentResult:
    """Everything that is said of one experiment at one look.

    design : how the looks are paid for: any_time, planned or fixed.
    withheld : why no numbers are shown at all; None when they are.
    spec_hash : SHA-256 of the plan; `changed` names the settings that differ from the plan before the first look.
    """

    experiment_id: str
    alpha: float
    design: Design
    health: tuple[Check, ...]
    metrics: tuple[MetricResult, ...]
    decision: Decision
    progress: Progress
    withheld: str | None = None
    spec_hash: str | None = None
    changed: tuple[str, ...] = ()

    def of(self, metric: str, variant: str | None = None) -> MetricResult:
        """Return the result of a metric; of the first variant unless one is named.

        Raises
        ------
        KeyError
            There is no such comparison.
        """
        for one in self.metrics:
            if one.comparison.metric == metric and variant in (None, one.comparison.variant):
                return one
        raise KeyError(metric if variant is None else f"{metric}, {variant}")

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON: plain values only, undefined ones null with a "why".

        "absolute", "relative" and "adjusted" are for one look at the planned end; "now" is what the verdict rests on.
        """
        return {
            "experiment": self.experiment_id,
            "spec_hash": self.spec_hash,
            "changed": list(self.changed),
            "alpha": self.alpha,
            "looks": self.design,
            "health": [
                {
                    "check": one.check,
                    "status": one.status,
                    "p_value": number(one.p_value),
                    "detail": one.detail,
                    **({"detail_zh": one.detail_zh} if one.detail_zh else {}),
                }
                for one in self.health
            ],
            "metrics": [_metric_json(one) for one in self.metrics],
            "decision": _decision_json(self.decision),
            "progress": {
                "day": self.progress.day,
                "days_to_go": self.progress.days_to_go,
                "complete": self.progress.complete,
            },
        }


def assemble(
    experiment_id: str,
    comparisons: Sequence[Comparison],
    health: Sequence[Check],
    *,
    looks: Looks | Mapping[tuple[str, str], Looks],
    progress: Progress,
    rules: DecisionSettings | None = None,
    alpha: float = ALPHA,
    guardrail_alpha: float | None = None,
    priors: Mapping[str, Prior] | None = None,
    withhold: bool = True,
    spec_hash: str | None = None,
    changed: Sequence[str] = (),
) -> ExperimentResult:
    """Judge every comparison and decide.

    Parameters
    ----------
    looks : the design of the present look; one for all, or one for each (metric, variant).
    guardrail_alpha : error budget of the guardrails, one-sided, apart from that of the goals; alpha unless given.
    priors : of the difference, by metric; flat for the others.
    withhold : with True a failed check leaves counts of units and the reason, no numbers. With False the numbers are
        shown, and the decision is still a review.

    Goals and secondary metrics share alpha: goals first, secondary metrics when the goals are won. Variants share it
    by Šidák's correction; with one goal at a single look by Dunnett's.
    """
    written = DecisionSettings() if rules is None else rules
    stopped = next((check.detail for check in health if check.status == "stop"), None) if withhold else None
    given = [one if stopped is None else _withheld(one, stopped) for one in comparisons]
    at = {_key(one): looks[_key(one)] if isinstance(looks, Mapping) else looks for one in given}
    guarded = alpha if guardrail_alpha is None else guardrail_alpha
    judged = _corrected(given, at, written, alpha, guarded)
    guardrails = sum(one.role == "guardrail" and base(one).p_value is not None for one in given)
    made = []
    for one in given:
        effect = judged[_key(one)]
        verdict = effects.verdict(effect, one.direction, guarded if one.role == "guardrail" else alpha)
        if one.role == "guardrail":
            finding = judge_guardrail(
                one.metric,
                one.variant,
                base(one),
                one.direction,
                margin=one.margin,
                relative=one.margin_relative,
                looks=at[_key(one)],
                alpha=guarded,
                guardrails=max(guardrails, 1),
            )
            verdict = "worse" if finding.outcome == "harmed" else verdict
        else:
            finding = judge_goal(
                one.metric,
                one.variant,
                effect,
                one.direction,
                role=one.role,
                alpha=alpha,
                complete=progress.complete,
                planned_effect=one.planned_effect,
            )
        prior = (priors or {}).get(one.metric, FLAT)
        made.append(
            MetricResult(
                comparison=one,
                judged=effect,
                verdict=verdict,
                finding=finding,
                posterior=bayes.posterior(base(one), prior, direction=one.direction),
            )
        )
    designs = {design.design for design in at.values()}
    return ExperimentResult(
        experiment_id=experiment_id,
        alpha=alpha,
        design=designs.pop() if len(designs) == 1 else "any_time",
        health=tuple(health),
        metrics=tuple(made),
        decision=decide([one.finding for one in made], health, progress, written),
        progress=progress,
        withheld=stopped,
        spec_hash=spec_hash,
        changed=tuple(changed),
    )


def _key(one: Comparison) -> tuple[str, str]:
    return one.metric, one.variant


def base(one: Comparison) -> Effect:
    """Return the effect that is judged: the adjusted one where there is one and it can be told."""
    return one.plain if one.adjusted is None or one.adjusted.p_value is None else one.adjusted


def _withheld(one: Comparison, why: str) -> Comparison:
    nothing = Effect(method=one.plain.method, reason=why)
    return replace(one, plain=nothing, adjusted=None, values=dict.fromkeys(one.values), pooled={})


def _corrected(
    given: Sequence[Comparison],
    at: Mapping[tuple[str, str], Looks],
    rules: DecisionSettings,
    alpha: float,
    guarded: float,
) -> dict[tuple[str, str], Effect]:
    """Return the effect of each comparison at its look, corrected for the others of its family."""
    variants = list(dict.fromkeys(one.variant for one in given))
    share = float(-np.expm1(np.log1p(-alpha) / max(len(variants), 1)))
    guardrails = [one for one in given if one.role == "guardrail"]
    watched = multiplicity.adjust(
        [base(one) for one in guardrails], "bonferroni", alpha=guarded, looks=[at[_key(one)] for one in guardrails]
    )
    found = {_key(one): adjusted.effect for one, adjusted in zip(guardrails, watched, strict=True)}
    for variant in variants:
        goals = [one for one in given if (one.variant, one.role) == (variant, "goal")]
        secondary = [one for one in given if (one.variant, one.role) == (variant, "secondary")]
        first, second = multiplicity.gatekeep(
            [base(one) for one in goals],
            [base(one) for one in secondary],
            needed=rules.goals_needed,
            alpha=share,
            looks=[at[_key(one)] for one in goals],
            secondary_looks=[at[_key(one)] for one in secondary],
        )
        pairs = zip([*goals, *secondary], [*first, *second], strict=True)
        found |= {_key(one): _over_variants(adjusted, len(variants)) for one, adjusted in pairs}
    goals = [one for one in given if one.role == "goal"]
    if len({one.metric for one in goals}) == 1 and len(goals) > 1 and at[_key(goals[0])].design == "fixed":
        sharper = multiplicity.dunnett([base(one) for one in goals], alpha=alpha)
        found |= {_key(one): adjusted.effect for one, adjusted in zip(goals, sharper, strict=True)}
    return found


def _over_variants(adjusted: Adjusted, variants: int) -> Effect:
    effect = adjusted.effect
    if effect.p_value is None or variants == 1:
        return effect
    return replace(
        effect, p_value=1.0 if effect.p_value >= 1 else float(-np.expm1(variants * np.log1p(-effect.p_value)))
    )


# JSON


def _metric_json(one: MetricResult) -> dict[str, Any]:
    asked = one.comparison
    made: dict[str, Any] = {
        "metric": asked.metric,
        "role": asked.role,
        "direction": asked.direction,
        "variant": asked.variant,
        "control": asked.control,
        "n": dict(asked.units),
        "value": {name: number(value) for name, value in asked.values.items()},
        **effect_json(asked.plain),
        "adjusted": None if asked.adjusted is None else effect_json(asked.adjusted),
        "now": effect_json(one.judged),
        "bayes": None if one.posterior is None else _posterior_json(one.posterior),
        "verdict": one.verdict,
        "outcome": one.finding.outcome,
    }
    if asked.pooled:
        made["pooled"] = {name: number(value) for name, value in asked.pooled.items()}
    if asked.role == "guardrail":
        nothing = one.why or "no margin is stated"
        made |= {
            "harm": _one_sided_json(one.finding.harm, nothing),
            "safety": _one_sided_json(one.finding.safety, nothing),
        }
    return made | reasons_zh.told(one.why)


def effect_json(effect: Effect) -> dict[str, Any]:
    """Return an effect as plain mappings: absolute and relative, each with its interval and p-value, or why not."""
    absolute: dict[str, Any] = {
        "difference": number(effect.difference),
        "interval": _interval(effect.lower, effect.upper),
        "p_value": number(effect.p_value),
    }
    relative: dict[str, Any] = {
        "lift": number(effect.relative_difference),
        "interval": _interval(effect.relative_lower, effect.relative_upper),
        "p_value": number(effect.p_value) if effect.relative_difference is not None else None,
    }
    if effect.reason is not None:
        absolute |= reasons_zh.told(effect.reason)
        relative |= reasons_zh.told(effect.reason)
    elif effect.relative_difference is None:
        relative |= reasons_zh.told("control is 0, so there is nothing to divide by")
    elif relative["interval"] is None:
        relative |= reasons_zh.told("control cannot be told from 0, so any lift is possible")
    return {"method": effect.method, "absolute": absolute, "relative": relative}


def _one_sided_json(test: OneSided | None, why: str) -> dict[str, Any]:
    if test is None:
        return {"margin": None, "bound": None, "p_value": None} | reasons_zh.told(why)
    made: dict[str, Any] = {
        "side": test.side,
        "margin": test.margin,
        "relative": test.relative,
        "bound": number(test.bound),
        "p_value": number(test.p_value),
    }
    return made | reasons_zh.told(test.reason)


def _posterior_json(found: Posterior) -> dict[str, Any]:
    return {
        "mean": found.mean,
        "interval": [found.lower, found.upper],
        "chance_to_win": found.chance_to_win,
        "loss_if_shipped": found.loss_if_shipped,
        "loss_if_kept": found.loss_if_kept,
        "prior": {"mean": found.prior.mean, "sd": number(found.prior.sd), "source": found.prior.source},
    }


def _decision_json(decision: Decision) -> dict[str, Any]:
    return {
        "action": decision.action,
        "variant": decision.variant,
        "days": decision.days,
        "headline": decision.headline.en,
        "headline_zh": decision.headline.zh,
        "reasons": _texts(decision.reasons, "en"),
        "reasons_zh": _texts(decision.reasons, "zh"),
        "variants": [
            {
                "variant": one.variant,
                "action": one.action,
                "rule": one.rule,
                "days": one.days,
                "reasons": _texts(one.reasons, "en"),
            }
            for one in decision.variants
        ],
        "override": None,  # of a person; the store keeps those, and whoever reads both puts them together
    }


def _texts(sentences: Sequence[Sentence], language: Literal["en", "zh"]) -> list[str]:
    return [one.en if language == "en" else one.zh for one in sentences]


def _interval(lower: float | None, upper: float | None) -> list[float] | None:
    ends = number(lower), number(upper)
    return None if ends[0] is None or ends[1] is None else [ends[0], ends[1]]


def number(value: float | None) -> float | None:
    """Return a number as JSON can hold it: None where it is not finite."""
    return None if value is None or not isfinite(value) else float(value)
