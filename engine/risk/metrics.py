"""How well a score separates and how true its probabilities are: safe with ties, silent with one class.

A score is taken as *higher is riskier*. Whatever cannot be computed is `nan`, and the caller says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from engine.numerics.intervals import wilson
from engine.numerics.ratios import ratio

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Z95 = 1.959963984540054  # two-sided 95 % of the normal


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its 95 % interval; `nan` where undefined."""

    value: float
    lower: float = nan
    upper: float = nan


def auc(risk: Floats, bad: Bools) -> Estimate:
    """Measure how often a bad scores riskier than a good, a tie counting half.

    Returns
    -------
    Estimate
        With DeLong's 95 % interval, cut to 0..1; `nan` with one class only. Without any variation of the
        placements (perfect separation) there is no interval.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988); midranks as in Sun and Xu (2014).
    """
    if not bad.any() or bad.all():
        return Estimate(value=nan)
    return _estimate(*_placements(risk, bad), 0.0, 1.0)


def auc_gain(risk: Floats, other: Floats, bad: Bools) -> Estimate:
    """Measure by how much the AUC of `risk` exceeds that of `other` on the same rows.

    The interval is DeLong's for correlated curves: two scores of the same rows err together, and their difference is
    known far better than either. `nan` with one class only; no interval where the difference does not vary.
    """
    if not bad.any() or bad.all():
        return Estimate(value=nan)
    mine, its = _placements(risk, bad), _placements(other, bad)
    return _estimate(mine[0] - its[0], mine[1] - its[1], -1.0, 1.0)


def _placements(risk: Floats, bad: Bools) -> tuple[Floats, Floats]:
    """Return, per bad, the share of goods that it is riskier than, and per good, the share of bads riskier than it."""
    ranks = midranks(risk)
    goods, bads = int((~bad).sum()), int(bad.sum())
    return (ranks[bad] - midranks(risk[bad])) / goods, 1 - (ranks[~bad] - midranks(risk[~bad])) / bads


def _estimate(of_bads: Floats, of_goods: Floats, least: float, most: float) -> Estimate:
    value = float(of_bads.mean())
    if len(of_bads) < 2 or len(of_goods) < 2:
        return Estimate(value=value)
    variance = float(of_bads.var(ddof=1)) / len(of_bads) + float(of_goods.var(ddof=1)) / len(of_goods)
    if variance <= 0:
        return Estimate(value=value)
    reach = Z95 * sqrt(variance)
    return Estimate(value=value, lower=max(least, value - reach), upper=min(most, value + reach))


def midranks(values: Floats) -> Floats:
    """Rank from 1, ties sharing the mean of their ranks."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - (counts - 1) / 2.0)[group]).astype(np.float64)


def gini(area: Estimate) -> Estimate:
    """Turn an AUC into a Gini coefficient: 2 AUC - 1."""
    return Estimate(value=2 * area.value - 1, lower=2 * area.lower - 1, upper=2 * area.upper - 1)


def ks(risk: Floats, bad: Bools) -> float:
    """Measure the largest gap between the shares of bads and of goods above any cut-off; `nan` with one class."""
    bads, goods = int(bad.sum()), int((~bad).sum())
    if bads == 0 or goods == 0:
        return nan
    _, group = np.unique(risk, return_inverse=True)
    bads_at = np.bincount(group, weights=bad)
    goods_at = np.bincount(group, weights=~bad)
    return float(np.abs(np.cumsum(bads_at) / bads - np.cumsum(goods_at) / goods).max())


def brier(probability: Floats, bad: Bools) -> float:
    """Return the mean squared error of the probability; `nan` without rows."""
    return float(((probability - bad) ** 2).mean()) if len(bad) else nan


def lift(risk: Floats, bad: Bools, share: float) -> float:
    """Return the bad rate among the riskiest share over the bad rate of all; rows tied at the cut share the place."""
    if not bad.any():
        return nan
    places = max(1.0, round(share * len(bad)))
    values, group, counts = np.unique(-risk, return_inverse=True, return_counts=True)
    taken = np.clip(places - (np.cumsum(counts) - counts), 0, counts)
    bads_at = np.bincount(group, weights=bad, minlength=len(values))
    return float((bads_at * taken / counts).sum() / places / bad.mean())


def calibration_error(probability: Floats, bad: Bools, groups: int = 10) -> float:
    """Return the mean gap between predicted and observed over equal-sized groups ordered by the probability.

    Rows of one probability stay in one group, so that the order of rows does not matter. `nan` without rows.
    """
    if not len(bad):
        return nan
    gaps = np.bincount(groups_by_rank(probability, groups), weights=probability - bad, minlength=groups)
    return float(np.abs(gaps).sum() / len(bad))


def groups_by_rank(values: Floats, groups: int) -> NDArray[np.int64]:
    """Return the place of every row among equal-sized groups, the lowest values in 0; ties stay together."""
    return np.minimum((midranks(values) - 0.5) * groups / len(values), groups - 1).astype(np.int64)


def observed_rate(bad: Bools) -> Estimate:
    """Return the share of bads with Wilson's 95 % interval; `nan` without rows."""
    reach = wilson(int(bad.sum()), len(bad))
    return Estimate(value=ratio(int(bad.sum()), len(bad)), lower=reach.lower, upper=reach.upper)


def population_stability(expected: Floats, actual: Floats, floor: float | None = None) -> float:
    """Measure how far shares per bin have moved from their reference: 0 is identical, in nats.

    Parameters
    ----------
    expected, actual : shares of the same bins in the same order, each summing to 1.
    floor : smallest share counted; without one a bin that is empty on one side only gives `inf`.
    """
    if expected.shape != actual.shape:
        raise ValueError(f"{len(expected)} bins expected, {len(actual)} given: the bins must be the reference's")
    if floor is not None:
        expected, actual = np.maximum(expected, floor), np.maximum(actual, floor)
    kept = (expected > 0) | (actual > 0)
    if np.any((expected[kept] == 0) | (actual[kept] == 0)):
        return inf
    return float(((actual[kept] - expected[kept]) * np.log(actual[kept] / expected[kept])).sum())


def stability_limit(expected_rows: int, actual_rows: int, bins: int, level: float = 0.95) -> float:
    """Return the index that chance alone stays below in `level` of all draws when nothing has moved (Yurdakul 2018).

    0 with one bin only, in which nothing can move.
    """
    return float(chi2.ppf(level, bins - 1)) * (1 / expected_rows + 1 / actual_rows) if bins > 1 else 0.0
