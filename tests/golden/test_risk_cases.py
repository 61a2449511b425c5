"""Worked cases of credit scoring: inputs, expected numbers and the hand calculation side by side."""

from __future__ import annotations

import json
from math import log

import numpy as np
import pyarrow as pa
import pytest

from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.risk import binning, metrics, scorecard, tiers
from engine.risk.attributes import Attributes
from engine.risk.binning import Bins
from engine.risk.scorecard import Scorecard, default_probability
from engine.risk.scorer import Audit, Scorer

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


def test_reasons_are_the_points_lost_against_the_best_and_a_missing_value_has_its_own_word() -> None:
    # factor 28.853901. debt .5, -.5, missing -.3 loses 0, 28.85, 23.08; age .4, -.4 loses 0, 23.08; jobs 0, 20.20
    card = _scorecard(debt=((0.5, -0.5), -0.3), age=((0.4, -0.4), 0.0), jobs=((0.1, -0.6), 0.0))
    scorer = Scorer(card)
    assert scorer.one({"debt": 1, "age": 1, "jobs": 1}).reasons == ("debt", "age", "jobs")
    assert scorer.one({"debt": None, "age": 0, "jobs": 1}).reasons == ("debt_missing", "jobs")
    assert scorer.one({"debt": 0, "age": 0, "jobs": 0}).reasons == ()
    assert Scorer(card, most=1).one({"debt": 1, "age": 1, "jobs": 1}).reasons == ("debt",)
    # age is never a reason, however much it costs
    assert Scorer(card, never=("age",)).one({"debt": 0, "age": 1, "jobs": 1}).reasons == ("jobs",)


def test_whoever_is_below_the_stated_points_has_a_reason() -> None:
    card = _scorecard(debt=((0.5, -0.5), -0.3), age=((0.4, -0.4), 0.0), jobs=((0.1, -0.6), 0.0))
    scorer = Scorer(card, never=("age",))
    # the worst without a reason: best debt and job, worst age
    worst = scorer.one({"debt": 0, "age": 1, "jobs": 0})
    assert worst.reasons == ()
    assert scorer.reasons.unexplained == worst.points
    everybody = [{"debt": d, "age": a, "jobs": j} for d in (0, 1, None) for a in (0, 1) for j in (0, 1)]
    assert all(scorer.one(who).reasons for who in everybody if scorer.one(who).points < scorer.reasons.unexplained)


def test_contributions_of_all_characteristics_are_the_score() -> None:
    card = _scorecard(debt=((0.5, -0.5), -0.3), age=((0.4, -0.4), 0.0), jobs=((0.1, -0.6), 0.0))
    scorer = Scorer(card)
    answer = scorer.one({"debt": 1, "age": 0, "jobs": 1})
    # 1.0 - .5 + .4 - .6 = .3 log-odds; 487.122876 + 28.853901 x .3 = 495.779046
    assert sum(scorer.contributions(answer).values()) == pytest.approx(495.779046, abs=1e-6)
    assert sum(scorer.contributions(answer).values()) == pytest.approx(card.offset + card.factor * 0.3, abs=1e-9)


def test_what_is_missing_unseen_or_infinite_scores_and_is_told() -> None:
    draw = np.random.default_rng(3)
    debt, work = draw.random(2_000), draw.choice(["farm", "shop"], 2_000)
    bad = draw.random(2_000) < 0.1 + 0.4 * debt + 0.2 * (work == "farm")
    columns = {"debt": pa.chunked_array([debt]), "work": pa.chunked_array([work])}
    scorer = Scorer(scorecard.fit(columns, bad, SETTINGS.binning, SETTINGS.scaling))
    odd = {
        "debt": pa.chunked_array([pa.array([np.nan, None, np.inf, -np.inf, 0.5], pa.float64(), from_pandas=False)]),
        "work": pa.chunked_array([["farm", None, "mine", "shop", "shop"]]),
    }
    block = scorer.block(odd, 5)
    assert np.isfinite(block.log_odds).all()
    assert block.audit == Audit(rows=5, missing={"debt": 2, "work": 1}, unknown={"work": 1}, infinite={"debt": 2})
    # an infinite debt is a high one
    assert block.log_odds[2] < block.log_odds[3]
    answer = scorer.one({"debt": float("nan"), "work": "mine"})
    assert (answer.missing, answer.unknown) == (("debt",), ("work",))


def test_the_same_customer_scorecard_and_settings_give_the_same_bytes() -> None:
    draw = np.random.default_rng(3)
    debt = draw.random(2_000)
    bad = draw.random(2_000) < 0.1 + 0.4 * debt
    columns = {"debt": pa.chunked_array([debt])}
    cards = [scorecard.fit(columns, bad, SETTINGS.binning, SETTINGS.scaling).to_json() for _ in range(2)]
    assert cards[0] == cards[1]
    replays = [json.dumps(Scorer(Scorecard.from_json(card)).one({"debt": 0.7}).to_dict()) for card in cards]
    assert replays[0] == replays[1]


def _scorecard(**characteristics: tuple[tuple[float, float], float]) -> Scorecard:
    """Two bins each, up to 0 and above, and the missing: what each adds to the log-odds."""
    attributes = tuple(
        Attributes(
            bins=Bins(
                name=name,
                kind="number",
                edges=(0.0,),
                goods=(9, 9, 9),
                bads=(1, 1, 1),
                evidence=(*adds, missing),
                information=(0.0, 0.0, 0.0),
            ),
            log_odds=(*adds, missing),
        )
        for name, (adds, missing) in characteristics.items()
    )
    return Scorecard(attributes=attributes, intercept=1.0, scaling=SETTINGS.scaling)


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
