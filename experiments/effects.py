"""Compare a variant with control: difference, interval and p-value that never contradict each other.

The relative interval uses the critical value of the absolute test (Fieller), so that it leaves out 0 exactly when
the absolute interval does: one verdict, however the effect is shown, whatever method made the two estimates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import copysign, inf, isfinite, sqrt
from typing import Final, Literal

from scipy.special import ndtr, ndtri, stdtr, stdtrit

from experiments import estimates, exact
from experiments.estimates import ArmEstimate
from experiments.exact import Counts
from experiments.moments import Moments

ALPHA: Final = 0.05
"""Two-sided; the intervals are 95 % intervals."""

SMALL: Final = 10
"""With fewer successes or failures than this in either arm, the normal approximation is not trusted."""

Direction = Literal["increase", "decrease"]
Side = Literal["greater", "less"]
Verdict = Literal["better", "worse", "no_difference_shown", "withheld"]
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Variant minus control. What cannot be said is None, and `reason` says why.

    `standard_error` and `degrees` of freedom are those of the difference; None for exact tests, which have neither.
    The relative difference is a share of the size of control, so that its sign is that of the difference. It is None
    when control is 0; its bounds are None when control cannot be told from 0, so that any relative difference is
    possible. `variant`, `control`, `covariance` and `counts` are what the effect was made of, for `redraw` and
    `one_sided`.
    """

    difference: float | None = None
    lower: float | None = None
    upper: float | None = None
    p_value: float | None = None
    relative_difference: float | None = None
    relative_lower: float | None = None
    relative_upper: float | None = None
    standard_error: float | None = None
    degrees: float | None = None
    method: str
    reason: str | None = None
    variant: ArmEstimate | None = None
    control: ArmEstimate | None = None
    covariance: float = 0.0
    counts: Counts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OneSided:
    """Whether the variant is beyond control by more than a margin, on one side.

    margin : added to control: -2 asks for more than control - 2. With `relative`, a share of the size of control.
    bound : the one-sided bound of the difference, or of the relative difference; it is beyond the margin exactly when
        p_value < alpha. None, like p_value, where it cannot be said; `reason` says why there is no p_value.
    """

    side: Side
    margin: float
    relative: bool
    bound: float | None = None
    p_value: float | None = None
    reason: str | None = None


def contrast(
    variant: ArmEstimate,
    control: ArmEstimate,
    *,
    method: str,
    covariance: float = 0.0,
    alpha: float = ALPHA,
    degrees: float | None = None,
) -> Effect:
    """Compare two estimates: the difference by Student's t, the relative difference by Fieller, one critical value.

    covariance : between the two estimates; 0 for arms that share nothing.
    degrees : of freedom of the difference; by Welch's formula from the two arms unless given.

    References
    ----------
    Welch (1947), Biometrika 34; Fieller (1954), J. R. Statist. Soc. B 16.
    """
    variance = variant.variance + control.variance - 2 * covariance
    difference = variant.value - control.value
    if not isfinite(variance) or not isfinite(difference):
        return Effect(method=method, reason="the numbers are too large to be added up")
    if not variance > 0:
        return Effect(method=method, reason="every customer has the same value, so there is no spread to judge by")
    freedom = welch_degrees(variant, control) if degrees is None else degrees
    error = sqrt(variance)
    made = Effect(
        difference=difference,
        p_value=min(2 * upper_tail(abs(difference) / error, freedom), 1.0),
        relative_difference=difference / abs(control.value) if control.value else None,
        standard_error=error,
        degrees=freedom,
        method=method,
        variant=variant,
        control=control,
        covariance=covariance,
    )
    return redraw(made, critical_value(alpha, freedom))


def means(variant: Moments, control: Moments, *, alpha: float = ALPHA) -> Effect:
    """Compare two means by Welch's test; the relative interval is Fieller's with the same critical value."""
    one, other = estimates.mean(variant), estimates.mean(control)
    if one is None or other is None:
        return Effect(method="welch", reason="fewer than two customers in a group")
    return contrast(one, other, method="welch", alpha=alpha)


def ratios(variant: Moments, control: Moments, *, alpha: float = ALPHA) -> Effect:
    """Compare two ratios of sums by the delta method, from moments of a numerator and a denominator per unit."""
    one, other = estimates.ratio(variant), estimates.ratio(control)
    if one is None or other is None:
        few = min(variant.n, control.n) < 2
        reason = "fewer than two customers in a group" if few else "the denominator adds up to 0 in a group"
        return Effect(method="delta", reason=reason)
    return contrast(one, other, method="delta", alpha=alpha)


def proportions(variant: Moments, control: Moments, *, alpha: float = ALPHA, small: exact.Test = "fisher") -> Effect:
    """Compare two proportions: Wald's test where counts are large, exact where they are small.

    Large: difference, interval and p-value from p (1 - p) / n of each arm; Fieller for the relative interval.
    Small (under 10 successes or failures in an arm): the p-value of the test named by `small`, with score intervals
    of the difference and of the ratio that always have two ends and say what the test says.
    """
    one, other = estimates.proportion(variant), estimates.proportion(control)
    if one is None or other is None:
        return Effect(method="wald", reason="no customers in a group")
    counts = Counts(
        successes=round(one.value * one.n),
        n=one.n,
        control_successes=round(other.value * other.n),
        control_n=other.n,
    )
    if counts.smallest >= SMALL:
        return contrast(one, other, method="wald", alpha=alpha)
    return of_counts(counts, small, alpha=alpha)


def of_counts(counts: Counts, test: exact.Test, *, alpha: float = ALPHA) -> Effect:
    """Compare two proportions by a test of counts, with score intervals that say what the test says."""
    p, q = counts.share, counts.control_share
    made = Effect(
        difference=p - q,
        p_value=exact.p_value(counts, test),
        relative_difference=(p - q) / q if q else None,
        method=test,
        variant=ArmEstimate(value=p, variance=p * (1 - p) / counts.n, n=counts.n),
        control=ArmEstimate(value=q, variance=q * (1 - q) / counts.control_n, n=counts.control_n),
        counts=counts,
    )
    return redraw(made, float(-ndtri(alpha / 2)))


def redraw(effect: Effect, critical: float) -> Effect:
    """Return the effect with both its intervals at another critical value: for many looks or many comparisons.

    critical : multiple of the standard error, on Student's t where the effect has degrees of freedom. An effect that
        could not be told stays as it is.
    """
    if effect.difference is None or effect.variant is None or effect.control is None:
        return effect
    if effect.counts is not None:
        return _redraw_counts(effect, effect.counts, critical)
    if effect.standard_error is None:
        return effect
    one, other = effect.variant, effect.control
    relative = fieller(one.value, other.value, (one.variance, other.variance), critical, effect.covariance)
    if relative is not None and other.value < 0:
        relative = -relative[1], -relative[0]
    return replace(
        effect,
        lower=effect.difference - critical * effect.standard_error,
        upper=effect.difference + critical * effect.standard_error,
        relative_lower=relative[0] if relative else None,
        relative_upper=relative[1] if relative else None,
    )


def one_sided(
    effect: Effect, side: Side, *, margin: float = 0.0, relative: bool = False, alpha: float = ALPHA
) -> OneSided:
    """Test whether the variant is beyond control + margin on one side; the margin may be a share of control.

    From an effect of small counts the score test of that margin is used, which at no margin is the z-test.

    References
    ----------
    Fieller (1954) for a relative margin of means; Farrington and Manning (1990), Statistics in Medicine 9, for counts.
    """
    if relative and margin <= -1:
        raise ValueError(f"margin = {margin}: expected a share of control above -1; at -1 nothing of it is left")
    asked = OneSided(side=side, margin=margin, relative=relative)
    one, other = effect.variant, effect.control
    if one is None or other is None or effect.difference is None:
        return replace(asked, reason=effect.reason)
    if relative and not other.value:
        return replace(asked, reason="control is 0, so there is nothing to take a share of")
    sign = 1.0 if side == "greater" else -1.0
    if effect.counts is not None:
        found = _beyond_counts(effect.counts, sign, margin, relative, float(-ndtri(alpha)))
        return replace(asked, bound=found[0], p_value=found[1])
    freedom = inf if effect.degrees is None else effect.degrees
    bounds = redraw(effect, critical_value(2 * alpha, freedom))
    # a relative margin compares the variant with a multiple of control, which is uncertain itself
    factor = 1 + copysign(margin, margin * other.value) if relative else 1.0
    variance = one.variance + factor**2 * other.variance - 2 * factor * effect.covariance
    beyond = one.value - factor * other.value - (0.0 if relative else margin)
    if variance <= 0:
        return replace(asked, reason="there is no spread to judge by")
    low, high = (bounds.relative_lower, bounds.relative_upper) if relative else (bounds.lower, bounds.upper)
    return replace(
        asked, bound=low if side == "greater" else high, p_value=upper_tail(sign * beyond / sqrt(variance), freedom)
    )


def non_inferiority(
    effect: Effect, direction: Direction, *, margin: float, relative: bool = False, alpha: float = ALPHA
) -> OneSided:
    """Test that the variant is not worse than control by `margin` or more: safe when p_value < alpha.

    margin : above 0: the smallest worsening that matters, in the metric's unit or as a share of control.
    """
    if not margin > 0:
        raise ValueError(f"margin = {margin}: expected a number above 0, the smallest worsening that matters")
    if direction == "increase":
        return one_sided(effect, "greater", margin=-margin, relative=relative, alpha=alpha)
    return one_sided(effect, "less", margin=margin, relative=relative, alpha=alpha)


def verdict(effect: Effect, direction: Direction, alpha: float = ALPHA) -> Verdict:
    """Return better, worse or no_difference_shown; withheld when the effect cannot be told."""
    if effect.p_value is None or effect.difference is None:
        return "withheld"
    if effect.p_value >= alpha:
        return "no_difference_shown"
    return "better" if (effect.difference > 0) == (direction == "increase") else "worse"


def fieller(variant: float, control: float, errors: Bounds, critical: float, covariance: float = 0.0) -> Bounds | None:
    """Return the interval of variant / control - 1 for two means with these squared errors and this covariance.

    None when it has no bounds: control is not significantly different from 0.
    """
    square = critical * critical  # a power raises where this is infinite: one degree of freedom and a tiny alpha
    if not isfinite(square):
        return None
    denominator = control**2 - square * errors[1]
    if denominator <= 0:
        return None
    product = variant * control - square * covariance
    root = sqrt(max(product**2 - denominator * (variant**2 - square * errors[0]), 0.0))
    return (product - root) / denominator - 1, (product + root) / denominator - 1


def critical_value(alpha: float, degrees: float = inf) -> float:
    """Return the two-sided critical value of Student's t, of the normal distribution for infinite degrees."""
    return float(-ndtri(alpha / 2)) if degrees == inf else float(-stdtrit(degrees, alpha / 2))


def upper_tail(statistic: float, degrees: float = inf) -> float:
    """Return the probability above a statistic of Student's t, of the normal distribution for infinite degrees."""
    return float(ndtr(-statistic)) if degrees == inf else float(stdtr(degrees, -statistic))


def welch_degrees(variant: ArmEstimate, control: ArmEstimate) -> float:
    """Return the degrees of freedom of the difference of two independent estimates (Welch 1947, Satterthwaite 1946)."""
    spread = sum(arm.variance**2 / arm.degrees for arm in (variant, control))
    return (variant.variance + control.variance) ** 2 / spread if spread else inf


def _redraw_counts(effect: Effect, counts: Counts, critical: float) -> Effect:
    p = 1.0 if effect.p_value is None else effect.p_value
    alpha = float(2 * ndtr(-critical))
    wide = exact.critical_value(counts, p, alpha)
    lower, upper = exact.difference_bounds(counts, wide)
    relative = exact.ratio_bounds(counts, wide)
    if p >= alpha:  # an end that the search put a rounding error beyond 0 belongs on it
        lower, upper = min(lower, 0.0), max(upper, 0.0)
        relative = (min(relative[0], 0.0), max(relative[1], 0.0)) if relative else None
    return replace(
        effect,
        lower=lower,
        upper=upper,
        relative_lower=relative[0] if relative else None,
        relative_upper=relative[1] if relative else None,
    )


def _beyond_counts(
    counts: Counts, sign: float, margin: float, relative: bool, critical: float
) -> tuple[float | None, float]:
    bounds: Bounds | None
    if relative:
        statistic, bounds = exact.ratio_statistic(counts, 1 + margin), exact.ratio_bounds(counts, critical)
    else:
        statistic, bounds = exact.difference_statistic(counts, margin), exact.difference_bounds(counts, critical)
    return None if bounds is None else bounds[0 if sign > 0 else 1], float(ndtr(-sign * statistic))
