"""Simple rankers that always run in the race: popularity, popularity by group, pair rules, EASE.

Each gives `scores(view)`, shape (n, P), higher is better; what is already held is not masked here. The scores are
no probabilities before they are calibrated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.recommendations.frame import Flags, Floats, View
from engine.recommendations.linear import exact_sums, exact_weights

# small enough to order only what the model itself leaves equal, such as customers who hold nothing yet
_TIE_BREAK = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A score as a sum: `values` (n, K) times `weights` (K, P); `names` says what each term is.

    A name `holds:<product_id>` is a holding, any other is a feature; an empty name is never given as a reason.
    """

    values: Floats
    weights: Floats
    names: tuple[str, ...]


class Ranker(Protocol):
    """What ranks P products for n customers."""

    kind: ClassVar[str]

    @property
    def term_names(self) -> tuple[str, ...]:
        """The names of the terms, known before any customer is seen."""

    def scores(self, view: View) -> Floats:
        """Return the score of each product for each customer, shape (n, P)."""

    def terms(self, view: View) -> Terms | None:
        """Return what the scores are the sum of, or None where the ranker cannot say."""


ScoresFrom: TypeAlias = Callable[[Terms, View], Floats]
"""What a ranker has as `scores_from` whose scores follow from its terms, so that these are worked out but once."""


def scored(ranker: Ranker, view: View) -> tuple[Floats, Terms | None]:
    """Return the scores and what they are the sum of."""
    terms = ranker.terms(view)
    # asked by name: a protocol asked for at run time takes longer than the scores of one customer
    scores_from: ScoresFrom | None = getattr(ranker, "scores_from", None)
    if terms is not None and scores_from is not None:
        return scores_from(terms, view), terms
    return ranker.scores(view), terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Popularity:
    """The same order for everybody: by the share of customers who opened, or hold, each product."""

    kind: ClassVar[str] = "popularity"
    rates: Floats

    @property
    def term_names(self) -> tuple[str, ...]:
        """No term."""
        return ()

    def scores(self, view: View) -> Floats:
        """Return the same rates for every customer."""
        return np.tile(self.rates, (view.size, 1))

    def terms(self, view: View) -> Terms | None:
        """Return None: nothing about the customer enters."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPopularity:
    """The order of the customer's own group; row g of `rates` belongs to group code g, row 0 to no group."""

    kind: ClassVar[str] = "segment_popularity"
    rates: Floats

    @property
    def term_names(self) -> tuple[str, ...]:
        """No term."""
        return ()

    def scores(self, view: View) -> Floats:
        """Return the rates of each customer's group; a group never seen before counts as none."""
        return rows_of_group(self.rates, view.group)

    def terms(self, view: View) -> Terms | None:
        """Return None: only the group enters."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRules:
    """The most confident rule among those that the customer's holdings set off; `confidence` is (has, takes)."""

    kind: ClassVar[str] = "pair_rules"
    product_ids: tuple[str, ...]
    confidence: Floats
    popularity: Floats

    @property
    def term_names(self) -> tuple[str, ...]:
        """One term for each product held."""
        return holding_names(self.product_ids)

    def scores(self, view: View) -> Floats:
        """Return the highest confidence of any rule from what is held; without a rule, by popularity."""
        best = np.zeros((view.size, len(self.confidence)))
        for held, row in enumerate(self.confidence):
            np.maximum(best, np.where(view.owned[:, held, None], row, 0.0), out=best)
        return best + _TIE_BREAK * self.popularity

    def terms(self, view: View) -> Terms | None:
        """Return the rules: the largest term is the one that made the score."""
        return Terms(values=view.owned.astype(np.float64), weights=self.confidence, names=self.term_names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ease:
    """A linear model of each holding on the others, in closed form (Steck 2019); `weights` is (held, scored)."""

    kind: ClassVar[str] = "ease"
    product_ids: tuple[str, ...]
    weights: Floats
    popularity: Floats

    @property
    def term_names(self) -> tuple[str, ...]:
        """One term for each product held."""
        return holding_names(self.product_ids)

    def scores(self, view: View) -> Floats:
        """Return the weights of the holdings summed; who holds nothing gets the order of popularity."""
        return exact_sums(view.owned.astype(np.float64), self.weights) + _TIE_BREAK * self.popularity

    def terms(self, view: View) -> Terms | None:
        """Return the weight that each holding adds."""
        return Terms(values=view.owned.astype(np.float64), weights=self.weights, names=self.term_names)


def rows_of_group(table: Floats, group: NDArray[np.int64]) -> Floats:
    """Return each customer's row of a table by group; a group beyond the table is row 0, no group."""
    known = (group >= 0) & (group < len(table))
    rows: Floats = table[np.where(known, group, 0)]
    return rows


@lru_cache(maxsize=64)
def holding_names(product_ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the terms that stand for holdings."""
    return tuple(f"holds:{product}" for product in product_ids)


def popularity(labels: Flags, eligible: Flags) -> Popularity:
    """Learn the share of customers who opened each product among those who could; 0 where nobody could."""
    return Popularity(rates=_rates(labels, eligible))


def popularity_of_holdings(owned: Flags) -> Popularity:
    """Learn the share of customers who hold each product; used where no openings are known."""
    return Popularity(rates=_rates(owned, np.ones_like(owned)))


def group_popularity(group: NDArray[np.int64], labels: Flags, eligible: Flags, prior: float) -> GroupPopularity:
    """Learn each group's rates, drawn towards the overall ones as if `prior` more customers had followed those."""
    overall = _rates(labels, eligible)
    groups = int(group.max(initial=0)) + 1
    taken, could = np.zeros((groups, labels.shape[1])), np.zeros((groups, labels.shape[1]))
    for code in range(1, groups):
        rows = group == code
        taken[code], could[code] = (labels & eligible)[rows].sum(axis=0), eligible[rows].sum(axis=0)
    return GroupPopularity(rates=(taken + prior * overall) / (could + prior))


def pairs_held(owned: Flags) -> Floats:
    """Count the customers who hold each two products, shape (P, P); the diagonal counts who holds each one."""
    counts = np.zeros((owned.shape[1], owned.shape[1]), dtype=np.int64)
    for held in range(owned.shape[1]):
        counts[held] = owned[owned[:, held]].sum(axis=0)
    return counts.astype(np.float64)


def pair_rules(owned: Flags, product_ids: tuple[str, ...]) -> PairRules:
    """Return the rule of every pair of products, however rare: of those who hold the first, who hold the second."""
    counts = pairs_held(owned)
    confidence = counts / np.maximum(np.diag(counts), 1.0)[:, None]
    np.fill_diagonal(confidence, 0.0)
    return PairRules(product_ids=product_ids, confidence=confidence, popularity=popularity_of_holdings(owned).rates)


def ease(owned: Flags, product_ids: tuple[str, ...], ridge: float) -> Ease:
    """Fit EASE on the holdings: one inverse of a P x P matrix.

    References
    ----------
    Steck (2019), Embarrassingly Shallow Autoencoders for Sparse Data.
    """
    gram = pairs_held(owned)
    inverse = np.linalg.inv(gram + ridge * np.eye(len(gram)))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return Ease(
        product_ids=product_ids,
        weights=exact_weights(weights, largest_term=1.0),
        popularity=popularity_of_holdings(owned).rates,
    )


def _rates(counted: Flags, among: Flags) -> Floats:
    could = among.sum(axis=0)
    rates: Floats = np.where(could > 0, (counted & among).sum(axis=0) / np.maximum(could, 1), 0.0)
    return rates
