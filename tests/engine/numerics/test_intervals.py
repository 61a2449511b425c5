"""Intervals against the tables published with the methods."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.numerics.intervals import clopper_pearson, newcombe, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "lower", "upper"),
    [  # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_the_published_table(successes, trials, lower, upper):
    interval = wilson(successes, trials)
    assert (interval.lower, interval.upper) == pytest.approx((lower, upper), abs=5e-5)


@pytest.mark.parametrize(
    ("successes", "trials", "lower", "upper"),
    [  # the same table, method 5
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0000, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ],
)
def test_clopper_pearson_agrees_with_the_published_table(successes, trials, lower, upper):
    interval = clopper_pearson(successes, trials)
    assert (interval.lower, interval.upper) == pytest.approx((lower, upper), abs=5e-5)


@pytest.mark.parametrize(
    ("counts", "lower", "upper"),
    [  # Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe_agrees_with_the_published_table(counts, lower, upper):
    interval = newcombe(*counts)
    assert (interval.lower, interval.upper) == pytest.approx((lower, upper), abs=5e-5)


def test_an_interval_of_no_trials_is_undefined_and_not_zero():
    for interval in (wilson(0, 0), clopper_pearson(0, 0), newcombe(1, 2, 0, 0), newcombe(0, 0, 1, 2)):
        assert not interval.is_defined
        assert math.isnan(interval.lower)


def test_more_successes_than_trials_are_refused():
    with pytest.raises(ValueError, match="3 successes of 2 trials"):
        wilson(3, 2)


def test_a_level_in_percent_is_refused():
    with pytest.raises(ValueError, match="level = 95"):
        wilson(1, 2, level=95)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_lies_in_its_intervals_and_they_stay_between_0_and_1(counts):
    successes, trials = counts
    for interval in (wilson(successes, trials), clopper_pearson(successes, trials)):
        assert successes / trials in interval
        assert interval.lower >= 0
        assert interval.upper <= 1


@given(st.integers(0, 50), st.integers(0, 50))
def test_swapping_the_samples_turns_the_newcombe_interval_around(successes, base):
    forward, backward = newcombe(successes, 50, base, 50), newcombe(base, 50, successes, 50)
    assert (forward.lower, forward.upper) == pytest.approx((-backward.upper, -backward.lower))
