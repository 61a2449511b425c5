"""Edges of the comparison: what cannot be said is empty, with a reason."""

from __future__ import annotations

from math import inf
from time import process_time

import numpy as np
import pytest
from scipy import stats

from experiments import effects
from experiments.adjustment import adjust
from experiments.effects import Effect
from experiments.estimates import ArmEstimate
from experiments.moments import Moments
from experiments.sample_ratio import ratio_test
from tests.experiments.calibration import METHODS, false_alarms


def test_nobody_converted_in_control_gives_no_relative_difference() -> None:
    effect = effects.proportions(Moments.of_count(3, 40), Moments.of_count(0, 38))
    assert (effect.relative_difference, effect.relative_lower, effect.relative_upper) == (None, None, None)
    assert effect.difference == 3 / 40


def test_nobody_converted_at_all_shows_no_difference_with_an_interval() -> None:
    effect = effects.proportions(Moments.of_count(0, 100), Moments.of_count(0, 100))
    assert (effect.difference, effect.p_value) == (0, 1)
    # nobody of 100: the rate may still be some per cent in either arm
    assert effect.lower is not None and -0.05 < effect.lower < -0.02


def test_control_that_cannot_be_told_from_zero_leaves_the_relative_interval_open() -> None:
    noisy = Moments.of(100, 10, 10_000)  # mean 0.1, standard error 1
    effect = effects.means(Moments.of(100, 500, 12_500), noisy)
    assert effect.relative_difference is not None
    assert (effect.relative_lower, effect.relative_upper) == (None, None)


def test_values_without_any_spread_are_not_compared() -> None:
    effect = effects.means(Moments.of(5, 5, 5), Moments.of(5, 10, 20))
    assert effect.p_value is None
    assert effects.verdict(effect, "increase") == "withheld"


def test_one_customer_is_not_compared() -> None:
    assert effects.means(Moments.of(1, 5, 25), Moments.of(9, 10, 20)).reason == "fewer than two customers in a group"


def test_large_mean_does_not_swallow_the_spread() -> None:
    # values 10^8 and 10^8 + 2: the variance is 2 and must survive sums of squares near 10^16
    base = 10**8
    arm = Moments.of(2, 2 * base + 2, base**2 + (base + 2) ** 2)
    assert arm.variance == 2


def test_variant_of_weight_zero_that_was_seen_is_impossible() -> None:
    found = ratio_test({"a": 100, "b": 100, "c": 1}, {"a": 1, "b": 1, "c": 0})
    assert found is not None and found.p_value == 0


def test_nobody_observed_gives_no_ratio_test() -> None:
    assert ratio_test({}, {"a": 1, "b": 1}) is None


def arm(value: float, variance: float, degrees: float = inf) -> ArmEstimate:
    return ArmEstimate(value=value, variance=variance, n=100, degrees=degrees)


def test_difference_has_the_variance_of_both_arms_less_what_they_share() -> None:
    effect = effects.contrast(arm(5.0, 4.0), arm(3.0, 3.0), method="any", covariance=1.0)
    # 4 + 3 - 2
    assert effect.standard_error == pytest.approx(5**0.5)
    assert effect.lower == pytest.approx(2 - 1.959964 * 5**0.5, abs=1e-5)


def test_degrees_are_welchs_unless_given() -> None:
    one, other = arm(5.0, 4.0, 10.0), arm(3.0, 2.0, 20.0)
    # (4 + 2)^2 / (16 / 10 + 4 / 20)
    assert effects.contrast(one, other, method="any").degrees == pytest.approx(20)
    assert effects.contrast(one, other, method="any", degrees=7).degrees == 7


def test_relative_difference_keeps_the_sign_of_the_difference_when_control_is_below_zero() -> None:
    effect = effects.contrast(arm(-50.0, 1.0), arm(-100.0, 1.0), method="any")
    assert effect.difference == 50
    assert effect.relative_difference == 0.5
    assert effect.relative_lower is not None and effect.relative_upper is not None
    assert 0 < effect.relative_lower < 0.5 < effect.relative_upper


def test_redrawn_effect_is_that_of_the_other_level() -> None:
    strict = effects.contrast(arm(5.0, 1.0, 9.0), arm(3.0, 1.0, 9.0), method="any", alpha=0.01)
    loose = effects.contrast(arm(5.0, 1.0, 9.0), arm(3.0, 1.0, 9.0), method="any")
    assert effects.redraw(loose, effects.critical_value(0.01, 18)) == strict
    assert effects.redraw(Effect(method="any", reason="why"), 3.0) == Effect(method="any", reason="why")


def test_non_inferiority_asks_whether_the_worst_is_better_than_the_margin() -> None:
    effect = effects.contrast(arm(99.0, 0.5), arm(100.0, 0.5), method="any")
    found = effects.non_inferiority(effect, "increase", margin=3.0)
    # 1 below, standard error 1: the bound is 1 + 1.645 below
    assert found.bound == pytest.approx(-2.644854, abs=1e-6)
    assert found.p_value == pytest.approx(0.0227501, abs=1e-7)  # 2 standard errors above the margin
    worse = effects.non_inferiority(effect, "increase", margin=2.0)
    assert worse.p_value is not None and worse.p_value > 0.05


def test_relative_margin_is_a_share_of_an_uncertain_control() -> None:
    effect = effects.contrast(arm(99.0, 0.5), arm(100.0, 0.5), method="any")
    found = effects.non_inferiority(effect, "increase", margin=0.03, relative=True)
    # 99 - 0.97 * 100 = 2, with variance 0.5 + 0.97^2 * 0.5
    assert found.p_value == pytest.approx(float(stats.norm.sf(2 / (0.5 + 0.97**2 * 0.5) ** 0.5)))
    assert found.bound is not None and -0.03 < found.bound < -0.02


def test_fewer_is_better_turns_the_margin_round() -> None:
    effect = effects.contrast(arm(101.0, 0.5), arm(100.0, 0.5), method="any")
    found = effects.non_inferiority(effect, "decrease", margin=3.0)
    assert found.bound == pytest.approx(2.644854, abs=1e-6)
    assert found.p_value == pytest.approx(0.0227501, abs=1e-7)


def test_margin_without_size_or_below_everything_is_refused() -> None:
    effect = effects.contrast(arm(5.0, 1.0), arm(3.0, 1.0), method="any")
    with pytest.raises(ValueError, match="above 0"):
        effects.non_inferiority(effect, "increase", margin=0.0)
    with pytest.raises(ValueError, match="above -1"):
        effects.non_inferiority(effect, "increase", margin=1.0, relative=True)


def test_what_could_not_be_compared_cannot_be_tested_for_a_margin() -> None:
    nothing = effects.means(Moments.of(1, 5, 25), Moments.of(9, 10, 20))
    assert effects.one_sided(nothing, "greater").reason == "fewer than two customers in a group"
    zero = effects.contrast(arm(5.0, 1.0), arm(0.0, 1.0), method="any")
    found = effects.one_sided(zero, "greater", margin=0.1, relative=True)
    assert (found.p_value, found.bound) == (None, None)
    assert found.reason == "control is 0, so there is nothing to take a share of"


def test_sums_beyond_every_number_give_a_reason() -> None:
    assert (
        effects.contrast(arm(1e308, inf), arm(0.0, 1.0), method="any").reason
        == "the numbers are too large to be added up"
    )


def test_ratio_of_which_one_arm_has_nothing_below_the_line_gives_a_reason() -> None:
    columns = ("numerator", "denominator")
    empty = Moments.of_values(columns, [[1.0, 0.0], [2.0, 0.0]])
    full = Moments.of_values(columns, [[1.0, 2.0], [2.0, 3.0]])
    assert effects.ratios(empty, full).reason == "the denominator adds up to 0 in a group"
    assert effects.ratios(Moments.none(columns), full).reason == "fewer than two customers in a group"


def test_verdict_follows_the_direction_and_the_level() -> None:
    effect = effects.contrast(arm(5.0, 1.0), arm(2.0, 1.0), method="any")
    assert effect.p_value == pytest.approx(0.0339, abs=1e-4)
    assert effects.verdict(effect, "increase") == "better"
    assert effects.verdict(effect, "decrease") == "worse"
    assert effects.verdict(effect, "increase", alpha=0.01) == "no_difference_shown"


# 1 of 10,000 runs of a method that keeps its promise falls outside; the full calibration is a benchmark
@pytest.mark.parametrize("method", sorted(METHODS))
def test_false_alarms_come_about_as_often_as_promised(method: str) -> None:
    alarms = false_alarms(method, runs=600, seed=20)
    low, high = (float(stats.binom.ppf(tail, 600, 0.05)) for tail in (0.00005, 0.99995))
    assert low <= alarms.by_p_value <= high
    assert alarms.by_relative_interval <= alarms.by_p_value


def test_all_statistics_of_ten_metrics_are_quick() -> None:
    """Eight means and two ratios, each adjusted by a covariate, between two arms; 20 ms are promised for the lot."""
    rng = np.random.default_rng(1)
    columns = ("numerator", "denominator", "before")
    both = {name: Moments.of_values(columns, rng.normal(5, 1, size=(1_000, 3))) for name in "ab"}

    def everything() -> None:
        for _ in range(8):
            effects.means(both["b"].take("numerator"), both["a"].take("numerator"))
            found = adjust(both, "numerator", ["before"])
            assert found is not None and found.effect("b", "a").adjusted.p_value is not None
        for _ in range(2):
            effects.ratios(both["b"], both["a"])
            found = adjust(both, ("numerator", "denominator"), ["before"])
            assert found is not None and found.effect("b", "a").adjusted.p_value is not None

    everything()
    times = []
    for _ in range(5):
        start = process_time()
        everything()
        times.append(process_time() - start)
    assert min(times) < 0.020
