"""Which offers to make when not all can be made: budgets, capacities and minimum shares, held by shadow prices.

The linear programme is solved on a sample of customers. Its dual values are prices: what one more unit of each limit
would bring. Charged to every pair, they turn the choice into one that a customer's own row decides, so that a single
answer charges the same prices as the whole base, to the bit. What the prices leave a little over or short is repaired
(`allocation_repair`), and no limit is broken in the end.

For any prices of 0 or more, what the limits are worth at them plus what every customer's best offers are worth after
them is at least the value of the best allocation there is: that is the bound, and it holds for the whole base although
the prices come from a sample.

References
----------
Bertsimas and Tsitsiklis (1997), Introduction to Linear Optimization, chapter 4, on duality; Talluri and van Ryzin
(2004), The Theory and Practice of Revenue Management, chapter 3, on bid prices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, vstack

from engine.domain.errors import WaylineError
from engine.recommendations.frame import Flags, Floats, Integers

_ROWS: Final = 4096  # looked at together: they stay in the processor's cache
_JUST: Final = 1e-7  # of the value: prices are no more exact than that


class PricesNotFound(WaylineError):
    """The solver gave no prices; `status` is its own word for why."""

    def __init__(self, status: str) -> None:
        self.status = status
        super().__init__(
            f"No shadow prices for the limits under [allocation]: {status}. Nothing can be offered within them. Lower "
            f"sample_customers, or take the limits out one by one to find the one that the solver cannot hold."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What could be offered to n customers of P products.

    `value` is the expected value in minor units, shape (n, P), NaN where the product is refused; an offer that is worth
    nothing or less is never made. `channel` is the place of the channel that each customer is contacted on, -1 for
    none, and `cost` what one offer costs there, in minor units; shape (n,).
    """

    value: Floats
    channel: Integers
    cost: Floats

    @property
    def worthwhile(self) -> Flags:
        """The pairs that may be offered and are worth something, shape (n, P)."""
        return self.value > 0

    def rows(self, places: Integers) -> Demand:
        """Return the customers at the places."""
        return Demand(value=self.value[places], channel=self.channel[places], cost=self.cost[places])


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the allocation holds; infinity and a share of 0 are no limit.

    `budget` in minor units of cost, `product` (P,) and `channel` (C,) in offers, `share` (P,) the least share of all
    offers that are of the product, `top_n` offers to one customer.
    """

    top_n: int
    budget: float
    product: Floats
    channel: Floats
    share: Floats

    def scaled(self, part: float) -> Limits:
        """Return the limits for a part above 0 of the customers; shares are of whatever is offered, so they stay."""
        return replace(self, budget=self.budget * part, product=self.product * part, channel=self.channel * part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPrices:
    """What one more unit of each limit would bring, in minor units of expected value; 0 where it does not bind.

    `share` (P,) is what one offer fewer asked of the product would bring.
    """

    budget: float
    product: Floats
    channel: Floats
    share: Floats

    def charged(self, limits: Limits) -> Prices:
        """Return the prices as offers are charged them.

        An offer of a product with a minimum share earns that share's price, and every offer raises what is asked of
        each such product.
        """
        asked = float((self.share * limits.share).sum())
        return Prices(budget=self.budget, product=self.product - self.share + asked, channel=self.channel)

    def towards(self, other: ShadowPrices, step: float) -> ShadowPrices:
        """Return prices a step of 0 to 1 on the way to others."""
        return ShadowPrices(
            budget=(1 - step) * self.budget + step * other.budget,
            product=(1 - step) * self.product + step * other.product,
            channel=(1 - step) * self.channel + step * other.channel,
            share=(1 - step) * self.share + step * other.share,
        )

    def of_limits(self, limits: Limits) -> float:
        """Return what all limits are worth at these prices; a limit without a price adds nothing."""
        budget = self.budget * limits.budget if self.budget > 0 else 0.0
        return budget + _worth(self.product, limits.product) + _worth(self.channel, limits.channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What an offer is charged: per minor unit of cost, per offer of a product (P,), per offer on a channel (C,)."""

    budget: float
    product: Floats
    channel: Floats

    def surplus(self, demand: Demand) -> Floats:
        """Return the value of each pair after its charges, shape (n, P), NaN where refused; no row sees another."""
        on_channel = np.where(demand.channel < 0, 0.0, self.channel[np.maximum(demand.channel, 0)])
        of_customer: Floats = self.budget * demand.cost + on_channel
        surplus: Floats = demand.value - of_customer[:, None]
        surplus -= self.product
        return surplus

    def choose(self, demand: Demand, top_n: int) -> Flags:
        """Return the pairs that pay their charges, the best `top_n` of each customer, shape (n, P).

        A pair that just pays them is not among them: at the margin more may do so than there is room for.
        """
        return best(self.paid(demand), top_n)

    def paid(self, demand: Demand) -> Floats:
        """Return the value of each pair after its charges, shape (n, P), 0 where it does not pay them."""
        surplus = self.surplus(demand)
        pays = demand.worthwhile & (surplus > _JUST * demand.value)
        return np.where(pays, surplus, 0.0)


def best(worth: Floats, top_n: int) -> Flags:
    """Return the `top_n` highest above 0 of each row, equal ones in the order of columns; NaN is none of them."""
    chosen = np.zeros(worth.shape, dtype=bool)
    for start in range(0, len(worth), _ROWS):
        part = worth[start : start + _ROWS]
        above = part > 0
        order = np.argsort(np.where(above, -part, np.inf), axis=1, kind="stable")[:, :top_n]
        np.put_along_axis(chosen[start : start + _ROWS], order, True, axis=1)
        chosen[start : start + _ROWS] &= above
    return chosen


def no_prices(products: int, channels: int) -> ShadowPrices:
    """Return prices of 0: nothing is scarce."""
    return ShadowPrices(budget=0.0, product=np.zeros(products), channel=np.zeros(channels), share=np.zeros(products))


def bound(demand: Demand, limits: Limits, prices: ShadowPrices) -> float:
    """Return what no allocation within the limits can be worth more than, in minor units; 0 for no customers.

    It holds at any prices, and at those that solve the programme for these very customers it is the programme's value.
    """
    charged, gained = prices.charged(limits), 0.0
    leave = max(demand.value.shape[1] - limits.top_n, 0)
    for start in range(0, len(demand.value), _ROWS):
        part = demand.rows(np.arange(start, min(start + _ROWS, len(demand.value))))
        surplus = np.where(part.worthwhile, charged.surplus(part), 0.0)
        np.maximum(surplus, 0.0, out=surplus)
        if leave:
            surplus.partition(leave, axis=1)
        gained += float(surplus[:, leave:].sum())
    return prices.of_limits(limits) + gained


def margin(surplus: Floats, top_n: int) -> Floats:
    """Return by how much prices must move at least before a customer's offers change, shape (n,), in minor units.

    `surplus` is minus infinity where nothing may be offered; the margin is infinite where nothing may be at all.
    """
    padded = np.pad(surplus, ((0, 0), (0, max(top_n + 1 - surplus.shape[1], 0))), constant_values=-np.inf)
    first = -np.sort(np.partition(-padded, top_n, axis=1)[:, : top_n + 1], axis=1)
    to_nothing = np.abs(first[:, :top_n]).min(axis=1)
    last, following = first[:, top_n - 1], first[:, top_n]
    to_following = np.where(following > 0, last - np.where(following > 0, following, 0.0), np.inf)
    margin: Floats = np.minimum(to_nothing, to_following)
    return margin


def solve(demand: Demand, limits: Limits, slack: Floats | None = None) -> ShadowPrices:
    """Return the shadow prices of the limits: the dual values of the linear programme over these customers.

    Offers may be made in parts, each pair between none and one; all else is as in the allocation. Offering nothing
    holds every limit, so there always is a solution; equally good prices may differ where the programme is degenerate.
    `slack`, shape (P,), is by how many offers more than its minimum share each product already has elsewhere, below 0
    by how many fewer; by default none.

    Raises
    ------
    PricesNotFound
        The solver gave up.
    """
    products, channels = demand.value.shape[1], len(limits.channel)
    rows, columns = np.nonzero(demand.worthwhile)
    if len(rows) == 0:
        return no_prices(products, channels)
    worth = demand.value[rows, columns]
    unit = float(worth.max())  # the solver's tolerances are absolute: values near 1 make them relative
    at = np.arange(len(rows))

    def counting(groups: Integers, members: Flags, count: int) -> csr_array:
        return csr_array((np.ones(members.sum()), (groups[members], at[members])), shape=(count, len(rows)))

    channel = demand.channel[rows]
    everyone = np.ones(len(rows), dtype=bool)
    capped, reached, shared = np.isfinite(limits.product), np.isfinite(limits.channel), limits.share > 0
    asked = np.zeros(products) if slack is None else slack
    cost = demand.cost[rows]
    dearest = max(float(cost.max()), 1.0)
    blocks = [
        (counting(rows, everyone, len(demand.value)), np.full(len(demand.value), float(limits.top_n))),
        (counting(columns, everyone, products)[capped], limits.product[capped]),
        (counting(channel, channel >= 0, channels)[reached], limits.channel[reached]),
        (
            csr_array((limits.share[:, None] - (columns == np.arange(products)[:, None]))[shared]),
            asked[shared],
        ),
        (csr_array(cost[None, :] / dearest)[: int(np.isfinite(limits.budget))], _finite(limits.budget / dearest)),
    ]
    found = linprog(
        -worth / unit,
        A_ub=vstack([block for block, _ in blocks], format="csr"),
        b_ub=np.concatenate([room for _, room in blocks]),
        bounds=(0, 1),
        method="highs-ds",
    )
    if found.status != 0:
        raise PricesNotFound(found.message)
    dual = np.maximum(-found.ineqlin.marginals * unit, 0.0)
    ends = np.cumsum([len(room) for _, room in blocks])
    return ShadowPrices(
        product=_spread(dual[ends[0] : ends[1]], capped),
        channel=_spread(dual[ends[1] : ends[2]], reached),
        share=_spread(dual[ends[2] : ends[3]], shared),
        budget=float(dual[ends[3] :].sum() / dearest),
    )


def _worth(price: Floats, limit: Floats) -> float:
    priced = price > 0
    return float((price[priced] * limit[priced]).sum())


def _finite(limit: float) -> Floats:
    return np.array([limit] if np.isfinite(limit) else [])


def _spread(values: Floats, places: Flags) -> Floats:
    spread = np.zeros(len(places))
    spread[places] = values
    return spread
