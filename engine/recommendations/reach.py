"""How each customer of a block is reached: what an offer is worth on every channel, and the one that is chosen.

All offers of a run to one customer are one contact on one channel, so that caps count one; it is the channel on which
the customer's best offer is worth most. The gate on the value asks whether an offer is worth its contact on any channel
that is open, whatever the others are: so no stricter policy lets a new offer past by changing the channel. What is not
worth it on the channel chosen is not offered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.recommendations import channels, contact, value
from engine.recommendations.bundle import Bundle
from engine.recommendations.frame import Catalogue, DecisionBlock, Flags, Floats, Integers
from engine.recommendations.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The channel of each customer, -1 for none, its reason (a place in `channels.REASONS`) and cost; shape (n,).

    `kept` (n, P) is the response over the usual that fatigue and the channel leave.
    """

    channel: Integers
    reason: Integers
    cost: Floats
    kept: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways in which the customers of a block can be reached.

    `usable` (n, C) marks channels agreed to that no cap closes, `fatigue` (n,) is the share of the response left,
    `lift` (n, C) what each customer answers on a channel over elsewhere, None where answers do not choose.
    """

    block: DecisionBlock
    catalogue: Catalogue
    terms: Terms
    propensity: Floats
    costs: tuple[int, ...]
    usable: Flags
    fatigue: Floats
    learned: channels.ChannelResponses | None
    lift: Floats | None
    unlearned_reason: int

    def best(self) -> Floats:
        """Return what each pair is worth on the best of its usable channels, shape (n, P); NaN is unknown.

        Where none is usable it is the cheapest of all, so that the value of what is refused for it is still known.
        """
        cheapest = self._worth(self._cheapest())
        if self.learned is None:
            return cheapest
        highest = np.full(self.propensity.shape, -np.inf)
        for channel, worth in self._each():
            highest = np.where(self.usable[:, channel, None], np.maximum(highest, worth), highest)
        return np.where(np.any(self.usable, axis=1, keepdims=True), highest, cheapest)

    def choose(self, passed: Flags) -> Reach:
        """Return the channels chosen, where `passed` (n, P) marks what no gate refuses."""
        if self.learned is None:
            return self._cheapest()
        worth = np.column_stack(
            [np.where(passed, value, -np.inf).max(axis=1, initial=-np.inf) for _, value in self._each()]
        )
        channel, reason = channels.choose(self.usable, self.costs, worth, self.learned)
        return self._on(channel, reason)

    def _cheapest(self) -> Reach:
        channel, _ = contact_channels(self.usable, self.costs)
        return self._on(channel, channels.reasons(self.usable, self.unlearned_reason))

    def _each(self) -> Iterator[tuple[int, Floats]]:
        nowhere = np.zeros(len(self.usable), dtype=np.int64)
        for channel in range(len(self.costs)):
            yield channel, self._worth(self._on(nowhere + channel, nowhere))

    def _on(self, channel: Integers, reason: Integers) -> Reach:
        price = np.array(self.costs, dtype=np.float64)
        kept = np.broadcast_to(self.fatigue[:, None], self.propensity.shape)
        if self.learned is not None and self.lift is not None:
            place = np.maximum(channel, 0)
            lift = self.learned.relative[place] * self.lift[np.arange(len(place)), place][:, None]
            lifted = kept * np.where(channel[:, None] < 0, 1.0, lift)
            # whatever the channel, nobody takes an offer with more than certainty
            kept = np.minimum(lifted, 1.0 / np.maximum(self.propensity, 1e-12))
        return Reach(
            channel=channel, reason=reason, cost=price[np.where(channel < 0, np.argmin(price), channel)], kept=kept
        )

    def _worth(self, way: Reach) -> Floats:
        odds = value.Odds(propensity=self.propensity, cost=way.cost, kept=way.kept)
        return value.of(self.block, self.catalogue, self.terms, odds).value


def ways(block: DecisionBlock, bundle: Bundle, propensity: Floats, terms: Terms) -> Ways:
    """Return how the customers of a block can be reached; no row sees another."""
    settings, learned = bundle.settings, bundle.responses
    by_choice = settings.responses.channel_from == "cheapest"
    return Ways(
        block=block,
        catalogue=bundle.catalogue,
        terms=terms,
        propensity=propensity,
        costs=tuple(settings.contact_cost_minor.values()),
        usable=contact.open_channels(block.consent, block.contacts, settings),
        fatigue=contact.response_kept(block.unanswered, settings.contact),
        learned=learned,
        lift=None if learned is None else learned.own(block.asked, block.answered),
        unlearned_reason=channels.BY_CHOICE if by_choice else channels.CHEAPEST,
    )


def contact_channels(usable: Flags, costs: tuple[int, ...]) -> tuple[Integers, Floats]:
    """Return the cheapest channel that is usable for each customer and its cost; the first listed of equal ones.

    `usable` (n, C) marks the channels that the customer agreed to and that no contact cap closes. Where there is none
    the channel is -1, and the cost is that of the cheapest of all, so that the value of an offer that a gate refuses
    for it is still known.
    """
    price = np.array(costs, dtype=np.float64)
    offered = np.where(usable, price, np.inf)
    channel = np.where(usable.any(axis=1), np.argmin(offered, axis=1), -1)
    return channel, price[np.where(channel < 0, np.argmin(price), channel)]
