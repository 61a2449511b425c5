"""What a policy would have brought, judged by customers who were served by another one.

Everything rests on logged propensities. Where the log says nothing about what the new policy would do, there is no
value and the reason is told; how much of the log really counts is told beside every value.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.effects import ALPHA, critical_value

Floats = NDArray[np.float64]

FEWEST: Final = 30
"""Of effective units, below which a normal interval is a guess."""

_SAME: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Log:
    """What was logged: one row per decision.

    arm : shape (n,), place of the arm that was given, in `arms`.
    reward : shape (n,), what followed.
    propensities : shape (n, n_arms), the chance of every arm when the decision was made; rows add up to 1.
    unit : shape (n,), place of the unit that was decided for, from 0 on, where some have several decisions: these hang
        together, and intervals are by unit then. None: every decision is of a unit of its own.
    """

    arms: tuple[str, ...]
    arm: NDArray[np.int64]
    reward: Floats
    propensities: Floats
    unit: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        n, arms = len(self.reward), len(self.arms)
        if self.unit is not None and self.unit.shape != (n,):
            raise ValueError(f"a log of {n} rewards needs {n} units")
        if self.arm.shape != (n,) or self.propensities.shape != (n, arms):
            raise ValueError(f"a log of {n} rewards and {arms} arms needs {n} arms and propensities of {n} x {arms}")
        if n and not 0 <= int(self.arm.min()) <= int(self.arm.max()) < arms:
            raise ValueError(f"an arm lies outside 0 to {arms - 1}")
        if not np.isfinite(self.reward).all():
            raise ValueError("a reward is no finite number; leave such decisions out and say how many")
        if not are_chances(self.propensities):
            raise ValueError("propensities are chances: 0 or more, each row adds up to 1")
        if n and not (self.logged > 0).all():
            raise ValueError("a unit got an arm whose logged propensity is 0; the log contradicts itself")

    @property
    def logged(self) -> Floats:
        """The propensity of the arm that was given, shape (n,)."""
        return np.asarray(np.take_along_axis(self.propensities, self.arm[:, None], axis=1)[:, 0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How far the log speaks for a policy.

    effective_n : units of an even log that would be as sure: (sum of weights)^2 / sum of squared weights.
    largest_weight : of one unit, as a share of all weights.
    mean_weight : near 1 where the propensities are right, before any weight is clipped.
    mean_weight_error : its standard error; None with fewer than two units.
    unsupported : share of the policy's decisions for which the log's chance was 0.
    clipped, cut : decisions whose weight was clipped, and what that took away as a share of all weights.
    """

    n: int
    effective_n: float
    largest_weight: float
    mean_weight: float
    unsupported: float
    mean_weight_error: float | None = None
    clipped: int = 0
    cut: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyValue:
    """The mean reward that a policy would have brought; all None with a reason where the log cannot say.

    gain : the value minus the mean reward that was logged, judged on the same decisions, with its own interval.
    Without any spread there is a value but no interval, and the reason says so.
    """

    method: str
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    standard_error: float | None = None
    gain: float | None = None
    gain_lower: float | None = None
    gain_upper: float | None = None
    overlap: Overlap
    reason: str | None = None


def overlap(log: Log, policy: ArrayLike, *, clip: float = inf) -> Overlap:
    """Return how far a log speaks for a policy.

    policy : chances of every arm, shape (n_arms,) for all units alike, or (n, n_arms).
    clip : what a weight is at most. Clipping makes intervals narrower and pulls values away from the truth.
    """
    if not clip > 0:
        raise ValueError(f"clip {clip:g}: a weight that is kept is above 0")
    target = _target(log, policy)
    whole = _weights(log, target)
    weights = np.minimum(whole, clip)
    total, n = float(weights.sum()), len(weights)
    return Overlap(
        n=n,
        effective_n=total**2 / float((weights**2).sum()) if total else 0.0,
        largest_weight=float(weights.max()) / total if total else 0.0,
        mean_weight=float(whole.mean()) if n else 0.0,
        mean_weight_error=_error(whole, log)[0],
        unsupported=float(target[log.propensities == 0].sum()) / n if n else 0.0,
        clipped=int((whole > clip).sum()),
        cut=1 - total / float(whole.sum()) if total else 0.0,
    )


def inverse_propensity(log: Log, policy: ArrayLike, *, alpha: float = ALPHA, clip: float = inf) -> PolicyValue:
    """Weigh every reward by how much more often the policy would have done the same; unbiased, and wide.

    References
    ----------
    Horvitz and Thompson (1952), J. Am. Statist. Assoc. 47.
    """
    found = overlap(log, policy, clip=clip)
    weights = np.minimum(_weights(log, _target(log, policy)), clip)
    return _value("ips", weights * log.reward, found, log, alpha)


def self_normalised(log: Log, policy: ArrayLike, *, alpha: float = ALPHA, clip: float = inf) -> PolicyValue:
    """Divide the weighted rewards by the weights' own sum: steadier, and moves along when all rewards are shifted.

    The interval is by the delta method for a ratio of two means.

    References
    ----------
    Swaminathan and Joachims (2015), NeurIPS, The self-normalized estimator for counterfactual learning.
    """
    found = overlap(log, policy, clip=clip)
    weights = np.minimum(_weights(log, _target(log, policy)), clip)
    mean = float(weights.mean()) if len(weights) else 0.0
    if not mean:
        return _value("snips", weights, found, log, alpha)
    value = float((weights * log.reward).sum() / weights.sum())
    return _value("snips", value + weights * (log.reward - value) / mean, found, log, alpha)


def doubly_robust(
    log: Log, policy: ArrayLike, predictions: ArrayLike, *, alpha: float = ALPHA, clip: float = inf
) -> PolicyValue:
    """Start from predicted rewards and correct them by weighted residuals: right if either of the two is right.

    predictions : shape (n, n_arms), the reward expected from every arm, learnt without the unit's own reward.

    References
    ----------
    Dudik, Langford and Li (2011), ICML, Doubly robust policy evaluation and learning.
    """
    expected = np.asarray(predictions, dtype=np.float64)
    if expected.shape != log.propensities.shape or not np.isfinite(expected).all():
        raise ValueError(f"predictions are finite numbers of the shape {log.propensities.shape}")
    target = _target(log, policy)
    own = np.take_along_axis(expected, log.arm[:, None], axis=1)[:, 0]
    scores = (target * expected).sum(axis=1) + np.minimum(_weights(log, target), clip) * (log.reward - own)
    return _value("doubly_robust", scores, overlap(log, policy, clip=clip), log, alpha)


def _target(log: Log, policy: ArrayLike) -> Floats:
    chances = np.asarray(policy, dtype=np.float64)
    if chances.shape not in {(len(log.arms),), log.propensities.shape} or not are_chances(chances):
        raise ValueError(f"a policy is chances of {len(log.arms)} arms that add up to 1, for all units or for each")
    return np.broadcast_to(chances, log.propensities.shape)


def are_chances(chances: Floats) -> bool:
    """Whether the last axis holds chances: none below 0, adding up to 1."""
    return bool((chances >= 0).all() and (np.abs(chances.sum(axis=-1) - 1) < _SAME).all())


def _weights(log: Log, target: Floats) -> Floats:
    return np.asarray(np.take_along_axis(target, log.arm[:, None], axis=1)[:, 0] / log.logged)


def _error(scores: Floats, log: Log) -> tuple[float | None, float]:
    """Return the standard error of a mean of scores and its degrees of freedom; None with fewer than two units."""
    off = scores - scores.mean() if len(scores) else scores
    sums = off if log.unit is None else np.bincount(log.unit, weights=off)[np.unique(log.unit)]
    units = len(sums)
    if units < 2:
        return None, 0.0
    return sqrt(float((sums**2).sum()) * units / (units - 1)) / len(scores), units - 1.0


def _value(method: str, scores: Floats, found: Overlap, log: Log, alpha: float) -> PolicyValue:
    error, degrees = _error(scores, log)
    if error is None:
        what = "decisions" if log.unit is None else "units"
        return PolicyValue(method=method, overlap=found, reason=f"fewer than two {what} in the log")
    if found.unsupported > 0:
        share = f"{100 * found.unsupported:.3g} %"
        told = f"for {share} of its decisions the policy would give what the log never gave there"
        return PolicyValue(method=method, overlap=found, reason=told)
    if found.effective_n < FEWEST:
        told = f"the log holds {found.effective_n:.3g} effective decisions for this policy; {FEWEST} are needed"
        return PolicyValue(method=method, overlap=found, reason=told)
    if not isfinite(error):
        return PolicyValue(method=method, overlap=found, reason="the numbers are too large to be added up")
    value, critical = float(scores.mean()), critical_value(alpha, degrees)
    gain, gain_error = value - float(log.reward.mean()), _error(scores - log.reward, log)[0] or 0.0
    least = _SAME * abs(value)  # below it is rounding, not spread
    return PolicyValue(
        method=method,
        value=value,
        lower=value - critical * error if error > least else None,
        upper=value + critical * error if error > least else None,
        standard_error=error,
        gain=gain,
        gain_lower=gain - critical * gain_error if gain_error > least else None,
        gain_upper=gain + critical * gain_error if gain_error > least else None,
        overlap=found,
        reason=None if error > least else "every decision says the same, so there is no spread to judge by",
    )
