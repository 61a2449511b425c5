"""Correct for how many comparisons were made: an adjusted p-value and an interval for each that say the same.

Every correction takes the plain effects and the design of the looks (one for all, or one for each), so that many
comparisons and many looks are paid for together: p-values are first made valid for the looks and then adjusted;
intervals are drawn at the critical value that the looks ask for at the comparison's level.

    correction     keeps at alpha                           intervals, together
    bonferroni     any false alarm                          hold for all comparisons
    sidak          any false alarm (normal estimates)       hold for all comparisons
    dunnett        any false alarm, one control             hold for all comparisons
    holm           any false alarm                          hold for the comparisons without an effect
    hochberg       any false alarm (independent, or
                   positively dependent)                    hold for the comparisons without an effect
    benjamini_     share of false alarms among what         hold for all but alpha of the comparisons
    hochberg       is called different                      that are called different

An effect that could not be told is returned as it is and does not count among the comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from engine.numerics import multiplicity as p_values
from experiments.effects import ALPHA, Effect, critical_value, upper_tail
from experiments.looks import ONCE, TOO_EARLY, Looks, at_level, without_intervals

Floats = NDArray[np.float64]
Designs = Looks | Sequence[Looks]
Method = Literal["bonferroni", "sidak", "holm", "hochberg", "benjamini_hochberg"]

NOT_TESTED: Final = "the goals come first: until they are won, nothing is said of what comes after them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """One comparison after correction.

    effect : its p-value is the adjusted one and its intervals are those of the correction.
    level : the two-sided level of its interval before looks, alpha shared out; None where it has no interval.
    """

    effect: Effect
    level: float | None = None


def adjust(
    effects: Sequence[Effect], method: Method, *, alpha: float = ALPHA, looks: Designs = ONCE
) -> tuple[Adjusted, ...]:
    """Correct one family of comparisons, in their order; a family of one stays as its look has it.

    The adjusted p-value is below alpha exactly when the interval leaves out 0.

    References
    ----------
    Šidák (1967), JASA 62, with Royen (2014) for any number of looks; Holm (1979), Scand. J. Statist. 6;
    Hochberg (1988), Biometrika 75; Benjamini and Hochberg (1995), J. R. Statist. Soc. B 57, and Benjamini and
    Yekutieli (2005), JASA 100, for the intervals of what was selected.
    """
    designs = _one_each(looks, effects)
    raw = _p_values(effects, designs)
    adjusted = _adjusted(raw, method)
    levels = _levels(raw, adjusted, method, alpha)
    return tuple(
        _at(effect, float(p), float(level), design)
        for effect, p, level, design in zip(effects, adjusted, levels, designs, strict=True)
    )


def dunnett(effects: Sequence[Effect], *, alpha: float = ALPHA, looks: Designs = ONCE) -> tuple[Adjusted, ...]:
    """Compare several variants with one control, knowing that they share it: sharper than Bonferroni.

    Degrees of freedom are the fewest of the comparisons. When there is more than one look, Šidák's correction is used:
    it holds for variants that share a control at any number of looks.

    References
    ----------
    Dunnett (1955), JASA 50; Royen (2014), Far East J. Theor. Stat. 48, for Šidák's inequality over looks.
    """
    if any(design.design != "fixed" for design in _one_each(looks, effects)):
        return adjust(effects, "sidak", alpha=alpha, looks=looks)
    told = [effect for effect in effects if effect.p_value is not None]
    shares = np.array([_shared_with_control(effect) for effect in told])
    degrees = min((inf if effect.degrees is None else effect.degrees for effect in told), default=inf)
    if len(told) < 2:
        return adjust(effects, "bonferroni", alpha=alpha, looks=looks)
    critical = dunnett_critical(shares, degrees, alpha)
    level = 2 * upper_tail(critical, degrees)
    made = []
    for effect in effects:
        if effect.p_value is None:
            made.append(Adjusted(effect=effect))
            continue
        statistic = critical_value(effect.p_value, degrees)
        p_value = min(1.0, max(effect.p_value, 1 - _within(statistic, shares, degrees)))
        made.append(_at(effect, p_value, level, ONCE))
    return tuple(made)


def gatekeep(
    goals: Sequence[Effect],
    secondary: Sequence[Effect],
    *,
    needed: Literal["any", "all"] = "all",
    alpha: float = ALPHA,
    looks: Designs = ONCE,
    secondary_looks: Designs = ONCE,
) -> tuple[tuple[Adjusted, ...], tuple[Adjusted, ...]]:
    """Correct two families of which the second is looked at only when the first was won; one alpha for both.

    needed : "all": every goal must be shown before secondary metrics are tested, then with all of alpha (goals by
        Holm). "any": each goal shown passes its share of alpha on (goals by Bonferroni, which is the price).

    Secondary metrics that are not reached keep a p-value of alpha or more and have no interval. A family that is
    empty leaves the other one by Holm.

    References
    ----------
    Westfall and Krishen (2001), J. Statist. Planning Inference 99; Dmitrienko, Offen and Westfall (2003), Statistics
    in Medicine 22.
    """
    if not goals:
        return (), adjust(secondary, "holm", alpha=alpha, looks=secondary_looks)
    method: Method = "bonferroni" if needed == "any" and secondary else "holm"
    first = adjust(goals, method, alpha=alpha, looks=looks)
    gates = np.sort([one.effect.p_value for one in first if one.effect.p_value is not None])
    # with r of m goals shown, the second family is tested at r / m of alpha; a goal that cannot be told is never shown
    rungs = [rung for rung in range(1, len(gates) + 1) if needed == "any" or rung == len(goals)]
    shown = max((rung for rung in rungs if gates[rung - 1] < alpha), default=0)
    designs = _one_each(secondary_looks, secondary)
    raw = _p_values(secondary, designs)
    within = _adjusted(raw, "holm")
    levels = _levels(raw, within, "holm", alpha * shown / len(gates)) if shown else np.full(raw.shape, np.nan)
    second = []
    for effect, own, level, design in zip(secondary, within, levels, designs, strict=True):
        climbed = [max(float(gates[rung - 1]), float(own) * len(gates) / rung) for rung in rungs]
        p_value = min([1.0, *climbed])
        if effect.p_value is None or shown:
            second.append(_at(effect, p_value, float(level), design))
        else:
            closed = replace(without_intervals(effect, NOT_TESTED), p_value=p_value)
            second.append(Adjusted(effect=closed))
    return first, tuple(second)


def _one_each(looks: Designs, effects: Sequence[Effect]) -> Sequence[Looks]:
    if not isinstance(looks, Sequence):
        return [looks] * len(effects)
    if len(looks) != len(effects):
        raise ValueError(f"{len(effects)} effects need {len(effects)} designs of looks, got {len(looks)}")
    return looks


def _p_values(effects: Sequence[Effect], designs: Sequence[Looks]) -> Floats:
    pairs = zip(effects, designs, strict=True)
    return np.array([np.nan if one.p_value is None else design.p_value(one.p_value) for one, design in pairs])


def _adjusted(raw: Floats, method: Method) -> Floats:
    count = int(np.isfinite(raw).sum())
    if method == "bonferroni":
        return np.minimum(raw * count, 1.0)
    if method == "sidak":
        # 1 - (1 - p)^m without losing the small ones; log1p(-1) is minus infinity, and the answer 1
        with np.errstate(divide="ignore"):
            return np.asarray(-np.expm1(count * np.log1p(-raw)), dtype=np.float64)
    if method == "holm":
        return p_values.holm(raw)
    if method == "hochberg":
        return p_values.hochberg(raw)
    return p_values.benjamini_hochberg(raw)


def _levels(raw: Floats, adjusted: Floats, method: Method, alpha: float) -> Floats:
    """Return the level of each comparison's interval: where it is called different, the one at which it was."""
    count = int(np.isfinite(raw).sum())
    if not count:
        return np.full(raw.shape, np.nan)
    if method == "sidak":
        return np.full(raw.shape, -np.expm1(np.log1p(-alpha) / count))
    called = adjusted < alpha
    found = int(called.sum())
    if method == "bonferroni":
        return np.full(raw.shape, alpha / count)
    if method == "benjamini_hochberg":
        return np.full(raw.shape, alpha * max(found, 1) / count)
    levels = np.full(raw.shape, alpha / max(count - found, 1))
    if method == "hochberg":
        levels[called] = alpha / (count - found + 1)
    else:
        order = np.argsort(np.where(called, raw, np.inf), kind="stable")[:found]
        levels[order] = alpha / (count - np.arange(found))
    return levels


def _at(effect: Effect, p_value: float, level: float, design: Looks) -> Adjusted:
    if effect.p_value is None:
        return Adjusted(effect=effect)
    critical = design.critical(level)
    if critical == inf:
        return Adjusted(effect=replace(without_intervals(effect, TOO_EARLY), p_value=p_value))
    drawn = at_level(effect, 2 * float(ndtr(-critical)))
    return Adjusted(effect=replace(drawn, p_value=p_value), level=level)


# Dunnett: given control and the common spread, the variants are independent


def _shared_with_control(effect: Effect) -> float:
    """Return the root of control's share of the variance: the correlation of two comparisons is a product of these."""
    if effect.variant is None or effect.control is None:
        return 0.0
    whole = effect.variant.variance + effect.control.variance
    return sqrt(effect.control.variance / whole) if whole > 0 else 0.0


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
_SPREADS, _MASSES = np.polynomial.legendre.leggauss(32)
_REACH: Final = 9.0  # standard deviations of the shared control's estimate
_FINEST: Final = 0.01  # a variant that varies less beside control counts as this, which errs on the safe side


def _within(bound: float, shares: Floats, degrees: float) -> float:
    """Return the probability that no statistic exceeds the bound in absolute value, under no effect at all."""
    # the less a variant's own estimate varies, the more steeply it falls with control's, and the finer the panels
    own = np.maximum(np.sqrt(1 - shares**2), _FINEST)[:, None, None]
    edges = np.linspace(-_REACH, _REACH, 2 + int(0.4 / own.min()))
    half = np.diff(edges)[:, None] / 2
    points = (edges[:-1, None] + half * (_NODES + 1)).ravel()
    density = (_WEIGHTS * half).ravel() * np.exp(-(points**2) / 2) / sqrt(2 * np.pi)
    if degrees == inf:
        spreads, masses = np.ones(1), np.ones(1)
    else:
        from scipy.stats import chi  # noqa: PLC0415  half a second to import, and few questions need it

        # the estimated spread over the true one, between quantiles beyond which nothing counts
        low, high = chi.ppf([1e-14, 1 - 1e-14], degrees) / sqrt(degrees)
        spreads = low + (high - low) * (_SPREADS + 1) / 2
        masses = _MASSES * (high - low) / 2 * chi.pdf(spreads * sqrt(degrees), degrees) * sqrt(degrees)
    shift, edge = shares[:, None, None] * points[:, None], bound * spreads
    inside = ndtr((edge - shift) / own) - ndtr((-edge - shift) / own)
    return float(density @ inside.prod(axis=0) @ masses)


def dunnett_critical(shares: Floats, degrees: float, alpha: float) -> float:
    """Return the bound that some statistic exceeds with probability alpha, between those of one and of all alone.

    shares : per variant, the root of control's share of the variance of its comparison.
    """
    one, all_alone = (critical_value(level, degrees) for level in (alpha, alpha / len(shares)))
    return float(brentq(lambda bound: 1 - _within(bound, shares, degrees) - alpha, one - 1e-3, all_alone + 1e-3))
