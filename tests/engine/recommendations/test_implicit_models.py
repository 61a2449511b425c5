"""The adapter around implicit: each test is the opposite of what the library does when it is asked directly."""

from __future__ import annotations

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender
from scipy.sparse import coo_array, csc_matrix, csr_array, csr_matrix

from engine.recommendations import implicit_models
from engine.recommendations.candidates import popularity_of_holdings
from engine.recommendations.implicit_models import NOBODY, Als, ItemKnn, holdings_of, top
from tests.engine.recommendations import builders

SETTINGS = builders.settings().candidates
PRODUCTS = tuple("abcdefghi")


def _owned(seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).random((400, 9)) < np.linspace(0.1, 0.5, 9)


def _model(kind: str, owned: np.ndarray) -> Als | ItemKnn:
    if kind == "als":
        return implicit_models.fit_als(owned, SETTINGS, 1)
    return implicit_models.fit_item_knn(owned, PRODUCTS, SETTINGS)


both = pytest.mark.parametrize("kind", ["als", "item_knn"])


@both
def test_asked_for_more_than_is_left_it_names_what_is_left_and_nobody_beyond(kind: str) -> None:
    owned = np.ones((1, 9), dtype=bool)
    owned[0, [2, 6]] = False
    places, scores = top(_model(kind, _owned()), owned, 7)
    # two of nine are not held: the library pads the other five places with products that are
    assert sorted(places[0, :2].tolist()) == [2, 6]
    assert places[0, 2:].tolist() == [NOBODY] * 5
    assert np.isnan(scores[0, 2:]).all()


@both
def test_who_holds_nothing_is_named_the_most_popular(kind: str) -> None:
    owned = _owned()
    places, _ = top(_model(kind, owned), np.zeros((1, 9), dtype=bool), 3)
    assert places[0].tolist() == np.argsort(-popularity_of_holdings(owned).rates)[:3].tolist()


@both
def test_filters_are_by_customer_and_leave_exactly_as_many_as_asked_for(kind: str) -> None:
    owned = _owned()[:2]
    allowed = np.ones_like(owned)
    allowed[0, :4] = False
    places, _ = top(_model(kind, _owned()), owned, 3, allowed=allowed)
    free = [set(np.flatnonzero(~owned[row] & allowed[row])) for row in (0, 1)]
    assert all(set(places[row]) <= free[row] and len(set(places[row])) == 3 for row in (0, 1))


@both
def test_a_list_of_what_may_be_named_never_brings_back_what_is_held(kind: str) -> None:
    owned = _owned()[:50]
    only = np.zeros_like(owned)
    only[:, :5] = True
    places, _ = top(_model(kind, _owned()), owned, 4, allowed=only)
    named = places >= 0
    assert not owned[np.nonzero(named)[0], places[named]].any()
    assert (places[named] < 5).all()
    assert (named.sum(axis=1) == np.minimum(4, (~owned[:, :5]).sum(axis=1))).all()


@both
def test_rows_of_other_customers_are_refused(kind: str) -> None:
    model, owned = _model(kind, _owned()), _owned()
    with pytest.raises(ValueError, match="misaligned"):
        top(model, owned[:, :8], 3)
    with pytest.raises(ValueError, match="misaligned"):
        top(model, owned, 3, allowed=np.ones((10, 9), dtype=bool))
    for wrong in ([-1], [400]):
        with pytest.raises(IndexError):
            top(model, owned, 3, rows=np.array(wrong))


@both
def test_rows_asked_for_get_what_they_get_among_all(kind: str) -> None:
    model, owned = _model(kind, _owned()), _owned()
    every, chosen = top(model, owned, 4), np.array([7, 3, 399])
    some = top(model, owned, 4, rows=chosen)
    for one, other in zip(some, every, strict=True):
        assert np.array_equal(one, other[chosen], equal_nan=True)


def test_any_format_of_matrix_is_read_and_stored_zeros_are_no_holdings() -> None:
    owned = _owned()
    for made in (csr_matrix, csr_array, coo_array, csc_matrix, np.asarray):
        for kind in (bool, np.int64, np.uint8, np.float64):
            assert np.array_equal(holdings_of(made(owned.astype(kind)), 9), owned)
    stored = csr_matrix((np.array([1.0, 0.0]), (np.array([0, 0]), np.array([1, 2]))), shape=(1, 9))
    assert stored.nnz == 2
    assert np.flatnonzero(holdings_of(stored, 9)).tolist() == [1]


def test_als_names_what_the_library_names_where_no_trap_bites() -> None:
    owned = _owned()
    model = implicit_models.fit_als(owned, SETTINGS, 5)
    library = AlternatingLeastSquares(
        factors=model.factors.shape[1],
        regularization=model.regularization,
        alpha=model.alpha,
        num_threads=1,
        dtype=np.float64,
    )
    library.item_factors, library.user_factors = model.factors, model.fold_in(owned)
    # holders of something with three products left
    plain = np.flatnonzero((owned.sum(axis=1) > 0) & ((~owned).sum(axis=1) >= 3))
    theirs, scores = library.recommend(plain, csr_matrix(owned[plain].astype(float)), N=3)
    ours, own_scores = top(model, owned, 3, rows=plain)
    assert np.array_equal(ours, theirs)
    # ours carry a millionth of the popularity, to order what is equal
    assert own_scores == pytest.approx(scores, abs=2e-6)


def test_item_neighbours_name_what_the_library_names_where_no_trap_bites() -> None:
    owned = _owned()
    library = BM25Recommender(K=9, K1=SETTINGS.knn_k1, B=SETTINGS.knn_b, num_threads=1)
    with pytest.warns(match="CSR"):
        library.fit(csr_matrix(owned.astype(float)), show_progress=False)
    plain = np.flatnonzero((owned.sum(axis=1) > 0) & ((~owned).sum(axis=1) >= 3))
    theirs, _ = library.recommend(plain, csr_matrix(owned[plain].astype(float)), N=3)
    ours, _ = top(_model("item_knn", owned), owned, 3, rows=plain)
    assert np.array_equal(ours, theirs)


def test_learning_that_nothing_goes_together_still_ranks_by_popularity() -> None:
    owned = np.eye(9, dtype=bool)[np.repeat(np.arange(9), np.arange(1, 10))]
    places, _ = top(_model("item_knn", owned), np.zeros((1, 9), dtype=bool), 2)
    assert places[0].tolist() == [8, 7]
    nothing = implicit_models.fit_item_knn(np.zeros((5, 9), dtype=bool), PRODUCTS, SETTINGS)
    assert top(nothing, np.zeros((1, 9), dtype=bool), 1)[0].shape == (1, 1)


def test_more_than_64_products_are_told_apart_by_their_whole_row() -> None:
    owned = np.random.default_rng(2).random((300, 130)) < 0.02
    first, place = implicit_models.patterns(owned)
    assert np.array_equal(owned[first][place], owned)
    assert len(first) == len(np.unique(owned, axis=0))
