"""Intervals for shares and for the difference of two shares that keep their promise in small samples too."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import betaincinv, ndtri

from engine.numerics.ratios import ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An interval; both ends are nan where there is nothing to estimate from."""

    lower: float
    upper: float

    @property
    def is_defined(self) -> bool:
        """Whether the interval says anything."""
        return not (math.isnan(self.lower) or math.isnan(self.upper))

    def __contains__(self, value: float) -> bool:
        return self.lower <= value <= self.upper


UNDEFINED = Interval(lower=math.nan, upper=math.nan)


def wilson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Return the score interval of a share: the default, since it covers well and never leaves 0 to 1.

    Undefined where there are no trials.

    Raises
    ------
    ValueError
        Not 0 <= successes <= trials, or a level outside 0 to 1.

    References
    ----------
    Wilson (1927), JASA 22; recommended by Brown, Cai and DasGupta (2001), Statistical Science 16.
    """
    _check(successes, trials, level)
    if trials == 0:
        return UNDEFINED
    z, share = _quantile(level), successes / trials
    scale = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    # the ends at 0 and 1 are exact in theory; rounding must not make them -1e-17
    lower = 0.0 if successes == 0 else centre - half
    upper = 1.0 if successes == trials else centre + half
    return Interval(lower=lower, upper=upper)


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Return the exact interval of a share: never covers less than its level, so it is wide; for validation of risk.

    Undefined where there are no trials.

    References
    ----------
    Clopper and Pearson (1934), Biometrika 26.
    """
    _check(successes, trials, level)
    if trials == 0:
        return UNDEFINED
    tail = (1 - level) / 2
    lower = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    upper = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return Interval(lower=lower, upper=upper)


def newcombe(successes: int, trials: int, base_successes: int, base_trials: int, level: float = 0.95) -> Interval:
    """Return the interval of share - base share for two independent samples, made of their two score intervals.

    Undefined where either sample is empty.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17, 873-890, method 10.
    """
    one, two = wilson(successes, trials, level), wilson(base_successes, base_trials, level)
    if not (one.is_defined and two.is_defined):
        return UNDEFINED
    share, base = ratio(successes, trials), ratio(base_successes, base_trials)
    difference = share - base
    return Interval(
        lower=difference - math.hypot(share - one.lower, two.upper - base),
        upper=difference + math.hypot(one.upper - share, base - two.lower),
    )


def _quantile(level: float) -> float:
    return float(ndtri(1 - (1 - level) / 2))


def _check(successes: int, trials: int, level: float) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials: expected 0 <= successes <= trials")
    if not 0 < level < 1:
        raise ValueError(f"level = {level}: expected a share between 0 and 1, such as 0.95")
