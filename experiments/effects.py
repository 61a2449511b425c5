"""Compare a variant with control: difference, interval and p-value that never contradict each other.

The relative interval uses the critical value of the absolute test (Fieller), so that it leaves out 0 exactly when
the absolute interval does: one verdict, however the effect is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, inf, sqrt
from typing import Final, Literal

from scipy import stats

from engine.numerics.intervals import newcombe, wilson
from experiments import estimates
from experiments.estimates import ArmEstimate
from experiments.moments import Moments

ALPHA: Final = 0.05
"""Two-sided; the intervals are 95 % intervals."""

LEVEL: Final = 1 - ALPHA

SMALL: Final = 10
"""With fewer successes or failures than this in either arm, the normal approximation is not trusted."""

Direction = Literal["increase", "decrease"]
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Variant minus control. What cannot be said is None, and `reason` says why.

    `standard_error` and `degrees` of freedom are those of the difference; None for exact tests, which have neither.
    The relative difference is None when control is 0; its bounds are None when control cannot be told from 0, so
    that any relative difference is possible.
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


def contrast(
    variant: ArmEstimate, control: ArmEstimate, *, method: str, covariance: float = 0.0, alpha: float = ALPHA
) -> Effect:
    """Compare two estimates: the difference by Student's t, the relative difference by Fieller, one critical value.

    covariance : between the two estimates; 0 for arms that share nothing.

    References
    ----------
    Welch (1947), Biometrika 34; Fieller (1954), J. R. Statist. Soc. B 16.
    """
    variance = variant.variance + control.variance - 2 * covariance
    if not variance > 0:
        return Effect(method=method, reason="every customer has the same value, so there is no spread to judge by")
    difference, error, degrees = variant.value - control.value, sqrt(variance), _welch_degrees(variant, control)
    critical = float(stats.t.ppf(1 - alpha / 2, degrees))
    relative = fieller(variant.value, control.value, (variant.variance, control.variance), critical, covariance)
    return Effect(
        difference=difference,
        lower=difference - critical * error,
        upper=difference + critical * error,
        p_value=float(2 * stats.t.sf(abs(difference) / error, degrees)),
        relative_difference=difference / control.value if control.value else None,
        relative_lower=relative[0] if relative else None,
        relative_upper=relative[1] if relative else None,
        standard_error=error,
        degrees=degrees,
        method=method,
    )


def means(variant: Moments, control: Moments) -> Effect:
    """Compare two means by Welch's test; the relative interval is Fieller's with the same critical value."""
    one, other = estimates.mean(variant), estimates.mean(control)
    if one is None or other is None:
        return Effect(method="welch", reason="fewer than two customers in a group")
    return contrast(one, other, method="welch")


def proportions(variant: Moments, control: Moments) -> Effect:
    """Compare two proportions: Wald's test where counts are large, exact where they are small.

    Large: difference, interval and p-value from p (1 - p) / n of each arm; Fieller for the relative interval.
    Small (under 10 successes or failures in an arm): Fisher's exact p-value; Newcombe's interval of the difference
    and the same construction for the ratio. Fisher is the more cautious of the two: where it does not reject, an
    interval that would leave out 0 is drawn out to 0, so that both still say one thing.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17, method 10; Donner and Zou (2012), Stat. Methods Med. Res. 21.
    """
    one, other = estimates.proportion(variant), estimates.proportion(control)
    if one is None or other is None:
        return Effect(method="wald", reason="no customers in a group")
    counts = [count for arm in (one, other) for count in _successes_and_failures(arm)]
    return _exact(one, other, counts) if min(counts) < SMALL else contrast(one, other, method="wald")


def _successes_and_failures(arm: ArmEstimate) -> tuple[int, int]:
    successes = round(arm.value * arm.n)
    return successes, arm.n - successes


def _welch_degrees(variant: ArmEstimate, control: ArmEstimate) -> float:
    spread = sum(arm.variance**2 / arm.degrees for arm in (variant, control))
    return (variant.variance + control.variance) ** 2 / spread if spread else inf


def verdict(effect: Effect, direction: Direction) -> str:
    """Return better, worse or no_difference_shown; withheld when the effect cannot be told."""
    if effect.p_value is None or effect.difference is None:
        return "withheld"
    if effect.p_value >= ALPHA:
        return "no_difference_shown"
    return "better" if (effect.difference > 0) == (direction == "increase") else "worse"


def fieller(variant: float, control: float, errors: Bounds, critical: float, covariance: float = 0.0) -> Bounds | None:
    """Return the interval of variant / control - 1 for two means with these squared errors and this covariance.

    None when it has no bounds: control is not significantly different from 0.
    """
    denominator = control**2 - critical**2 * errors[1]
    if denominator <= 0:
        return None
    product = variant * control - critical**2 * covariance
    root = sqrt(max(product**2 - denominator * (variant**2 - critical**2 * errors[0]), 0.0))
    return (product - root) / denominator - 1, (product + root) / denominator - 1


def _exact(variant: ArmEstimate, control: ArmEstimate, counts: list[int]) -> Effect:
    p_value = min(float(stats.fisher_exact([counts[:2], counts[2:]]).pvalue), 1.0)
    p, q = variant.value, control.value
    difference = p - q
    between = newcombe(counts[0], variant.n, counts[2], control.n, LEVEL)
    ranges = wilson(counts[0], variant.n, LEVEL), wilson(counts[2], control.n, LEVEL)
    bounds = between.lower, between.upper
    (p_low, p_high), (q_low, q_high) = ((own.lower, own.upper) for own in ranges)
    relative = _ratio_bounds(p, q, (p_low, p_high), (q_low, q_high)) if q else None
    if p_value >= ALPHA:
        bounds = min(bounds[0], 0.0), max(bounds[1], 0.0)
        relative = (min(relative[0], 0.0), max(relative[1], 0.0)) if relative else None
    return Effect(
        difference=difference,
        lower=bounds[0],
        upper=bounds[1],
        p_value=p_value,
        relative_difference=difference / q if q else None,
        relative_lower=relative[0] if relative else None,
        relative_upper=relative[1] if relative else None,
        method="fisher",
    )


def _ratio_bounds(p: float, q: float, p_range: Bounds, q_range: Bounds) -> Bounds | None:
    """Bounds of p / q - 1 that leave out 0 exactly when Newcombe's leave out 0: his construction for a ratio."""
    lower = _ratio_root(p, q, p_range[0], q_range[1], -1.0)
    upper = _ratio_root(p, q, p_range[1], q_range[0], 1.0)
    return None if lower is None or upper is None else (lower - 1, upper - 1)


def _ratio_root(p: float, q: float, p_end: float, q_end: float, side: float) -> float | None:
    # solves (p - r q)^2 = (p - p_end)^2 + r^2 (q_end - q)^2
    denominator = q_end * (2 * q - q_end)
    if denominator <= 0:
        return None
    inside = (p * q) ** 2 - p_end * (2 * p - p_end) * denominator
    return (p * q + copysign(sqrt(max(inside, 0.0)), side)) / denominator
