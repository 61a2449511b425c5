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


def codes(probability: Floats, known: Bools, settings: TierSettings, loss: Floats | None = None) -> NDArray[np.int8]:
    """Return the tier of every customer as a place in `TIERS`; unknown where there is no signal.

    The settings say whether the default probability is cut, or what it makes of `loss`: what a default of each customer
    loses, in minor units. Who has little or no credit is graded with the settings' reference exposure, as if all of it
    were lost, so that owing nothing makes nobody safe.
    """
    measure, medium_from, high_from = probability, settings.medium_from, settings.high_from
    if settings.by == "expected_loss":
        at_stake = np.maximum(0.0 if loss is None else loss, settings.reference_exposure_minor)
        measure, medium_from, high_from = probability * at_stake, settings.medium_from_minor, settings.high_from_minor
    tier = (measure >= medium_from).astype(np.int8) + (measure >= high_from)
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
