"""What a channel asks of a live decision: checked, with the bank's own placements and pages looked up."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import orjson

from engine.config.live import LiveSettings
from engine.domain.errors import SettingsFault, UnknownName
from engine.domain.words import CHANNELS, CONTACT_CHANNELS
from engine.recommendations.asked import Asked
from engine.recommendations.bundle import Bundle

WHERE: Final = tuple(dict.fromkeys((*CONTACT_CHANNELS, *CHANNELS)))
"""Channels that a request may come from: those on which the bank contacts, and those on which customers come to it."""

LONGEST: Final = 200  # letters of an id, a page or a placement
MOST: Final = 200  # products of a basket, or already seen
_OFFERS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRequest:
    """What is asked about one customer.

    channel : where the customer is. One on which the bank contacts (e-mail, sms, ...) is the only one that the offer
        may go out on; on the others, such as web and branch, the customer came, and the channel narrows nothing.
    page, placement : where the offer would stand, as `[live.pages]` and `[live.placements]` of the settings know them.
    basket, seen : products in the customer's basket, and products or offers already shown: none of them is offered.
    offers : how many there is room for; None for as many as the placement says.
    counts : whether the answer is a contact, which uses up the caps; it is none where nothing is offered.
    request_id : the same id gives the same answer; None for a request that is never repeated. Ids of different
        `asker`s are different ones.
    capped_key : the id of the API's key whose rows a day are limited, None where there is no such limit.
    """

    customer_id: str
    channel: str | None = None
    page: str | None = None
    placement: str | None = None
    basket: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    offers: int | None = None
    counts: bool = True
    request_id: str | None = None
    asker: str = "wayline"
    capped_key: str | None = None

    @property
    def key(self) -> str | None:
        """The name under which the answer is found again, None where it never will be."""
        if self.request_id is None:
            return None
        return hashlib.sha256(f"{self.asker}\n{self.request_id}".encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A request with what the settings say of its placement and page: all that a replay needs of both.

    `families` are those that may be offered, none for all; `first` those that are offered alone where any may be.
    """

    channel: str | None
    page: str | None
    placement: str | None
    basket: tuple[str, ...]
    seen: tuple[str, ...]
    families: tuple[str, ...]
    first: tuple[str, ...]
    offers: int
    counts: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {field: getattr(self, field) for field in _FIELDS}

    @staticmethod
    def of_json(told: dict[str, Any]) -> Wanted:
        """Return what `as_json` gave."""
        values: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in told.items()}
        return Wanted(**values)

    def hashed(self, customer_id: str) -> str:
        """Return the hash of everything asked, about whom included."""
        return hashlib.sha256(orjson.dumps({"customer_id": customer_id, **self.as_json()})).hexdigest()


_FIELDS: Final = tuple(field.name for field in fields(Wanted))


def wanted(request: LiveRequest, settings: LiveSettings) -> Wanted:
    """Return what a request asks for once its placement and page were looked up.

    Raises
    ------
    UnknownName
        There is no such channel or placement.
    SettingsFault
        A text is empty or too long, a list has too many entries, or offers are not 1 to 10; every fault is listed.
    """
    _check(request)
    if request.channel is not None and request.channel not in WHERE:
        raise UnknownName("channel", request.channel, WHERE)
    place = settings.placements.get(request.placement or "")
    if request.placement is not None and place is None:
        raise UnknownName("placement", request.placement, settings.placements)
    return Wanted(
        channel=request.channel,
        page=request.page,
        placement=request.placement,
        basket=tuple(sorted(set(request.basket))),
        seen=tuple(sorted(set(request.seen))),
        families=() if place is None else place.families,
        first=settings.pages.get(request.page or "", ()),
        offers=request.offers or (settings.offers if place is None else place.offers),
        counts=request.counts,
    )


def _check(request: LiveRequest) -> None:
    texts = {name: getattr(request, name) for name in ("customer_id", "page", "placement", "request_id")}
    faults = [
        f"{name}: expected 1 to {LONGEST} characters, none of them a control character"
        for name, value in texts.items()
        if value is not None and not _is_name(value)
    ]
    for name in ("basket", "seen"):
        entries = getattr(request, name)
        if len(entries) > MOST or not all(map(_is_name, entries)):
            faults.append(f"{name}: expected at most {MOST} ids of 1 to {LONGEST} characters")
    if request.offers is not None and not 1 <= request.offers <= _OFFERS:
        faults.append(f"offers: expected 1 to {_OFFERS}")
    if faults:
        raise SettingsFault("The request", faults)


def _is_name(value: str) -> bool:
    return 1 <= len(value) <= LONGEST and value.isprintable()


def asked(requests: Sequence[Wanted], bundle: Bundle) -> Asked | None:
    """Return what requests leave of what may be offered, a row each; None where none narrows anything."""
    if not any(one.basket or one.seen or one.families or one.first or _narrows(one) for one in requests):
        return None
    catalogue = bundle.catalogue
    channels = tuple(bundle.settings.contact_cost_minor)
    offer_ids = catalogue.offers.offer_ids if catalogue.offers else ("",) * catalogue.size
    named = tuple(zip(catalogue.product_ids, offer_ids, catalogue.families, strict=True))

    def of_families(families: Collection[str]) -> list[bool]:
        return [family in families for _, _, family in named]

    def left(one: Wanted) -> list[bool]:
        return [
            product not in one.basket
            and product not in one.seen
            and offer not in one.seen
            and (not one.families or family in one.families)
            for product, offer, family in named
        ]

    return Asked(
        among=np.array([left(one) for one in requests], dtype=bool),
        on=np.array([[not _narrows(one) or name == one.channel for name in channels] for one in requests], dtype=bool),
        first=np.array([of_families(one.first) for one in requests], dtype=bool),
    )


def _narrows(one: Wanted) -> bool:
    return one.channel in CONTACT_CHANNELS
