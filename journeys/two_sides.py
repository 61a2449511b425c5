"""Differences of shares and of medians between two sides that may have customers in common.

Two groups have nobody in common; two periods mostly have. A customer on both sides counts on each, and what makes the
two counts move together is taken out of the uncertainty: the interval of the difference joins the intervals of both
sides by their correlation over all customers (the method of variance estimates recovery), which is Newcombe's interval
where nobody is on both.

References
----------
Newcombe (1998), Statistics in Medicine 17, 873-890 and 2635-2650. Zou and Donner (2008), Statistics in Medicine 27, on
the recovery of variances. Conover (1999), Practical Nonparametric Statistics, on the interval of a quantile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, mannwhitneyu, norm

from engine.numerics.intervals import Interval, wilson
from engine.numerics.ratios import or_none, ratio
from journeys import differences

Floats = NDArray[np.float64]

LEVEL: Final = 0.95
_FEWEST_SHARED = 10  # with customers on both sides there is no exact test: of fewer, or all but fewer, nothing is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many customers of each side have something.

    shared : customers on both sides; of them shared_base have it on the base side, shared_other on the other, and
        shared_both on both.
    """

    base: int
    base_of: int
    other: int
    other_of: int
    shared: int = 0
    shared_base: int = 0
    shared_other: int = 0
    shared_both: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What two sides differ by: other - base, with its 95 % interval.

    what : the names of what is compared. base, other : the shares, or the medians; None where nobody is there.
    p_value : of no difference, two-sided; p_adjusted by Benjamini and Hochberg for all comparisons made together. Both
        None, with a reason, where there is no test to be had.
    """

    what: tuple[str | None, ...]
    base_count: int
    base_of: int
    other_count: int
    other_of: int
    base: float | None
    other: float | None
    difference: float | None
    lower: float | None
    upper: float | None
    p_value: float | None
    p_adjusted: float | None
    reason: str | None


def of_shares(what: Sequence[str | None], tally: Tally) -> Difference:
    """Compare two shares of customers."""
    base, other = ratio(tally.base, tally.base_of), ratio(tally.other, tally.other_of)
    p_value, reason = _p_of_shares(tally)
    lower, upper = _joined(
        base,
        other,
        wilson(tally.base, tally.base_of, LEVEL),
        wilson(tally.other, tally.other_of, LEVEL),
        correlation(tally),
    )
    return Difference(
        what=tuple(what),
        base_count=tally.base,
        base_of=tally.base_of,
        other_count=tally.other,
        other_of=tally.other_of,
        base=or_none(base),
        other=or_none(other),
        difference=or_none(other - base),
        lower=or_none(lower),
        upper=or_none(upper),
        p_value=p_value,
        p_adjusted=None,
        reason=reason,
    )


def covariance(tally: Tally) -> float:
    """Return the covariance of the two shares, over customers who are on both sides; 0 where nobody is."""
    if not (tally.shared and tally.base_of and tally.other_of):
        return 0.0
    base, other = tally.base / tally.base_of, tally.other / tally.other_of
    moved = tally.shared_both - base * tally.shared_other - other * tally.shared_base + tally.shared * base * other
    return moved / (tally.base_of * tally.other_of)


def correlation(tally: Tally) -> float:
    """Return the correlation of the two shares, -1 to 1; 0 where either cannot vary."""
    spread = _variance(tally.base, tally.base_of) * _variance(tally.other, tally.other_of)
    return max(-1.0, min(1.0, covariance(tally) / math.sqrt(spread))) if spread > 0 else 0.0


def _variance(count: int, of: int) -> float:
    return count / of * (1 - count / of) / of if of else 0.0


def _p_of_shares(tally: Tally) -> tuple[float | None, str | None]:
    if not (tally.base_of and tally.other_of):
        return None, "nobody on one side got as far as there"
    if not tally.shared:
        return differences.p_value(tally.other, tally.other_of, tally.base, tally.base_of)[0], None
    having, of = tally.base + tally.other, tally.base_of + tally.other_of
    if min(having, of - having) < _FEWEST_SHARED:
        return None, f"fewer than {_FEWEST_SHARED}, and some of them are on both sides"
    pooled = having / of
    variance = pooled * (1 - pooled) * (1 / tally.base_of + 1 / tally.other_of) - 2 * covariance(tally)
    gap = tally.other / tally.other_of - tally.base / tally.base_of
    if variance <= 0:
        return (1.0, None) if gap == 0 else (None, "the same customers have it on both sides; nothing varies")
    return float(2 * norm.sf(abs(gap) / math.sqrt(variance))), None


def _joined(base: float, other: float, of_base: Interval, of_other: Interval, together: float) -> tuple[float, float]:
    """Join the intervals of two estimates into that of their difference other - base."""
    down, up = other - of_other.lower, of_other.upper - other
    base_down, base_up = base - of_base.lower, of_base.upper - base
    gap = other - base
    lower = gap - math.sqrt(max(down**2 + base_up**2 - 2 * together * down * base_up, 0.0))
    upper = gap + math.sqrt(max(up**2 + base_down**2 - 2 * together * up * base_down, 0.0))
    return lower, upper


def of_medians(what: Sequence[str | None], base: Floats, other: Floats) -> Difference:
    """Compare two medians.

    Parameters
    ----------
    base, other : one value per customer, nan where the customer is not on that side; shape (n,) both.

    Returns
    -------
    Difference
        The interval of each median is that of its rank, free of any distribution. The p-value is Mann and Whitney's
        where nobody is on both sides, else there is none: it asks whether one side tends to have more, which can be
        so, or not, where the medians are the same.
    """
    on_base, on_other = ~np.isnan(base), ~np.isnan(other)
    left, right = np.sort(base[on_base]), np.sort(other[on_other])
    centre_left = float(np.median(left)) if len(left) else math.nan
    centre_right = float(np.median(right)) if len(right) else math.nan
    both = on_base & on_other
    above_left, above_right = base[both] > centre_left, other[both] > centre_right
    tally = Tally(
        base=int((left > centre_left).sum()),
        base_of=len(left),
        other=int((right > centre_right).sum()),
        other_of=len(right),
        shared=int(both.sum()),
        shared_base=int(above_left.sum()),
        shared_other=int(above_right.sum()),
        shared_both=int((above_left & above_right).sum()),
    )
    ends = math.nan, math.nan
    p_value, reason = None, None
    if not (len(left) and len(right)):
        reason = "nobody on one side"
    else:
        ends = _joined(centre_left, centre_right, median_interval(left), median_interval(right), correlation(tally))
        if tally.shared:
            reason = "some customers are on both sides, for which there is no rank test; the interval allows for them"
        else:
            p_value = float(mannwhitneyu(right, left, method="asymptotic").pvalue)
    return Difference(
        what=tuple(what),
        base_count=len(left),
        base_of=len(left),
        other_count=len(right),
        other_of=len(right),
        base=or_none(centre_left),
        other=or_none(centre_right),
        difference=or_none(centre_right - centre_left),
        lower=or_none(ends[0]),
        upper=or_none(ends[1]),
        p_value=None if p_value is None or math.isnan(p_value) else p_value,
        p_adjusted=None,
        reason=reason,
    )


def median_interval(ascending: Floats) -> Interval:
    """Return the interval of a median between two ranks; the whole range where there are too few to exclude any."""
    size = len(ascending)
    # of the ranks from each end, the first whose binomial probability of lying beyond the median reaches the level
    place = max(int(binom.ppf((1 - LEVEL) / 2, size, 0.5)) - 1, 0)
    return Interval(lower=float(ascending[place]), upper=float(ascending[size - 1 - place]))
