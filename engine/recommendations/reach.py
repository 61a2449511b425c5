"""How each customer of a block is reached: what an offer is worth on every channel, and the one that is chosen.

All offers of a run to one customer are one contact on one channel, so that caps count one; it is the channel on which
the customer's best offer is worth most. The gate on the value asks whether an offer is worth its contact on any channel
that is open, whatever the others are: so no stricter policy lets a new offer past by changing the channel. What is not
worth it on the channel chosen is not offered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.recommendations import channels, contact, value
from engine.recommendations.asked import Asked
from engine.recommendations.bundle import Bundle
from engine.recommendations.frame import DecisionBlock, Flags, Floats, Integers
from engine.recommendations.products import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The channel of each customer, -1 for none, its reason (a place in `channels.REASONS`) and cost; shape (n,).

    `kept` (n, P) is the response over the usual that fatigue and the channel leave, `value` (n, P) what each pair is
    worth there, in minor units and NaN where unknown.
    """

    channel: Integers
    reason: Integers
    cost: Floats
    kept: Floats
    value: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """What a channel does to the response of each customer: `own` (n, C), beside what fatigue leaves of it (n,).

    `most` (n, P) is how much more than usual can be answered at all: nobody takes an offer with more than certainty.
    Where nothing was learned, which `unlearned_reason` says why, a channel does nothing. `offer_cost` (P,) is what
    proposing a product costs beside the channel.
    """

    learned: channels.ChannelResponses | None
    costs: tuple[int, ...]
    own: Floats
    fatigue: Floats
    most: Floats
    offer_cost: Floats
    unlearned_reason: int

    def kept(self, channel: Integers) -> Floats:
        """Return the response over the usual on the customers' channels, shape (n, P); -1 is no channel, the usual."""
        if self.learned is None:
            return np.broadcast_to(self.fatigue[:, None], self.most.shape)
        place = np.maximum(channel, 0)
        lift = self.fatigue * self.own[np.arange(len(place)), place]
        lifted: Floats = self.learned.relative.take(place, axis=0)
        lifted *= lift[:, None]
        none = np.flatnonzero(channel < 0)
        lifted[none] = self.fatigue[none, None]
        return np.minimum(lifted, self.most, out=lifted)

    def kept_on(self, channel: int, most: Floats, out: Floats) -> None:
        """Write the same, shape (P, n), where all are reached on one channel; no number differs from that of `kept`.

        `most` is the one of this, product by product.
        """
        if self.learned is None:
            out[:] = self.fatigue
            return
        np.multiply(self.learned.relative[channel][:, None], self.fatigue * self.own[:, channel], out=out)
        np.minimum(out, most, out=out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways in which the customers of a block can be reached.

    `gain` (n, P) is what each pair brings on average before its contact, `best` what it is worth on the best of its
    usable channels (on the cheapest of all where none is usable, so that the value of what is refused for it is still
    known), and `worth` what it is on each channel before rounding, shape (C, P, n), minus infinity where it may not go
    out there or the channel is not usable. Where neither answers nor offers choose the channel it is the `cheapest`,
    and there is no `worth`. `usable` are the channels that may be chosen, less those that a request does not ask for:
    it `narrowed` the channels of the customers marked.
    """

    usable: Flags
    gain: Floats
    best: Floats
    cheapest: Reach | None = None
    worth: Floats | None = None
    lifted: Lifted | None = None
    narrowed: Flags | None = None

    def choose(self, passed: Flags) -> Reach:
        """Return the channels chosen, where `passed` (n, P) marks what no gate refuses."""
        if self.cheapest is not None:
            return self.cheapest
        assert self.lifted is not None and self.worth is not None
        costs, learned, table = self.lifted.costs, self.lifted.learned, _highest(self.worth, passed)
        if learned is None:
            channel, reason = channels.cheapest_for_best(self.usable, costs, table, self.lifted.unlearned_reason)
        else:
            channel, reason = channels.choose(self.usable, costs, table, learned)
        reason = _asked_for(reason, self.narrowed)
        kept = self.lifted.kept(channel)
        cost = _price(costs, channel)
        value_there = value.after_contact(self.gain, cost[:, None] + self.lifted.offer_cost, kept)
        return Reach(channel=channel, reason=reason, cost=cost, kept=kept, value=value_there)


def ways(
    block: DecisionBlock,
    bundle: Bundle,
    propensity: Floats,
    margin: Floats,
    loss: Floats,
    *,
    asked: Asked | None = None,
) -> Ways:
    """Return how the customers of a block can be reached; no row sees another. `margin`, `loss`: shape (n, P).

    What a request asks for narrows the choice of the channel and not `best`, by which the gate on the value asks.
    """
    settings, learned = bundle.settings, bundle.responses
    costs = tuple(settings.contact_cost_minor.values())
    usable = contact.open_channels(block.consent, block.contacts, settings)
    fatigue = contact.response_kept(block.unanswered, settings.contact)
    gain = propensity * (margin - loss)
    by_choice = settings.responses.channel_from == "cheapest"
    reason = channels.BY_CHOICE if by_choice else channels.CHEAPEST
    offer_cost = bundle.catalogue.offer_cost
    left = usable if asked is None else usable & asked.on
    narrowed = None if asked is None else asked.narrows
    if learned is None and bundle.catalogue.offers is None:
        cheapest = chosen = _cheapest(usable, costs, gain, fatigue, (reason, offer_cost))
        if asked is not None:
            chosen = _cheapest(left, costs, gain, fatigue, (reason, offer_cost))
            chosen = replace(chosen, reason=_asked_for(chosen.reason, narrowed))
        return Ways(usable=left, gain=gain, cheapest=chosen, best=cheapest.value)
    lifted = Lifted(
        learned=learned,
        costs=costs,
        own=np.ones(usable.shape) if learned is None else learned.own(block.asked, block.answered),
        fatigue=fatigue,
        most=1.0 / np.maximum(propensity, 1e-12),
        offer_cost=offer_cost,
        unlearned_reason=reason,
    )
    worth = _on_each(gain, usable, lifted, bundle.catalogue)
    # the highest of rounded values is the highest value rounded
    best = np.ascontiguousarray(np.rint(worth.max(axis=0)).T)
    nowhere = np.isneginf(best)
    rows = np.flatnonzero(nowhere.any(axis=1))
    cheapest = _cheapest(usable[rows], costs, gain[rows], fatigue[rows], (reason, offer_cost))
    best[rows] = np.where(nowhere[rows], cheapest.value, best[rows])
    return Ways(usable=left, gain=gain, best=best, worth=worth, lifted=lifted, narrowed=narrowed)


def _asked_for(reason: Integers, narrowed: Flags | None) -> Integers:
    """Say of the channels that were chosen among those asked for that they were; -1 is none."""
    return reason if narrowed is None else np.where(narrowed & (reason >= 0), channels.ASKED_FOR, reason)


def _on_each(gain: Floats, usable: Flags, lifted: Lifted, catalogue: Catalogue) -> Floats:
    """Return the field `worth` of the ways.

    Product by product, so that what differs by product is one number for a whole stretch of customers: several times
    faster than 24 numbers for each customer, and the same to the bit.
    """
    by_product, most = np.ascontiguousarray(gain.T), np.ascontiguousarray(lifted.most.T)
    found = np.empty((len(lifted.costs), *by_product.shape))
    for channel, cost in enumerate(lifted.costs):
        worth = found[channel]
        lifted.kept_on(channel, most, worth)
        worth *= by_product
        # what cannot be reached there is charged without end
        charged = np.where(usable[:, channel], float(cost), np.inf)
        if catalogue.offers is None:
            worth -= charged
        else:
            worth -= charged + lifted.offer_cost[:, None]
            worth[~catalogue.goes_out_on(np.array([channel]))[0]] = -np.inf
    return found


def _highest(worth: Floats, passed: Flags) -> Floats:
    """Return what the best of what passed is worth on each channel, (n, C); minus infinity where nothing passed."""
    table = np.full((len(passed), len(worth)), -np.inf)
    rows = np.flatnonzero(passed.any(axis=1))
    by_product = np.ascontiguousarray(passed[rows].T)
    for channel, on_channel in enumerate(worth):
        open_here = np.where(by_product, on_channel.take(rows, axis=1), -np.inf)
        table[rows, channel] = np.rint(open_here.max(axis=0, initial=-np.inf))
    return table


def _cheapest(usable: Flags, costs: tuple[int, ...], gain: Floats, fatigue: Floats, why: tuple[int, Floats]) -> Reach:
    reason, offer_cost = why
    channel, cost = contact_channels(usable, costs)
    return Reach(
        channel=channel,
        reason=channels.reasons(usable, reason),
        cost=cost,
        kept=np.broadcast_to(fatigue[:, None], gain.shape),
        value=value.after_contact(gain, cost[:, None] + offer_cost, fatigue[:, None]),
    )


def _price(costs: tuple[int, ...], channel: Integers) -> Floats:
    """Return the cost of each channel; of none, that of the cheapest."""
    price = np.array(costs, dtype=np.float64)
    return price[np.where(channel < 0, np.argmin(price), channel)]


def contact_channels(usable: Flags, costs: tuple[int, ...]) -> tuple[Integers, Floats]:
    """Return the cheapest channel that is usable for each customer and its cost; the first listed of equal ones.

    `usable` (n, C) marks the channels that the customer agreed to and that no contact cap closes. Where there is none
    the channel is -1, and the cost is that of the cheapest of all, so that the value of an offer that a gate refuses
    for it is still known.
    """
    offered = np.where(usable, np.array(costs, dtype=np.float64), np.inf)
    channel = np.where(usable.any(axis=1), np.argmin(offered, axis=1), -1)
    return channel, _price(costs, channel)
