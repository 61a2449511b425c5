"""How each customer of a block is reached: what an offer is worth on every channel, and the one that is chosen.

All offers of a run to one customer are one contact on one channel, so that caps count one; it is the channel on which
the customer's best offer is worth most. The gate on the value asks whether an offer is worth its contact on any channel
that is open, whatever the others are: so no stricter policy lets a new offer past by changing the channel. What is not
worth it on the channel chosen is not offered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.recommendations import channels, contact, value
from engine.recommendations.bundle import Bundle
from engine.recommendations.frame import DecisionBlock, Flags, Floats, Integers


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
        lifted = lift[:, None] * self.learned.relative[place]
        lifted = np.where(channel[:, None] < 0, self.fatigue[:, None], lifted)
        return np.minimum(lifted, self.most, out=lifted)

    def kept_on(self, channel: int) -> Floats:
        """Return the same where all are reached on one channel; no number differs from that of `kept`."""
        if self.learned is None:
            return np.broadcast_to(self.fatigue[:, None], self.most.shape)
        lifted: Floats = (self.fatigue * self.own[:, channel])[:, None] * self.learned.relative[channel]
        return np.minimum(lifted, self.most, out=lifted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways in which the customers of a block can be reached.

    `gain` (n, P) is what each pair brings on average before its contact, `best` what it is worth on the best of its
    usable channels (on the cheapest of all where none is usable, so that the value of what is refused for it is still
    known), and `worth` what it is on each channel (n, P), minus infinity where it may not go out there; none where
    neither answers nor offers choose the channel.
    """

    usable: Flags
    gain: Floats
    cheapest: Reach
    best: Floats
    worth: tuple[Floats, ...] = ()
    lifted: Lifted | None = None

    def choose(self, passed: Flags) -> Reach:
        """Return the channels chosen, where `passed` (n, P) marks what no gate refuses."""
        if self.lifted is None:
            return self.cheapest
        highest = [np.max(worth, axis=1, initial=-np.inf, where=passed) for worth in self.worth]
        costs, learned, table = self.lifted.costs, self.lifted.learned, np.column_stack(highest)
        if learned is None:
            channel, reason = channels.cheapest_for_best(self.usable, costs, table, self.lifted.unlearned_reason)
        else:
            channel, reason = channels.choose(self.usable, costs, table, learned)
        kept = self.lifted.kept(channel)
        cost = _price(costs, channel)
        value_there = value.after_contact(self.gain, cost[:, None] + self.lifted.offer_cost, kept)
        return Reach(channel=channel, reason=reason, cost=cost, kept=kept, value=value_there)


def ways(block: DecisionBlock, bundle: Bundle, propensity: Floats, margin: Floats, loss: Floats) -> Ways:
    """Return how the customers of a block can be reached; no row sees another. `margin`, `loss`: shape (n, P)."""
    settings, learned = bundle.settings, bundle.responses
    costs = tuple(settings.contact_cost_minor.values())
    usable = contact.open_channels(block.consent, block.contacts, settings)
    fatigue = contact.response_kept(block.unanswered, settings.contact)
    gain = propensity * (margin - loss)
    by_choice = settings.responses.channel_from == "cheapest"
    reason = channels.BY_CHOICE if by_choice else channels.CHEAPEST
    offer_cost = bundle.catalogue.offer_cost
    cheapest = _cheapest(usable, costs, gain, fatigue, (reason, offer_cost))
    if learned is None and bundle.catalogue.offers is None:
        return Ways(usable=usable, gain=gain, cheapest=cheapest, best=cheapest.value)
    lifted = Lifted(
        learned=learned,
        costs=costs,
        own=np.ones(usable.shape) if learned is None else learned.own(block.asked, block.answered),
        fatigue=fatigue,
        most=1.0 / np.maximum(propensity, 1e-12),
        offer_cost=offer_cost,
        unlearned_reason=reason,
    )
    everywhere = [
        np.where(
            bundle.catalogue.goes_out_on(np.array([channel])),
            value.after_contact(gain, cost + offer_cost, lifted.kept_on(channel)),
            -np.inf,
        )
        for channel, cost in enumerate(costs)
    ]
    best = np.full(gain.shape, -np.inf)
    for channel, worth in enumerate(everywhere):
        np.maximum(best, worth, out=best, where=usable[:, channel, None])
    best = np.where(np.isneginf(best), cheapest.value, best)
    return Ways(usable=usable, gain=gain, cheapest=cheapest, best=best, worth=tuple(everywhere), lifted=lifted)


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
