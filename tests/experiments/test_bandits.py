"""Bandits: exact chances, floors, directions, what is logged."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import comb, hypot

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from experiments.bandits import (
    Rules,
    best_of_betas,
    best_of_normals,
    draw,
    share_by_segment,
    share_means,
    share_proportions,
    with_floor,
    with_second,
)
from experiments.estimates import ArmEstimate

COUNTS = {"A": (100, 1_000), "B": (130, 1_000), "C": (105, 1_000)}
UNITS = [f"c{number}" for number in range(40_000)]

beliefs = st.lists(st.tuples(st.floats(1, 500), st.floats(1, 500)), min_size=2, max_size=6)
normals = st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 5)), min_size=2, max_size=6)


def whole_beta(a: int, b: int) -> Fraction:
    return Fraction(1, (a + b - 1) * comb(a + b - 2, a - 1))


def second_beats_first(a1: int, b1: int, a2: int, b2: int) -> float:
    # closed form for whole numbers, the sum over i below a2 of B(a1 + i, b1 + b2) / ((b2 + i) B(1 + i, b2) B(a1, b1))
    terms = (whole_beta(a1 + i, b1 + b2) / ((b2 + i) * whole_beta(1 + i, b2)) for i in range(a2))
    return float(sum(terms) / whole_beta(a1, b1))


@pytest.mark.parametrize("four", [(1, 1, 1, 1), (11, 91, 15, 87), (101, 901, 131, 871), (1, 3, 40, 2)])
def test_chance_that_one_proportion_beats_another_is_the_closed_form(four):
    a1, b1, a2, b2 = four
    assert best_of_betas([(a1, b1), (a2, b2)])[1] == pytest.approx(second_beats_first(*four), abs=1e-12)


def test_uniform_against_the_larger_of_two_by_hand():
    # of Beta(1, 1) and Beta(2, 1), with densities 1 and 2x: P(second larger) = integral of 2x * x = 2 / 3
    assert best_of_betas([(1, 1), (2, 1)]) == pytest.approx([1 / 3, 2 / 3], abs=1e-13)
    # the smallest: P(first < second) = 2 / 3
    assert best_of_betas([(1, 1), (2, 1)], "decrease") == pytest.approx([2 / 3, 1 / 3], abs=1e-13)


@given(two=st.tuples(st.floats(-5, 5), st.floats(0.01, 5), st.floats(-5, 5), st.floats(0.01, 5)))
def test_chance_that_one_normal_beats_another_is_the_closed_form(two):
    mean1, spread1, mean2, spread2 = two
    expected = ndtr((mean2 - mean1) / hypot(spread1, spread2))
    assert best_of_normals([(mean1, spread1), (mean2, spread2)])[1] == pytest.approx(expected, abs=1e-11)


def test_a_spread_that_is_tiny_beside_the_mean_is_not_lost():
    # at 1e8 the next number is 1.5e-8 away
    assert best_of_normals([(1e8, 1e-9), (1e8, 1e-9), (0.0, 1e-9)]) == pytest.approx([0.5, 0.5, 0.0], abs=1e-12)
    assert best_of_normals([(1e8, 1e-9), (1e8 + 1, 1e-9)], "decrease") == pytest.approx([1.0, 0.0], abs=1e-12)


def test_arms_of_one_belief_are_equally_likely_the_best_however_many():
    assert best_of_normals([(3.0, 0.2)] * 200) == pytest.approx(np.full(200, 1 / 200), abs=1e-13)
    assert best_of_betas([(5, 95)] * 7) == pytest.approx(np.full(7, 1 / 7), abs=1e-13)


def test_chances_agree_with_a_million_draws():
    rng = np.random.default_rng(5)
    known = [(30, 270), (36, 264), (41, 259), (20, 280), (39, 261)]
    drawn = rng.beta(*np.array(known, dtype=float).T[..., None], size=(5, 1_000_000))
    simulated = np.bincount(drawn.argmax(axis=0), minlength=5) / 1_000_000
    # four standard errors of a share of a million draws
    assert best_of_betas(known) == pytest.approx(simulated, abs=4 * 0.0005)


@settings(deadline=None)
@given(known=normals)
def test_the_best_of_a_metric_where_less_is_better_is_the_best_of_its_negative(known):
    negated = [(-mean, spread) for mean, spread in known]
    assert best_of_normals(known, "decrease") == pytest.approx(best_of_normals(negated), abs=1e-12)


@settings(deadline=None)
@given(known=beliefs, floor=st.floats(0, 0.16), top_two=st.booleans(), uniform=st.floats(0, 1), less=st.booleans())
def test_shares_add_up_to_1_and_keep_the_floor(known, floor, top_two, uniform, less):
    counts = {f"arm{place}": (int(more), int(more + fewer)) for place, (more, fewer) in enumerate(known)}
    rules = Rules(direction="decrease" if less else "increase", floor=floor, top_two=top_two, uniform=uniform, least=20)
    shares = share_proportions(counts, rules).shares
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) >= floor - 1e-12


@settings(deadline=None)
@given(known=beliefs, top_two=st.booleans())
def test_inverse_metrics_are_shared_out_as_their_mirror_image(known, top_two):
    # a complaint avoided is a success: both ways of counting must give one allocation, ranks and all
    counts = {f"arm{place}": (int(more), int(more + fewer)) for place, (more, fewer) in enumerate(known)}
    mirrored = {arm: (n - successes, n) for arm, (successes, n) in counts.items()}
    less = share_proportions(counts, Rules(direction="decrease", top_two=top_two, least=2))
    more = share_proportions(mirrored, Rules(direction="increase", top_two=top_two, least=2))
    assert list(less.shares.values()) == pytest.approx(list(more.shares.values()), abs=1e-9)


def test_top_two_of_complaints_are_the_two_lowest():
    # 2 %, 3 %, 8 %, 20 % complaints: the two lowest share nearly all, the lowest most
    counts = {"A": (20, 1_000), "B": (30, 1_000), "C": (80, 1_000), "D": (200, 1_000)}
    shares = share_proportions(counts, Rules(direction="decrease", top_two=True)).shares
    assert shares["A"] + shares["B"] == pytest.approx(0.98)
    assert shares["C"] == shares["D"] == pytest.approx(0.01)
    assert shares["B"] > 0.4


def test_top_two_by_hand():
    # chances .7 .2 .1: second drawn A with .2 x .7/.8 + .1 x .7/.9 = .252778,
    # B with .7 x .2/.3 + .1 x .2/.9 = .488889, C with .7 x .1/.3 + .2 x .1/.8 = .258333; half of these, half of those
    assert with_second(np.array([0.7, 0.2, 0.1])) == pytest.approx([0.476389, 0.344444, 0.179167], abs=1e-6)
    # an arm that is surely the best leaves the other half to the others, evenly
    assert with_second(np.array([1.0, 0.0, 0.0])) == pytest.approx([0.5, 0.25, 0.25])


def test_floor_is_paid_by_the_others_in_proportion():
    # .04 is raised to .1; the others keep .9 / .96 of what they had
    assert with_floor(np.array([0.64, 0.32, 0.04]), 0.1) == pytest.approx([0.6, 0.3, 0.1])
    # the second falls under the floor only after the third was raised
    assert with_floor(np.array([0.89, 0.105, 0.005]), 0.1) == pytest.approx([0.8, 0.1, 0.1])


def test_table_says_why_each_arm_has_its_share():
    table = share_proportions(COUNTS | {"D": (0, 5), "E": (50, 1_000)}, Rules(floor=0.005)).rows
    assert [row.reason for row in table] == [
        "by its chance to be the best",
        "most likely the best",
        "by its chance to be the best",
        "its even part: 5 units, fewer than the 30 that a judgement needs",
        "kept at the floor of 0.005",
    ]
    assert [row.best is None for row in table] == [False, False, False, True, False]
    # (130 + 1) / (1000 + 2)
    assert table[1].value == pytest.approx(131 / 1_002)


def test_nothing_known_is_shared_evenly():
    shares = share_proportions({"A": (0, 0), "B": (0, 0)}).shares
    assert shares == {"A": 0.5, "B": 0.5}
    assert share_means({"A": None, "B": None, "C": None}).shares == pytest.approx(dict.fromkeys("ABC", 1 / 3))


def test_means_are_shared_by_their_estimates():
    known = {
        "A": ArmEstimate(value=10.0, variance=0.04, n=500),
        "B": ArmEstimate(value=10.5, variance=0.05, n=480),
        "C": ArmEstimate(value=99.0, variance=0.0, n=400),
    }
    rows = {row.arm: row for row in share_means(known, Rules(floor=0)).rows}
    # A and B are judged against each other for two thirds of the batch: (10 - 10.5) / sqrt(.09) = -1.6667
    assert rows["A"].best == pytest.approx(ndtr(-0.5 / 0.3))
    assert rows["A"].share == pytest.approx(2 / 3 * ndtr(-0.5 / 0.3))
    assert rows["C"].share == pytest.approx(1 / 3) and rows["C"].best is None


def test_segments_are_shared_by_their_own_numbers_where_there_are_enough():
    counts = {
        "young": {"A": (10, 1_000), "B": (90, 1_000)},
        "old": {"A": (90, 1_000), "B": (10, 1_000)},
        "new": {"A": (1, 4)},
    }
    found = share_by_segment(counts)
    assert found["young"].shares["B"] == pytest.approx(0.99) and found["old"].shares["A"] == pytest.approx(0.99)
    assert found["young"].evidence == 'segment "young"' and found["new"].evidence == "all units"
    # all together A has 101 of 2 004 and B 100 of 2 000: nothing between them
    assert found["new"].shares["A"] == pytest.approx(0.5, abs=0.05)
    assert share_by_segment({}) == {}


def test_draws_follow_the_shares_and_log_them_exactly():
    allocation = share_proportions(COUNTS, Rules(floor=0.05, uniform=0.2))
    drawn = draw(allocation, UNITS, "batch 7")
    shares = np.array(list(allocation.shares.values()))
    observed = np.bincount(drawn.arm, minlength=3) / len(UNITS)
    assert observed == pytest.approx(shares, abs=4 * 0.5 / 200)  # four standard errors
    assert drawn.propensity == pytest.approx(shares[drawn.arm])
    slice_of = drawn.arm[drawn.is_uniform]
    assert len(slice_of) == pytest.approx(8_000, abs=4 * 80)
    assert np.bincount(slice_of, minlength=3) / len(slice_of) == pytest.approx(np.full(3, 1 / 3), abs=4 * 0.0053)


def test_a_batch_drawn_again_is_the_same_and_another_batch_is_independent():
    allocation = share_proportions({"A": (0, 0), "B": (0, 0)})
    first, again, other = (draw(allocation, UNITS, salt).arm for salt in ("1", "1", "2"))
    assert (first == again).all()
    assert (first == other).mean() == pytest.approx(0.5, abs=4 * 0.0025)


def test_everything_uniform_is_a_plain_experiment():
    drawn = draw(share_proportions(COUNTS, Rules(uniform=1.0)), UNITS, "s")
    assert drawn.is_uniform.all() and drawn.propensity == pytest.approx(np.full(len(UNITS), 1 / 3))


def test_evidence_moves_the_shares_towards_the_better_arm():
    shares = [share_proportions({"A": (10 * k, 100 * k), "B": (13 * k, 100 * k)}).shares["B"] for k in (1, 4, 16)]
    assert all(before < after for before, after in pairwise(shares))


@pytest.mark.parametrize(
    ("counts", "rules", "sentence"),
    [
        ({"A": (1, 9)}, Rules(), "1 arm: a bandit chooses between at least two"),
        ({"A": (1, 9), "B": (1, 9)}, Rules(floor=0.6), r"floor 0\.6: with 2 arms it is a share between 0 and 0\.5"),
        ({"A": (1, 9), "B": (1, 9)}, Rules(uniform=2), "uniform 2"),
        ({"A": (1, 9), "B": (1, 9)}, Rules(prior=(0, 1)), "prior"),
        ({"A": (10, 9), "B": (1, 9)}, Rules(), '"A": successes lie between 0 and the number of units'),
    ],
)
def test_what_cannot_be_shared_out_is_refused(counts, rules, sentence):
    with pytest.raises(ValueError, match=sentence):
        share_proportions(counts, rules)
