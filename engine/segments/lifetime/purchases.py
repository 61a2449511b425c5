"""How many purchases are still to come: BG/NBD by maximum likelihood.

While alive a customer buys at random at his own rate, which over customers is gamma distributed (shape r, scale
1 / alpha); after each purchase he leaves for good with his own probability, which is beta distributed (a, b). Then the
number of repeats x, the time of the last t_x and the time observed T say all that counts of a customer.

References
----------
Fader, Hardie and Lee (2005), "Counting your customers" the easy way, Marketing Science 24(2): the likelihood is their
equation 6, the expected number their equations 9 and 10.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1

from engine.config.lifetime import LifetimeSettings
from engine.domain.errors import NotEnoughData
from engine.segments.lifetime.histories import Histories

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseModel:
    """The four parameters, time in days; `log_likelihood` is the sum over the customers that it was learned from."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float = float("nan")
    customers: int = 0
    at_limit: bool = False

    def expected(self, seen: Histories, days: float) -> Floats:
        """Return the purchases expected of each customer in the next `days` days, given his history."""
        return expected(self, seen.repeats, seen.until_last_days, seen.age_days, days)

    def alive(self, seen: Histories) -> Floats:
        """Return the probability that each customer has not left; 1 without repeats, as the model has it."""
        return alive(self, seen.repeats, seen.until_last_days, seen.age_days)


def log_likelihood(parameters: Floats, repeats: Floats, until_last: Floats, age: Floats) -> Floats:
    """Return the logarithm of the likelihood of each history; `parameters` are r, alpha, a, b."""
    r, alpha, a, b = parameters
    common = gammaln(r + repeats) - gammaln(r) + r * np.log(alpha)
    stays = betaln(a, b + repeats) - betaln(a, b) - (r + repeats) * np.log(alpha + age)
    before = np.maximum(repeats, 1.0) - 1.0
    leaves = betaln(a + 1, b + before) - betaln(a, b) - (r + repeats) * np.log(alpha + until_last)
    both = np.logaddexp(stays, leaves)
    return np.asarray(common + np.where(repeats > 0, both, stays), dtype=np.float64)


def alive(model: PurchaseModel, repeats: Floats, until_last: Floats, age: Floats) -> Floats:
    """Return the probability of still being a customer, by x, t_x and T."""
    return 1 / (1 + _odds_of_gone(model, repeats, until_last, age))


def expected(model: PurchaseModel, repeats: Floats, until_last: Floats, age: Floats, days: float) -> Floats:
    """Return the purchases expected within `days` after the end, by x, t_x and T.

    The hypergeometric function is turned by Euler's formula, so that its parameters stay small however large x is;
    where a is 1 the formula is 0 / 0, and the mean of both sides of it is taken.
    """
    if abs(model.a - 1) < 1e-5:
        below, above = (replace(model, a=1 + step) for step in (-1e-4, 1e-4))
        sides = expected(below, repeats, until_last, age, days), expected(above, repeats, until_last, age, days)
        return (sides[0] + sides[1]) / 2
    a, shape, seen = model.a, model.r + repeats, model.alpha + age
    total = a + model.b + repeats - 1
    share = days / (seen + days)
    with np.errstate(over="ignore", invalid="ignore"):
        curve = (1 - share) ** (a - 1) * hyp2f1(a + model.b - 1 - model.r, a - 1, total, share)
        unconditional = total / (a - 1) * (1 - curve)
    # an a of several hundred is beyond the function, and then nearly everybody leaves with the same chance
    chance = a / (total + 1)
    alike = -np.expm1(-shape * np.log1p(chance * days / seen)) / chance
    still = np.where(np.isfinite(unconditional), np.maximum(unconditional, 0.0), alike)
    return np.asarray(still * alive(model, repeats, until_last, age), dtype=np.float64)


def _odds_of_gone(model: PurchaseModel, repeats: Floats, until_last: Floats, age: Floats) -> Floats:
    exponent = (model.r + repeats) * (np.log(model.alpha + age) - np.log(model.alpha + until_last))
    odds = model.a / (model.b + np.maximum(repeats, 1.0) - 1.0) * np.exp(np.minimum(exponent, 700.0))
    return np.where(repeats > 0, odds, 0.0)


def fit(seen: Histories, settings: LifetimeSettings, seed: int) -> PurchaseModel:
    """Return the model under which the histories are the likeliest; of many customers a sample is learned from.

    Raises
    ------
    NotEnoughData
        Too few customers, or too few who bought on more than one day: nothing tells how often they come again.
    """
    returning = int((seen.repeats > 0).sum())
    if len(seen) < settings.minimum_customers or returning < settings.minimum_returning:
        have = f"{len(seen):,} customers, {returning:,} of them bought on more than one day"
        need = f"{settings.minimum_customers} or more, {settings.minimum_returning} of them on more than one day"
        raise NotEnoughData("model of repeat purchases", have, need)
    kept = np.arange(len(seen))
    if len(kept) > settings.sample_customers:
        kept = np.sort(np.random.default_rng([seed, 1]).choice(kept, settings.sample_customers, replace=False))
    facts = np.column_stack([seen.repeats, seen.until_last_days, seen.age_days])[kept]
    # customers who share a history share its likelihood: most have bought once, on one of few days
    distinct, counts = np.unique(facts, axis=0, return_counts=True)
    span = float(max(distinct[:, 2].mean(), 1.0))
    columns = distinct[:, 0], distinct[:, 1] / span, distinct[:, 2] / span

    def loss(logs: Floats) -> float:
        return float(-(counts @ log_likelihood(np.exp(logs), *columns)) / len(facts))

    bound = settings.parameter_limit
    limits = [(-np.log(bound), np.log(bound))] * 4
    starts = ((0.0, 0.0, 0.0, 1.0), (-1.0, -1.0, -1.0, 1.0), (1.0, 1.0, -2.0, 0.0))
    found = min((minimize(loss, start, method="L-BFGS-B", bounds=limits) for start in starts), key=lambda one: one.fun)
    r, alpha, a, b = (float(value) for value in np.exp(found.x))
    return PurchaseModel(
        r=r,
        alpha=alpha * span,
        a=a,
        b=b,
        # the time was measured in spans: a density of x repeats is larger by span to the x in days
        log_likelihood=float(-found.fun * len(facts) - np.log(span) * (counts @ distinct[:, 0])),
        customers=len(facts),
        at_limit=bool((np.abs(found.x) > np.log(bound) - 1e-3).any()),
    )
