"""Values of policies from logs of other ones, and means of arms whose shares followed what had been seen."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from experiments import effects
from experiments.adaptive_means import Batches, adaptive_means
from experiments.moments import Moments
from experiments.off_policy import (
    Log,
    doubly_robust,
    inverse_propensity,
    overlap,
    self_normalised,
)


def log_of(n: int = 20_000, seed: int = 3) -> tuple[Log, np.ndarray, np.ndarray]:
    """A log that gives B more often to the young, whose true mean reward is 1 + young + 2 B young; and the context."""
    rng = np.random.default_rng(seed)
    young = rng.random(n) < 0.4
    chance = np.where(young, 0.7, 0.2)
    arm = (rng.random(n) < chance).astype(np.int64)
    mean = np.column_stack([1.0 + young, 1.0 + 3.0 * young])
    reward = mean[np.arange(n), arm] + rng.normal(size=n)
    propensities = np.column_stack([1 - chance, chance])
    return Log(arms=("A", "B"), arm=arm, reward=reward, propensities=propensities), young, mean


def small(arm: list[int], reward: list[float], chance: float) -> Log:
    propensities = np.tile([1 - chance, chance], (len(arm), 1)).reshape(-1, 2)
    return Log(arms=("A", "B"), arm=np.array(arm, dtype=np.int64), reward=np.array(reward), propensities=propensities)


def test_weighted_values_by_hand():
    # B had a chance of 1/4 and was given to the last 20 of 60: rewards 3 to 12 of them, weight 4, all others 0
    log = small([0] * 40 + [1] * 20, [1.0] * 40 + [3.0] * 10 + [12.0] * 10, 0.25)
    # (10 x 4 x 3 + 10 x 4 x 12) / 60 = 10, but the weights' mean is 80 / 60, so that 7.5 is what B had
    found = overlap(log, [0.0, 1.0])
    assert (found.effective_n, found.largest_weight, found.mean_weight) == pytest.approx((20, 1 / 20, 80 / 60))
    log = small([0] * 120 + [1] * 60, [1.0] * 120 + [3.0] * 30 + [12.0] * 30, 0.25)
    assert inverse_propensity(log, [0.0, 1.0]).value == pytest.approx(10.0)
    assert self_normalised(log, [0.0, 1.0]).value == pytest.approx(7.5)
    # scores 4 x reward or 0: mean square (30 x 144 + 30 x 2304) / 180 = 408, less 10 squared = 308
    assert inverse_propensity(log, [0.0, 1.0]).standard_error == pytest.approx(sqrt(308 / 179))


def test_the_policy_that_was_logged_has_the_mean_that_was_seen():
    log, _, _ = log_of(2_000)
    for found in (inverse_propensity(log, log.propensities), self_normalised(log, log.propensities)):
        assert found.value == pytest.approx(log.reward.mean())
        assert found.standard_error == pytest.approx(log.reward.std(ddof=1) / sqrt(2_000))
        assert found.overlap.effective_n == pytest.approx(2_000)


def test_the_value_of_another_policy_is_recovered_by_every_method():
    log, young, mean = log_of()
    policy = np.column_stack([~young, young]).astype(float)  # B to the young only
    truth = float((policy * mean).sum(axis=1).mean())
    plain, normed = inverse_propensity(log, policy), self_normalised(log, policy)
    robust = doubly_robust(log, policy, mean)
    for found in (plain, normed, robust):
        assert found.reason is None and found.value is not None and found.standard_error is not None
        assert abs(found.value - truth) < 4 * found.standard_error
        assert found.lower < found.value < found.upper
    # what the log gave on average is far off, and good predictions make the interval narrower
    assert abs(log.reward.mean() - truth) > 10 * plain.standard_error
    assert robust.standard_error < normed.standard_error < plain.standard_error


def test_doubly_robust_is_right_with_bad_predictions_and_right_propensities():
    log, young, mean = log_of()
    policy = np.column_stack([~young, young]).astype(float)
    found = doubly_robust(log, policy, np.full((len(young), 2), 7.0))
    assert abs(found.value - float((policy * mean).sum(axis=1).mean())) < 4 * found.standard_error


def test_intervals_of_a_policy_cover_its_value_as_often_as_they_say():
    misses = []
    for seed in range(300):
        log, young, mean = log_of(1_500, seed)
        policy = np.column_stack([~young, young]).astype(float)
        truth = 0.6 * 1 + 0.4 * 4  # old with A: 1, young with B: 1 + 3
        found = [
            inverse_propensity(log, policy),
            self_normalised(log, policy),
            doubly_robust(log, policy, np.tile(mean.mean(axis=0), (len(young), 1))),
        ]
        misses.append([not one.lower <= truth <= one.upper for one in found])
    # 15 of 300 expected, standard deviation 3.8
    assert (np.sum(misses, axis=0) <= 15 + 4 * 3.8).all() and (np.sum(misses, axis=0) >= 2).all()


def test_without_overlap_there_is_no_value_and_the_reason_says_how_much_is_missing():
    log = small([0] * 100, [1.0] * 100, 0.0)
    for found in (inverse_propensity(log, [0.75, 0.25]), self_normalised(log, [0.0, 1.0])):
        assert found.value is None and found.lower is None
    found = inverse_propensity(log, [0.75, 0.25])
    assert found.overlap.unsupported == 0.25
    assert found.reason == "for 25 % of its decisions the policy would give what the log never gave there"


def test_too_few_effective_decisions_are_no_value():
    log = small([0] * 990 + [1] * 10, [1.0] * 1_000, 0.01)
    found = self_normalised(log, [0.0, 1.0])
    assert found.value is None and found.overlap.effective_n == pytest.approx(10)
    assert found.reason == "the log holds 10 effective decisions for this policy; 30 are needed"
    assert inverse_propensity(small([], [], 0.5), [0.5, 0.5]).reason == "fewer than two decisions in the log"


def test_logs_that_contradict_themselves_are_refused():
    with pytest.raises(ValueError, match="contradicts itself"):
        small([1], [1.0], 0.0)
    with pytest.raises(ValueError, match="no finite number"):
        small([1], [float("nan")], 0.5)
    with pytest.raises(ValueError, match="outside 0 to 1"):
        small([2], [1.0], 0.5)
    with pytest.raises(ValueError, match="each row adds up to 1"):
        Log(arms=("A", "B"), arm=np.array([0]), reward=np.array([1.0]), propensities=np.array([[0.5, 0.6]]))
    with pytest.raises(ValueError, match="a policy is chances of 2 arms"):
        inverse_propensity(small([0], [1.0], 0.5), [1.0, 0.5])
    with pytest.raises(ValueError, match="above 0"):
        Batches(
            arms=("A", "B"),
            propensity=np.array([[1.0, 0.0]]),
            **dict.fromkeys(("n", "total", "squares"), np.ones((1, 2))),
        )


def test_adaptive_means_by_hand():
    # batch 1: shares .5 .5, 4 units: A 0 1, B 1 1; batch 2: shares .2 .8, 5 units: A 0, B 1 1 0 1
    propensity = np.array([[0.5, 0.5], [0.2, 0.8]])
    counts, sums = np.array([[2.0, 2.0], [1.0, 4.0]]), np.array([[1.0, 2.0], [0.0, 3.0]])
    found = adaptive_means(Batches(arms=("A", "B"), propensity=propensity, n=counts, total=sums, squares=sums))
    # batch 1 expects 3/4 of both arms. A: 4 x 3/4 + (1 - 2 x 3/4) / .5 = 2; B: 3 + (2 - 1.5) / .5 = 4
    # batch 2 expects 1/2 of A and 1 of B. A: 5 x 1/2 + (0 - 1/2) / .2 = 0; B: 5 + (3 - 4) / .8 = 3.75
    a = (sqrt(0.5) * 2 + sqrt(0.2) * 0) / (4 * sqrt(0.5) + 5 * sqrt(0.2))
    b = (sqrt(0.5) * 4 + sqrt(0.8) * 3.75) / (4 * sqrt(0.5) + 5 * sqrt(0.8))
    assert found.value == pytest.approx([a, b])
    # the scores themselves, for the covariances: 3/4 + (reward - 3/4) / .5 where given, 3/4 elsewhere, and so on
    scores_a = [0.75 - 1.5, 0.75 + 0.5, 0.75, 0.75, 0.5 - 2.5, 0.5, 0.5, 0.5, 0.5]
    scores_b = [0.75, 0.75, 0.75 + 0.5, 0.75 + 0.5, 1, 1, 1, 1 - 1 / 0.8, 1]
    weights_a, weights_b = np.sqrt([0.5] * 4 + [0.2] * 5), np.sqrt([0.5] * 4 + [0.8] * 5)
    off_a, off_b = weights_a * (np.array(scores_a) - a), weights_b * (np.array(scores_b) - b)
    expected = [(off_a**2).sum() / weights_a.sum() ** 2, (off_a * off_b).sum() / weights_a.sum() / weights_b.sum()]
    assert found.covariance[0] == pytest.approx(expected)
    assert found.covariance[1, 1] == pytest.approx((off_b**2).sum() / weights_b.sum() ** 2)


def test_rows_and_batches_say_the_same_however_large_the_rewards():
    rng = np.random.default_rng(8)
    propensity = np.array([[0.5, 0.5], [0.3, 0.7], [0.1, 0.9]])
    batch = np.repeat([0, 1, 2], 300)
    arm = (rng.random(900) < propensity[batch, 1]).astype(np.int64)
    reward = rng.normal(size=900) + 0.3 * arm
    near = adaptive_means(Batches.of_rows(("A", "B"), arm, reward, batch, propensity)).compare("B", "A")
    far = adaptive_means(Batches.of_rows(("A", "B"), arm, reward + 1e8, batch, propensity)).compare("B", "A")
    assert near.method == "adaptive_aipw" and near.p_value is not None
    assert far.difference == pytest.approx(near.difference, abs=1e-6)
    assert far.standard_error == pytest.approx(near.standard_error, rel=1e-6)


@given(rewards=st.lists(st.floats(-5, 5), min_size=1, max_size=5))
def test_an_arm_of_one_value_has_no_difference_but_a_reason(rewards):
    n = np.full((1, 2), 10.0)
    flat = Batches(arms=("A", "B"), propensity=np.full((1, 2), 0.5), n=n, total=n * 0, squares=n * 0, shift=rewards[0])
    found = adaptive_means(flat).compare("B", "A")
    assert found.difference is None and found.reason == "every customer of an arm has the same value"


def test_with_even_shares_the_difference_is_that_of_welch_but_for_chance():
    rng = np.random.default_rng(2)
    arm, batch = rng.integers(0, 2, 20_000), np.repeat(np.arange(10), 2_000)
    reward = rng.normal(5, 2, 20_000) + 0.1 * arm
    even = np.full((10, 2), 0.5)
    adaptive = adaptive_means(Batches.of_rows(("A", "B"), arm, reward, batch, even)).compare("B", "A")
    plain = effects.means(*(Moments.of_values(["value"], reward[arm == place]) for place in (1, 0)))
    assert adaptive.difference == pytest.approx(plain.difference, abs=0.2 * plain.standard_error)
    assert adaptive.standard_error == pytest.approx(plain.standard_error, rel=0.02)


def adaptive_experiments(repeats: int, rate: float, seed: int) -> Batches:
    """Thompson sampling with a floor of 1 %, 20 batches of 200, two arms of one and the same rate."""
    rng = np.random.default_rng(seed)
    shape = (repeats, 20, 2)
    share, n, successes = np.empty(shape), np.empty(shape), np.empty(shape)
    for batch in range(20):
        more = 1 + successes[:, :batch].sum(axis=1)
        all_of = 2 + n[:, :batch].sum(axis=1)
        mean = more / all_of
        spread = np.sqrt((mean * (1 - mean) / (all_of + 1)).sum(axis=1))
        second = np.clip(ndtr((mean[:, 1] - mean[:, 0]) / spread), 0.01, 0.99)
        share[:, batch] = np.column_stack([1 - second, second])
        given_second = rng.binomial(200, second)
        n[:, batch] = np.column_stack([200 - given_second, given_second])
        successes[:, batch] = rng.binomial(n[:, batch].astype(int), rate)
    return Batches(arms=("A", "B"), propensity=share, n=n, total=successes, squares=successes)


def test_on_adaptive_data_without_an_effect_weighted_scores_raise_half_as_many_false_alarms_as_plain_means():
    # measured with 20 000 experiments elsewhere: plain means .137 and -4.1 %, weighted scores .074
    batches = adaptive_experiments(10_000, 0.1, seed=11)
    n, successes = batches.n.sum(axis=1), batches.total.sum(axis=1)
    mean = successes / n
    plain = np.abs(mean[:, 1] - mean[:, 0]) / np.sqrt((mean * (1 - mean) / n).sum(axis=1)) > 1.96
    assert plain.mean() == pytest.approx(0.137, abs=0.015)
    assert mean.mean() / 0.1 - 1 == pytest.approx(-0.041, abs=0.005)
    found = adaptive_means(batches)
    variance = found.covariance[:, 0, 0] + found.covariance[:, 1, 1] - 2 * found.covariance[:, 0, 1]
    weighted = np.abs(found.value[:, 1] - found.value[:, 0]) / np.sqrt(variance) > 1.96
    assert weighted.mean() == pytest.approx(0.074, abs=0.01)
    assert weighted.mean() - 0.05 < (plain.mean() - 0.05) / 2
    assert abs(found.value.mean() / 0.1 - 1) < abs(mean.mean() / 0.1 - 1)


def test_clipping_takes_weight_away_and_says_how_much():
    # weights of B are 4 for 60 of 180; at most 3 of them are kept: 180 of 240
    log = small([0] * 120 + [1] * 60, [1.0] * 120 + [3.0] * 30 + [12.0] * 30, 0.25)
    found = overlap(log, [0.0, 1.0], clip=3.0)
    assert (found.clipped, found.cut, found.mean_weight) == (60, pytest.approx(60 / 240), pytest.approx(240 / 180))
    assert inverse_propensity(log, [0.0, 1.0], clip=3.0).value == pytest.approx(10 * 3 / 4)
    # weights that are all cut alike leave the self-normalised value where it was
    assert self_normalised(log, [0.0, 1.0], clip=3.0).value == pytest.approx(7.5)
    with pytest.raises(ValueError, match="above 0"):
        overlap(log, [0.0, 1.0], clip=0.0)


def test_decisions_without_any_spread_have_a_value_and_no_interval():
    found = self_normalised(small([0, 1] * 50, [3.0] * 100, 0.5), [0.0, 1.0])
    assert (found.value, found.lower, found.gain) == (pytest.approx(3.0), None, pytest.approx(0.0))
    assert found.reason == "every decision says the same, so there is no spread to judge by"


def test_units_of_a_log_are_counted_and_two_are_needed():
    log = small([0, 1] * 40, [0.0, 1.0, 2.0, 3.0] * 20, 0.5)
    one = Log(arms=log.arms, arm=log.arm, reward=log.reward, propensities=log.propensities, unit=np.zeros(80, int))
    assert self_normalised(one, [0.0, 1.0]).reason == "fewer than two units in the log"
    with pytest.raises(ValueError, match="needs 80 units"):
        Log(arms=log.arms, arm=log.arm, reward=log.reward, propensities=log.propensities, unit=np.zeros(3, int))
