"""Worked cases of allocating offers within limits, each with its calculation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.recommendations.allocation import Demand, Limits
from engine.recommendations.allotment import Allotment, allot


def _allot(value: list[list[float]], cost: list[float] | None = None, **limits: Any) -> Allotment:
    worth = np.array(value)
    customers, products = worth.shape
    open_ended = {
        "top_n": 1,
        "budget": np.inf,
        "product": np.full(products, np.inf),
        "channel": np.full(1, np.inf),
        "share": np.zeros(products),
    }
    demand = Demand(
        value=worth,
        channel=np.zeros(customers, dtype=np.int64),
        cost=np.zeros(customers) if cost is None else np.array(cost),
    )
    given = {name: np.array(one) if isinstance(one, list) else one for name, one in limits.items()}
    return allot(demand, Limits(**(open_ended | given)), sample=1000, seed=1)


def test_two_customers_and_one_offer_of_each_product() -> None:
    # A is worth 10 and 9, B 9 and 1. The dearest pair first, and first come first served by c1, c2, give c1 A and c2 B:
    # 10 + 1 = 11. The best gives c1 B and c2 A: 9 + 9 = 18.
    made = _allot([[10, 9], [9, 1]], product=[1.0, 1.0])
    assert made.offered.tolist() == [[False, True], [True, False]]
    assert made.value == 18


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_order_of_the_customers_does_not_decide(order: list[int]) -> None:
    # first come first served is worth 11 in one order and 18 in the other
    made = _allot([[[10, 9], [9, 1]][row] for row in order], product=[1.0, 1.0])
    assert made.value == 18


def test_limits_at_their_prices_and_what_customers_keep_add_up_to_the_best_value() -> None:
    # strong duality; the prices themselves are not unique here: (8, 0), (8, 1) and (2, 1) all solve it when customers
    # keep the rest, so only the sum is asked for
    made = _allot([[10, 9], [9, 1]], product=[1.0, 1.0])
    keep = np.maximum(np.array([[10, 9], [9, 1]]) - made.shadow_prices.product, 0).max(axis=1).sum()
    assert made.shadow_prices.product.sum() + keep == pytest.approx(18)
    assert made.bound == pytest.approx(18)
    assert made.share_of_bound == pytest.approx(1)


def test_a_budget_buys_the_most_value_per_cost_and_its_bound_counts_the_part_it_cannot_buy() -> None:
    # 60 for 10, 100 for 20, 120 for 30, budget 50. In parts: 60 + 100 + 2/3 of 120 = 240, the price 120 / 30 = 4.
    # Whole offers within the budget after the prices: the first two, 160; 20 of the budget buy nothing more.
    made = _allot([[60.0], [100.0], [120.0]], cost=[10.0, 20.0, 30.0], budget=50.0)
    assert made.bound == pytest.approx(240)
    assert made.shadow_prices.budget == pytest.approx(4)
    assert made.offered[:, 0].tolist() == [True, True, False]
    assert made.value == 160


def test_a_minimum_share_is_kept_at_its_price() -> None:
    # four customers want A (10) and could have B (7): half must be B. 10 + 10 + 7 + 7 = 34, and each offer of A less
    # asked of B would bring 10 - 7 = 3.
    made = _allot([[10.0, 7.0]] * 4, share=[0.0, 0.5])
    assert made.offered.sum(axis=0).tolist() == [2, 2]
    assert made.value == made.bound == pytest.approx(34)
    assert made.shadow_prices.share[1] == pytest.approx(3)


def test_a_minimum_share_that_few_can_have_holds_back_the_others() -> None:
    # one customer of five can have B, and half of all offers must be B: one A beside it, though five want A
    value = [[10.0, 4.0], *[[10.0, np.nan]] * 4]
    made = _allot(value, share=[0.0, 0.5])
    assert made.offered.sum(axis=0).tolist() == [1, 1]
    assert made.value == made.bound == pytest.approx(14)


def test_without_limits_everybody_gets_the_best_and_nothing_has_a_price() -> None:
    made = _allot([[10.0, 9.0, np.nan], [-1.0, np.nan, 3.0], [np.nan, 0.0, -2.0]], top_n=2)
    assert made.offered.tolist() == [[True, True, False], [False, False, True], [False, False, False]]
    assert (made.value, made.bound) == (22, 22)
    assert made.shadow_prices.product.tolist() == [0, 0, 0]


def test_where_nothing_can_be_offered_the_share_of_the_bound_is_undefined() -> None:
    made = _allot([[10.0]], budget=0.0, cost=[5.0])
    assert (made.value, made.bound, made.share_of_bound) == (0, 0, None)
