"""How well a score tells two classes apart: the area under the curve with DeLong's interval, safe with ties."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

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
