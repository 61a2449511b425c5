"""What must hold for any scores and values."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.config.load import load
from engine.config.segments import SegmentSettings
from engine.segments import rfm, value

VALUE = load(SegmentSettings, "segments").value
numbers = st.one_of(st.just(float("nan")), st.floats(-1e9, 1e9), st.integers(0, 3).map(float))
customers = st.lists(st.tuples(numbers, st.booleans()), min_size=1, max_size=80)


@given(customers)
def test_whoever_has_more_scores_no_lower_and_equals_score_equal(rows: list[tuple[float, bool]]) -> None:
    values, active = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    scores = rfm.fifths(values, active)
    scored = scores > 0
    assert (scored == (active & ~np.isnan(values))).all()
    order = np.argsort(values[scored], kind="stable")
    assert (np.diff(scores[scored][order]) >= 0).all()
    for number in set(values[scored].tolist()):
        assert len(set(scores[scored & (values == number)].tolist())) == 1


@given(customers, st.randoms(use_true_random=False))
def test_scores_go_with_the_customer_in_any_order(rows: list[tuple[float, bool]], random: object) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    values, active = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    assert (rfm.fifths(values, active)[order] == rfm.fifths(values[order], active[order])).all()


@given(st.lists(st.integers(-3, 50).map(float), min_size=1, max_size=80))
def test_a_better_tier_never_holds_a_lower_value(values: list[float]) -> None:
    worth = np.array(values)
    tiers = value.tiers(worth, VALUE)
    for better, worse in zip(range(4), range(1, 5), strict=True):
        above, below = worth[tiers == better], worth[tiers >= worse]
        assert not len(above) or not len(below) or above.min() > below.max()
