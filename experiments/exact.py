"""Two shares where counts are small: exact p-values, and intervals that are always finite and never contradict them.

The intervals invert the score statistic, whose value at no difference is the z of the pooled share for the difference
and for the ratio alike. Where an exact test and that z disagree about the verdict, the critical value moves until the
intervals say what the test says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import acos, copysign, cos, inf, isfinite, pi, sqrt
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammaln, ndtr, ndtri

Test = Literal["fisher", "boschloo", "barnard", "score"]
Bounds = tuple[float, float]
Floats = NDArray[np.float64]

LARGEST_TABLE: Final = 5_000_000
"""Possible results (n + 1) (control_n + 1) up to which Boschloo's and Barnard's tests list them all."""

_TIE: Final = 1e-9  # two results whose statistics differ by less, relatively, are equally far
_STEEP: Final = 1e8  # stands for an infinite statistic while a root is searched


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Successes and units of a variant and of control."""

    successes: int
    n: int
    control_successes: int
    control_n: int

    def __post_init__(self) -> None:
        fits = 0 <= self.successes <= self.n and 0 <= self.control_successes <= self.control_n
        if not fits or not self.n or not self.control_n:
            raise ValueError(f"{self}: expected 0 <= successes <= n, and units in both groups")

    @property
    def share(self) -> float:
        """The share of successes of the variant."""
        return self.successes / self.n

    @property
    def control_share(self) -> float:
        """The share of successes of control."""
        return self.control_successes / self.control_n

    @property
    def smallest(self) -> int:
        """The smallest count of the table of successes and failures."""
        return min(
            self.successes, self.n - self.successes, self.control_successes, self.control_n - self.control_successes
        )


def p_value(counts: Counts, test: Test = "fisher") -> float:
    """Return the two-sided p-value of no difference.

    fisher : conditional on the margins; cautious, and quick at any size.
    boschloo, barnard : exact without that condition and more powerful; the largest probability over the unknown common
        share, for up to LARGEST_TABLE possible tables.
    score : the z-test with the spread of the pooled share; not exact.

    References
    ----------
    Fisher (1935), J. R. Statist. Soc. 98; Boschloo (1970), Statistica Neerlandica 24; Barnard (1947), Biometrika 34.
    """
    if test == "score":
        return float(2 * ndtr(-abs(difference_statistic(counts, 0.0))))
    if not 0 < counts.successes + counts.control_successes < counts.n + counts.control_n:
        return 1.0  # all failed or all succeeded: nothing speaks for a difference
    if test == "fisher":
        from scipy.stats import fisher_exact  # noqa: PLC0415  half a second to import, and few questions need it

        table = [
            [counts.successes, counts.control_successes],
            [counts.n - counts.successes, counts.control_n - counts.control_successes],
        ]
        return min(float(fisher_exact(table).pvalue), 1.0)
    if (counts.n + 1) * (counts.control_n + 1) > LARGEST_TABLE:
        raise ValueError(
            f"{test} lists every table of {counts.n} and {counts.control_n} units; beyond {LARGEST_TABLE:,} "
            "tables use fisher"
        )
    if test == "barnard":
        return _most_likely(counts, _as_far_by_z(counts))
    sides = [_most_likely(counts, _as_far_by_fisher(counts, side)) for side in ("less", "greater")]
    return min(2 * min(sides), 1.0)


def critical_value(counts: Counts, p: float, alpha: float) -> float:
    """Return the critical value of the score intervals that leave out no difference exactly when p < alpha.

    The usual one wherever that already agrees; otherwise the nearest that does.
    """
    usual = float(-ndtri(alpha / 2))
    statistic = abs(difference_statistic(counts, 0.0))
    if p >= alpha:
        return max(usual, statistic)
    return min(usual, statistic * usual / float(-ndtri(p / 2))) if p > 0 else usual


def difference_bounds(counts: Counts, critical: float) -> Bounds:
    """Return the score interval of the difference of the shares, within -1 to 1.

    References
    ----------
    Mee (1984), Biometrics 40; Miettinen and Nurminen (1985), Statistics in Medicine 4, without their factor
    N / (N - 1), so that the interval agrees with the z-test of the pooled share.
    """
    difference = counts.share - counts.control_share

    def statistic(value: float) -> float:
        return difference_statistic(counts, value)

    lower = -1.0 if difference == -1 else _root(statistic, critical, -1.0, difference)
    upper = 1.0 if difference == 1 else _root(statistic, -critical, difference, 1.0)
    return lower, upper


def ratio_bounds(counts: Counts, critical: float) -> Bounds | None:
    """Return the score interval of variant / control - 1; None when control has no successes.

    References
    ----------
    Koopman (1984), Biometrics 40; Miettinen and Nurminen (1985), Statistics in Medicine 4.
    """
    if not counts.control_successes:
        return None
    estimate = counts.share / counts.control_share

    def statistic(value: float) -> float:
        return ratio_statistic(counts, value)

    lower = 0.0 if not counts.successes else _root(statistic, critical, 0.0, estimate)
    far = max(2 * estimate, 1.0)
    while statistic(far) > -critical and far < 1e12:
        far *= 4
    upper = _root(statistic, -critical, estimate, far)
    return lower - 1, upper - 1


def difference_statistic(counts: Counts, difference: float) -> float:
    """Return the score statistic of a true difference of the shares: standard normal if it is that."""
    share, base = _shares_given_difference(counts, difference)
    variance = share * (1 - share) / counts.n + base * (1 - base) / counts.control_n
    return _standardised(counts.share - counts.control_share - difference, variance)


def ratio_statistic(counts: Counts, ratio: float) -> float:
    """Return the score statistic of a true ratio of the shares: standard normal if it is that."""
    share, base = _shares_given_ratio(counts, ratio)
    variance = share * (1 - share) / counts.n + ratio**2 * base * (1 - base) / counts.control_n
    return _standardised(counts.share - ratio * counts.control_share, variance)


def _as_far_by_z(counts: Counts) -> NDArray[np.bool_]:
    """Mark the results (successes, control successes) whose pooled z is at least as far from 0 as the one seen."""
    x, y = np.arange(counts.n + 1)[:, None], np.arange(counts.control_n + 1)[None, :]
    pooled = (x + y) / (counts.n + counts.control_n)
    variance = pooled * (1 - pooled) * (1 / counts.n + 1 / counts.control_n)
    distance = np.abs(x / counts.n - y / counts.control_n)
    z = np.divide(distance, np.sqrt(variance), out=np.zeros(distance.shape), where=variance > 0)
    return np.asarray(z >= z[counts.successes, counts.control_successes] * (1 - _TIE))


def _as_far_by_fisher(counts: Counts, side: str) -> NDArray[np.bool_]:
    """Mark the results whose one-sided p-value of Fisher's test is at most that of the one seen."""
    n, m = counts.n, counts.control_n
    x, total = np.arange(n + 1), np.arange(n + m + 1)[:, None]
    y = total - x
    possible = (y >= 0) & (y <= m)
    chances = _log_choose(n, x) + _log_choose(m, np.clip(y, 0, m)) - _log_choose(n + m, total)
    chance = np.where(possible, np.exp(chances), 0.0)
    below = np.cumsum(chance, axis=1) if side == "less" else np.cumsum(chance[:, ::-1], axis=1)[:, ::-1]
    p = below[x[:, None] + np.arange(m + 1), x[:, None]]
    return np.asarray(p <= p[counts.successes, counts.control_successes] * (1 + _TIE))


def _log_choose(n: int, k: NDArray[np.int64]) -> Floats:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def _most_likely(counts: Counts, marked: NDArray[np.bool_]) -> float:
    """Return the largest probability of the marked results over the common share of successes."""
    from scipy.stats import binom  # noqa: PLC0415  half a second to import, and few questions need it

    region = marked.astype(np.float64)

    def chance(shares: Floats) -> Floats:
        one = binom.pmf(np.arange(counts.n + 1)[:, None], counts.n, shares)
        other = binom.pmf(np.arange(counts.control_n + 1)[:, None], counts.control_n, shares)
        return np.asarray((one * (region @ other)).sum(axis=0))

    # even in the arc sine, where a share's spread is the same everywhere, so that no peak falls between two points
    points = max(64, 4 * int(sqrt(counts.n + counts.control_n)))
    grid = np.sin(np.linspace(0, pi / 2, points + 2)[1:-1]) ** 2
    found = chance(grid)
    best = float(found.max())
    for place in np.argsort(found)[-3:]:
        low, high = grid[max(place - 1, 0)], grid[min(place + 1, points - 1)]
        for _ in range(4):
            finer = np.linspace(low, high, 9)
            values = chance(finer)
            top = int(values.argmax())
            best = max(best, float(values[top]))
            low, high = finer[max(top - 1, 0)], finer[min(top + 1, 8)]
    return min(best, 1.0)


def _standardised(distance: float, variance: float) -> float:
    if variance > 0:
        return distance / sqrt(variance)
    return 0.0 if abs(distance) < 1e-15 else copysign(inf, distance)


def _shares_given_difference(counts: Counts, difference: float) -> tuple[float, float]:
    """Return the most likely shares of variant and control among those that differ by `difference`."""
    n, m = counts.n, counts.control_n
    x, y = counts.successes, counts.control_successes
    if difference == 0:
        pooled = (x + y) / (n + m)
        return pooled, pooled
    # the likelihood's derivative is a cubic in the variant's share; Farrington and Manning (1990) give its middle root
    theta = m / n
    a = 1 + theta
    b = -(1 + theta + x / n + theta * y / m + difference * (theta + 2))
    c = difference**2 + difference * (2 * x / n + theta + 1) + x / n + theta * y / m
    d = -(x / n) * difference * (1 + difference)
    v = b**3 / (27 * a**3) - b * c / (6 * a**2) + d / (2 * a)
    u = copysign(sqrt(max(b**2 / (9 * a**2) - c / (3 * a), 0.0)), v)
    angle = (pi + acos(min(max(v / u**3, -1.0), 1.0))) / 3 if u else pi / 2
    share = 2 * u * cos(angle) - b / (3 * a)
    for _ in range(3):  # the cosine loses digits of shares of one in a million; Newton's steps bring them back
        slope = (3 * a * share + 2 * b) * share + c
        share -= (((a * share + b) * share + c) * share + d) / slope if slope else 0.0
    share = min(max(share, 0.0, difference), 1.0, 1.0 + difference)
    return share, share - difference


def _shares_given_ratio(counts: Counts, ratio: float) -> tuple[float, float]:
    """Return the most likely shares of variant and control among those with this ratio."""
    n, m = counts.n, counts.control_n
    x, y = counts.successes, counts.control_successes
    if ratio == 0:
        return 0.0, y / m
    a = (n + m) * ratio
    b = n * ratio + x + m + y * ratio
    c = x + y
    # the smaller root of a s^2 - b s + c, written so that it does not cancel
    base = 2 * c / (b + sqrt(max(b * b - 4 * a * c, 0.0)))
    base = min(base, 1.0, 1 / ratio)
    return min(base * ratio, 1.0), base


def _root(statistic: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Return where the statistic, which falls from low to high, passes the level; the end where it does not."""

    def distance(value: float) -> float:
        found = statistic(value)
        return (found if isfinite(found) else copysign(_STEEP, found)) - level

    if distance(low) <= 0:
        return low
    if distance(high) >= 0:
        return high
    return float(brentq(distance, low, high, xtol=1e-14, rtol=8.9e-16))
