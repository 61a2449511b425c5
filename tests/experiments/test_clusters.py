"""Units randomised in groups: estimate, design effect and correlation against the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments import clusters, effects
from experiments.clusters import SIZE, SQUARES, TOTAL
from experiments.moments import Moments


def sums(groups: list[Any]) -> Moments:
    rows = [[np.sum(group), len(group), np.sum(np.square(group))] for group in groups]
    return Moments.of_values((TOTAL, SIZE, SQUARES), rows)


def draw(rng: np.random.Generator, count: int, size: int, between: float, within: float) -> list[Any]:
    return [rng.normal(rng.normal(5.0, between), within, size=size) for _ in range(count)]


def test_estimate_is_the_mean_over_units() -> None:
    estimate = clusters.mean(sums([[1.0, 2.0], [6.0]]))
    assert estimate is not None
    assert estimate.value == 3


def test_clusters_of_one_size_have_the_variance_of_their_means() -> None:
    groups = [[1.0, 3.0], [2.0, 6.0], [5.0, 7.0]]
    estimate = clusters.mean(sums(groups))
    assert estimate is not None
    # means 2, 4, 6: variance 4 over 3 clusters
    assert (estimate.variance, estimate.degrees) == (pytest.approx(4 / 3), pytest.approx(2))


def test_clusters_of_unequal_size_are_worth_fewer() -> None:
    found = clusters.design(sums([[1.0] * 8, [0.0, 1.0], [0.0, 2.0]]))
    assert found is not None
    # sizes 8, 2, 2: 12^2 / (64 + 4 + 4) = 2 clusters
    assert (found.clusters, found.effective_clusters, found.weighted_size) == (3, pytest.approx(2), pytest.approx(6))


def test_correlation_and_design_effect_are_recovered() -> None:
    # 1 of 1 + 3 of the spread is between: correlation 0.25, design effect 1 + 9 * 0.25
    found = clusters.design(sums(draw(np.random.default_rng(3), 4_000, 10, 1.0, np.sqrt(3.0))))
    assert found is not None
    assert found.intra_cluster_correlation == pytest.approx(0.25, abs=0.02)
    assert found.design_effect == pytest.approx(3.25, abs=0.2)
    assert (found.clusters, found.units, found.mean_size) == (4_000, 40_000, 10)


def test_proportion_uses_its_total_for_squares() -> None:
    groups = [[1, 0, 1], [0, 0, 0], [1, 1, 1], [1, 0, 0]]
    rows = [[sum(group), len(group), sum(group)] for group in groups]
    found = clusters.design(Moments.of_values((TOTAL, SIZE, SQUARES), rows))
    assert found is not None
    assert found == clusters.design(sums(groups))


def test_forgetting_the_clusters_cries_wolf_and_counting_them_does_not() -> None:
    rng = np.random.default_rng(5)
    wrong = right = 0
    for _ in range(300):
        arms = [draw(rng, 25, 20, 0.7, 1.0) for _ in range(2)]
        units = [Moments.of_values(("value",), np.concatenate(groups)) for groups in arms]
        wrong += (effects.means(*units).p_value or 1) < 0.05
        right += (clusters.compare(*(sums(groups) for groups in arms)).p_value or 1) < 0.05
    assert wrong / 300 > 0.4
    assert 0.02 <= right / 300 <= 0.085


def test_one_cluster_says_nothing_about_others() -> None:
    assert clusters.mean(sums([[1.0, 2.0, 3.0]])) is None
    effect = clusters.compare(sums([[1.0, 2.0]]), sums([[1.0], [2.0]]))
    assert effect.reason == "fewer than two clusters in a group, or clusters without any unit"
    assert clusters.design(sums([[1.0, 2.0, 3.0]])) is None


def test_spread_lost_beside_the_mean_is_not_made_up() -> None:
    assert clusters.design(sums([[1e9, 1e9 + 1], [1e9 + 2, 1e9]])) is None
