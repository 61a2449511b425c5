"""What uplift cannot be told of, and laws of its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.recommendations import uplift
from engine.recommendations import uplift_metrics as metrics
from engine.recommendations.uplift import Trial

ROWS = st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.5]), st.booleans(), st.integers(0, 3)), min_size=1, max_size=25)


def _columns(rows: list[tuple[float, bool, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    outcome, treated, scores = zip(*rows, strict=True)
    return np.array(outcome), np.array(treated, dtype=bool), np.array(scores, dtype=float)


@given(ROWS)
def test_qini_curve_is_the_sum_counted_by_hand_after_each_group(rows: list[tuple[float, bool, int]]) -> None:
    curve = metrics.qini_curve(*_columns(rows))
    for at, gain in zip(curve.at[1:], curve.gain[1:], strict=True):
        named = sorted(rows, key=lambda row: -row[2])[: int(at)]
        with_it = [outcome for outcome, treated, _ in named if treated]
        without = [outcome for outcome, treated, _ in named if not treated]
        expected = sum(with_it) - (sum(without) * len(with_it) / len(without) if without else 0.0)
        assert gain == pytest.approx(expected)


@given(ROWS, st.randoms())
def test_no_number_depends_on_the_order_of_rows(rows: list[tuple[float, bool, int]], random: Any) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)
    for measure in (metrics.qini, metrics.uplift_auc, lambda *columns: metrics.uplift_of_first(*columns, share=0.4)):
        one, other = measure(*_columns(rows)), measure(*_columns(shuffled))
        assert one.value == pytest.approx(other.value, nan_ok=True)
        assert one.why == other.why
        assert bool(one.why) == np.isnan(one.value)


@given(ROWS)
def test_one_score_for_all_is_as_good_as_drawing_at_random(rows: list[tuple[float, bool, int]]) -> None:
    outcome, treated, scores = _columns(rows)
    for measure in (metrics.qini, metrics.uplift_auc):
        found = measure(outcome, treated, np.zeros(len(scores)))
        assert found.why or found.value == pytest.approx(0.0, abs=1e-9)


def test_numbers_without_an_answer_say_why() -> None:
    yes, one = np.array([0.0, 1.0, 1.0, 0.0]), np.arange(4.0)
    everybody, some = np.ones(4, dtype=bool), np.array([True, True, False, False])
    assert metrics.qini(yes, everybody, one).why.startswith("everybody was treated, or nobody")
    assert metrics.uplift_auc(yes, ~everybody, one).why.startswith("everybody was treated, or nobody")
    assert metrics.uplift_of_first(yes, some, -one, 0.5).why.startswith("the first customers are all treated")
    for nothing in (metrics.qini, metrics.uplift_auc):
        assert nothing(np.zeros(4), some, one).why.startswith("no order of these customers")
    assert "amounts" in metrics.uplift_auc(yes * 10, some, one).why
    assert metrics.qini(yes * 10, some, one).value == metrics.qini(yes, some, one).value
    with pytest.raises(ValueError, match="1 of 4 scores are no numbers"):
        metrics.qini(yes, some, np.array([1, np.nan, 2, 3]))
    with pytest.raises(ValueError, match="no customers"):
        metrics.qini_curve(yes[:0], some[:0], one[:0])
    with pytest.raises(ValueError, match="share 30: expected above 0"):
        metrics.uplift_of_first(yes, some, one, 30)


def _trial(customers: int, **columns: Any) -> Trial:
    random = np.random.default_rng(4)
    made = {
        "x": random.normal(size=(customers, 2)).astype(np.float32),
        "treated": np.arange(customers) % 2 == 0,
        "outcome": (random.random(customers) < 0.3).astype(float),
    }
    return Trial(**(made | columns))


@pytest.mark.parametrize(
    ("trial", "why"),
    [
        (_trial(1_000, treated=np.ones(1_000, dtype=bool)), "there is no control: everybody was treated"),
        (_trial(1_000, treated=np.zeros(1_000, dtype=bool)), "nobody was treated"),
        (_trial(300), "150 untreated customers, 200 on each side are needed"),
        (_trial(1_000, treated=np.arange(1_000) >= 150), "150 untreated customers, 200 on each side are needed"),
        (_trial(1_000, outcome=np.ones(1_000)), "every customer has the outcome 1"),
        (_trial(1_000, outcome=(np.arange(1_000) == 7) * 1.0), "too few customers have another outcome than the rest"),
        (_trial(1_000, x=np.zeros((1_000, 0), dtype=np.float32)), "nothing is known of the customers that could"),
        (_trial(0), "there is no control: everybody was treated"),
    ],
)
def test_without_a_usable_control_there_is_no_order_but_the_reason(trial: Trial, why: str) -> None:
    found = uplift.evaluate(trial, share=0.3, seed=1)
    assert (found.champion, dict(found.models)) == (None, {})
    assert found.why.startswith(why)


def test_same_seed_gives_the_same_numbers_and_unknown_features_are_taken() -> None:
    trial = _trial(600)
    trial.x[::3, 0] = np.nan
    one, other = (uplift.evaluate(trial, share=0.3, seed=9) for _ in range(2))
    assert one == other
    assert list(one.models) == list(uplift.ORDER)


def test_amounts_have_qini_and_no_area_of_yes_and_no() -> None:
    random = np.random.default_rng(6)
    found = uplift.evaluate(_trial(600, outcome=random.gamma(2.0, 50.0, 600)), share=0.3, seed=1)
    one = found.models["x_learner"]
    assert one.qini.interval.is_defined
    assert np.isnan(one.uplift_auc.value)
    assert found.effect.value in found.effect.interval
