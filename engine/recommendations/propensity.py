"""Next-window propensity: one logistic regression per product on holdings and features.

One per product rather than one softmax with a "nothing" class: a customer may open several products in a window, each
model learns only from those who could still open its product, and rare products can be refused a model of their own
without disturbing the others. Fitted on all openings and a sample of the rest; the level is put right for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from engine.config.recommendations import Training
from engine.recommendations.candidates import Terms, group_popularity, holding_names, rows_of_group
from engine.recommendations.frame import Flags, Floats, Integers, View
from engine.recommendations.linear import TERM_STEP, exact_sums, exact_weights, on_grid
from engine.recommendations.panel import Panel

# beyond this a feature is money or a count with a long tail, and its logarithm is what behaves
_LONG_TAIL = 50.0
# a holding in standard deviations where a tenth of the customers has it, so that the penalty weighs it like a feature
_HOLDING = 3.0
# a group's rate is never taken to be nothing or everything: its log-odds would be infinite
_LEAST_RATE = 1e-6
# a term this large needs so small a weight that the penalty does not hold it back
_UNPENALISED = 100.0
# standard deviations; one extreme customer must not decide by one feature
_CLIP = 6.0
# rows scaled at a time: they stay in the processor's cache
_ROWS = 1024
LARGEST_TERM = max(_CLIP, _HOLDING)
"""No term of a scaled customer is larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How raw features become comparable: logarithm where flagged, centred, scaled, clipped; unknown becomes the mean.

    Terms lie on the grid of `linear.TERM_STEP`, so that sums of them are exact.

    `flag_missing` names the places of the features whose absence is told apart by a term of its own.
    """

    features: tuple[str, ...]
    take_log: Flags
    mean: Floats
    scale: Floats
    flag_missing: tuple[int, ...]

    def apply(self, view: View) -> Floats:
        """Return the terms of the model, shape (n, features + flags of absence + products)."""
        width, flags = len(self.features), len(self.flag_missing)
        terms = np.empty((view.size, width + flags + view.owned.shape[1]))
        for start in range(0, view.size, _ROWS):
            part = slice(start, start + _ROWS)
            self._scale(view.x[part].astype(np.float64), terms[part, :width])
        terms[:, width : width + flags] = np.isnan(view.x[:, list(self.flag_missing)])
        np.multiply(view.owned, _HOLDING, out=terms[:, width + flags :])
        return terms

    def _scale(self, values: Floats, out: Floats) -> None:
        """Write the terms of some customers, whose features are overwritten."""
        unknown = np.isnan(values)
        np.copyto(values, 0.0, where=unknown)
        values[:, self.take_log] = signed_log(values[:, self.take_log])
        values -= self.mean
        values *= 1.0 / self.scale
        np.clip(values, -_CLIP, _CLIP, out=values)
        np.copyto(out, on_grid(values, TERM_STEP))
        np.copyto(out, 0.0, where=unknown)


def signed_log(values: Floats) -> Floats:
    """Return the logarithm of the size with the sign kept: 0 stays 0."""
    logs = np.abs(values)
    np.log1p(logs, out=logs)
    return np.copysign(logs, values, out=logs)


def scaling(view: View, features: tuple[str, ...]) -> Scaling:
    """Learn the scaling of each feature from the customers of a panel."""
    take_log = np.zeros(len(features), dtype=bool)
    mean, scale = np.zeros(len(features)), np.ones(len(features))
    flags = []
    for place in range(len(features)):
        column = view.x[:, place].astype(np.float64)
        known = column[np.isfinite(column)]
        missing = 1 - len(known) / max(len(column), 1)
        if 0.005 < missing < 0.995:
            flags.append(place)
        if len(known) == 0:
            continue
        take_log[place] = bool(np.abs(known).max() > _LONG_TAIL)
        known = signed_log(known) if take_log[place] else known
        mean[place] = known.mean()
        scale[place] = known.std() or 1.0
    return Scaling(features=features, take_log=take_log, mean=mean, scale=scale, flag_missing=tuple(flags))


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    """Log-odds of opening each product: terms times weights (K, P), on top of a level for the customer's group (G, P).

    The level is what wants to bend: demand rises and falls with age, which no single weight can follow. `plain` marks
    the products that opened too rarely for a model: their weights are 0, and the level alone tells.
    """

    kind: ClassVar[str] = "logistic"
    product_ids: tuple[str, ...]
    scaling: Scaling
    weights: Floats
    levels: Floats
    plain: Flags

    @property
    def term_names(self) -> tuple[str, ...]:
        """Features, then flags of absence, which have no name, then holdings."""
        return self.scaling.features + ("",) * len(self.scaling.flag_missing) + holding_names(self.product_ids)

    def scores(self, view: View) -> Floats:
        """Return the probability of opening, shape (n, P)."""
        return self.scores_from(self.terms(view), view)

    def scores_from(self, terms: Terms, view: View) -> Floats:
        """Return the scores of customers whose terms are there already."""
        return chance(exact_sums(terms.values, self.weights) + rows_of_group(self.levels, view.group))

    def terms(self, view: View) -> Terms:
        """Return exactly what the log-odds add to the level of the group."""
        return Terms(values=self.scaling.apply(view), weights=self.weights, names=self.term_names)


def fit(panel: Panel, features: tuple[str, ...], product_ids: tuple[str, ...], rules: Training, seed: int) -> Logistic:
    """Fit the model of each product on the panel; a product with too few openings keeps the level of the group."""
    learned = scaling(panel.view, features)
    terms = learned.apply(panel.view)
    rates = group_popularity(panel.view.group, panel.labels, panel.eligible, rules.group_prior).rates
    levels = _log_odds(np.clip(rates, _LEAST_RATE, 1 - _LEAST_RATE))
    weights, plain = np.zeros((terms.shape[1], len(product_ids))), np.zeros(len(product_ids), dtype=bool)
    with threadpool_limits(1):
        for product in range(len(product_ids)):
            could = np.flatnonzero(panel.eligible[:, product])
            opened = panel.labels[could, product]
            plain[product] = opened.sum() < rules.min_positives or opened.all()
            if not plain[product]:
                rows, correction = _sampled(could, opened, rules, np.random.default_rng([seed, 92, product]))
                level = levels[panel.view.group[rows], product]
                weights[:, product], slope, intercept = _fit_one(
                    terms[rows], level, panel.labels[rows, product], rules.ridge
                )
                levels[:, product] = slope * levels[:, product] + intercept + correction
    return Logistic(
        product_ids=product_ids,
        scaling=learned,
        weights=exact_weights(weights, LARGEST_TERM),
        levels=levels,
        plain=plain,
    )


def _sampled(could: Integers, opened: Flags, rules: Training, random: np.random.Generator) -> tuple[Integers, float]:
    """Return all who opened, a sample of those who did not, and what the sampling takes off the intercept.

    References
    ----------
    Prentice and Pyke (1979), Logistic disease incidence models and case-control studies.
    """
    yes, no = could[opened], could[~opened]
    kept = np.sort(random.choice(no, size=min(len(no), rules.negatives), replace=False))
    return np.concatenate([yes, kept]), float(np.log(len(kept) / len(no)))


def _fit_one(terms: Floats, level: Floats, opened: Flags, ridge: float) -> tuple[Floats, float, float]:
    """Return the weights of the terms, the slope on the level and the intercept; only the weights are penalised."""
    model = LogisticRegression(C=1 / ridge, solver="newton-cholesky", max_iter=50, tol=1e-5)
    model.fit(np.column_stack([terms, level * _UNPENALISED]), opened)
    weights = model.coef_[0]
    return weights[:-1], float(weights[-1] * _UNPENALISED), float(model.intercept_[0])


def chance(log_odds: Floats) -> Floats:
    """Return the probability that belongs to log-odds."""
    share: Floats = 1.0 / (1.0 + np.exp(-log_odds))
    return share


def _log_odds(rates: Floats) -> Floats:
    odds: Floats = np.log(rates / (1 - rates))
    return odds
