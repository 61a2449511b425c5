"""Means of arms whose shares followed what had been seen: an adaptive experiment, such as a bandit, told honestly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.effects import ALPHA, Effect, contrast
from experiments.estimates import ArmEstimate
from experiments.off_policy import are_chances

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batches:
    """An adaptive experiment by batch and arm, which is all that its estimates need. Batches are in order of time.

    Leading axes (...) hold independent experiments; most often there are none.

    propensity : shape (..., n_batches, n_arms), the share that every arm had in the batch, above 0.
    n : same shape, units by arm. total, squares : sums of reward - shift and of its square.
    """

    arms: tuple[str, ...]
    propensity: Floats
    n: Floats
    total: Floats
    squares: Floats
    shift: float = 0.0

    def __post_init__(self) -> None:
        shape = np.shape(self.propensity)
        if any(np.shape(one) != shape for one in (self.n, self.total, self.squares)) or shape[-1] != len(self.arms):
            raise ValueError("propensities and sums have one shape: batches by arms")
        if not (self.propensity > 0).all() or not are_chances(self.propensity):
            raise ValueError("a propensity is above 0, and those of a batch add up to 1; give every arm a floor")

    @classmethod
    def of_rows(
        cls, arms: Sequence[str], arm: NDArray[np.int64], reward: Floats, batch: NDArray[np.int64], propensity: Floats
    ) -> Batches:
        """Make batches from one row per unit; batch is a place in the rows of propensity, shape (n_batches, n_arms)."""
        shape = propensity.shape
        cell = batch * shape[1] + arm
        shift = float(reward.mean()) if len(reward) else 0.0
        sums = [
            np.bincount(cell, weights=weight, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
            for weight in (np.ones(len(reward)), reward - shift, (reward - shift) ** 2)
        ]
        return cls(arms=tuple(arms), propensity=propensity, n=sums[0], total=sums[1], squares=sums[2], shift=shift)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmMeans:
    """Estimates of every arm, with their covariances: value (..., n_arms), covariance (..., n_arms, n_arms).

    moved : whether the share of an arm changed from one batch to another.
    """

    arms: tuple[str, ...]
    value: Floats
    covariance: Floats
    units: Floats
    moved: bool = False

    def estimate(self, arm: str) -> ArmEstimate | None:
        """Return the estimate of one arm of one experiment; None where it has no spread."""
        place = self.arms.index(arm)
        variance = float(self.covariance[place, place])
        if not variance > 0:
            return None
        return ArmEstimate(value=float(self.value[place]), variance=variance, n=int(self.units[place]))

    def compare(self, variant: str, control: str, *, alpha: float = ALPHA) -> Effect:
        """Return the difference between two arms of one experiment."""
        one, other = self.estimate(variant), self.estimate(control)
        if one is None or other is None:
            return Effect(method="adaptive_aipw", reason="every customer of an arm has the same value")
        between = float(self.covariance[self.arms.index(variant), self.arms.index(control)])
        return contrast(one, other, method="adaptive_aipw", covariance=between, alpha=alpha)


def adaptive_means(batches: Batches) -> ArmMeans:
    """Estimate the mean of every arm so that shares that followed the rewards do not bias it.

    Every unit has a score for every arm: the arm's mean of earlier batches, corrected by the unit's own reward over
    its propensity where it got that arm. Scores are averaged with weights sqrt(propensity), which keep batches in
    which an arm was rare from drowning the others. Before an arm has been seen, its mean is that of all arms, in the
    first batch of that batch itself. False positives come near the nominal level but not down to it: over 20 batches
    of 200 with a floor of 1 % and a rate of 10 %, 7.7 % where plain means have 14.3 %.

    References
    ----------
    Hadad, Hirshberg, Zhan, Wager and Athey (2021), PNAS 118, Confidence intervals for policy evaluation in adaptive
    experiments.
    """
    n, total, share = batches.n, batches.total, batches.propensity
    units = n.sum(axis=-1, keepdims=True)
    expected = _means_before(n, total)
    residual = (total - n * expected) / share
    weight = np.sqrt(share)
    whole = (weight * units).sum(axis=-2)
    value = (weight * (units * expected + residual)).sum(axis=-2) / whole
    off = expected - value[..., None, :]
    squared = (batches.squares - 2 * expected * total + n * expected**2) / share**2
    # of the products of two arms' scores only the terms remain in which at most one of them was given
    products = units[..., None] * off[..., :, None] * off[..., None, :]
    products = products + residual[..., :, None] * off[..., None, :] + off[..., :, None] * residual[..., None, :]
    products = products + squared[..., :, None] * np.eye(n.shape[-1])
    pairs = weight[..., :, None] * weight[..., None, :]
    covariance = (pairs * products).sum(axis=-3) / (whole[..., :, None] * whole[..., None, :])
    return ArmMeans(
        arms=batches.arms,
        value=value + batches.shift,
        covariance=covariance,
        units=n.sum(axis=-2),
        moved=bool((np.ptp(share, axis=-2) > 0).any()),
    )


def _means_before(n: Floats, total: Floats) -> Floats:
    """Return each arm's mean over the batches before each batch."""
    seen, summed = np.cumsum(n, axis=-2) - n, np.cumsum(total, axis=-2) - total
    of_all, sum_of_all = seen.sum(axis=-1, keepdims=True), summed.sum(axis=-1, keepdims=True)
    own_n, own_sum = n.sum(axis=-1, keepdims=True), total.sum(axis=-1, keepdims=True)
    none_yet = of_all == 0
    pooled = np.where(none_yet, own_sum, sum_of_all) / np.maximum(np.where(none_yet, own_n, of_all), 1)
    return np.asarray(np.where(seen > 0, summed / np.maximum(seen, 1), pooled))
