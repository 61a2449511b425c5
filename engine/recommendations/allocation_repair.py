"""Make an allocation hold its limits to the last offer: what prices leave over is withdrawn, what they leave is filled.

Every step works on whole columns of pairs in one order: by surplus, equal ones in an order drawn by seed, so that no
customer is favoured by an id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.recommendations.allocation import Demand, Limits
from engine.recommendations.frame import Flags, Floats, Integers

_ROUNDS: Final = 12  # of filling: each takes all that surely fits; what is left after these is dust
_DUST: Final = 1e-9  # a share times a number of offers may miss a whole number by rounding alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much of each limit is used: cost in minor units, offers by product (P,) and by channel (C,)."""

    budget: float
    product: Integers
    channel: Integers

    @property
    def offers(self) -> int:
        """All offers."""
        return int(self.product.sum())


def usage(chosen: Flags, demand: Demand, channels: int) -> Usage:
    """Return what the chosen pairs use."""
    by_customer = chosen.sum(axis=1)
    reached = demand.channel >= 0
    return Usage(
        budget=float((by_customer * demand.cost).sum()),
        product=chosen.sum(axis=0),
        channel=np.bincount(demand.channel[reached], weights=by_customer[reached], minlength=channels).astype(np.int64),
    )


def short(used: Usage, limits: Limits) -> Integers:
    """Return how many offers each product lacks of its minimum share, shape (P,)."""
    lacking: Integers = np.maximum(_least(limits.share, used.offers) - used.product, 0)
    return lacking


def repair(chosen: Flags, surplus: Floats, demand: Demand, limits: Limits, seed: int) -> Flags:
    """Return an allocation that breaks no limit, as near to the chosen one as its surplus tells.

    Parameters
    ----------
    chosen : at most `top_n` worthwhile pairs of each customer, shape (n, P).
    surplus : the value of each pair after its charges, NaN where refused, shape (n, P).
    """
    work = _Work.of(chosen, surplus, demand, limits, seed)
    kept = work.trimmed(chosen)
    for product in np.flatnonzero(short(work.used(kept), limits)):
        kept = work.raised(kept, int(product))
    return work.exchanged(work.level(work.filled(kept)))


def withdraw(chosen: Flags, surplus: Floats, demand: Demand, limits: Limits, seed: int) -> Flags:
    """Return what is left of chosen pairs when offers are withdrawn until no capacity and no budget is passed.

    Nothing is added: what was drawn has a chance, what is put in its place would have none.
    """
    work = _Work.of(chosen, surplus, demand, limits, seed)
    return work.trimmed(chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    demand: Demand
    limits: Limits
    surplus: Floats
    lot: Integers

    @staticmethod
    def of(chosen: Flags, surplus: Floats, demand: Demand, limits: Limits, seed: int) -> _Work:
        return _Work(
            demand=demand,
            limits=limits,
            surplus=np.where(demand.worthwhile, surplus, -np.inf),
            lot=np.random.default_rng([seed, 91]).permutation(len(chosen)),
        )

    def used(self, chosen: Flags) -> Usage:
        return usage(chosen, self.demand, len(self.limits.channel))

    def pairs(self, among: Flags, order_by: Floats | None = None, few: int | None = None) -> tuple[Integers, Integers]:
        """Return the pairs, the highest surplus first, equal ones by lot and product; only `few` where given."""
        worth = self.surplus if order_by is None else order_by
        if few is not None and 0 < few < np.count_nonzero(among):
            among = among & (worth >= -np.partition(-worth[among], few - 1)[few - 1])  # equal ones all stay: by lot
        rows, columns = np.nonzero(among)
        key = worth[rows, columns]
        order = np.lexsort((columns, self.lot[rows], -key))
        return rows[order], columns[order]

    def trimmed(self, chosen: Flags) -> Flags:
        """Withdraw what is missed least until products, channels and the budget hold; withdrawing breaks nothing else.

        Of a product, what is missed is the surplus over the next product that the customer would be offered instead.
        """
        kept = chosen.copy()
        instead = np.maximum(np.where(chosen, -np.inf, self.surplus).max(axis=1), 0.0)
        rows, columns = self.pairs(kept, self.surplus - instead[:, None])
        over = place_in_group(columns, len(self.limits.product)) > self.limits.product[columns]
        kept[rows[over], columns[over]] = False
        rows, columns = self.pairs(kept)
        channel = self.demand.channel[rows]
        over = (channel >= 0) & (place_in_group(channel, len(self.limits.channel)) > self._channel_room(channel))
        kept[rows[over], columns[over]] = False
        if self.used(kept).budget > self.limits.budget:
            cost = np.maximum(self.demand.cost, 0.0)[:, None]
            with np.errstate(divide="ignore", invalid="ignore"):
                rows, columns = self.pairs(kept, np.where(cost > 0, self.surplus / cost, np.inf))
            over = np.cumsum(self.demand.cost[rows]) > self.limits.budget
            over &= self.demand.cost[rows] > 0
            kept[rows[over], columns[over]] = False
        return kept

    def _channel_room(self, channel: Integers) -> Floats:
        return self.limits.channel[np.maximum(channel, 0)]

    def raised(self, chosen: Flags, product: int) -> Flags:
        """Offer more of a product that lacks its minimum share: where there is room, then in place of another."""
        only = np.zeros(chosen.shape[1], dtype=bool)
        only[product] = True
        kept = chosen
        if lacking := int(short(self.used(kept), self.limits)[product]):
            kept = self.filled(kept, only, lacking)
        lacking = int(short(self.used(kept), self.limits)[product])
        room = self.limits.product[product] - self.used(kept).product[product]
        return self._swapped(kept, product, int(min(lacking, room)))

    def _swapped(self, chosen: Flags, product: int, count: int) -> Flags:
        """Put a product in place of the least offer of a customer that is of no minimum share itself.

        A customer's channel and cost are the same for each product, so that only products' counts change.
        """
        if count <= 0:
            return chosen
        free = np.where(chosen & (self.limits.share == 0), self.surplus, np.inf)
        least = np.argmin(free, axis=1)
        able = np.isfinite(free.min(axis=1)) & ~chosen[:, product] & self.demand.worthwhile[:, product]
        rows = np.flatnonzero(able)
        gain = self.surplus[rows, product] - self.surplus[rows, least[rows]]
        rows = rows[np.lexsort((self.lot[rows], -gain))][:count]
        kept = chosen.copy()
        kept[rows, least[rows]] = False
        kept[rows, product] = True
        return kept

    def filled(self, chosen: Flags, products: Flags | None = None, most: float = np.inf) -> Flags:
        """Offer what still fits, the highest surplus first, at most so many and of the products named."""
        kept = chosen.copy()
        left = most
        for _ in range(_ROUNDS):
            rows, columns = self._fitting(kept, products, left)
            if len(rows) == 0:
                break
            kept[rows, columns] = True
            left -= len(rows)
        return kept

    def _fitting(self, kept: Flags, products: Flags | None, most: float) -> tuple[Integers, Integers]:
        """Return pairs that fit all together: each is counted against every limit with all pairs before it."""
        used, demand, limits = self.used(kept), self.demand, self.limits
        of_product = limits.product - used.product
        of_channel = np.append(limits.channel - used.channel, np.inf)  # place -1: no channel, no limit
        of_customer = limits.top_n - kept.sum(axis=1)
        budget = limits.budget - used.budget
        open_rows = (of_customer > 0) & (of_channel[demand.channel] >= 1) & (demand.cost <= budget)
        open_columns = of_product >= 1 if products is None else products & (of_product >= 1)
        most = min(most, float(of_product[open_columns].sum()), self._most_offers() - used.offers)
        few = None if np.isinf(most) else max(int(most), 0) * 4 + 1000  # more than can fit, so that few rounds are left
        rows, columns = self.pairs(demand.worthwhile & ~kept & open_rows[:, None] & open_columns, few=few)
        channel = demand.channel[rows]
        fits = place_in_group(columns, len(of_product)) <= of_product[columns]
        fits &= place_in_group(channel % len(of_channel), len(of_channel)) <= of_channel[channel]
        fits &= place_in_group(rows, len(kept)) <= of_customer[rows]
        fits &= (np.cumsum(demand.cost[rows]) <= budget) & (np.arange(len(rows)) < most)
        return rows[fits], columns[fits]

    def _most_offers(self) -> float:
        """Return how many offers there can be at most: as many as the scarcest minimum share allows."""
        shared = self.limits.share > 0
        most = np.minimum(self.limits.product, self.demand.worthwhile.sum(axis=0))[shared] / self.limits.share[shared]
        return float(most.min()) + _DUST if shared.any() else np.inf

    def level(self, chosen: Flags) -> Flags:
        """Withdraw offers until every minimum share holds: the most that can stay is as many as the scarcest allows."""
        counts = self.used(chosen).product
        total = most_within_shares(counts, self.limits.share)
        drop = int(counts.sum()) - total
        if drop == 0:
            return chosen
        spare = counts - _least(self.limits.share, total)
        rows, columns = (pairs[::-1] for pairs in self.pairs(chosen))
        out = np.flatnonzero(place_in_group(columns, len(spare)) <= spare[columns])[:drop]
        kept = chosen.copy()
        kept[rows[out], columns[out]] = False
        return kept

    def exchanged(self, chosen: Flags) -> Flags:
        """Exchange offers for dearer ones of the same customer while products have room and minimum shares to spare.

        Cost, channel and number of offers stay as they are. Where many pairs are worth the same, prices cannot tell
        which of them to take, and this is what settles it.
        """
        kept, limits = chosen.copy(), self.limits
        worth = np.where(self.demand.worthwhile, self.demand.value, -np.inf)
        everybody = np.arange(len(kept))
        for _ in range(_ROUNDS if kept.any() else 0):
            used = self.used(kept)
            room = limits.product - used.product
            spare = np.where(limits.share > 0, used.product - _least(limits.share, used.offers), np.inf)
            into = np.argmax(np.where(kept | (room < 1), -np.inf, worth), axis=1)
            out_of = np.argmin(np.where(kept & (spare >= 1), worth, np.inf), axis=1)
            able = (room >= 1)[into] & ~kept[everybody, into] & (spare >= 1)[out_of] & kept[everybody, out_of]
            gain = np.where(able, worth[everybody, into], 0.0) - np.where(able, worth[everybody, out_of], 0.0)
            rows = np.flatnonzero(gain > 0)
            rows = rows[np.lexsort((self.lot[rows], -gain[rows]))]
            fits = place_in_group(into[rows], len(room)) <= room[into[rows]]
            fits &= place_in_group(out_of[rows], len(room)) <= spare[out_of[rows]]
            rows = rows[fits]
            if len(rows) == 0:
                break
            kept[rows, out_of[rows]] = False
            kept[rows, into[rows]] = True
        return kept


def most_within_shares(counts: Integers, share: Floats) -> int:
    """Return how many offers can stay, of as many of each product as there are, so that every share is kept."""
    wanted = share > 0
    if not wanted.any():
        return int(counts.sum())
    upper = min(float(counts.sum()), float((counts[wanted] / share[wanted]).min()) + _DUST)
    totals = np.arange(int(upper) + 1)
    least = [_least(one, totals) for one in share[wanted]]
    able = np.logical_and.reduce([need <= have for need, have in zip(least, counts[wanted], strict=True)])
    able &= np.sum(least, axis=0) <= totals
    return int(totals[able].max())


def _least(share: Floats, totals: Integers | int) -> Integers:
    """Return the fewest offers that are a share of the total."""
    fewest: Integers = np.ceil(share * totals - _DUST * np.maximum(totals, 1)).astype(np.int64)
    return fewest


def place_in_group(group: Integers, groups: int) -> Integers:
    """Return for each item the how-manieth of its group it is, from 1, in the order given."""
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group[group >= 0], minlength=groups) if len(group) else np.zeros(groups, dtype=np.int64)
    outside = int((group < 0).sum())
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]) + outside
    place = np.empty(len(group), dtype=np.int64)
    sorted_groups = group[order]
    place[order] = np.arange(len(group)) - np.where(sorted_groups >= 0, starts[sorted_groups], 0) + 1
    return place
