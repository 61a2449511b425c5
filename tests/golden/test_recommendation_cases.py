"""Worked cases of the recommendations, each with its calculation."""

from __future__ import annotations

import numpy as np
import pytest

from engine.recommendations import candidates, metrics, value
from engine.recommendations.frame import View, instalments


def _average_precision(actual: list[int], predicted: list[int], k: int) -> float:
    """Turn lists of numbered items into ranks: items not predicted rank last and are beyond k."""
    items = sorted(set(actual) | set(predicted))
    rank = [predicted.index(item) + 1 if item in predicted else 99 for item in items]
    relevant = [item in actual for item in items]
    return float(metrics.average_precision(np.array([rank]), np.array([relevant]), k)[0])


def test_expected_value_of_a_loan_worked_by_hand() -> None:
    # P .08, margin 300.00, PD .04, LGD .45, exposure 5,000.00, contact 1.20
    loss = value.expected_loss(np.array([0.04]), np.array([0.45]), np.array([500_000.0]))
    assert loss.tolist() == [9_000.0]  # .04 x .45 x 5,000 = 90.00
    worth = value.expected_value(np.array([0.08]), np.array([30_000.0]), loss, np.array([120.0]))
    assert worth.tolist() == [1_560.0]  # .08 x (300 - 90) - 1.20 = 15.60


def test_the_default_probability_at_which_that_loan_is_worth_nothing() -> None:
    # margin 300 - 1.20 / .08 = 285 is what may be lost: 285 / (.45 x 5,000) = .126667
    for probability, sign in ((0.1266, 1.0), (0.1268, -1.0)):
        loss = value.expected_loss(np.array([probability]), np.array([0.45]), np.array([500_000.0]))
        worth = value.expected_value(np.array([0.08]), np.array([30_000.0]), loss, np.array([120.0]))
        assert np.sign(worth[0]) == sign


def test_average_precision_of_the_published_cases() -> None:
    # benhamner/Metrics: ap@2 of [6, 4, ...] against 1 to 5: second place hits: (1/2) / min(2, 5) = .25
    assert _average_precision([1, 2, 3, 4, 5], [6, 4, 7, 1, 2], 2) == 0.25
    three = [_average_precision(actual, [1, 2, 3, 4, 5], 3) for actual in ([1, 3, 4], [1, 2, 4], [1, 3])]
    assert np.mean(three) == pytest.approx(0.685185185185185)


def test_average_precision_divides_by_what_could_be_hit_within_k() -> None:
    # k = 1 and six relevant: first place right is 1, where dividing by all six would say 1/6
    assert _average_precision([1, 2, 3, 4, 5, 6], [1], 1) == 1.0


def test_ease_of_two_products_held_together_once() -> None:
    # G = [[2, 1], [1, 2]], ridge 1: P = inverse of [[3, 1], [1, 3]] = [[3, -1], [-1, 3]] / 8; B = -P / diag = 1/3
    owned = np.array([[1, 1], [1, 0], [0, 1]], dtype=bool)
    assert candidates.ease(owned, ("a", "b"), ridge=1.0).weights == pytest.approx(np.array([[0, 1 / 3], [1 / 3, 0]]))


def test_ease_of_three_products_by_hand() -> None:
    owned = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1], [0, 1, 0]], dtype=bool)
    model = candidates.ease(owned, ("a", "b", "c"), ridge=1.0)
    expected = [[0, 0.5, 0.5], [0.363636, 0, 0], [0.545455, 0, 0]]
    assert model.weights == pytest.approx(np.array(expected), abs=1e-6)
    first_only = View(
        owned=np.array([[True, False, False]]), x=np.zeros((1, 0), np.float32), group=np.zeros(1, np.int64)
    )
    assert model.scores(first_only)[0] == pytest.approx([0, 0.5, 0.5], abs=1e-5)


def test_instalment_of_an_annuity_rounds_up() -> None:
    # 60,000.00 at 8.5 % over 36 months: 6,000,000 x r / (1 - (1 + r)^-36), r = .085 / 12 = 189,405.2...
    assert instalments(*map(np.array, ([6e6], [0.085], [36.0])), 0.05).tolist() == [189_406.0]


def test_instalment_of_a_card_is_a_share_of_its_limit_and_of_a_free_loan_an_equal_part() -> None:
    amounts, rates, terms = np.array([1_500_000.0, 1_200.0]), np.array([0.18, 0.0]), np.array([np.nan, 12.0])
    assert instalments(amounts, rates, terms, 0.05).tolist() == [75_000.0, 100.0]
