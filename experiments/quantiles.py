"""Compare quantiles: the median wait, the 95th percentile of spending. Each arm's error comes from its own order.

The interval of a quantile is made of two values of the sample on either side of it, so far apart in rank as the share
of values below it is uncertain. Values of one customer may hang together: then that share is one of clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, sqrt
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from experiments import effects, estimates
from experiments.effects import ALPHA, Effect
from experiments.estimates import ArmEstimate
from experiments.moments import Moments

BELOW: Final = "below"
SIZE: Final = "size"

COARSE: Final = 0.2
"""Share of the interval's width above which a step between neighbouring values is a jump rather than spread."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Distribution:
    """The values of one arm: the distinct ones, rising, and how often each was seen; both of shape (k,)."""

    values: Floats
    counts: Ints

    @classmethod
    def of_values(cls, values: ArrayLike) -> Distribution:
        """Count values in any order; raises ValueError when one is not a finite number."""
        given = np.asarray(values, dtype=np.float64)
        unusable = int((~np.isfinite(given)).sum())
        if unusable:
            raise ValueError(f"{unusable} of {given.size} values are not finite numbers; leave them out and tell so")
        distinct, counts = np.unique(given, return_counts=True)
        return cls(values=distinct, counts=counts.astype(np.int64))

    @classmethod
    def of_counts(cls, values: ArrayLike, counts: ArrayLike) -> Distribution:
        """Take values and how often each was seen, in any order; a value may come more than once."""
        distinct, place = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True)
        seen = np.zeros(len(distinct), dtype=np.int64)
        np.add.at(seen, place, np.asarray(counts, dtype=np.int64))
        return cls(values=distinct, counts=seen)

    @property
    def n(self) -> int:
        """How many values there are."""
        return int(self.counts.sum())

    def __add__(self, other: Distribution) -> Distribution:
        """Return the distribution of both together: days and partitions merge exactly."""
        return Distribution.of_counts(
            np.concatenate((self.values, other.values)), np.concatenate((self.counts, other.counts))
        )

    def places(self, *ranks: int) -> Ints:
        """Return the places in `values` of those that are so many-th from below; the first is 1."""
        return np.searchsorted(np.cumsum(self.counts), ranks, side="left")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileInterval:
    """A quantile of one arm and its interval, whose ends are values of the sample.

    longest_step : between two neighbouring values inside the interval, such as 1 for whole numbers.
    deviation : the standard error of the share of values below the quantile.
    """

    value: float
    lower: float
    upper: float
    longest_step: float
    deviation: float
    n: int


def quantile(distribution: Distribution, share: float) -> float | None:
    """Return the smallest value that at least `share` of the values do not exceed; None without values."""
    if not distribution.n:
        return None
    return float(distribution.values[distribution.places(_rank(distribution.n, share))[0]])


def interval(
    distribution: Distribution, share: float, *, below: Moments | None = None, alpha: float = ALPHA
) -> QuantileInterval | None:
    """Return a quantile with its outer interval.

    Parameters
    ----------
    share : of values at or below the quantile, between 0 and 1: 0.5 for the median.
    below : for values that hang together, the moments over clusters of the columns `below`, a cluster's values at or
        below the quantile, and `size`, all its values. Without it every value is a unit of its own.

    Returns
    -------
    QuantileInterval or None
        None when an end of the interval lies beyond the sample: too few values for this quantile.

    References
    ----------
    Deng, Knoblich and Lu (2018), KDD, Applying the delta method in metric analytics, section 4.
    """
    n = distribution.n
    if not n:
        return None
    middle = _rank(n, share)
    if below is None:
        deviation = sqrt(share * (1 - share) / n)
    else:
        of_clusters = estimates.ratio(below, BELOW, SIZE)
        if of_clusters is None:
            return None
        deviation = sqrt(of_clusters.variance)
    reach = float(-ndtri(alpha / 2)) * deviation
    first, last = floor(n * (share - reach)), floor(n * (share + reach)) + 1
    if first < 1 or last > n:
        return None
    places = distribution.places(middle, first, last)
    value, lower, upper = (float(found) for found in distribution.values[places])
    steps = np.diff(distribution.values[places[1] : places[2] + 1])
    return QuantileInterval(
        value=value,
        lower=lower,
        upper=upper,
        longest_step=float(steps.max(initial=0.0)),
        deviation=deviation,
        n=n,
    )


def estimate(distribution: Distribution, share: float, *, below: Moments | None = None) -> ArmEstimate | None:
    """Estimate a quantile; its standard error is half the width of the 95 % outer interval in normal widths.

    Where the interval has only a few steps, as with whole numbers, the quantile jumps between its ends and half its
    width is too little: its longer side is taken then. Without that, two equal arms whose median is 16 or 17 are
    called different nearly half the time. None where the interval is.
    """
    found = interval(distribution, share, below=below)
    if found is None:
        return None
    width = found.upper - found.lower
    coarse = found.longest_step > COARSE * width
    reach = max(found.upper - found.value, found.value - found.lower) if coarse else width / 2
    return ArmEstimate(value=found.value, variance=(reach / float(-ndtri(ALPHA / 2))) ** 2, n=found.n)


def compare(
    variant: Distribution,
    control: Distribution,
    share: float,
    *,
    below: tuple[Moments, Moments] | None = None,
    alpha: float = ALPHA,
) -> Effect:
    """Compare a quantile of two arms.

    below : the clusters of variant and control, as for `interval`.

    Where so many values are the same that an arm's interval is a single value, its error cannot be told from the
    order and nothing is said: a median spend of 0, most waits of exactly 1 day.
    """
    one = estimate(variant, share, below=None if below is None else below[0])
    other = estimate(control, share, below=None if below is None else below[1])
    if one is None or other is None:
        return Effect(method="quantile", reason=f"too few values in a group for the quantile at {share:g}")
    if not one.variance or not other.variance:
        tied = "so many values in a group are the same that the error of the quantile cannot be told"
        return Effect(method="quantile", reason=tied)
    return effects.contrast(one, other, method="quantile", alpha=alpha)


def clusters_below(values: ArrayLike, cluster: ArrayLike, threshold: float) -> Moments:
    """Count per cluster the values at or below a threshold and all values; for `interval` that is the quantile.

    values, cluster : a value and the number of its cluster, 0 or more, shape (n,).
    """
    codes = np.unique(np.asarray(cluster), return_inverse=True)[1]
    size = np.bincount(codes)
    within = np.bincount(codes, weights=np.asarray(values, dtype=np.float64) <= threshold)
    return Moments.of_values((BELOW, SIZE), np.column_stack((within, size)))


def _rank(n: int, share: float) -> int:
    if not 0 < share < 1:
        raise ValueError(f"share = {share}: expected a share between 0 and 1, such as 0.5 for the median")
    # n x share that is whole in theory is a little more in floating point: 0.55 of 100 values is the 55th
    return min(max(ceil(n * share * (1 - 1e-12)), 1), n)
