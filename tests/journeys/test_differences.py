"""Differences between groups: worked comparisons, and false alarms that stay at their level."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx
from scipy.stats import hypergeom

from journeys import differences
from journeys.differences import Difference

STEPS = ["view", "apply", "open"]


def between(one: list[int], other: list[int]) -> list[Difference]:
    return differences.between({"web": one, "branch": other}, [("web", "branch")], STEPS)


def test_every_step_and_the_whole_journey_are_compared() -> None:
    found = between([100, 50, 10], [200, 80, 40])
    assert [(one.compared, one.trials, one.successes, one.base_trials, one.base_successes) for one in found] == [
        ("view to apply", 100, 50, 200, 80),
        ("apply to open", 50, 10, 80, 40),
        ("whole journey", 100, 10, 200, 40),
    ]
    assert [one.difference for one in found] == [approx(0.5 - 0.4), approx(0.2 - 0.5), approx(0.1 - 0.2)]


def test_two_steps_are_one_comparison_since_the_step_is_the_whole() -> None:
    assert len(differences.between({"a": [5, 1], "b": [5, 2]}, [("a", "b")], ["view", "apply"])) == 1


def test_interval_is_newcombes_of_his_worked_example() -> None:
    """Newcombe (1998), table II: 56/70 - 48/80 by method 10 is 0.0524 to 0.3339."""
    found = differences.between({"a": [70, 56], "b": [80, 48]}, [("a", "b")], ["view", "apply"])[0]
    assert (found.lower, found.upper) == (approx(0.0524, abs=5e-5), approx(0.3339, abs=5e-5))


def test_score_test_is_that_of_pearson_and_small_counts_are_tested_exactly() -> None:
    # 50/100 against 80/200: pooled 130/300, z = 0.1 / sqrt(0.43333 x 0.56667 x (1/100 + 1/200)) = 1.6477
    p_value, test = differences.p_value(50, 100, 80, 200)
    assert (p_value, test) == (approx(math.erfc(1.6477 / math.sqrt(2)), abs=1e-4), differences.SCORE)
    # Fisher's tea: 3 of 4 against 1 of 4: (16 + 1 + 16 + 1) / 70
    p_value, test = differences.p_value(3, 4, 1, 4)
    assert (p_value, test) == (approx(34 / 70), differences.EXACT)


def test_all_or_none_converting_is_no_difference() -> None:
    assert differences.p_value(0, 500, 0, 900)[0] == 1
    assert differences.p_value(500, 500, 900, 900)[0] == 1


def test_p_values_are_adjusted_for_all_comparisons_made() -> None:
    found = between([1000, 500, 250], [1000, 430, 100])
    p_values = sorted(one.p_value for one in found)
    assert sorted(one.p_holm for one in found)[0] == approx(3 * p_values[0])
    assert all(one.p_value <= one.p_benjamini_hochberg <= one.p_holm for one in found)


def test_empty_group_has_no_answer_but_a_reason_and_does_not_count_as_a_comparison() -> None:
    found = between([40, 0, 0], [60, 6, 2])
    nobody = found[1]
    assert (nobody.difference, nobody.lower, nobody.p_value, nobody.p_holm, nobody.test) == (None,) * 5
    assert nobody.reason == "nobody of web got as far as there"
    tested = [one for one in found if one.p_value is not None]
    assert len(tested) == 2
    smallest = min(tested, key=lambda one: one.p_value)
    assert smallest.p_holm == approx(min(2 * smallest.p_value, 1))


def test_every_group_is_held_against_all_others() -> None:
    reached = {"a": [10, 5], "b": [20, 6], "c": [30, 9]}
    found = differences.against_rest(reached, ["view", "apply"])
    assert [(one.group, one.base, one.base_trials, one.base_successes) for one in found] == [
        ("a", "all but a", 50, 15),
        ("b", "all but b", 40, 14),
        ("c", "all but c", 30, 11),
    ]
    assert [one.group for one in differences.against_rest(reached, ["view", "apply"], "b")] == ["b"]


counts = st.lists(st.integers(0, 60), min_size=3, max_size=3).map(lambda given: sorted(given, reverse=True))


@settings(deadline=None, max_examples=100)
@given(one=counts, other=counts)
def test_exchanging_the_groups_turns_the_difference_round(one: list[int], other: list[int]) -> None:
    for forth, back in zip(between(one, other), between(other, one), strict=True):
        assert (forth.p_value is None) == (forth.reason is not None)
        if forth.p_value is not None:
            assert back.p_value == approx(forth.p_value)
            assert back.difference == approx(-forth.difference)
            assert (back.lower, back.upper) == (approx(-forth.upper), approx(-forth.lower))
            assert forth.lower <= forth.difference <= forth.upper


@pytest.mark.parametrize(("share", "customers"), [(0.3, 500), (0.05, 300)])
def test_of_segments_that_do_not_differ_hardly_any_is_called_different(share: float, customers: int) -> None:
    """Twenty segments of one population, each against all others: the chance of any false alarm is at most 5 %.

    Beside it the way of a well-known product, one-sided, looked at after the fact and not corrected, at "p < 0.05".
    """
    rng = np.random.default_rng(23)
    tries, segments = 300, 20
    alarms, uncorrected, single = 0, 0, 0
    for _ in range(tries):
        converted = rng.binomial(customers, share, segments)
        reached = {f"s{n}": [customers, int(count)] for n, count in enumerate(converted)}
        found = differences.against_rest(reached, ["view", "open"])
        alarms += any(one.p_holm < 0.05 for one in found)
        by_peer = [_one_sided_after_the_fact(int(count), customers, converted) < 0.05 for count in converted]
        uncorrected += any(by_peer)
        single += sum(by_peer)
    # 5 %, and three standard errors of 300 tries
    assert alarms / tries <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / tries)
    assert single / (tries * segments) > 0.07
    assert uncorrected / tries > 0.7


def _one_sided_after_the_fact(count: int, customers: int, converted: np.ndarray) -> float:
    total, everybody = int(converted.sum()), customers * len(converted)
    above = hypergeom.sf(count - 1, everybody, total, customers)
    return float(min(above, hypergeom.cdf(count, everybody, total, customers)))


def test_a_planted_difference_is_found() -> None:
    rng = np.random.default_rng(29)
    reached = {f"s{n}": [2_000, int(rng.binomial(2_000, 0.35 if n == 7 else 0.3))] for n in range(20)}
    found = [one for one in differences.against_rest(reached, ["view", "open"]) if one.p_holm < 0.05]
    assert [one.group for one in found] == ["s7"]
    assert found[0].lower < 0.05 < found[0].upper


def test_adjusting_twice_for_the_same_comparisons_changes_nothing() -> None:
    found = between([1000, 500, 250], [1000, 430, 100])
    assert differences.adjusted([replace(one, p_holm=None) for one in found]) == found
