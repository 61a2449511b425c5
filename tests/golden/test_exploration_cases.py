"""Worked cases of exploration, each with its calculation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import integrate, special, stats

from engine.domain.errors import SettingsFault
from engine.recommendations import explore, thompson
from engine.recommendations.explore import Candidates, Evidence
from engine.recommendations.thompson import Beliefs
from tests.engine.recommendations import builders


def _first(worth: list[float], customers: int = 3000, **flags: Any) -> dict[int, float]:
    """Return the logged chance of every product that came first for one of many customers who are alike."""
    shape = (customers, len(worth))
    offered = Candidates(
        customer_ids=pa.array([f"C{number}" for number in range(customers)]),
        propensity=np.full(shape, 0.1),
        worth=np.broadcast_to(np.array(worth), shape),
        slope=np.full(shape, 1000.0),
        open=np.broadcast_to(np.array(worth) > 0, shape),
    )
    size = len(worth)
    evidence = Evidence(seed=3, cases=np.full(size, 2000.0), positives=np.full(size, 200.0))
    policy = builders.settings({"exploration": flags}).exploration
    ids = tuple(f"p{number}" for number in range(size))
    made = explore.choose(offered, policy, evidence, product_ids=ids, as_of=builders.AS_OF, top_n=2)
    rows, products = np.nonzero(made.rank == 1)
    return dict(sorted(zip(products.tolist(), made.chance[rows, products].tolist(), strict=True)))


def test_epsilon_greedy_of_four_of_which_one_is_refused() -> None:
    # 3 open: the best 1 - .3 + .3 / 3 = .8, each other .3 / 3 = .1
    found = _first([300.0, 900.0, -1.0, 500.0], strategy="epsilon_greedy", epsilon=0.3)
    assert found == pytest.approx({0: 0.1, 1: 0.8, 3: 0.1})


def test_softmax_of_three() -> None:
    # over temperature .5 x best 1,000: exponents 0, -1, -1.6; weights 1, .367879, .201897, sum 1.569776
    found = _first([1000.0, 500.0, 200.0], strategy="softmax", temperature=0.5)
    assert found == pytest.approx({0: 1 / 1.569776, 1: 0.367879 / 1.569776, 2: 0.201897 / 1.569776}, rel=1e-5)


def test_what_is_alone_is_certain_and_best_draws_nothing() -> None:
    for strategy in ("epsilon_greedy", "softmax", "thompson"):
        assert _first([-1.0, 70.0, -1.0], strategy=strategy) == pytest.approx({1: 1.0}, abs=1e-9)
    assert _first([60.0, 70.0]) == {1: 1.0}


def test_control_group_of_three_open_is_even() -> None:
    found = _first([10.0, 9000.0, -1.0, 20.0], control={"share": 0.999999})
    assert found == pytest.approx(dict.fromkeys((0, 1, 3), 1 / 3))


@pytest.mark.parametrize(
    ("positives", "p", "within"),
    [(200, 0.01, 0.8454), (200, 0.05, 0.8538), (200, 0.1, 0.8645), (500, 0.01, 0.975), (500, 0.1, 0.982)],
)
def test_draw_lies_within_a_tenth_of_the_propensity_as_often_as_the_belief_says(
    positives: int, p: float, within: float
) -> None:
    # Beta(p x cases, (1 - p) x cases) with cases = positives / p, from its distribution function
    a, b = thompson.shapes(np.array([[p]]), np.array([[positives / p]]))
    assert (a.item(), b.item()) == pytest.approx((positives, positives * (1 - p) / p))
    exact = special.betainc(a, b, 1.1 * p) - special.betainc(a, b, 0.9 * p)
    assert exact.item() == pytest.approx(within, abs=6e-4)
    even = (np.arange(100_000) + 0.5)[None, :] / 100_000
    wide = [np.broadcast_to(one, even.shape) for one in (a, b, np.ones(1), np.zeros(1), np.ones(1))]
    drawn = thompson.drawn_worth(Beliefs(a=wide[0], b=wide[1], slope=wide[2], offset=wide[3], enters=wide[4]), even)
    assert (np.abs(drawn / p - 1) <= 0.1).mean() == pytest.approx(exact.item(), abs=1e-4)


def test_maturity_ramp() -> None:
    # 2 % + 98 % x positives / 200, at most all: 50 -> 26.5 %, 100 -> 51 %
    found = thompson.maturity(np.array([0.0, 50.0, 100.0, 200.0, 900.0]), 0.02, 200)
    assert found == pytest.approx([0.02, 0.265, 0.51, 1.0, 1.0])


def test_two_equal_beliefs_win_alike_and_a_product_that_rarely_enters_wins_half_as_often_as_it_enters() -> None:
    def chance(enters: list[float]) -> list[float]:
        same = np.ones((1, 2))
        made = Beliefs(a=20 * same, b=180 * same, slope=500 * same, offset=0 * same, enters=np.array([enters]))
        return thompson.chance_of_winning(made, np.zeros(2, dtype=np.int64), np.arange(2)).tolist()

    assert chance([1.0, 1.0]) == pytest.approx([0.5, 0.5], abs=1e-9)
    # with .2 it enters and wins half of that: .1; the other wins the rest
    assert chance([0.2, 1.0]) == pytest.approx([0.1, 0.9], abs=1e-9)


def test_chance_of_winning_equals_the_integral_over_the_density() -> None:
    beliefs = Beliefs(
        a=np.array([[2.0, 400.0, 30.0]]),
        b=np.array([[40.0, 9000.0, 900.0]]),
        slope=np.array([[900.0, 1000.0, 1300.0]]),
        offset=np.array([[-2.0, -1.0, -5.0]]),
        enters=np.array([[1.0, 1.0, 0.6]]),
    )

    def density(x: float) -> float:
        worth = 900 * x - 2
        below = [
            stats.beta.cdf((worth + 1) / 1000, 400, 9000),
            0.4 + 0.6 * stats.beta.cdf((worth + 5) / 1300, 30, 900),
        ]
        return float(stats.beta.pdf(x, 2, 40) * below[0] * below[1])

    exact, _ = integrate.quad(density, 0, 1, points=[0.04, 0.045, 0.05, 0.06], epsabs=1e-12, limit=500)
    found = thompson.chance_of_winning(beliefs, np.array([0]), np.array([0])).item()
    assert found == pytest.approx(exact, abs=thompson.STATED_ERROR)
    assert 0.2 < found < 0.8


def test_periods_are_told_by_utc() -> None:
    moment = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    told = [explore.period_of(moment, period) for period in ("month", "quarter", "year", "always")]
    assert told == ["2026-12", "2026-Q4", "2026", "always"]


def test_settings_that_contradict_themselves_are_refused_in_a_sentence() -> None:
    with pytest.raises(SettingsFault, match="0 explores nothing"):
        builders.settings({"exploration": {"strategy": "epsilon_greedy", "epsilon": 0}})
    with pytest.raises(SettingsFault, match="1 leaves nobody to be advised"):
        builders.settings({"exploration": {"control": {"share": 1}}})


def test_what_is_best_of_what_is_left_is_no_exploration_though_another_stands_above_it() -> None:
    offered = Candidates(
        customer_ids=pa.array([f"C{number}" for number in range(500)]),
        propensity=np.full((500, 3), 0.1),
        worth=np.broadcast_to(np.array([300.0, 200.0, 100.0]), (500, 3)),
        slope=np.full((500, 3), 1000.0),
        open=np.ones((500, 3), dtype=bool),
    )
    evidence = Evidence(seed=3, cases=np.full(3, 2000.0), positives=np.full(3, 200.0))
    policy = builders.settings({"exploration": {"strategy": "epsilon_greedy", "epsilon": 0.6}}).exploration
    found = explore.choose(offered, policy, evidence, product_ids=("a", "b", "c"), as_of=builders.AS_OF, top_n=2)
    told = {
        tuple(np.argsort(np.where(rank > 0, rank, 9))[:2]): tuple(codes[np.argsort(np.where(rank > 0, rank, 9))[:2]])
        for rank, codes in zip(found.rank, found.selection, strict=True)
    }
    # a then b is what is worth most; after b, a is; after c, b is not, since a is left
    assert told == {(0, 1): (0, 0), (0, 2): (0, 1), (1, 0): (1, 0), (1, 2): (1, 1), (2, 0): (1, 0), (2, 1): (1, 1)}
