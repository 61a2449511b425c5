"""Implicit ALS and item neighbours behind one adapter that repairs what the library gets wrong for a bank.

The library's own `recommend` pads short lists with products already held, orders customers without holdings at random
or names none, returns as many products too many as were filtered, takes a matrix whose rows belong to other customers,
lets a negative number of a customer count from the end, takes zeros that are stored for holdings, and loops over
customers in Python. Here the library only learns. Holdings are truth values in the order of the products learned,
scores come of one matrix product over the different sets of holdings, and `top` names what may be named and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import ItemItemRecommender, bm25_weight
from scipy.sparse import csr_matrix, issparse
from threadpoolctl import threadpool_limits

from engine.config.recommendations import CandidateSettings
from engine.recommendations.candidates import Terms, holding_names, popularity_of_holdings
from engine.recommendations.frame import Flags, Floats, Integers, View
from engine.recommendations.linear import exact_sums, exact_weights, weighted_sums

_TIE_BREAK: Final = 1e-6
_ROWS: Final = 8192
# below this finding equal sets of holdings takes longer than it saves
_FEW: Final = 64
NOBODY: Final = -1
"""The place of a product where there is none left to name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Als:
    """Products as factors (P, f); a customer's own factors are solved from the holdings at scoring time."""

    kind: ClassVar[str] = "als"
    factors: Floats
    regularization: float
    alpha: float
    popularity: Floats

    @property
    def term_names(self) -> tuple[str, ...]:
        """No term."""
        return ()

    def scores(self, view: View) -> Floats:
        """Return the scores of all products; who holds nothing gets the order of popularity."""
        return by_pattern(_aligned(view.owned, len(self.factors)), self._score)

    def _score(self, owned: Flags) -> Floats:
        customers = np.concatenate(
            [self.fold_in(owned[start : start + _ROWS]) for start in range(0, len(owned), _ROWS)]
            or [np.zeros((0, self.factors.shape[1]))]
        )
        return weighted_sums(customers, self.factors.T) + _TIE_BREAK * self.popularity

    def fold_in(self, owned: Flags) -> Floats:
        """Return the factors (n, f) of customers with these holdings; zeros for those who hold nothing."""
        width = self.factors.shape[1]
        gram = weighted_sums(self.factors.T.copy(), self.factors) + self.regularization * np.eye(width)
        left = np.tile(gram, (len(owned), 1, 1))
        right = np.zeros((len(owned), width))
        for held, factor in enumerate(self.factors):
            # alpha is the confidence of a holding: alpha - 1 more than an empty cell, as in the library
            left[owned[:, held]] += (self.alpha - 1) * factor[:, None] * factor
            right[owned[:, held]] += self.alpha * factor
        return np.asarray(np.linalg.solve(left, right[:, :, None])[:, :, 0], dtype=np.float64)

    def terms(self, view: View) -> Terms | None:
        """Return None: factors have no meaning that could be told."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemKnn:
    """How alike each two products are by who holds them, weighted by BM25; `similarity` is (held, scored)."""

    kind: ClassVar[str] = "item_knn"
    product_ids: tuple[str, ...]
    similarity: Floats
    popularity: Floats

    @property
    def term_names(self) -> tuple[str, ...]:
        """One term for each product held."""
        return holding_names(self.product_ids)

    def scores(self, view: View) -> Floats:
        """Return the similarities to the holdings summed; who holds nothing gets the order of popularity."""
        owned = _aligned(view.owned, len(self.similarity))
        return exact_sums(owned.astype(np.float64), self.similarity) + _TIE_BREAK * self.popularity

    def terms(self, view: View) -> Terms | None:
        """Return the similarity that each holding adds."""
        return Terms(values=view.owned.astype(np.float64), weights=self.similarity, names=self.term_names)


def fit_als(owned: Flags, settings: CandidateSettings, seed: int) -> Als:
    """Factorise the holdings (customers x products); the same factors for the same holdings and seed."""
    with threadpool_limits(1):
        model = AlternatingLeastSquares(
            factors=min(settings.als_factors, max(1, owned.shape[1] // 3)),
            regularization=settings.als_regularization,
            alpha=settings.als_alpha,
            iterations=settings.als_iterations,
            num_threads=1,
            random_state=seed % 2**31,
            dtype=np.float64,
        )
        model.fit(_holders(owned), show_progress=False)
    return Als(
        factors=np.asarray(model.item_factors, dtype=np.float64),
        regularization=settings.als_regularization,
        alpha=settings.als_alpha,
        popularity=popularity_of_holdings(owned).rates,
    )


def fit_item_knn(owned: Flags, product_ids: tuple[str, ...], settings: CandidateSettings) -> ItemKnn:
    """Weigh the holdings by BM25 and take how alike each two products are; every product is a neighbour."""
    products = owned.shape[1]
    with threadpool_limits(1):
        # the weights are made here, since the library passes itself a format of matrix that it warns of
        weighted = bm25_weight(_holders(owned).T, K1=settings.knn_k1, B=settings.knn_b).T
        model = ItemItemRecommender(K=products, num_threads=1)
        model.fit(csr_matrix(weighted), show_progress=False)
    similarity = np.asarray(model.similarity.toarray(), dtype=np.float64)
    np.fill_diagonal(similarity, 0.0)
    # on one scale whatever the number of customers
    largest = similarity.max(initial=0.0) or 1.0
    return ItemKnn(
        product_ids=product_ids,
        similarity=exact_weights(similarity / largest, largest_term=1.0),
        popularity=popularity_of_holdings(owned).rates,
    )


def _holders(owned: Flags) -> csr_matrix:
    # somebody who holds something, so that a bank without any holding learns that nothing is alike
    held = owned[owned.any(axis=1)] if owned.any() else np.ones((1, owned.shape[1]), dtype=bool)
    return csr_matrix(held.astype(np.float64))


def holdings_of(matrix: Any, products: int) -> Flags:
    """Return any sparse or dense matrix (customers x products) as truth values: held where a number is above zero.

    Raises
    ------
    ValueError
        It has another number of products than the model learned.
    """
    dense = matrix.toarray() if issparse(matrix) else np.asarray(matrix)
    return _aligned(np.asarray(dense > 0, dtype=bool), products)


def _aligned(owned: Flags, products: int) -> Flags:
    if owned.ndim != 2 or owned.shape[1] != products:
        raise ValueError(f"holdings of shape {owned.shape}, learned from {products} products: misaligned")
    return owned


def top(
    model: Als | ItemKnn, owned: Flags, n: int, *, rows: Integers | None = None, allowed: Flags | None = None
) -> tuple[Integers, Floats]:
    """Return the places of the n best products of each customer that are not held, and their scores.

    Parameters
    ----------
    owned : shape (customers, P), in the order of the products that the model learned.
    rows : which of the customers; None for all, in their order.
    allowed : shape of the customers asked for x P; what may be named to each. None: everything that is not held.

    Returns
    -------
    places, scores : shape (customers asked for, n). Where fewer than n are left the place is `NOBODY` and the score
        NaN, so that nothing that is held or not allowed is ever named.

    Raises
    ------
    ValueError
        The holdings are of other products, or `allowed` of other customers.
    IndexError
        A row is negative or beyond the customers.
    """
    products = len(model.popularity)
    owned = _aligned(owned, products)
    if rows is not None:
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(owned):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(owned)} customers")
        owned = owned[rows]
    if allowed is not None and allowed.shape != owned.shape:
        raise ValueError(f"allowed has shape {allowed.shape}, the customers asked for {owned.shape}: misaligned")
    if allowed is None:
        first, place = patterns(owned)
        places, scores = _best(model, owned[first], ~owned[first], n)
        return places[place], scores[place]
    return _best(model, owned, allowed & ~owned, n)


def _best(model: Als | ItemKnn, owned: Flags, may: Flags, n: int) -> tuple[Integers, Floats]:
    nothing = np.zeros((len(owned), 0), dtype=np.float32)
    view = View(owned=owned, x=nothing, group=np.zeros(len(owned), dtype=np.int64))
    left = np.where(may, model.scores(view), -np.inf)
    places = np.full((len(owned), n), NOBODY, dtype=np.int64)
    scores, each = np.full((len(owned), n), np.nan), np.arange(len(owned))
    for order in range(min(n, left.shape[1])):
        best = np.argmax(left, axis=1)
        score = left[each, best]
        named = score > -np.inf
        places[:, order], scores[:, order] = np.where(named, best, NOBODY), np.where(named, score, np.nan)
        left[each, best] = -np.inf
    return places, scores


def patterns(owned: Flags) -> tuple[Integers, Integers]:
    """Return the first customer of each different set of holdings, and for every customer the place of its set."""
    packed = np.packbits(owned, axis=1)
    width = max(8, -(-packed.shape[1] // 8) * 8)
    whole = np.zeros((len(owned), width), dtype=np.uint8)
    whole[:, : packed.shape[1]] = packed
    words = whole.view(np.uint64)
    keys = words[:, 0] if words.shape[1] == 1 else words.view([("", np.uint64)] * words.shape[1])[:, 0]
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    return first, place


def by_pattern(owned: Flags, score: Callable[[Flags], Floats]) -> Floats:
    """Score each different set of holdings once: there are far fewer of them than customers."""
    if len(owned) < _FEW:
        return score(owned)
    first, place = patterns(owned)
    found: Floats = score(owned[first])[place]
    return found
