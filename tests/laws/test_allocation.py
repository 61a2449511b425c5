"""What holds of every allocation, whoever the customers are and whatever the limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.recommendations.allocation import Demand, Limits, Prices
from engine.recommendations.allotment import Allotment, allot

CHANNELS = 2


@st.composite
def _cases(draw: Any) -> tuple[Demand, Limits]:
    """Banks of up to 40 customers with few distinct values, so that ties abound, and limits of every kind."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    customers, products = draw(st.integers(1, 40)), draw(st.integers(1, 5))
    value = random.integers(-2, draw(st.sampled_from([4, 1000])), (customers, products)).astype(np.float64)
    value[random.random(value.shape) < draw(st.sampled_from([0.0, 0.3, 0.9]))] = np.nan
    channel = random.integers(-1, CHANNELS, customers)
    demand = Demand(value=value, channel=channel, cost=np.array([0.0, 3.0, 10.0])[channel + 1])

    def some(low: float, high: float, none: float, size: int) -> Any:
        return np.where(random.random(size) < 0.5, none, np.floor(random.uniform(low, high, size)))

    share = np.where(random.random(products) < 0.7, 0.0, random.integers(1, 100, products) / 100 / products)
    limits = Limits(
        top_n=draw(st.integers(1, 3)),
        budget=draw(st.sampled_from([np.inf, 0.0, 9.0, 60.0])),
        product=some(0, customers, np.inf, products),
        channel=some(0, customers, np.inf, CHANNELS),
        share=share,
    )
    return demand, limits


def _allot(demand: Demand, limits: Limits, sample: int = 1000, seed: int = 1) -> Allotment:
    return allot(demand, limits, sample=sample, seed=seed)


@given(case=_cases(), sample=st.sampled_from([3, 1000]))
@settings(max_examples=150, deadline=None)
def test_no_limit_is_ever_broken(case: tuple[Demand, Limits], sample: int) -> None:
    demand, limits = case
    made = _allot(demand, limits, sample)
    used = made.used(made.offered)
    assert used.budget <= limits.budget
    assert (used.product <= limits.product).all()
    assert (used.channel <= limits.channel).all()
    assert (used.product >= limits.share * used.offers - 1e-6).all()
    assert (made.offered.sum(axis=1) <= limits.top_n).all()


@given(case=_cases(), sample=st.sampled_from([3, 1000]))
@settings(max_examples=60, deadline=None)
def test_nothing_refused_or_worthless_is_offered_and_nothing_beats_the_bound(
    case: tuple[Demand, Limits], sample: int
) -> None:
    demand, limits = case
    made = _allot(demand, limits, sample)
    for chosen in (made.offered, made.by_prices, made.without_limits):
        assert not (chosen & ~(demand.value > 0)).any()
    assert made.value <= made.bound * (1 + 1e-9) + 1e-6


@given(case=_cases(), which=st.sampled_from(["budget", "product", "channel", "share", "top_n"]))
@settings(max_examples=60, deadline=None)
def test_relaxing_a_limit_never_lowers_the_bound(case: tuple[Demand, Limits], which: str) -> None:
    demand, limits = case
    looser = {"budget": limits.budget + 5, "product": limits.product + 1, "channel": limits.channel + 1}
    looser |= {"share": limits.share * 0.8, "top_n": limits.top_n + 1}
    tight, loose = _allot(demand, limits), _allot(demand, replace(limits, **{which: looser[which]}))
    assert loose.bound >= tight.bound - 1e-6 * max(tight.bound, 1)


@given(case=_cases(), seed=st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_the_same_seed_allots_the_same(case: tuple[Demand, Limits], seed: int) -> None:
    one, other = (_allot(*case, sample=5, seed=seed) for _ in range(2))
    assert one.offered.tobytes() == other.offered.tobytes()
    assert one.bound == other.bound


@given(case=_cases(), budget=st.floats(0, 5), price=st.floats(0, 900))
@settings(max_examples=60, deadline=None)
def test_prices_charge_one_customer_the_bits_that_they_charge_a_block(
    case: tuple[Demand, Limits], budget: float, price: float
) -> None:
    demand, limits = case
    products = demand.value.shape[1]
    prices = Prices(budget=budget, product=np.linspace(0, price, products), channel=np.array([price / 7, 0.1]))
    surplus, chosen = prices.surplus(demand), prices.choose(demand, limits.top_n)
    for row in range(len(demand.value)):
        alone = demand.rows(np.array([row]))
        assert prices.surplus(alone).tobytes() == surplus[row : row + 1].tobytes()
        assert prices.choose(alone, limits.top_n).tolist() == chosen[row : row + 1].tolist()


@pytest.mark.parametrize("seed", range(3))
def test_prices_of_a_sample_come_close_to_the_bound_of_the_whole(seed: int) -> None:
    # 3,000 customers, priced by a tenth of them: 24 products with capacities, a budget and a channel that bind
    random = np.random.default_rng(seed)
    value = np.rint(random.lognormal(5, 1, (3000, 24)))
    value[random.random(value.shape) < 0.4] = np.nan
    channel = random.integers(0, CHANNELS, 3000)
    demand = Demand(value=value, channel=channel, cost=np.array([2.0, 10.0])[channel])
    limits = Limits(
        top_n=3,
        budget=9_000.0,
        product=np.full(24, 150.0),
        channel=np.array([np.inf, 900.0]),
        share=np.eye(24)[0] * 0.05,
    )
    made = _allot(demand, limits, sample=300, seed=seed)
    assert made.share_of_bound is not None
    assert made.share_of_bound > 0.98
