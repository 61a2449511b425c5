"""What closing the gap to the best group would bring, and that its interval keeps its word."""

from collections.abc import Callable

import numpy as np
import pytest
from pytest import approx

from journeys import what_if
from journeys.what_if import Groups, WhatIf

Rates = Callable[[np.random.Generator, int], np.ndarray]


def groups(reached: list[int], went_on: list[int], completed: list[int], value: float = np.nan) -> Groups:
    n = len(reached)
    return Groups(
        names=[f"g{number}" for number in range(n)],
        reached=np.array(reached),
        went_on=np.array(went_on),
        completed=np.array(completed),
        value=np.full(n, value),
        value_error=np.zeros(n),
    )


def best(*numbers: list[int], value: float = np.nan) -> WhatIf:
    found = what_if.best_of(groups(*numbers, value=value), seed=1)
    assert found is not None
    return found


def test_large_groups_leave_hardly_any_doubt() -> None:
    # 100 000 each: 60 % against 50 %. 10 000 more go on; 40 % of those who went on there complete: 4 000 more
    found = best([100_000, 100_000], [60_000, 50_000], [30_000, 20_000])
    assert found.benchmark == "g0"
    assert found.rate == 0.5
    assert found.more_going_on == approx(10_000, rel=0.03)
    assert found.more_converters == approx(4_000, rel=0.03)
    assert found.more_converters in found.more_converters_interval


def test_extra_value_is_extra_converters_times_what_each_is_worth() -> None:
    found = best([100_000, 100_000], [60_000, 50_000], [30_000, 20_000], value=2_500.0)
    assert found.extra_minor == approx(4_000 * 2_500, rel=0.03)
    assert found.extra_interval_minor is not None
    assert found.extra_interval_minor[0] < found.extra_minor < found.extra_interval_minor[1]


def test_the_worth_of_a_loss_maker_is_negative_and_not_hidden() -> None:
    assert (best([100_000, 100_000], [60_000, 50_000], [30_000, 20_000], value=-100.0).extra_minor or 0) < 0


def test_value_that_is_unknown_stays_unknown() -> None:
    assert best([500, 500], [300, 200], [100, 100]).extra_minor is None


def test_the_luckiest_of_many_equal_groups_is_drawn_back_to_the_rest() -> None:
    rng = np.random.default_rng(5)
    reached = np.full(20, 200)
    went_on = rng.binomial(reached, 0.6)
    found = best(reached.tolist(), went_on.tolist(), (went_on // 2).tolist())
    seen = went_on.max() / 200  # about 0.66 by luck alone
    assert found.benchmark_rate < (seen + 0.6) / 2
    assert 0 in found.more_going_on_interval


def test_one_group_or_small_ones_alone_set_no_example() -> None:
    assert what_if.best_of(groups([1_000], [600], [300]), seed=1) is None
    assert what_if.best_of(groups([1_000, 29], [600, 29], [300, 29]), seed=1) is None


def test_the_same_seed_gives_the_same_answer() -> None:
    assert best([500, 400], [300, 200], [100, 100]) == best([500, 400], [300, 200], [100, 100])


@pytest.mark.parametrize(
    "rates",
    [
        lambda rng, n: np.full(n, 0.6),
        lambda rng, n: rng.beta(60, 40, n),
        lambda rng, n: np.array([0.5] * (n - 1) + [0.62]),
    ],
    ids=["all alike", "differing at random", "one stands out"],
)
def test_the_interval_holds_the_truth_as_often_as_it_says_though_the_best_was_picked(rates: Rates) -> None:
    rng, repeats, held = np.random.default_rng(11), 150, 0
    for seed in range(repeats):
        reached, truth, onward = rng.integers(100, 900, 6), rates(rng, 6), rng.beta(60, 40, 6)
        went_on = rng.binomial(reached, truth)
        completed = rng.binomial(went_on, onward)
        found = what_if.best_of(groups(reached.tolist(), went_on.tolist(), completed.tolist()), seed)
        assert found is not None
        chosen = int(found.benchmark[1:])
        others = np.arange(6) != chosen
        gained = ((truth[chosen] - truth[others]) * reached[others] * onward[others]).sum()
        held += gained in found.more_converters_interval
    # 95 % of 150 less three standard errors of 2.7; more is allowed
    assert held >= 142.5 - 8


def test_posterior_rates_of_many_groups_lie_where_the_truth_does() -> None:
    rng = np.random.default_rng(3)
    truth = rng.beta(30, 20, 40)
    trials = np.full(40, 100)
    drawn = what_if.posterior(rng.binomial(trials, truth), trials, rng)
    inside = (np.quantile(drawn, 0.025, axis=0) <= truth) & (truth <= np.quantile(drawn, 0.975, axis=0))
    assert inside.mean() > 0.85  # 95 % of 40 less three standard errors
