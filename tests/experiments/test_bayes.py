"""The Bayesian twin: chances and losses in closed form, priors that are stated or learned."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import NotEnoughData
from experiments import bayes, effects
from experiments.bayes import Prior
from experiments.effects import Effect
from experiments.moments import Moments

ESTIMATES = st.floats(-5, 5)
ERRORS = st.floats(0.05, 5)
NOTHING = Effect(method="welch", reason="fewer than two customers in a group")


@given(estimate=ESTIMATES, error=ERRORS)
def test_flat_prior_says_what_the_interval_says(estimate: float, error: float) -> None:
    found = bayes.update(estimate, error)
    assert (found.mean, found.sd) == pytest.approx((estimate, error))
    assert (found.lower, found.upper) == pytest.approx(
        (estimate - 1.959963984540054 * error, estimate + 1.959963984540054 * error)
    )


@given(estimate=ESTIMATES, error=ERRORS, mean=ESTIMATES, sd=ERRORS)
def test_posterior_lies_between_prior_and_estimate_and_is_surer_than_both(
    estimate: float, error: float, mean: float, sd: float
) -> None:
    found = bayes.update(estimate, error, Prior(mean=mean, sd=sd, source="stated"))
    assert min(estimate, mean) - 1e-9 <= found.mean <= max(estimate, mean) + 1e-9
    assert found.sd < min(error, sd)


@given(estimate=ESTIMATES, error=ERRORS)
def test_losses_differ_by_the_effect_and_turn_with_the_direction(estimate: float, error: float) -> None:
    found = bayes.update(estimate, error)
    # shipping loses max(-d, 0) and keeping max(d, 0), whose difference is d
    assert found.loss_if_kept - found.loss_if_shipped == pytest.approx(estimate, abs=1e-9)
    assert found.loss_if_shipped >= 0 and found.loss_if_kept >= 0
    turned = bayes.update(estimate, error, direction="decrease")
    assert turned.chance_to_win == pytest.approx(1 - found.chance_to_win, abs=1e-12)
    assert turned.loss_if_shipped == pytest.approx(found.loss_if_kept)


def test_chance_and_loss_agree_with_draws() -> None:
    found = bayes.update(0.3, 0.5, Prior(mean=0.0, sd=0.4, source="stated"))
    drawn = np.random.default_rng(3).normal(found.mean, found.sd, 400_000)
    assert found.chance_to_win == pytest.approx((drawn > 0).mean(), abs=0.003)
    assert found.loss_if_shipped == pytest.approx(np.maximum(-drawn, 0).mean(), abs=0.001)
    assert found.loss_if_kept == pytest.approx(np.maximum(drawn, 0).mean(), abs=0.001)


def test_chance_to_win_of_a_flat_prior_is_one_minus_the_one_sided_p_value() -> None:
    effect = effects.proportions(Moments.of_count(130, 1000), Moments.of_count(100, 1000))
    found = bayes.posterior(effect)
    assert found is not None and effect.p_value is not None
    assert found.chance_to_win == pytest.approx(1 - effect.p_value / 2)


def test_loss_far_from_nought_is_not_negative() -> None:
    assert bayes.update(40.0, 1.0).loss_if_shipped == pytest.approx(0.0, abs=1e-300)


def test_relative_posterior_of_a_falling_metric_keeps_its_sign() -> None:
    """Control is -10: 0.5 above it is 5 % of its size better."""
    effect = effects.means(Moments.of(10, -95, 911.5), Moments.of(10, -100, 1002.25))
    found = bayes.posterior(effect, relative=True)
    assert found is not None and found.mean == pytest.approx(0.05)
    # variances of the means 1 / 10 and .25 / 10 (by hand: 911.5 - 902.5 = 9, 1002.25 - 1000 = 2.25, over 9)
    assert found.sd == pytest.approx(sqrt(0.1 + 0.95**2 * 0.025) / 10)


def test_effect_that_cannot_be_told_has_no_posterior() -> None:
    assert bayes.posterior(NOTHING) is None
    assert bayes.posterior(NOTHING, relative=True) is None
    nobody = effects.proportions(Moments.of_count(0, 100), Moments.of_count(0, 100))
    assert bayes.posterior(nobody) is None


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 0.0), (0.0, -1.0), (inf, 1.0)])
def test_prior_without_a_spread_is_refused(mean: float, sd: float) -> None:
    with pytest.raises(ValueError, match="an sd above 0"):
        Prior(mean=mean, sd=sd)


@pytest.mark.parametrize("error", [0.0, -1.0, inf])
def test_estimate_without_a_standard_error_is_refused(error: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        bayes.update(1.0, error)


def test_prior_learned_from_past_experiments_is_their_spread() -> None:
    """400 past experiments with true effects N(.01, .02) measured with standard errors of .01 to .05."""
    rng = np.random.default_rng(8)
    errors = rng.uniform(0.01, 0.05, 400)
    found = bayes.learn_prior(rng.normal(rng.normal(0.01, 0.02, 400), errors), errors)
    # standard errors of about .0018 and .0017
    assert found.mean == pytest.approx(0.01, abs=0.005)
    assert found.sd == pytest.approx(0.02, abs=0.005)
    assert found.source == "400 past experiments"


def test_learned_prior_solves_the_equation_by_hand() -> None:
    # equal variances v: sum of squares / (v + tau^2) = n - 1, so tau^2 = s^2 - v: here 2.5 - .25
    found = bayes.learn_prior([1, 2, 3, 4, 5], [0.5] * 5)
    assert (found.mean, found.sd) == pytest.approx((3.0, sqrt(2.5 - 0.25)))


def test_learned_prior_makes_the_claims_of_new_experiments_true() -> None:
    """Of new experiments with a chance of 80 to 90 % to win, about 85 % win; with a flat prior far fewer do."""
    rng = np.random.default_rng(9)
    truth, error = rng.normal(0.0, 0.02, 20_000), 0.02
    seen = rng.normal(truth, error)
    prior = bayes.learn_prior(seen[:2_000], np.full(2_000, error))

    def share_of_wins(believed: Prior) -> float:
        chance = np.array([bayes.update(float(one), error, believed).chance_to_win for one in seen[2_000:]])
        return float((truth[2_000:][(chance > 0.8) & (chance < 0.9)] > 0).mean())

    assert share_of_wins(prior) == pytest.approx(0.85, abs=0.02)
    assert share_of_wins(bayes.FLAT) < 0.80


def test_too_few_past_experiments_are_no_prior() -> None:
    with pytest.raises(NotEnoughData, match="4 experiments"):
        bayes.learn_prior([1, 2, 3, 9], [1.0] * 4)


def test_past_experiments_that_differ_only_by_chance_are_no_prior() -> None:
    with pytest.raises(NotEnoughData, match="no more than chance"):
        bayes.learn_prior([1, 2, 3, 4, 5], [2.0] * 5)


def test_past_effects_that_could_not_be_told_are_left_out() -> None:
    past = [
        effects.proportions(Moments.of_count(count, 1000), Moments.of_count(100, 1000))
        for count in (60, 90, 110, 130, 170)
    ]
    found = bayes.learn_prior_from([*past, NOTHING])
    assert found.source == "5 past experiments"
    # lifts of -40 to +70 %, mean 12 %
    assert found.mean == pytest.approx(0.1, abs=0.1)
    assert 0.2 < found.sd < 0.6


@pytest.mark.parametrize(
    ("estimates", "errors"), [([1, 2], [1.0]), ([1.0] * 5, [0.0] * 5), ([float("nan")] * 5, [1.0] * 5)]
)
def test_past_numbers_that_make_no_sense_are_refused(estimates: list[float], errors: list[float]) -> None:
    with pytest.raises(ValueError, match=r"expected one of each|finite"):
        bayes.learn_prior(estimates, errors)
