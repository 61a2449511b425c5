"""Kaplan-Meier and log-rank, on cases that a hand can work and on a trial that every textbook works."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from engine.numerics.survival import SurvivalCurve, kaplan_meier, log_rank, pairwise_log_rank

# Freireich et al. (1963): weeks in remission under 6-MP and under placebo; a minus marks one still in remission
DRUG = [6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def curve(told: list[float]) -> SurvivalCurve:
    """A minus marks a censored time."""
    return kaplan_meier(np.abs(np.array(told, dtype=float)), np.array(told) > 0)


def test_censored_times_count_as_at_risk_and_never_as_events() -> None:
    found = curve([1, -2, 3, 3, -4])
    assert found.times.tolist() == [1, 3]
    assert found.at_risk.tolist() == [5, 3]
    assert found.events.tolist() == [1, 2]
    assert found.survival.tolist() == approx([4 / 5, 4 / 5 * 1 / 3])


def test_one_censored_at_the_instant_of_an_event_was_still_at_risk_of_it() -> None:
    assert curve([5, -5]).survival.tolist() == [1 / 2]


def test_the_remission_trial_comes_out_as_printed() -> None:
    drug, placebo = curve(DRUG), curve(PLACEBO)
    assert drug.survival.tolist() == approx([0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], abs=5e-5)
    assert drug.interval_at(6) == approx((0.6197, 0.9516), abs=5e-5)
    assert drug.interval_at(23) == approx((0.1881, 0.6801), abs=5e-5)
    assert (drug.median(), placebo.median()) == (23, 8)
    test = log_rank(
        np.abs(np.array(DRUG + PLACEBO, dtype=float)),
        np.array(DRUG + PLACEBO) > 0,
        np.repeat([0, 1], 21),
        ("drug", "placebo"),
    )
    assert test.observed == (9, 21)
    assert test.expected == approx((19.25, 10.75), abs=5e-3)
    assert test.statistic == approx(16.79, abs=5e-3)
    assert test.degrees_of_freedom == 1


def test_the_curve_is_1_before_the_first_event_and_undefined_after_the_last_observation() -> None:
    found = curve([2, -5])
    assert [found.at(seconds) for seconds in (0, 1.9, 2, 5, 5.1)] == [1, 1, 1 / 2, 1 / 2, None]


def test_once_nobody_is_left_the_curve_stays_0_and_has_no_interval() -> None:
    found = curve([1, 2])
    assert found.at(99) == 0
    assert found.interval_at(99) is None
    assert found.quantile_interval(0.5)[1] == 2


def test_a_median_that_half_never_reached_is_none() -> None:
    assert curve([1, -2, -2]).median() is None
    assert curve([1, -2]).median() == 1  # exactly half


def test_nobody_and_nothing_happened_give_no_number() -> None:
    nobody = curve([])
    assert (nobody.n, nobody.at(0), nobody.median()) == (0, None, None)
    quiet = curve([-3, -4])
    assert (quiet.at(4), quiet.at(5), quiet.median()) == (1, None, None)
    test = log_rank(np.array([3.0, 4.0]), np.array([False, False]), np.array([0, 1]), ("a", "b"))
    assert (test.statistic, test.p_value) == (None, None)
    assert test.reason is not None and "fewer than two groups" in test.reason


def test_groups_that_do_not_differ_are_not_told_apart() -> None:
    seconds = np.tile([1.0, 2.0, 3.0], 2)
    test = log_rank(seconds, np.ones(6, dtype=bool), np.repeat([0, 1], 3), ("a", "b"))
    assert test.statistic == approx(0)
    assert test.p_value == approx(1)


def test_pairs_are_adjusted_for_how_many_they_are() -> None:
    told = DRUG + PLACEBO + PLACEBO
    pairs = pairwise_log_rank(
        np.abs(np.array(told, dtype=float)), np.array(told) > 0, np.repeat([0, 1, 2], 21), ("drug", "one", "same")
    )
    by_name = {(pair.one, pair.other): pair for pair in pairs}
    first = by_name["drug", "one"]
    assert first.p_value is not None
    # the smallest of three p-values times three
    assert first.adjusted_p_value == approx(3 * first.p_value)
    assert by_name["one", "same"].adjusted_p_value == approx(1)


def test_a_negative_time_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 times are negative"):
        kaplan_meier(np.array([-1.0, 2.0]), np.array([True, True]))


TOLD = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=40)


@settings(deadline=None, max_examples=100)
@given(TOLD)
def test_without_censoring_the_curve_is_the_plain_share_left(told: list[tuple[int, bool]]) -> None:
    seconds = np.array([time for time, _ in told], dtype=float)
    found = kaplan_meier(seconds, np.ones(len(seconds), dtype=bool))
    for time in range(13):
        assert found.at(time) == approx((seconds > time).mean())


@settings(deadline=None, max_examples=100)
@given(TOLD)
def test_the_curve_never_rises_and_stays_inside_its_interval(told: list[tuple[int, bool]]) -> None:
    found = kaplan_meier(np.array([time for time, _ in told], dtype=float), np.array([mark for _, mark in told]))
    assert (np.diff(found.survival) <= 0).all()
    defined = found.survival > 0
    assert (found.low[defined] <= found.survival[defined]).all()
    assert (found.survival[defined] <= found.high[defined]).all()
