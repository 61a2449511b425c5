"""Whether a variant helps or harms protected groups differently, without telling anything about a handful of people.

Three answers: how far apart the effects of groups are, whether each group is safe from a harm that matters, and which
group fares worst. Groups too small to be shown are named with the reason and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import nan
from typing import Final, Literal

from engine.numerics import multiplicity
from engine.numerics.ratios import or_none
from experiments import effects as contrasts
from experiments import segments
from experiments.effects import ALPHA, Direction, Effect, OneSided
from experiments.segments import Interaction

SMALLEST: Final = 20
"""Customers of a group in each arm below which nothing about it is shown."""

Safety = Literal["safe", "harmed", "unknown", "suppressed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The effect in one group minus that in the other; the intervals of all gaps hold together (Bonferroni).

    adjusted_p_value : corrected for the number of pairs (Holm). None, with `reason`, where it cannot be told.
    """

    group: str
    other: str
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupHarm:
    """How one group fares.

    bound : the worst that its effect may be, a one-sided bound; those of all groups hold together (Bonferroni). A share
        of control where the margin is one.
    safe_p_value : that the group is not worse off by the margin or more; harm_p_value : that it is worse off at all.
        Both are corrected for the number of groups (Holm).
    """

    group: str
    safety: Safety
    bound: float | None = None
    safe_p_value: float | None = None
    harm_p_value: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """The effect across the groups of one protected attribute.

    effects : of each group; a suppressed one has only a reason, and no number of customers.
    interaction : whether the effects shown differ at all.
    widest : the gap that is largest in size; None with fewer than two groups shown.
    worst : the group with the worst effect; None when no group is shown.
    """

    attribute: str
    effects: Mapping[str, Effect]
    suppressed: tuple[str, ...]
    interaction: Interaction
    gaps: tuple[Gap, ...]
    widest: Gap | None
    harms: tuple[GroupHarm, ...]
    worst: GroupHarm | None


def assess(
    attribute: str,
    groups: Mapping[str, Effect],
    units: Mapping[str, tuple[int, int]],
    direction: Direction,
    *,
    margin: float,
    relative: bool = False,
    smallest: int = SMALLEST,
    alpha: float = ALPHA,
) -> Fairness:
    """Compare the effect across protected groups and look for harm in each.

    Parameters
    ----------
    groups : the effect within each group.
    units : customers of each group in the variant and in control.
    direction : which way is better.
    margin : above 0, the smallest worsening that matters: in the metric's unit, or as a share of control.
    smallest : groups with fewer customers in either arm are suppressed, and more of them, the smallest first, until at
        least two groups and that many customers are: those hidden are the whole minus all that is shown.
    alpha : two-sided for gaps, one-sided for harm and for safety.
    """
    suppressed = hidden(units, smallest)
    shown = {
        name: Effect(method=effect.method, reason=_why(smallest)) if name in suppressed else effect
        for name, effect in groups.items()
    }
    gaps = _gaps({name: effect for name, effect in shown.items() if name not in suppressed}, alpha)
    harms = _harms(shown, suppressed, direction=direction, margin=margin, relative=relative, alpha=alpha)
    told = [gap for gap in gaps if gap.difference is not None]
    sign = 1.0 if direction == "increase" else -1.0
    values = {name: sign * effect.difference for name, effect in shown.items() if effect.difference is not None}
    worst = min(values, key=lambda name: values[name], default=None)
    return Fairness(
        attribute=attribute,
        effects=shown,
        suppressed=suppressed,
        interaction=segments.interaction(shown),
        gaps=gaps,
        widest=max(told, key=lambda gap: abs(gap.difference or 0.0), default=None),
        harms=harms,
        worst=next((harm for harm in harms if harm.group == worst), None),
    )


def hidden(units: Mapping[str, tuple[int, int]], smallest: int = SMALLEST) -> tuple[str, ...]:
    """Return the groups that must not be shown, in the order given, from their customers in variant and control."""
    rising = sorted(units, key=lambda name: min(units[name]))
    small = [name for name in rising if min(units[name]) < smallest]
    while small and len(small) < len(rising):
        together = min(sum(units[name][arm] for name in small) for arm in (0, 1))
        if len(small) > 1 and together >= smallest:
            break
        small.append(rising[len(small)])
    return tuple(name for name in units if name in small)


def _why(smallest: int) -> str:
    return (
        f"not shown: the group, or one that could be worked out from it, has fewer than {smallest} customers in an arm"
    )


def _gaps(groups: Mapping[str, Effect], alpha: float) -> tuple[Gap, ...]:
    pairs = list(combinations(groups, 2))
    found: dict[tuple[str, str], Effect] = {}
    for group, other in pairs:
        one, two = segments.difference(groups[group]), segments.difference(groups[other])
        if one is None or two is None:
            found[group, other] = Effect(method="gap", reason="the effect of one of the two groups is not known")
        else:
            found[group, other] = contrasts.contrast(one, two, method="gap", alpha=alpha / len(pairs))
    p_values = [nan if effect.p_value is None else effect.p_value for effect in found.values()]
    return tuple(
        Gap(
            group=group,
            other=other,
            difference=effect.difference,
            lower=effect.lower,
            upper=effect.upper,
            p_value=effect.p_value,
            adjusted_p_value=or_none(float(adjusted)),
            reason=effect.reason,
        )
        for ((group, other), effect), adjusted in zip(found.items(), multiplicity.holm(p_values), strict=True)
    )


def _harms(
    shown: Mapping[str, Effect],
    suppressed: tuple[str, ...],
    *,
    direction: Direction,
    margin: float,
    relative: bool,
    alpha: float,
) -> tuple[GroupHarm, ...]:
    tests = max(1, len(shown) - len(suppressed))
    worse: Literal["greater", "less"] = "less" if direction == "increase" else "greater"
    safe: dict[str, OneSided] = {}
    harm: dict[str, OneSided] = {}
    for name, effect in shown.items():
        if name not in suppressed:
            safe[name] = contrasts.non_inferiority(
                effect, direction, margin=margin, relative=relative, alpha=alpha / tests
            )
            harm[name] = contrasts.one_sided(effect, worse, alpha=alpha / tests)
    safe_p, harm_p = _holm(safe), _holm(harm)
    return tuple(
        GroupHarm(group=name, safety="suppressed", reason=effect.reason)
        if name in suppressed
        else GroupHarm(
            group=name,
            safety=_safety(safe_p[name], harm_p[name], alpha),
            bound=safe[name].bound,
            safe_p_value=safe_p[name],
            harm_p_value=harm_p[name],
            reason=safe[name].reason,
        )
        for name, effect in shown.items()
    )


def _holm(tests: Mapping[str, OneSided]) -> dict[str, float | None]:
    adjusted = multiplicity.holm([nan if test.p_value is None else test.p_value for test in tests.values()])
    return {name: or_none(float(value)) for name, value in zip(tests, adjusted, strict=True)}


def _safety(safe: float | None, harm: float | None, alpha: float) -> Safety:
    """Return what is shown; a harm that is surely smaller than the margin is none that matters."""
    if safe is not None and safe < alpha:
        return "safe"
    return "harmed" if harm is not None and harm < alpha else "unknown"
