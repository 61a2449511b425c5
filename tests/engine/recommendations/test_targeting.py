"""Places among the highest scores are shared where scores are equal, and nothing depends on the order of rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.recommendations import targeting


def test_customers_of_equal_score_share_the_last_places() -> None:
    # two places: .9 has one, and three of .5 have a third each of the other
    assert targeting.first(np.array([0.5, 0.9, 0.5, 0.1, 0.5]), 2) == pytest.approx([1 / 3, 1, 1 / 3, 0, 1 / 3])


def test_nobody_named_or_nobody_bought_leaves_shares_undefined() -> None:
    nobody = targeting.reach(np.zeros(3), np.array([True, False, False]))
    assert np.isnan([nobody.precision, nobody.lift]).all()
    assert nobody.recall == 0.0
    unsold = targeting.reach(np.ones(3), np.zeros(3, dtype=bool))
    assert np.isnan([unsold.recall, unsold.lift]).all()
    assert unsold.precision == 0.0
    assert np.isnan(targeting.reach(np.zeros(0), np.zeros(0, dtype=bool)).error_rate)


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="1 scores that are no numbers"):
        targeting.first(np.array([1.0, np.nan]), 1)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20), st.integers(0, 25), st.randoms())
def test_all_places_are_given_and_the_order_of_rows_does_not_matter(scores: list[int], places: int, random) -> None:
    order = list(range(len(scores)))
    random.shuffle(order)
    values = np.array(scores, dtype=float)
    given_places = targeting.first(values, places)
    assert given_places.sum() == pytest.approx(min(places, len(scores)))
    assert targeting.first(values[order], places) == pytest.approx(given_places[order])
    # who scores higher never has less of a place
    assert (np.diff(given_places[np.argsort(-values)]) <= 1e-12).all()
