"""How well a score separates and how true its probabilities are: safe with ties, silent with one class.

A score is taken as *higher is riskier*. Whatever cannot be computed is `nan`, and the caller says why.
"""

from __future__ import annotations

from math import inf, nan

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from engine.numerics.intervals import wilson
from engine.numerics.ratios import ratio
from engine.numerics.separation import Z95, Estimate, auc, auc_gain, midranks

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# the area under the curve is not risk's alone
__all__ = [
    "Z95",
    "Bools",
    "Estimate",
    "Floats",
    "auc",
    "auc_gain",
    "brier",
    "calibration_error",
    "gini",
    "groups_by_rank",
    "ks",
    "lift",
    "midranks",
    "observed_rate",
    "population_stability",
    "stability_limit",
]


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
