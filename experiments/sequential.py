"""Look at an experiment more than once and still be wrong no more often than was planned.

Two ways. Planned looks spend the error budget as information comes in (`bounds`): the most power for a calendar of
looks. Confidence sequences hold at every moment at once (`sequence_half_width`): looser, but nobody has to plan.

Information is a share of that at the end of the plan, 0 to 1: the units so far over the units planned, or the inverse
of the squared standard error over that planned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, inf, log, sqrt
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri

Floats = NDArray[np.float64]
Spending = Callable[[float], float]

_NODES: Final = 64  # Gauss-Legendre; 128 nodes change no bound of 30 looks by more than 1e-11
_NODES_PER_STEP: Final = 2.0  # of many looks each moves the process little, which wide gaps between nodes would miss
_FAR: Final = 12.0  # standard deviations; beyond them lies less than 1e-32


def obrien_fleming(alpha: float, *, sides: int = 2) -> Spending:
    """Return the share of error spent by information t: hardly any early, most at the end.

    References
    ----------
    Lan and DeMets (1983), Biometrika 70, 659-663.
    """
    edge = float(-ndtri(alpha / (2 * sides)))
    return lambda t: 0.0 if t <= 0 else min(alpha, 2 * sides * float(ndtr(-edge / sqrt(min(t, 1.0)))))


def pocock(alpha: float) -> Spending:
    """Return the share of error spent by information t: about as much at every look (Lan and DeMets 1983)."""
    return lambda t: alpha * log(1 + (exp(1) - 1) * min(max(t, 0.0), 1.0))


def power(alpha: float, exponent: float) -> Spending:
    """Return alpha t^exponent: 1 is even, 3 is close to O'Brien and Fleming (Kim and DeMets 1987)."""
    return lambda t: alpha * min(max(t, 0.0), 1.0) ** exponent


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Critical z-values per look, shape (looks,): reject beyond them; infinite where nothing is spent."""

    lower: Floats
    upper: Floats


def bounds(information: Sequence[float] | Floats, upper: ArrayLike, lower: ArrayLike | None = None) -> Bounds:
    """Solve the bounds that spend exactly the given error at each look, by integration of the process look by look.

    Parameters
    ----------
    information : shares of the final information at the looks, rising, above 0.
    upper, lower : cumulative probabilities under no effect of having crossed that side by each look. Without `lower`
        the bounds are symmetric and `upper` holds the probability of both sides together.

    Raises
    ------
    ValueError
        Information or spending does not rise, or is out of range.

    References
    ----------
    Armitage, McPherson and Rowe (1969), J. R. Statist. Soc. A 132; Jennison and Turnbull (2000), chapter 19.
    """
    times = np.asarray(information, dtype=np.float64)
    up = _spent_per_look(upper, len(times), "upper")
    symmetric = lower is None
    down = up if lower is None else _spent_per_look(lower, len(times), "lower")
    if not len(times) or times[0] <= 0 or (np.diff(times) <= 0).any():
        raise ValueError("information at the looks must rise and be above 0")
    if symmetric:
        up = down = up / 2
    solved_low, solved_up = np.empty(len(times)), np.empty(len(times))
    state = _Process()
    for look, time in enumerate(times):
        state.advance(float(time))
        solved_up[look] = state.edge(float(up[look]))
        solved_low[look] = -(solved_up[look] if symmetric else state.mirrored().edge(float(down[look])))
        state.stop_outside(solved_low[look], solved_up[look])
    return Bounds(lower=solved_low, upper=solved_up)


def _spent_per_look(cumulative: ArrayLike, looks: int, side: str) -> Floats:
    spent = np.asarray(cumulative, dtype=np.float64)
    if spent.shape != (looks,):
        raise ValueError(f"{side}: {looks} looks need {looks} cumulative probabilities, got {spent.shape}")
    steps = np.diff(spent, prepend=0.0)
    if (steps < -1e-15).any() or spent[-1] >= 1:
        raise ValueError(f"{side}: cumulative probabilities must not fall and stay below 1")
    return np.maximum(steps, 0.0)


def quadrature(low: float, high: float, step: float) -> tuple[Floats, Floats]:
    """Return points and weights to integrate a density between two ends that a step of this deviation blurs."""
    nodes, weights = _rule(max(_NODES, 16 * ceil(_NODES_PER_STEP * (high - low) / step / 16)))
    half = (high - low) / 2
    return low + half * (nodes + 1), half * weights


@lru_cache(maxsize=128)
def _rule(nodes: int) -> tuple[Floats, Floats]:
    points, weights = np.polynomial.legendre.leggauss(nodes)
    return points, weights


class _Process:
    """Brownian motion that has crossed no bound yet: where it was at the look before, as weighted points."""

    def __init__(self) -> None:
        self._points = np.zeros(1)
        self._mass = np.ones(1)
        self._before = 0.0
        self._time = 0.0

    def advance(self, time: float) -> None:
        self._before, self._time = self._time, time

    def mirrored(self) -> _Process:
        twin = _Process()
        twin._points, twin._mass, twin._before, twin._time = -self._points, self._mass, self._before, self._time
        return twin

    def _above(self, z: float) -> float:
        step = sqrt(self._time - self._before)
        return float(self._mass @ ndtr((self._points - z * sqrt(self._time)) / step))

    def edge(self, probability: float) -> float:
        """Return the z above which the process lies with this probability now."""
        if probability <= 0 or self._above(_FAR) >= probability:
            return inf
        return float(brentq(lambda z: self._above(z) - probability, -_FAR, _FAR, xtol=1e-13, rtol=1e-15))

    def stop_outside(self, low: float, high: float) -> None:
        scale = sqrt(self._time)
        ends = max(low, -_FAR) * scale, min(high, _FAR) * scale
        step = sqrt(self._time - self._before)
        points, weights = quadrature(ends[0], ends[1], step)
        density = np.exp(-(((points[:, None] - self._points) / step) ** 2) / 2) / (step * sqrt(2 * np.pi))
        self._points, self._mass = points, weights * (density @ self._mass)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossings:
    """What simulated experiments met: `share` crossed a bound, at `mean_look` on average (the last look otherwise)."""

    share: float
    mean_look: float


def simulate(
    information: Sequence[float] | Floats,
    critical: ArrayLike,
    drift: float,
    *,
    paths: int,
    seed: int,
    low: ArrayLike | None = None,
) -> Crossings:
    """Simulate experiments that are looked at and stopped at the first bound they cross.

    Parameters
    ----------
    information : at the looks, rising; the z-value at information 1 has mean `drift`.
    critical : z-value of the upper bound per look, shape (looks,). `low` : of the lower one, minus `critical` if None.
    """
    times = np.asarray(information, dtype=np.float64)
    up = np.asarray(critical, dtype=np.float64)
    down = -up if low is None else np.asarray(low, dtype=np.float64)
    steps = np.diff(times, prepend=0.0)
    drawn = np.random.default_rng(seed).normal(drift * steps, np.sqrt(steps), (paths, len(times)))
    z = np.cumsum(drawn, axis=1) / np.sqrt(times)
    crossed = (z > up) | (z < down)
    ever = crossed.any(axis=1)
    first = np.where(ever, crossed.argmax(axis=1) + 1, len(times))
    return Crossings(share=float(ever.mean()), mean_look=float(first.mean()))


def mixture_precision(variance: float, alpha: float, *, sides: int = 2) -> float:
    """Return the precision of the normal mixture that makes its bound tightest at this accumulated variance.

    References
    ----------
    Howard, Ramdas, McAuliffe and Sekhon (2021), Annals of Statistics 49, section 3.5.
    """
    wanted = -2 * log(alpha * (2 / sides))
    return variance / (wanted + log(1 + wanted))


def mixture_bound(variance: float, alpha: float, precision: float, *, sides: int = 2) -> float:
    """Return how far a sum of this accumulated variance may stray, at any time at all, with probability alpha.

    One-sided bounds are solved numerically from the mixture over positive effects (same source as above).
    """
    whole = variance + precision
    if sides == 2:
        return sqrt(whole * log(whole / (precision * alpha**2)))

    def excess(distance: float) -> float:
        return (
            0.5 * log(4 * precision / whole)
            + distance**2 / (2 * whole)
            + float(log_ndtr(distance / sqrt(whole)))
            + log(alpha)
        )

    return float(brentq(excess, 0.0, 100 * sqrt(whole), xtol=1e-12))


def sequence_half_width(standard_error: float, units: int, alpha: float, tightest_at: int, *, sides: int = 2) -> float:
    """Return the half-width of an asymptotic confidence sequence around an estimate from so many units.

    It holds at every number of units at once, and is tightest near `tightest_at` units.

    References
    ----------
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Annals of Statistics 52, theorem 2.2.
    """
    precision = mixture_precision(tightest_at, alpha, sides=sides)
    # in units of one unit's standard deviation the accumulated variance is the number of units
    return standard_error * mixture_bound(units, alpha, precision, sides=sides) / sqrt(units)
