"""How products are offered on one day, as arrays; made of the settings by `offers`."""

from __future__ import annotations

from dataclasses import dataclass

from engine.recommendations.columns import Flags, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """How each of P products is offered: the offer ("" where the product is its own) and what it brings with it.

    `channels` (P, C) are those it may go out on, in the order of the settings; `cost` (P,) comes to the channel's, in
    minor units; `lever` (P,) is what its value counts, 0 or more.
    """

    offer_ids: tuple[str, ...]
    channels: Flags
    cost: Floats
    lever: Floats
