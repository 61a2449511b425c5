"""Quantiles: ranks worked by hand, ties told rather than guessed, and clusters that make the error wider."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from experiments import quantiles
from experiments.quantiles import Distribution


def test_median_of_a_hundred_and_its_interval_by_rank() -> None:
    found = quantiles.interval(Distribution.of_values(np.arange(1, 101)), 0.5)
    # 1.96 sqrt(0.25 / 100) = 0.098: the 40th (of 40.2) and the 60th (59.8 and one more) value
    assert found is not None
    assert (found.value, found.lower, found.upper) == (50, 40, 60)
    assert found.deviation == approx(0.05)


def test_quantile_is_the_smallest_value_that_enough_values_do_not_exceed() -> None:
    ten = Distribution.of_values([3, 1, 2, 10, 9, 8, 7, 6, 5, 4])
    assert [quantiles.quantile(ten, share) for share in (0.1, 0.11, 0.5, 0.9, 0.99)] == [1, 2, 5, 9, 10]
    # 0.55 x 100 is 55.00000000000001
    assert quantiles.quantile(Distribution.of_values(np.arange(1, 101)), 0.55) == 55
    assert quantiles.quantile(Distribution.of_values([]), 0.5) is None


def test_estimate_carries_the_width_of_the_interval_as_its_error() -> None:
    found = quantiles.estimate(Distribution.of_values(np.arange(1, 101)), 0.5)
    assert found is not None
    assert found.variance**0.5 == approx((60 - 40) / (2 * 1.959964))


def test_value_counts_say_what_the_values_say() -> None:
    values = np.random.default_rng(3).integers(0, 30, 500)
    of_values = Distribution.of_values(values)
    of_counts = Distribution.of_counts([*range(30), 5], [*np.bincount(values, minlength=30), 0])
    for share in (0.25, 0.5, 0.9):
        assert quantiles.interval(of_values, share) == quantiles.interval(of_counts, share)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=50), st.lists(st.integers(0, 9), min_size=1, max_size=50))
def test_two_days_add_up_to_the_whole(one: list[int], other: list[int]) -> None:
    whole = Distribution.of_values(one + other)
    added = Distribution.of_values(one) + Distribution.of_values(other)
    assert (added.values.tolist(), added.counts.tolist()) == (whole.values.tolist(), whole.counts.tolist())


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_quantile_agrees_with_numpy(values: list[int], share: float) -> None:
    expected = np.quantile(values, share, method="inverted_cdf")
    assert quantiles.quantile(Distribution.of_values(values), share) == expected


def test_too_few_values_for_a_high_quantile_are_told() -> None:
    few = Distribution.of_values(np.arange(50))
    effect = quantiles.compare(few, few, 0.99)
    assert (effect.p_value, effect.reason) == (None, "too few values in a group for the quantile at 0.99")


def test_median_of_mostly_zeros_is_not_compared() -> None:
    zeros = Distribution.of_counts([0, 5, 9], [900, 50, 50])
    effect = quantiles.compare(zeros, zeros, 0.5)
    assert effect.difference is None
    assert effect.reason == "so many values in a group are the same that the error of the quantile cannot be told"


def test_clusters_of_one_are_no_clusters() -> None:
    """Up to the value at the quantile, which is at or below itself, and n - 1 instead of n."""
    values = np.random.default_rng(5).normal(size=1_000)
    distribution = Distribution.of_values(values)
    middle = quantiles.quantile(distribution, 0.5)
    assert middle is not None
    below = quantiles.clusters_below(values, np.arange(1_000), middle)
    single, clustered = quantiles.interval(distribution, 0.5), quantiles.interval(distribution, 0.5, below=below)
    assert single is not None and clustered is not None
    assert clustered.deviation == approx(single.deviation, rel=1e-3)


def test_values_that_repeat_within_a_customer_count_once() -> None:
    """Ten copies of each value are no more than the value: the error grows by the root of 10."""
    customers = np.random.default_rng(6).normal(size=400)
    copies, codes = np.repeat(customers, 10), np.repeat(np.arange(400), 10)
    distribution = Distribution.of_values(copies)
    middle = quantiles.quantile(distribution, 0.5)
    assert middle is not None
    below = quantiles.clusters_below(copies, codes, middle)
    single, clustered = quantiles.interval(distribution, 0.5), quantiles.interval(distribution, 0.5, below=below)
    assert single is not None and clustered is not None
    assert clustered.deviation / single.deviation == approx(10**0.5, rel=0.01)
    once = quantiles.interval(Distribution.of_values(customers), 0.5)
    assert once is not None and clustered.deviation == approx(once.deviation, rel=0.01)


def test_equal_arms_whose_median_jumps_between_two_whole_numbers_are_not_called_different() -> None:
    """Half at or below 16: half the width of the interval 16 to 17 as the error says different .45 of the time."""
    rng = np.random.default_rng(12)
    alarms = 0
    for _ in range(500):
        one, other = (Distribution.of_values(np.floor(rng.normal(17, 5, size=4_000))) for _ in "ab")
        alarms += (quantiles.compare(one, other, 0.5).p_value or 1.0) < 0.05
    assert alarms / 500 < 0.05


def test_error_of_whole_numbers_is_the_longer_side_of_their_interval() -> None:
    found = quantiles.estimate(Distribution.of_counts([15, 16, 17, 18], [30, 21, 40, 9]), 0.5)
    # the 40th, 50th and 60th: 16, 16 and 17
    assert found is not None
    assert (found.value, found.variance**0.5) == approx((16, (17 - 16) / 1.959964))


def test_median_at_the_edge_of_the_zeros_is_not_called_different() -> None:
    """Half spend nothing and nobody less than 30."""
    rng = np.random.default_rng(13)
    alarms = 0
    for _ in range(500):
        spend = [np.where(rng.random(1_000) < 0.5, 0.0, 30 + rng.exponential(20, 1_000)) for _ in "ab"]
        one, other = (Distribution.of_values(values) for values in spend)
        alarms += (quantiles.compare(one, other, 0.5).p_value or 1.0) < 0.05
    assert alarms / 500 < 0.05


def test_value_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="2 of 3 values are not finite"):
        Distribution.of_values([1.0, np.nan, np.inf])
    with pytest.raises(ValueError, match=r"expected a share between 0 and 1"):
        quantiles.quantile(Distribution.of_values([1.0]), 1.0)


def test_false_alarms_are_as_rare_as_asked_for_with_and_without_clusters() -> None:
    """Seeded: 1 000 pairs of arms of no difference; the error of a share near .05 is .007."""
    rng = np.random.default_rng(11)
    times, alarms, clustered, ignored = 1_000, 0, 0, 0
    codes = np.repeat(np.arange(200), 5)
    for _ in range(times):
        one, other = (Distribution.of_values(rng.lognormal(size=1_000)) for _ in "ab")
        alarms += (quantiles.compare(one, other, 0.9).p_value or 1.0) < 0.05
        drawn = [np.repeat(rng.normal(size=200), 5) + 0.5 * rng.normal(size=1_000) for _ in "ab"]
        one, other = (Distribution.of_values(values) for values in drawn)
        middles = [quantiles.quantile(arm, 0.5) or 0.0 for arm in (one, other)]
        first, second = (quantiles.clusters_below(*of) for of in zip(drawn, [codes] * 2, middles, strict=True))
        clustered += (quantiles.compare(one, other, 0.5, below=(first, second)).p_value or 1.0) < 0.05
        ignored += (quantiles.compare(one, other, 0.5).p_value or 1.0) < 0.05
    assert 0.03 < alarms / times < 0.07
    assert 0.03 < clustered / times < 0.07
    assert ignored / times > 0.2  # what a test that does not know of the clusters says
