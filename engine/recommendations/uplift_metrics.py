"""How well an order of customers puts those first on whom a treatment works: Qini, uplift area, uplift of the first.

All take one value for each customer of a randomised test: the outcome (yes and no as 1 and 0, or an amount), whether
treated, and a score, the highest first. Customers of equal score are one group: a curve has a point after each group
and a straight line in between, so that no number depends on the order of rows. Where a number cannot be told it is NaN
and `why` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.numerics.intervals import UNDEFINED, Interval
from engine.numerics.ratios import ratios
from engine.recommendations import targeting
from engine.recommendations.frame import Flags, Floats, Integers

DRAWS: Final = 200
"""Times that customers are drawn anew for an interval."""

_NO_ARM: Final = "everybody was treated, or nobody: there is nothing to compare with"
_ALIKE: Final = "no order of these customers could do better than any other: their outcomes do not differ"
_AMOUNTS: Final = "the best order is defined for outcomes of yes and no only; Qini takes amounts"
_Z: Final = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A number with its 95 % interval, where there is one, or why there is none."""

    value: float
    interval: Interval = UNDEFINED
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What treating the first `at` customers gains; both start at 0 and have one more value than there are groups."""

    at: Floats
    gain: Floats

    @property
    def area_over_random(self) -> float:
        """The area between the curve and the straight line to its end, which drawing customers at random gives."""
        return float(np.trapezoid(self.gain, self.at) - self.at[-1] * self.gain[-1] / 2)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Customers in the order of a score, where each group of equal scores begins, and what is summed of each group.

    `columns` (4, n) in that order: treated, untreated, outcome of the treated, outcome of the untreated.
    """

    order: Integers
    starts: Integers
    columns: Floats

    def qini(self, weights: Floats | None = None) -> Curve:
        with_it, without, gained, gained_without = self._sums(weights)
        gain = gained - gained_without * np.nan_to_num(ratios(with_it, without))
        return Curve(at=np.append(0.0, with_it + without), gain=np.append(0.0, gain))

    def uplift(self) -> Curve:
        with_it, without, gained, gained_without = self._sums(None)
        rates = np.nan_to_num(ratios(gained, with_it)) - np.nan_to_num(ratios(gained_without, without))
        gain = rates * (with_it + without)
        return Curve(at=np.append(0.0, with_it + without), gain=np.append(0.0, gain))

    def _sums(self, weights: Floats | None) -> Floats:
        columns = self.columns if weights is None else self.columns * weights[self.order]
        sums: Floats = np.cumsum(np.add.reduceat(columns, self.starts, axis=1), axis=1)
        return sums


def _groups(outcome: Floats, treated: Flags, scores: Floats) -> _Groups:
    if not len(scores):
        raise ValueError("no customers")
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} of {len(scores)} scores are no numbers")
    order = np.argsort(-scores, kind="stable")
    changes = np.flatnonzero(np.diff(scores[order]))
    columns = np.stack([treated, ~treated, outcome * treated, outcome * ~treated]).astype(np.float64)
    return _Groups(order, np.append(0, changes + 1), columns[:, order])


def qini_curve(outcome: Floats, treated: Flags, scores: Floats) -> Curve:
    """Return the outcomes of the treated beyond what as many untreated had; before the first untreated one, all.

    Raises
    ------
    ValueError
        No customers, or a score that is not a number.

    References
    ----------
    Radcliffe (2007), Using control groups to target on predicted lift.
    """
    return _groups(outcome, treated, scores).qini()


def uplift_curve(outcome: Floats, treated: Flags, scores: Floats) -> Curve:
    """Return the difference of the mean outcomes with and without, times the customers; an empty side counts as 0.

    Raises
    ------
    ValueError
        No customers, or a score that is not a number.

    References
    ----------
    Jaskowski and Jaroszewicz (2012), Uplift modeling for clinical trial data.
    """
    return _groups(outcome, treated, scores).uplift()


def qini(outcome: Floats, treated: Flags, scores: Floats, *, seed: int | None = None) -> Measured:
    """Return the Qini coefficient: 0 as good as drawing at random, 1 the best order in hindsight, below 0 worse.

    The best order has the treated by their outcome first and the untreated by theirs last. With a seed the value has
    its interval: customers are drawn anew with each draw's own best order.
    """
    if treated.all() or not treated.any():
        return Measured(value=float("nan"), why=_NO_ARM)
    ordered = _groups(outcome, treated, scores)
    best = _groups(outcome, treated, outcome * np.where(treated, 1.0, -1.0))

    def coefficient(weights: Floats | None) -> float:
        most = best.qini(weights).area_over_random
        return ordered.qini(weights).area_over_random / most if most > 0 else float("nan")

    value = coefficient(None)
    if np.isnan(value):
        return Measured(value=value, why=_ALIKE)
    if seed is None:
        return Measured(value=value)
    # each customer is drawn a Poisson number of times, so that no draw depends on how many customers there are
    draw = np.random.default_rng([seed, 72])
    drawn = np.array([coefficient(draw.poisson(1.0, len(outcome)).astype(np.float64)) for _ in range(DRAWS)])
    known = drawn[~np.isnan(drawn)]
    if len(known) < DRAWS // 2:
        return Measured(value=value, why="too few customers with an outcome for an interval")
    lower, upper = np.quantile(known, [0.025, 0.975])
    return Measured(value=value, interval=Interval(lower=float(lower), upper=float(upper)))


def uplift_auc(outcome: Floats, treated: Flags, scores: Floats) -> Measured:
    """Return the area under the uplift curve: 0 as good as drawing at random, 1 the best order in hindsight.

    The best order is known for outcomes of yes and no: treated who did, untreated who did not, then the others, those
    with the smaller number of wrong ones last.
    """
    if treated.all() or not treated.any():
        return Measured(value=float("nan"), why=_NO_ARM)
    if not np.isin(outcome, (0.0, 1.0)).all():
        return Measured(value=float("nan"), why=_AMOUNTS)
    did = outcome == 1
    untreated_did, treated_did_not = int((did & ~treated).sum()), int((~did & treated).sum())
    then = did if untreated_did > treated_did_not else treated
    most = uplift_curve(outcome, treated, 2.0 * (did == treated) + then).area_over_random
    if most <= 0:
        return Measured(value=float("nan"), why=_ALIKE)
    return Measured(value=uplift_curve(outcome, treated, scores).area_over_random / most)


def uplift_of_first(outcome: Floats, treated: Flags, scores: Floats, share: float) -> Measured:
    """Return the difference of the mean outcomes, with less without, among the first `share` of the customers.

    Whole customers, at least one; those of equal score share the last places. The interval is normal, of two means.

    Raises
    ------
    ValueError
        The share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share {share}: expected above 0 and at most 1")
    # .29 x 100 is 28.999999999999996 in floating point, and 29 customers
    places = max(1, int(len(scores) * share + 1e-9))
    named = targeting.first(scores, places)
    means, errors = [], []
    for side in (treated, ~treated):
        weights, values = named[side], outcome[side]
        size = float(weights.sum())
        if size == 0:
            return Measured(value=float("nan"), why="the first customers are all treated, or all untreated")
        mean = float(weights @ values) / size
        means.append(mean)
        errors.append(float(weights @ (values - mean) ** 2) / size / max(size - 1, 1.0) if size > 1 else float("nan"))
    difference, half = means[0] - means[1], _Z * float(np.sqrt(sum(errors)))
    # where no two outcomes of a side differ, a point would promise too much
    known = half > 0
    interval = Interval(lower=difference - half, upper=difference + half) if known else UNDEFINED
    return Measured(value=difference, interval=interval)
