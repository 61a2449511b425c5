"""Rewards that each arm would have brought: learnt from other units, one model for each arm."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.reward_models import FOLDS, cross_fitted, folds


def test_linear_rewards_are_found_arm_by_arm() -> None:
    rng = np.random.default_rng(1)
    x, arm = rng.normal(size=(4_000, 2)), rng.integers(0, 2, 4_000)
    means = np.column_stack([1 + x[:, 0], 3 - 2 * x[:, 1]])
    reward = means[np.arange(4_000), arm] + rng.normal(size=4_000)
    found = cross_fitted(x, arm, reward, folds(np.arange(4_000), 7), n_arms=2)
    # three coefficients from about 1 600 units each, of standard error 1 / 40
    assert np.abs(found - means).mean() < 4 / 40


def test_no_unit_is_predicted_from_its_own_reward() -> None:
    rng = np.random.default_rng(2)
    x, arm, reward = rng.normal(size=(200, 1)), rng.integers(0, 2, 200), rng.normal(size=200)
    fold = folds(np.arange(200), 7)
    before = cross_fitted(x, arm, reward, fold, n_arms=2)
    after = cross_fitted(x, arm, np.where(fold == 0, 1e6, reward), fold, n_arms=2)
    assert after[fold == 0] == pytest.approx(before[fold == 0])
    assert np.abs(after[fold == 1]).max() > 1e4


def test_an_arm_that_was_never_given_is_predicted_by_all_rewards() -> None:
    # folds 0 and 1: rewards 1 3 in one and 5 7 in the other; a constant column tells nothing
    found = cross_fitted(
        np.ones((4, 1)), np.zeros(4, dtype=np.int64), np.array([1.0, 3, 5, 7]), np.array([0, 0, 1, 1]), n_arms=2
    )
    assert found == pytest.approx(np.array([[6, 6], [6, 6], [2, 2], [2, 2]]))


def test_rows_of_one_unit_are_in_one_fold() -> None:
    group = np.arange(1_000) // 4
    fold = folds(group, 7)
    assert (fold.reshape(-1, 4) == fold[::4, None]).all()
    assert np.bincount(fold).tolist() == [200] * FOLDS
    assert len(folds(np.array([], dtype=np.int64), 7)) == 0
