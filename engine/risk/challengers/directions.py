"""Which way each number counts, towards default or away from it, learned from the training rows alone.

A number is given a direction where two looks agree: on its own, the rank correlation of its value with default lies
outside what chance gives, and beside all others, in an unconstrained sum of one table per characteristic, what it adds
runs the same way. Where they disagree the number stands for something else (a large bill for a large limit), and to
force it would teach the model a falsehood: it is left free, and is named as free.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from engine.config.challengers import BoostingSettings
from engine.risk.binning import Codes
from engine.risk.challengers import additive
from engine.risk.challengers.plan import Plan
from engine.risk.challengers.scales import Scale
from engine.risk.metrics import Z95, midranks

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
RISKIER, SAFER, FREE = 1, -1, 0
"""A higher value is riskier, safer, or either."""


def learn(
    scales: Sequence[Scale],
    codes: Sequence[Codes],
    made_of: Plan,
    bad: Bools,
    settings: BoostingSettings,
    *,
    seed: int,
    weights: Floats | None = None,
) -> dict[str, int]:
    """Return the direction of every number; categories have none and are not named."""
    beside = additive.learn(scales, codes, made_of, bad, settings, seed=seed, directions={}, weights=weights)
    mass = np.ones(len(bad)) if weights is None else weights
    return {
        scale.name: _agreed(scale, code, table, bad, mass)
        for scale, code, table in zip(scales, codes, beside.tables, strict=True)
        if scale.bins.kind == "number"
    }


def _agreed(scale: Scale, code: Codes, table: Floats, bad: Bools, mass: Floats) -> int:
    ordinary = code < scale.bins.ordinary
    step, kept = code[ordinary], mass[ordinary]
    if not len(step):
        return FREE
    ranks = midranks(step.astype(np.float64))
    alone = _correlation(ranks, bad[ordinary].astype(np.float64), kept)
    rows = kept.sum() ** 2 / (kept**2).sum()
    beside = _correlation(ranks, table.take(step), kept)
    if abs(alone) * sqrt(rows) <= Z95 or alone * beside <= 0:
        return FREE
    return RISKIER if alone > 0 else SAFER


def _correlation(left: Floats, right: Floats, mass: Floats) -> float:
    """Return the weighted correlation; 0 where either does not vary."""
    left, right = (side - np.average(side, weights=mass) for side in (left, right))
    spread = sqrt(float(mass @ left**2) * float(mass @ right**2))
    return float(mass @ (left * right)) / spread if spread > 0 else 0.0
