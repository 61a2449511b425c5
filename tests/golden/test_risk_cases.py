"""Worked cases of credit scoring: inputs, expected numbers and the hand calculation side by side."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.risk import binning, metrics, tiers
from engine.risk.binning import Bins
from engine.risk.scorecard import Attributes, Scorecard, default_probability

SETTINGS = load(RiskSettings, "risk")


def test_weight_of_evidence_and_information_value_of_three_bins() -> None:
    # shares of goods .4 .35 .25, of bads .2 .3 .5: ln(.4/.2) = .693147, (.4 - .2) x .693147 = .138629
    evidence, information = binning.weigh(np.array([400.0, 350, 250]), np.array([20.0, 30, 50]), smoothing_bads=0)
    assert evidence == pytest.approx([0.693147, 0.154151, -0.693147], abs=1e-6)
    assert information == pytest.approx([0.138629, 0.007708, 0.173287], abs=1e-6)
    assert information.sum() == pytest.approx(0.319624, abs=1e-6)


SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.55, 0.5, 0.4, 0.3, 0.2, 0.1])
BAD = np.array([1, 1, 0, 1, 0, 1, 0, 0, 0, 0], dtype=bool)


def test_separation_of_ten_scored_rows() -> None:
    # pairs won by a bad: .9 6, .8 6, .6 5, .5 4 of 6 each = 21 of 24
    assert metrics.auc(SCORES, BAD).value == pytest.approx(21 / 24)
    assert metrics.gini(metrics.auc(SCORES, BAD)).value == pytest.approx(0.75)
    # from .5 up: all 4 bads and 2 of 6 goods
    assert metrics.ks(SCORES, BAD) == pytest.approx(4 / 4 - 2 / 6)
    assert metrics.brier(SCORES, BAD) == pytest.approx(0.15525)
    # both of the riskiest 2 are bad, against 4 of 10
    assert metrics.lift(SCORES, BAD, 0.2) == pytest.approx(1.0 / 0.4)


def test_equal_scores_separate_nothing_in_any_order_of_rows() -> None:
    equal = np.full(4, 0.5)
    for bad in ([1, 0, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]):
        outcome = np.array(bad, dtype=bool)
        assert metrics.auc(equal, outcome).value == 0.5
        assert metrics.gini(metrics.auc(equal, outcome)).value == 0.0
        assert metrics.ks(equal, outcome) == 0.0
        assert metrics.lift(equal, outcome, 0.5) == 1.0


@pytest.mark.parametrize("outcome", [True, False])
def test_one_class_only_has_no_separation(outcome: bool) -> None:
    bad = np.full(4, outcome)
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    assert np.isnan(metrics.auc(scores, bad).value)
    assert np.isnan(metrics.gini(metrics.auc(scores, bad)).value)
    assert np.isnan(metrics.ks(scores, bad))


@pytest.mark.parametrize(
    ("probability", "points"),
    [
        (0.01, 619.71),
        (0.02, 599.417),
        (1 / 51, 600.0),
        (0.05, 572.081),
        (0.10, 550.521),
        (0.20, 527.123),
        (0.5, 487.123),
    ],
)
def test_600_points_at_50_to_1_and_20_to_double(probability: float, points: float) -> None:
    card = _scorecard_of_one((0.0, 0.0), intercept=log((1 - probability) / probability))
    assert card.factor == pytest.approx(28.853901, abs=1e-6)
    assert card.offset == pytest.approx(487.122876, abs=1e-6)
    assert card.points()[0][0] == pytest.approx(points, abs=1e-3)


def test_660_points_are_odds_of_400() -> None:
    card = _scorecard_of_one((0.0, 0.0), intercept=log(400))
    assert card.points()[0][0] == pytest.approx(660)
    assert default_probability(np.array([log(400)]))[0] == pytest.approx(0.00249377, abs=1e-8)


def test_points_of_an_attribute_are_rounded_by_half_a_point_at_most() -> None:
    card = _scorecard_of_one((0.31, -0.72), intercept=2.3)
    assert np.abs(card.points()[0] - card.whole_points()[0]).max() <= 0.5


def test_expected_loss_of_two_percent_on_ten_thousand() -> None:
    # .02 x .45 x 10,000.00 = 90.00
    assert tiers.expected_loss(np.array([0.02]), np.array([0.45 * 1_000_000]))[0] == 9_000
    # .015 x .40 x 5,000,000 = 30,000
    assert tiers.expected_loss(np.array([0.015]), np.array([0.40 * 500_000_000]))[0] == 3_000_000


def test_population_stability_of_three_bins_and_of_deciles() -> None:
    assert metrics.population_stability(np.array([0.4, 0.3, 0.3]), np.array([0.35, 0.25, 0.40])) == pytest.approx(
        0.044561, abs=1e-6
    )
    moved = np.array([0.05, 0.07, 0.08, 0.10, 0.10, 0.10, 0.10, 0.12, 0.13, 0.15])
    assert metrics.population_stability(np.full(10, 0.1), moved) == pytest.approx(0.081611, abs=1e-6)


def test_population_stability_with_an_empty_bin_is_infinite_unless_a_floor_is_named() -> None:
    expected, actual = np.array([0.5, 0.5, 0.0]), np.array([0.4, 0.4, 0.2])
    assert metrics.population_stability(expected, actual) == np.inf
    assert metrics.population_stability(expected, actual, floor=1e-4) == pytest.approx(1.564049, abs=1e-6)


def test_the_stability_that_chance_alone_passes_depends_on_the_rows() -> None:
    # chi-square 95 % with 9 degrees of freedom 16.919, times 1/200 + 1/200
    assert metrics.stability_limit(200, 200, 10) == pytest.approx(0.1692, abs=1e-4)
    assert metrics.stability_limit(10_000, 10_000, 10) == pytest.approx(0.00338, abs=1e-5)


def test_delong_interval_of_the_ten_scored_rows() -> None:
    # placements of bads 1 1 5/6 4/6: variance .0254630; of goods (.7 2/4, .55 3/4, four of 1): .0437500
    # standard error sqrt(.0254630/4 + .0437500/6) = .116865
    area = metrics.auc(SCORES, BAD)
    assert area.lower == pytest.approx(0.875 - 1.959964 * 0.116865, abs=1e-5)
    assert area.upper == 1.0


def _scorecard_of_one(evidence: tuple[float, float], intercept: float) -> Scorecard:
    bins = Bins(
        name="x",
        kind="number",
        goods=(1, 1),
        bads=(1, 1),
        evidence=evidence,
        information=(0.0, 0.0),
    )
    return Scorecard(
        attributes=(Attributes(bins=bins, log_odds=evidence),), intercept=intercept, scaling=SETTINGS.scaling
    )
