"""From a default probability to a tier and an amount of money; no tier without a fresh signal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.config.risk import TierSettings
from engine.domain.words import RiskTier

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Times = NDArray[np.datetime64]

TIERS = (RiskTier.LOW, RiskTier.MEDIUM, RiskTier.HIGH, RiskTier.UNKNOWN)
"""The tiers in the order of their codes."""


def codes(probability: Floats, known: Bools, settings: TierSettings) -> NDArray[np.int8]:
    """Return the tier of every customer as a place in `TIERS`; unknown where there is no signal."""
    tier = (probability >= settings.medium_from).astype(np.int8) + (probability >= settings.high_from)
    return np.where(known, tier, TIERS.index(RiskTier.UNKNOWN)).astype(np.int8)


def is_fresh(
    signal_at: NDArray[np.datetime64], as_of: np.datetime64 | NDArray[np.datetime64], max_age_days: int
) -> Bools:
    """Tell whose record is no older than allowed; no record and a record from the future are not fresh."""
    with np.errstate(invalid="ignore"):
        age = as_of - signal_at
    return ~np.isnat(signal_at) & (age >= np.timedelta64(0, "D")) & (age <= np.timedelta64(max_age_days, "D"))


def expected_loss(probability: Floats, default_loss_minor: Floats) -> Floats:
    """Return probability x loss in a default, in whole minor units; `nan` where the probability is unknown."""
    return np.rint(probability * default_loss_minor)
