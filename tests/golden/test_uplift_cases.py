"""Worked cases of uplift: published values of the areas, and what they are where scores are equal."""

from __future__ import annotations

import numpy as np
import pytest

from engine.recommendations import uplift_metrics
from engine.recommendations.frame import Flags, Floats


def _case(outcome: list[float], scores: list[float], treated: list[int]) -> tuple[Floats, Flags, Floats]:
    return np.array(outcome, dtype=float), np.array(treated, dtype=bool), np.array(scores, dtype=float)


@pytest.mark.parametrize(
    ("outcome", "treated", "expected"),
    [
        # treated yes first: (1 - 0) x 1 = 1, then (1 - 1) x 2 = 0: area 1, the best there is
        ([1, 1], [0, 1], 1.0),
        # untreated yes first: (0 - 1) x 1 = -1, then 0: area -1 where the best is 1
        ([1, 1], [1, 0], -1.0),
        # untreated yes first: -1, then (0 - 1) x 2 = -2: the straight line itself
        ([0, 1], [1, 0], 0.0),
        # treated no first: 0, then -2: area -1 beside the line's -2, the best there is
        ([1, 0], [0, 1], 1.0),
    ],
)
def test_area_under_the_uplift_curve_of_two_customers(
    outcome: list[float], treated: list[int], expected: float
) -> None:
    assert uplift_metrics.uplift_auc(*_case(outcome, [0.1, 0.3], treated)).value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("outcome", "scores", "treated", "expected"),
    [
        ([1, 1], [0.1, 0.3], [0, 1], 1.0),
        ([1, 1], [0.1, 0.3], [1, 0], 0.0),
        ([0, 1], [0.1, 0.3], [1, 0], 1.0),
        ([1, 0], [0.1, 0.3], [0, 1], 1.0),
        # amounts: untreated 2 first, 0 - 0; then treated 1 - 2 x 1/1 = -1; then 1 - 2 x 1/2 = 0: area -1, the line's 0;
        # the best has the treated 1 first: 1, 1, 0, area 2
        ([0, 1, 2], [0.1, 0.3, 0.9], [0, 1, 0], -0.5),
        # treated 2 first: 2; then 2 - 1 x 1/1 = 1; then 2 - 1 x 2/1 = 0: area 3. The best has both treated first:
        # 2, 2, 0, area 4
        ([0, 1, 2], [0.1, 0.3, 0.9], [1, 0, 1], 0.75),
    ],
)
def test_qini_of_two_and_three_customers(
    outcome: list[float], scores: list[float], treated: list[int], expected: float
) -> None:
    assert uplift_metrics.qini(*_case(outcome, scores, treated)).value == pytest.approx(expected)


_OUTCOME = [0, 0, 0, 0, 1, 0, 0, 1, 1, 1]
_SCORES = [0.0, 0.1, 0.2, 0.3, 0.4] * 2
_TREATED = [0] * 5 + [1] * 5


def _as_reported(shift: list[float]) -> float:
    """Return Qini as causalml sums it: the mean height over the straight line, both divided by the whole gain."""
    outcome, treated, scores = _case(_OUTCOME, _SCORES, _TREATED)
    curve = uplift_metrics.qini_curve(outcome, treated, scores + np.repeat([0.0, 1.0], 5) * np.tile(shift, 2))
    line = np.linspace(0, 1, len(_OUTCOME) + 1)
    heights = np.interp(np.arange(len(line)), curve.at, curve.gain / curve.gain[-1])
    return float((heights - line).sum() / len(line))


def test_qini_reported_for_five_pairs_of_equal_scores_is_that_of_one_order_within_the_pairs() -> None:
    # gains after each pair: 1 - 1, 2 - 1, 3 - 1, 2, 2. A customer of a pair alone lies off the line between them,
    # above or below it: .088636 comes out where the treated go first in the second and third pair alone
    assert _as_reported([-1e-3, -1e-3, 1e-3, 1e-3, -1e-3]) == pytest.approx(0.088636, abs=1e-6)
    # with the untreated first everywhere it would be .1038, with the treated first from the second pair on .0417
    assert _as_reported([-1e-3] * 5) == pytest.approx(0.103788, abs=1e-6)
    assert _as_reported([1e-3, 1e-3, 1e-3, 1e-3, -1e-3]) == pytest.approx(0.041667, abs=1e-6)
    # equal scores as one group, heights 0, 0, 0, .25, .5, .75, 1, 1, 1, 1, 1: (6.5 - 5.5) / 11
    assert _as_reported([0.0] * 5) == pytest.approx(1 / 11)


def test_curve_and_coefficient_of_the_five_pairs() -> None:
    outcome, treated, scores = _case(_OUTCOME, _SCORES, _TREATED)
    curve = uplift_metrics.qini_curve(outcome, treated, scores)
    assert curve.at.tolist() == [0, 2, 4, 6, 8, 10]
    assert curve.gain.tolist() == [0, 0, 1, 2, 2, 2]
    # area 0 + 1 + 3 + 4 + 4 = 12, under the line 10. Best: three treated yes rise to 3 by the third customer, two
    # treated and four untreated of no stay at 3 to the ninth, and the untreated yes ends at 2: 4.5 + 18 + 2.5 - 10 = 15
    assert curve.area_over_random == pytest.approx(2.0)
    # (six of outcome no are one group, so that the best has points at 3, 9 and 10)
    assert uplift_metrics.qini(outcome, treated, scores).value == pytest.approx(2 / 15)


def test_uplift_of_the_first_three_of_the_five_pairs() -> None:
    # 30 % of 10: the first pair and half of each of the second: treated (1 + .5 x 1) / 1.5, untreated (1 + 0) / 1.5
    found = uplift_metrics.uplift_of_first(*_case(_OUTCOME, _SCORES, _TREATED), share=0.3)
    assert found.value == pytest.approx(1.0 - 1 / 1.5)
