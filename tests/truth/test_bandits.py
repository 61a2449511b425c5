"""Truth: what a bandit learns, and what its log says afterwards, against rates that are known."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from experiments.adaptive_means import Batches, adaptive_means
from experiments.bandits import Rules, draw, share_proportions
from experiments.off_policy import Log, doubly_robust, inverse_propensity, self_normalised

ARMS = ("A", "B", "C")
RATES = np.array([0.10, 0.10, 0.16])
BATCHES, UNITS = 12, 250


def run(seed: int) -> tuple[Log, Batches]:
    """Let the bandit share out its batches and log what it did."""
    rng = np.random.default_rng(seed)
    counts = dict.fromkeys(ARMS, (0, 0))
    arms, rewards, propensities = [], [], []
    for batch in range(BATCHES):
        allocation = share_proportions(counts, Rules(floor=0.05, uniform=0.1))
        drawn = draw(allocation, [f"{batch}-{unit}" for unit in range(UNITS)], f"{seed}-{batch}")
        reward = (rng.random(UNITS) < RATES[drawn.arm]).astype(np.float64)
        for place, arm in enumerate(ARMS):
            got = drawn.arm == place
            counts[arm] = (counts[arm][0] + int(reward[got].sum()), counts[arm][1] + int(got.sum()))
        arms.append(drawn.arm)
        rewards.append(reward)
        propensities.append(drawn.propensities)
    arm, reward, chances = np.concatenate(arms), np.concatenate(rewards), np.concatenate(propensities)
    log = Log(arms=ARMS, arm=arm, reward=reward, propensities=chances)
    return log, Batches.of_rows(ARMS, arm, reward, np.repeat(np.arange(BATCHES), UNITS), chances[::UNITS])


@pytest.fixture(scope="module")
def runs() -> list[tuple[Log, Batches]]:
    return [run(seed) for seed in range(60)]


def test_the_bandit_finds_the_best_arm_and_gives_it_most_units(runs):
    shares = np.mean([np.bincount(log.arm, minlength=3) for log, _ in runs], axis=0) / (BATCHES * UNITS)
    assert shares[2] > 0.55
    last = np.mean([log.propensities[-1] for log, _ in runs], axis=0)
    assert last[2] > 0.7


def test_means_from_its_log_cover_the_true_rates_and_are_not_biased(runs):
    found = [adaptive_means(batches) for _, batches in runs]
    values = np.array([one.value for one in found])
    errors = np.sqrt([np.diag(one.covariance) for one in found])
    covered = np.abs(values - RATES) < 1.96 * errors
    # 171 of 180 expected at 95 %; 162 would be 90 %
    assert covered.sum() >= 162
    assert np.abs(values.mean(axis=0) - RATES).max() < 4 * (values.std(axis=0) / np.sqrt(60)).max()


def test_policies_are_judged_from_its_log(runs):
    log, _ = runs[0]
    for policy, truth in (([0, 0, 1], 0.16), ([1 / 3, 1 / 3, 1 / 3], 0.12)):
        robust = doubly_robust(log, policy, np.full(log.propensities.shape, 0.12))
        for found in (inverse_propensity(log, policy), self_normalised(log, policy), robust):
            assert found.value is not None and found.standard_error is not None
            assert abs(found.value - truth) < 4 * found.standard_error


def test_on_hillstrom_a_policy_of_one_arm_is_worth_what_that_arm_did(real_data: Path):
    with gzip.open(real_data / "hillstrom" / "hillstrom.csv.gz", "rt") as rows:
        table = [(row["segment"], int(row["visit"]), row["mens"] == "1") for row in csv.DictReader(rows)]
    names = ("Mens E-Mail", "Womens E-Mail", "No E-Mail")
    arm = np.array([names.index(segment) for segment, _, _ in table])
    visit = np.array([float(seen) for _, seen, _ in table])
    log = Log(arms=names, arm=arm, reward=visit, propensities=np.full((len(arm), 3), 1 / 3))
    # published visit rates 18.28, 15.14, 10.62 %
    for policy, rate in zip(np.eye(3), (0.1828, 0.1514, 0.1062), strict=True):
        found = self_normalised(log, policy)
        assert found.value == pytest.approx(rate, abs=0.00005)
        assert found.overlap.effective_n == pytest.approx((policy[arm] > 0).sum())
    # each the mail of what they bought before: more visits than one of the two mails at random
    bought = np.array([mens for _, _, mens in table])
    fitting = np.column_stack([bought, ~bought, np.zeros(len(arm))]).astype(float)
    chosen, mixed = self_normalised(log, fitting), self_normalised(log, [0.5, 0.5, 0.0])
    assert chosen.lower is not None and mixed.value is not None and chosen.lower > mixed.value
