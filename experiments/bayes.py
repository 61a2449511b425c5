"""The same estimate and standard error, read as odds: the chance that a variant is better, and what a mistake costs.

Estimates are taken as normal, and so is what was believed before. Everything is then in closed form, and nothing here
can disagree with the intervals except through the prior that is stated beside it. Looking daily does not change the
arithmetic, but it does change how often a rule such as "ship above 95 %" is wrong: decisions follow the looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, pi, sqrt
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from engine.domain.errors import NotEnoughData
from experiments.effects import Direction, Effect

LEVEL: Final = 0.95
FEWEST_PAST: Final = 5
"""Past experiments below which their spread says too little to be a prior."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What was believed of the effect before, as a normal distribution; an infinite `sd` is a flat prior.

    source : "flat", "stated" or how many past experiments it was learned from; shown wherever the posterior is.
    """

    mean: float = 0.0
    sd: float = inf
    source: str = "flat"

    def __post_init__(self) -> None:
        if not self.sd > 0 or not isfinite(self.mean):
            raise ValueError(f"prior of mean {self.mean} and sd {self.sd}: expected a finite mean and an sd above 0")


FLAT: Final = Prior()


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """What is believed of the effect now: a normal distribution, in the unit of the estimate.

    chance_to_win : probability that the variant is better than control, in the direction that is good.
    loss_if_shipped, loss_if_kept : what is lost on average by choosing the variant, or control: the size of the effect
        where that choice is the wrong one, and 0 where it is right.
    """

    mean: float
    sd: float
    lower: float
    upper: float
    chance_to_win: float
    loss_if_shipped: float
    loss_if_kept: float
    prior: Prior


def update(
    estimate: float,
    standard_error: float,
    prior: Prior = FLAT,
    *,
    direction: Direction = "increase",
    level: float = LEVEL,
) -> Posterior:
    """Combine an estimate with a prior, each weighted by the inverse of its variance.

    References
    ----------
    Gelman and others (2013), Bayesian Data Analysis, section 2.5; Stucchio (2015) for the expected loss.
    """
    if not standard_error > 0 or not isfinite(standard_error):
        raise ValueError(f"standard error = {standard_error}: expected a finite number above 0")
    belief = 0.0 if prior.sd == inf else prior.sd**-2
    evidence = standard_error**-2
    mean = (evidence * estimate + belief * prior.mean) / (evidence + belief)
    sd = (evidence + belief) ** -0.5
    better = mean if direction == "increase" else -mean
    reach = float(ndtri((1 + level) / 2)) * sd
    return Posterior(
        mean=mean,
        sd=sd,
        lower=mean - reach,
        upper=mean + reach,
        chance_to_win=float(ndtr(better / sd)),
        loss_if_shipped=_shortfall(better, sd),
        loss_if_kept=_shortfall(-better, sd),
        prior=prior,
    )


def posterior(
    effect: Effect,
    prior: Prior = FLAT,
    *,
    relative: bool = False,
    direction: Direction = "increase",
    level: float = LEVEL,
) -> Posterior | None:
    """Return the posterior of an effect, or of the effect as a share of control; None where it cannot be told.

    The relative effect takes its standard error from the delta method: with a prior there is no interval of Fieller's.
    """
    found = relative_estimate(effect) if relative else absolute_estimate(effect)
    return None if found is None else update(*found, prior, direction=direction, level=level)


def absolute_estimate(effect: Effect) -> tuple[float, float] | None:
    """Return the difference and its standard error; None where there is none or no spread."""
    one, other = effect.variant, effect.control
    if effect.difference is None or one is None or other is None:
        return None
    variance = one.variance + other.variance - 2 * effect.covariance
    return (effect.difference, sqrt(variance)) if variance > 0 else None


def relative_estimate(effect: Effect) -> tuple[float, float] | None:
    """Return the difference as a share of the size of control and its standard error by the delta method."""
    one, other = effect.variant, effect.control
    if effect.relative_difference is None or one is None or other is None:
        return None
    share = one.value / other.value
    variance = (one.variance + share**2 * other.variance - 2 * share * effect.covariance) / other.value**2
    return (effect.relative_difference, sqrt(variance)) if variance > 0 else None


def learn_prior(estimates: ArrayLike, standard_errors: ArrayLike) -> Prior:
    """Learn a prior from past experiments of the same metric: how their true effects are spread.

    Parameters
    ----------
    estimates, standard_errors : one per past experiment, shape (n_experiments,), all of them and not only the wins.

    Raises
    ------
    NotEnoughData
        Fewer than five experiments, or they differ by no more than their standard errors explain.

    References
    ----------
    Paule and Mandel (1982), J. Res. Nat. Bureau of Standards 87: the spread at which the weighted squared deviations
    are what they should be.
    """
    found = np.asarray(estimates, dtype=np.float64)
    variances = np.asarray(standard_errors, dtype=np.float64) ** 2
    if found.shape != variances.shape or found.ndim != 1:
        raise ValueError(f"{found.shape} estimates and {variances.shape} standard errors: expected one of each")
    if not (np.isfinite(found).all() and np.isfinite(variances).all() and (variances > 0).all()):
        raise ValueError("estimates must be finite, and standard errors finite and above 0")
    if len(found) < FEWEST_PAST:
        raise NotEnoughData(
            "a prior from past experiments",
            f"{len(found)} experiments",
            f"at least {FEWEST_PAST}, or a prior that is stated",
        )

    def excess(between: float) -> float:
        weights = 1 / (variances + between)
        mean = weights @ found / weights.sum()
        return float(weights @ (found - mean) ** 2) - (len(found) - 1)

    if excess(0.0) <= 0:
        raise NotEnoughData(
            "a prior from past experiments",
            f"{len(found)} experiments that differ by no more than chance",
            "experiments whose effects differ, or a prior that is stated",
        )
    # at n times the sum of squares each of the n terms is below 1 / n, so that the excess is negative
    between = float(brentq(excess, 0.0, len(found) * float(((found - found.mean()) ** 2).sum()), xtol=1e-15))
    weights = 1 / (variances + between)
    return Prior(mean=float(weights @ found / weights.sum()), sd=sqrt(between), source=f"{len(found)} past experiments")


def learn_prior_from(effects: Sequence[Effect], *, relative: bool = True) -> Prior:
    """Learn a prior from the effects of past experiments; those that could not be told are left out."""
    told = [found for one in effects if (found := (relative_estimate if relative else absolute_estimate)(one))]
    return learn_prior([estimate for estimate, _ in told], [error for _, error in told])


def _shortfall(mean: float, sd: float) -> float:
    """Return the expected amount by which a normal variable lies below 0."""
    z = mean / sd
    return max(sd * exp(-(z**2) / 2) / sqrt(2 * pi) - mean * float(ndtr(-z)), 0.0)
