"""Edges of the comparison: what cannot be said is empty, with a reason."""

from __future__ import annotations

from experiments import effects
from experiments.integrity import ratio_test
from experiments.moments import Moments


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
