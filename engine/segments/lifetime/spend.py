"""How much a purchase is worth: gamma-gamma by maximum likelihood.

The amounts of one customer vary around his own mean, gamma distributed (shape p); the means vary over customers
(shape q, scale gamma). What a customer is expected to spend lies between his own mean and everybody's, the nearer to
his own the more purchases he has made.

References
----------
Fader and Hardie (2013), The gamma-gamma model of monetary value: the likelihood is their equation 1a, the expected
mean their equation 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln

from engine.config.lifetime import LifetimeSettings
from engine.domain.errors import NotEnoughData

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendModel:
    """Three parameters, `gamma` in the unit of the amounts; `correlation` is that of repeats with their mean amount.

    The model takes them for independent; where they are not, frequent buyers are worth more or less than it says.
    """

    p: float
    q: float
    gamma: float
    log_likelihood: float = float("nan")
    customers: int = 0
    correlation: float = float("nan")
    at_limit: bool = False

    def expected(self, repeats: Floats, repeat_spend: Floats) -> Floats:
        """Return what a purchase of each customer is expected to be; without repeats, the mean over customers."""
        known = np.where(repeats > 0, np.nan_to_num(repeat_spend) * repeats, 0.0)
        mean: Floats = self.p * (self.gamma + known) / (self.p * repeats + self.q - 1)
        return mean


def log_likelihood(parameters: Floats, repeats: Floats, repeat_spend: Floats) -> Floats:
    """Return the logarithm of the likelihood of each mean of one or more amounts; `parameters` are p, q, gamma."""
    p, q, gamma = parameters
    shape = p * repeats
    return np.asarray(
        gammaln(shape + q)
        - gammaln(shape)
        - gammaln(q)
        + q * np.log(gamma)
        + (shape - 1) * np.log(repeat_spend)
        + shape * np.log(repeats)
        - (shape + q) * np.log(gamma + repeats * repeat_spend),
        dtype=np.float64,
    )


def fit(repeats: Floats, repeat_spend: Floats, settings: LifetimeSettings, seed: int) -> SpendModel:
    """Return the model under which the mean amounts are the likeliest; q stays above 1, so that there is a mean.

    Raises
    ------
    NotEnoughData
        Too few customers with a repeat.
    """
    kept = np.flatnonzero((repeats > 0) & (np.nan_to_num(repeat_spend) > 0))
    if len(kept) < settings.minimum_returning:
        have = f"{len(kept):,} customers with amounts of repeat purchases"
        raise NotEnoughData("model of amounts", have, f"{settings.minimum_returning} or more")
    if len(kept) > settings.sample_customers:
        kept = np.sort(np.random.default_rng([seed, 2]).choice(kept, settings.sample_customers, replace=False))
    counts, means = repeats[kept], repeat_spend[kept]
    unit = float(np.exp(np.log(means).mean()))

    def parameters(logs: Floats) -> Floats:
        p, over, gamma = np.exp(logs)
        return np.array([p, 1 + over, gamma])

    def loss(logs: Floats) -> float:
        return float(-log_likelihood(parameters(logs), counts, means / unit).mean())

    edge = np.log(settings.parameter_limit)
    starts = ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    limits = [(-edge, edge)] * 3
    found = min((minimize(loss, start, method="L-BFGS-B", bounds=limits) for start in starts), key=lambda one: one.fun)
    p, q, gamma = (float(value) for value in parameters(found.x))
    varies = counts.std() > 0 and means.std() > 0
    return SpendModel(
        p=p,
        q=q,
        gamma=gamma * unit,
        log_likelihood=float(-found.fun * len(kept) - len(kept) * np.log(unit)),
        customers=len(kept),
        correlation=float(np.corrcoef(counts, means)[0, 1]) if varies else float("nan"),
        at_limit=bool((np.abs(found.x) > edge - 1e-3).any()),
    )
