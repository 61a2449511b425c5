"""Allot the offers of a whole base within limits: price a sample, choose by the prices, repair, and report the gap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from engine.config.allocation import AllocationSettings
from engine.domain.errors import SettingsFault, UnknownName
from engine.recommendations import allocation
from engine.recommendations.allocation import Demand, Limits, Prices, PricesNotFound, ShadowPrices
from engine.recommendations.allocation_repair import Usage, repair, usage, withdraw
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import assess, decide
from engine.recommendations.frame import Flags
from engine.recommendations.recommend import Prepared

_STEPS: Final = (1.0, 0.3, 0.1)
_FORCED: Final = (
    "a least share of all offers is held by adding offers that nobody drew, so that the chances logged under "
    '[recommendations.exploration] would be wrong. Take min_share out, or draw nothing (strategy = "best", '
    "control.share = 0)."
)
_SHARPENED: Final = 2  # times; more move the bound by less than a thousandth


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """The offers made within limits, and what they are worth beside what they could be.

    `offered`, `by_prices` and `without_limits` are (n, P): the offers made, those that the prices alone choose (drawn
    among those that pay them, where offers are drawn), and the best without limits. `bound` is in minor units, and no
    allocation is worth more.
    """

    limits: Limits
    shadow_prices: ShadowPrices
    demand: Demand
    offered: Flags
    by_prices: Flags
    without_limits: Flags
    bound: float
    sampled: int

    @property
    def prices(self) -> Prices:
        """The prices as a single decision is charged them."""
        return self.shadow_prices.charged(self.limits)

    @property
    def value(self) -> float:
        """What the offers are worth, in minor units."""
        return self.worth(self.offered)

    @property
    def share_of_bound(self) -> float | None:
        """The value over the bound; None where nothing at all can be offered, so that there is nothing to compare."""
        return self.value / self.bound if self.bound > 0 else None

    def worth(self, chosen: Flags) -> float:
        """Return what chosen pairs are worth, in minor units."""
        return float(self.demand.value[chosen].sum())

    def used(self, chosen: Flags) -> Usage:
        """Return how much of each limit chosen pairs use."""
        return usage(chosen, self.demand, len(self.limits.channel))


def allot(
    demand: Demand, limits: Limits, *, sample: int, seed: int, draw: Callable[[Prices], Flags] | None = None
) -> Allotment:
    """Choose the offers within the limits.

    The prices come from at most `sample` of the customers to whom anything can be offered, drawn by `seed`. Where these
    are all there are, the bound is the value of the linear programme itself; otherwise it is a little above. `draw`
    returns what is drawn among the pairs that pay the prices; of that offers are only withdrawn, and none is added.

    Raises
    ------
    PricesNotFound
        The solver gave up.
    """
    wanted = np.flatnonzero(demand.worthwhile.any(axis=1))
    if len(wanted) <= sample:
        shadow_prices = allocation.solve(demand.rows(wanted), limits)
    else:
        drawn = np.sort(np.random.default_rng([seed, 92]).choice(wanted, size=sample, replace=False))
        shadow_prices = allocation.solve(demand.rows(drawn), limits.scaled(sample / len(wanted)))
        for _ in range(_SHARPENED):
            shadow_prices = sharpened(shadow_prices, demand, limits, sample)
    charged = shadow_prices.charged(limits)
    by_prices = charged.choose(demand, limits.top_n) if draw is None else draw(charged)
    mend = repair if draw is None else withdraw
    return Allotment(
        limits=limits,
        shadow_prices=shadow_prices,
        demand=demand,
        offered=mend(by_prices, charged.surplus(demand), demand, limits, seed),
        by_prices=by_prices,
        without_limits=allocation.best(demand.value, limits.top_n),
        bound=allocation.bound(demand, limits, shadow_prices),
        sampled=min(sample, len(wanted)),
    )


def sharpened(prices: ShadowPrices, demand: Demand, limits: Limits, sample: int) -> ShadowPrices:
    """Return prices with a lower bound, or the same: solved anew for the customers whom they leave in doubt.

    Those whose offers only a large move of the prices would change are left as they are, and what they use is taken
    from the limits. So a sample of the undecided tells more than one of all.
    """
    surplus = np.where(demand.worthwhile, prices.charged(limits).surplus(demand), -np.inf)
    undecided = np.argsort(allocation.margin(surplus, limits.top_n), kind="stable")[:sample]
    settled = allocation.best(surplus, limits.top_n)
    settled[undecided] = False
    used = usage(settled, demand, len(limits.channel))
    left = replace(
        limits,
        budget=max(limits.budget - used.budget, 0.0),
        product=np.maximum(limits.product - used.product, 0.0),
        channel=np.maximum(limits.channel - used.channel, 0.0),
    )
    try:
        anew = allocation.solve(demand.rows(np.sort(undecided)), left, used.product - limits.share * used.offers)
    except PricesNotFound:  # those in doubt cannot make up for a share that the others lack: the prices stay
        return prices
    tried = (prices, *(prices.towards(anew, step) for step in _STEPS))
    return min(tried, key=lambda one: allocation.bound(demand, limits, one))


def limits_of(settings: AllocationSettings, bundle: Bundle) -> Limits:
    """Return the limits in the order of the bundle's products and channels.

    Raises
    ------
    SettingsFault
        A limit names a product that the bank does not have, or a channel without a contact cost; every such name.
    """
    products, channels = bundle.catalogue.product_ids, tuple(bundle.settings.contact_cost_minor)
    told = [
        *_unknown("product_capacity", settings.product_capacity, products),
        *_unknown("channel_capacity", settings.channel_capacity, channels),
        *_unknown("min_share", settings.min_share, products),
    ]
    if told:
        raise SettingsFault("allocation settings", told)
    return Limits(
        top_n=bundle.settings.top_n,
        budget=np.inf if settings.budget_minor is None else float(settings.budget_minor),
        product=np.array([settings.product_capacity.get(name, np.inf) for name in products], dtype=np.float64),
        channel=np.array([dict(settings.channel_capacity).get(name, np.inf) for name in channels], dtype=np.float64),
        share=np.array([settings.min_share.get(name, 0.0) for name in products], dtype=np.float64),
    )


def _unknown(setting: str, named: Iterable[str], known: Sequence[str]) -> list[str]:
    what = "a channel with a contact cost" if setting == "channel_capacity" else "a product of the bank"
    return [
        f"{setting}.{name}: {UnknownName(what, name, known).sentence} Mend the name or take the limit out."
        for name in named
        if name not in known
    ]


def within(prepared: Prepared, settings: AllocationSettings, seed: int) -> tuple[Prepared, Allotment]:
    """Return the prepared decisions held to the limits, prices in their bundle, and what the allocation found.

    Every customer is assessed once for the prices and once more when the rows are written; between, the value of each
    pair is held: 8 bytes a customer and product.

    Raises
    ------
    SettingsFault
        A limit names what is not there, or asks for offers that nobody drew.
    PricesNotFound
    """
    limits = limits_of(settings, prepared.bundle)
    if prepared.bundle.evidence and settings.min_share:
        raise SettingsFault("allocation settings", [f"min_share: {_FORCED}"])
    found = [assess(block, prepared.bundle).demand for block in prepared.decision_blocks()]
    gives_way = prepared.withheld.flags(prepared.base.size)[:, None]
    demand = Demand(
        value=np.where(gives_way, np.nan, np.concatenate([part.value for part in found])),
        channel=np.concatenate([part.channel for part in found]),
        cost=np.concatenate([part.cost for part in found]),
    )

    def draw(prices: Prices) -> Flags:
        priced = replace(prepared.bundle, prices=prices)
        return np.concatenate([decide(block, priced).rank > 0 for block in prepared.decision_blocks()]) & ~gives_way

    drawn = draw if prepared.bundle.evidence else None
    made = allot(demand, limits, sample=settings.sample_customers, seed=seed, draw=drawn)
    bundle = replace(prepared.bundle, prices=made.prices)
    return replace(prepared, bundle=bundle, allotted=made.offered), made
