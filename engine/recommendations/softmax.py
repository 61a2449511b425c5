"""One softmax over all products: which one comes next, or none, from holdings and profile in a single model.

Each customer chooses among what they could open (a conditional logit: what is held is no choice), so that rare
products borrow from the rest and the probabilities of one customer add up. Where a product is known to be missing the
choice is among products alone; in a window there is the further choice of opening nothing, which is the origin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from engine.config.recommendations import Training
from engine.recommendations.candidates import Terms, group_popularity, holding_names, rows_of_group
from engine.recommendations.frame import Flags, Floats, Integers, View
from engine.recommendations.linear import exact_sums, exact_weights
from engine.recommendations.panel import Panel
from engine.recommendations.propensity import LARGEST_TERM, Scaling, scaling

# a rate is never taken to be nothing or everything: its logarithm would be infinite
_LEAST_RATE: Final = 1e-6
# the levels start at the rates of the group; this holds them there unless the data say otherwise
_LEVEL_RIDGE: Final = 0.1
_ITERATIONS: Final = 60
# relative gain of a step below which it is not worth another
_ENOUGH: Final = 1e-5
_NOTHING: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax:
    """Log-odds of each product: terms times weights (K, P), on top of a level for the customer's group (G, P).

    `certain` says that one product is known to be missing, so that opening nothing is no choice.
    """

    kind: ClassVar[str] = "softmax"
    product_ids: tuple[str, ...]
    scaling: Scaling
    weights: Floats
    levels: Floats
    certain: bool

    @property
    def term_names(self) -> tuple[str, ...]:
        """Features, then flags of absence, which have no name, then holdings."""
        return self.scaling.features + ("",) * len(self.scaling.flag_missing) + holding_names(self.product_ids)

    def scores(self, view: View) -> Floats:
        """Return the probability of each product among those not held, shape (n, P)."""
        return self.scores_from(self.terms(view), view)

    def scores_from(self, terms: Terms, view: View) -> Floats:
        """Return the scores of customers whose terms are there already."""
        odds = exact_sums(terms.values, self.weights)
        odds += rows_of_group(self.levels, view.group)
        odds -= _log_total(odds, ~view.owned, certain=self.certain)[:, None]
        found: Floats = np.exp(odds, out=odds)
        return np.minimum(found, 1.0, out=found)

    def terms(self, view: View) -> Terms:
        """Return exactly what the log-odds add to the level of the group."""
        return Terms(values=self.scaling.apply(view), weights=self.weights, names=self.term_names)


def _log_total(odds: Floats, choices: Flags, *, certain: bool) -> Floats:
    """Return the logarithm of the sum over what may be chosen, added up product by product in their order."""
    masked = np.where(choices, odds, -np.inf)
    highest = masked.max(axis=1, initial=-np.inf if certain else 0.0)
    highest = np.where(np.isfinite(highest), highest, 0.0)
    masked -= highest[:, None]
    np.exp(masked, out=masked)
    masked[:, 0] += 0.0 if certain else np.exp(-highest)
    total = np.add.accumulate(masked, axis=1)[:, -1]
    # who holds everything has nothing to choose; any finite number will do
    logs: Floats = highest + np.log(np.where(total > 0, total, 1.0))
    return logs


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choices:
    """Rows to learn from: what each may choose, `offset` the level, and the product chosen, _NOTHING for none."""

    terms: Floats
    may: Flags
    offset: Floats
    chosen: Integers
    weights: Floats
    certain: bool


def fit(
    learn: Panel, check: Panel, features: tuple[str, ...], product_ids: tuple[str, ...], *, rules: Training, seed: int
) -> Softmax:
    """Fit the model; the strengths of the penalty that tell the customers of `check` best are kept.

    Holdings come first and alone, then the features are let in as far as they help. At last the model learns from all.
    """
    learned = scaling(learn.view, features)
    levels = _levels(learn, rules.group_prior)
    rows, told = (_choices(part, learned, levels, rules.negatives, seed) for part in (learn, check))
    held = np.arange(rows.terms.shape[1]) >= rows.terms.shape[1] - len(product_ids)
    parameters = np.zeros((len(held) + 1, len(product_ids)))
    with threadpool_limits(1):
        least = _loss(parameters, told, 0.0)[0]
        penalty = np.full(len(held), np.inf)  # nothing was learned yet
        for part in (held, ~held):
            # from the strongest penalty to the weakest, each from where the one before ended
            for ridge in sorted(rules.softmax_ridges, reverse=True) if part.any() else ():
                tried = np.where(part, ridge, penalty)
                found = _minimum(rows, parameters, tried)
                loss = _loss(found, told, 0.0)[0]
                if loss >= least:
                    break
                least, parameters, penalty = loss, found, tried
        parameters = _minimum(_joined(rows, told), parameters, penalty)
    return Softmax(
        product_ids=product_ids,
        scaling=learned,
        weights=exact_weights(parameters[:-1], LARGEST_TERM),
        levels=levels + parameters[-1] + _correction(learn, check, rules.negatives),
        certain=learn.certain,
    )


def _levels(panel: Panel, prior: float) -> Floats:
    rates = group_popularity(panel.view.group, panel.labels, panel.eligible, prior).rates
    rates = np.clip(rates, _LEAST_RATE, 1 - _LEAST_RATE)
    levels: Floats = np.log(rates) if panel.certain else np.log(rates / (1 - rates))
    return levels


def _choices(panel: Panel, learned: Scaling, levels: Floats, negatives: int, seed: int) -> _Choices:
    """Return a row for each opening and, where nothing is a choice, a sample of those who opened nothing."""
    row, product = np.nonzero(panel.labels & panel.eligible)
    if not panel.certain:
        none = np.flatnonzero(_opened_nothing(panel))
        kept = np.sort(np.random.default_rng([seed, 96]).permutation(none)[:negatives])
        row = np.concatenate([row, kept])
        product = np.concatenate([product, np.full(len(kept), _NOTHING)])
    return _Choices(
        terms=learned.apply(panel.view.rows(row)),
        may=panel.eligible[row],
        offset=rows_of_group(levels, panel.view.group[row]),
        chosen=product,
        weights=panel.row_weights[row],
        certain=panel.certain,
    )


def _opened_nothing(panel: Panel) -> Flags:
    nothing: Flags = ~np.any(panel.labels & panel.eligible, axis=1)
    return nothing


def _correction(learn: Panel, check: Panel, negatives: int) -> float:
    """Return what learning from a sample of those who opened nothing takes off the levels.

    References
    ----------
    Manski and Lerman (1977), The estimation of choice probabilities from choice based samples.
    """
    if learn.certain:
        return 0.0
    counts = [int(_opened_nothing(part).sum()) for part in (learn, check)]
    kept = sum(min(count, negatives) for count in counts)
    return float(np.log(max(kept, 1) / max(sum(counts), 1)))


def _joined(rows: _Choices, others: _Choices) -> _Choices:
    return _Choices(
        terms=np.concatenate([rows.terms, others.terms]),
        may=np.concatenate([rows.may, others.may]),
        offset=np.concatenate([rows.offset, others.offset]),
        chosen=np.concatenate([rows.chosen, others.chosen]),
        weights=np.concatenate([rows.weights, others.weights]),
        certain=rows.certain,
    )


def _minimum(rows: _Choices, start: Floats, penalty: Floats) -> Floats:
    """Return the parameters of the least loss, from `start`; where the penalty (K,) is infinite weights stay 0."""
    free = np.append(np.isfinite(penalty), True)
    part = replace(rows, terms=rows.terms[:, free[:-1]]) if not free.all() else rows
    ridges, shape = penalty[free[:-1]][:, None], (int(free.sum()), start.shape[1])
    found = minimize(
        lambda flat: _flat_loss(flat.reshape(shape), part, ridges),
        start[free].ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ITERATIONS, "maxcor": 10, "ftol": _ENOUGH},
    )
    whole = np.zeros_like(start)
    whole[free] = np.asarray(found.x, dtype=np.float64).reshape(shape)
    return whole


def _flat_loss(parameters: Floats, rows: _Choices, ridge: Floats) -> tuple[float, Floats]:
    loss, gradient = _loss(parameters, rows, ridge)
    return loss, gradient.ravel()


def _loss(parameters: Floats, rows: _Choices, ridge: Floats | float) -> tuple[float, Floats]:
    """Return the penalised negative log-likelihood and its gradient; the last row of parameters shifts the levels."""
    weights, shift = parameters[:-1], parameters[-1]
    odds = rows.terms @ weights + shift + rows.offset
    odds[~rows.may] = -np.inf
    highest = odds.max(axis=1, initial=-np.inf if rows.certain else 0.0)
    np.exp(odds - highest[:, None], out=odds)
    total = odds.sum(axis=1) + (0.0 if rows.certain else np.exp(-highest))
    odds /= total[:, None]  # now probabilities
    opened = np.flatnonzero(rows.chosen >= 0)
    chance = np.exp(-highest) / total
    chance[opened] = odds[opened, rows.chosen[opened]]
    odds[opened, rows.chosen[opened]] -= 1.0
    odds *= rows.weights[:, None]
    penalty = np.concatenate([ridge * weights, _LEVEL_RIDGE * shift[None, :]])
    loss = -float(rows.weights @ np.log(np.maximum(chance, 1e-300))) + 0.5 * float((penalty * parameters).sum())
    gradient = np.concatenate([rows.terms.T @ odds, odds.sum(axis=0)[None, :]]) + penalty
    return loss, gradient
