"""Kaplan-Meier against curves worked by hand."""

import math

import numpy as np
from pytest import approx

from engine.numerics.survival import kaplan_meier


def test_without_anyone_leaving_early_the_curve_is_the_plain_share() -> None:
    curve = kaplan_meier([1, 2, 3, 4], [True, True, False, False])
    assert curve.share.tolist() == approx([3 / 4, 2 / 4])


def test_who_leaves_early_no_longer_counts_among_those_at_risk() -> None:
    # 5 watched; one goes at 1 (4/5 left); one leaves unwatched at 2; one goes at 3 of the 3 still there: 4/5 x 2/3
    curve = kaplan_meier([1, 2, 3, 4, 4], [True, False, True, False, False])
    assert curve.at_risk.tolist() == [5, 3]
    assert curve.share.tolist() == approx([4 / 5, 4 / 5 * 2 / 3])


def test_who_leaves_at_the_time_of_an_event_was_still_at_risk() -> None:
    assert kaplan_meier([1, 1], [True, False]).at_risk.tolist() == [2]


def test_interval_is_that_of_greenwood_on_the_log_minus_log_scale() -> None:
    curve = kaplan_meier([1, 2, 3, 4], [True, True, False, False])
    # at 2: share 1/2, variance of log share 1/(4x3) + 1/(3x2) = 1/4
    half = 1.959964 * math.sqrt(1 / 4) / math.log(2)
    assert (curve.lower[1], curve.upper[1]) == approx((0.5 ** math.exp(half), 0.5 ** math.exp(-half)), rel=1e-6)


def test_median_is_the_first_time_by_which_half_are_gone_and_undefined_before() -> None:
    assert kaplan_meier([1, 2, 3, 4], [True] * 4).median() == 2
    assert math.isnan(kaplan_meier([1, 2, 3, 4], [True, False, False, False]).median())


def test_nobody_watched_gives_no_share() -> None:
    curve = kaplan_meier([], [])
    assert curve.n == 0
    assert math.isnan(curve.share_at([5.0])[0])


def test_share_is_read_between_and_after_the_events() -> None:
    curve = kaplan_meier([1, 3, 9], [True, True, False])
    assert curve.share_at([0, 1, 2, 3, 100]).tolist() == approx([1, 2 / 3, 2 / 3, 1 / 3, 1 / 3])


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    truth, covered, tries = math.exp(-1), 0, 400
    for _ in range(tries):
        gone, left = rng.exponential(1, 200), rng.exponential(2, 200)
        lower, upper = kaplan_meier(np.minimum(gone, left), gone <= left).interval_at(1.0)
        covered += lower <= truth <= upper
    # 0.95 within three standard errors of 400 tries
    assert abs(covered / tries - 0.95) < 3 * math.sqrt(0.95 * 0.05 / tries)
