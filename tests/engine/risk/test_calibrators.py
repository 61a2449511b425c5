"""Probabilities set right, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.risk import calibrators, metrics
from engine.risk.calibrators import AS_PREDICTED, Calibrator

SETTINGS = load(RiskSettings, "risk")


def _overconfident(rows: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what a model says that doubles the true log-odds, the truth, and which rows went bad."""
    draw = np.random.default_rng(3)
    own = draw.normal(2.0, 1.0, rows)
    true = 1 / (1 + np.exp(own))
    return 1 / (1 + np.exp(2 * own)), true, draw.random(rows) < true


def test_a_sigmoid_halves_log_odds_that_are_twice_too_far_apart() -> None:
    said, true, bad = _overconfident()
    found = calibrators.fit("sigmoid", said, bad)
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.apply(said) == pytest.approx(true, abs=0.02)
    assert calibrators.assess(said, bad).p_value < 1e-6
    after = calibrators.assess(found.apply(said), bad)
    assert (after.slope.value, after.shift.value) == pytest.approx((1.0, 0.0), abs=1e-4)
    assert after.p_value > 0.05


def test_both_methods_say_what_scikit_learn_says() -> None:
    said, _, bad = _overconfident()
    own = calibrators.log_odds(said)[:, None]
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(own, bad).predict_proba(own)[:, 1]
    assert calibrators.fit("sigmoid", said, bad).apply(said) == pytest.approx(theirs, abs=1e-5)
    steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(said, bad)
    asked = np.linspace(0, 1, 501)
    found = Calibrator.from_dict(calibrators.fit("isotonic", said, bad).to_dict())
    assert found.apply(asked) == pytest.approx(steps.predict(asked), abs=1e-12)


def test_separation_and_truth_are_what_scikit_learn_says_with_ties() -> None:
    said, _, bad = _overconfident()
    tied = np.round(said, 2)
    assert metrics.auc(tied, bad).value == pytest.approx(roc_auc_score(bad, tied), abs=1e-12)
    assert metrics.brier(tied, bad) == pytest.approx(brier_score_loss(bad, tied), abs=1e-12)
    observed, predicted = calibration_curve(bad, said, n_bins=8, strategy="quantile")
    lines = calibrators.reliability(said, bad, 8)
    assert [line.level.observed.value for line in lines] == pytest.approx(observed, abs=1e-12)
    assert [line.level.predicted for line in lines] == pytest.approx(predicted, abs=1e-12)


def test_a_model_that_predicts_the_wrong_way_round_is_given_the_observed_rate() -> None:
    said, _, bad = _overconfident()
    found = calibrators.fit("sigmoid", 1 - said, bad)
    # to turn it round would break every direction that the model keeps
    assert found.apply(1 - said) == pytest.approx(np.full(len(bad), bad.mean()))


@pytest.mark.parametrize("outcome", [True, False])
def test_with_one_class_nothing_is_learned_and_nothing_tested(outcome: bool) -> None:
    said, bad = np.array([0.1, 0.2, 0.9]), np.full(3, outcome)
    assert calibrators.fit("sigmoid", said, bad) == AS_PREDICTED
    assert AS_PREDICTED.apply(said) is said
    assert np.isnan(calibrators.assess(said, bad).p_value)


def test_perfect_separation_and_certain_probabilities_stay_finite() -> None:
    said, bad = np.array([0.0, 0.0, 1.0, 1.0]), np.array([False, False, True, True])
    given = calibrators.fit("sigmoid", said, bad).apply(said)
    assert np.isfinite(given).all() and given[0] < 0.01 and given[2] > 0.99


def test_weights_count_rows_as_often_as_they_say() -> None:
    said, _, bad = _overconfident(400)
    twice = np.where(np.arange(400) % 2, 2.0, 1.0)
    often = np.repeat(np.arange(400), twice.astype(int))
    weighed, repeated = (
        calibrators.fit("sigmoid", said, bad, twice),
        calibrators.fit("sigmoid", said[often], bad[often]),
    )
    assert (weighed.slope, weighed.shift) == pytest.approx((repeated.slope, repeated.shift), abs=1e-6)


def test_levels_by_tier_name_every_tier_and_an_empty_one_has_no_rate() -> None:
    said, bad = np.array([0.01, 0.02, 0.05, 0.04]), np.array([False, False, True, False])
    low, medium, high = calibrators.by_tier(said, bad, SETTINGS.tiers)
    assert [line.group for line in (low, medium, high)] == ["low", "medium", "high"]
    assert (low.rows, low.bads, low.level.predicted) == (2, 0, pytest.approx(0.015))
    assert (medium.rows, medium.level.observed.value) == (2, 1 / 2)
    assert high.rows == 0 and np.isnan(high.level.observed.value) and not high.level.is_off
