"""The bank's offers and levers: in which treatment a product is proposed, and what the bank wants more of."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field, model_validator

from engine.config.contact import ContactChannel
from engine.config.load import Fault, Settings, faults

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Amount = Annotated[int, Field(ge=0)]
# a value that counts ten thousand times is beyond any aim; far higher ones together would count without end
Percent = Annotated[float, Field(allow_inf_nan=False, ge=-1_000_000, le=1_000_000)]


class Offer(Settings):
    """One treatment of one product: how, when and on which terms it is proposed; what is left out is the product's own.

    `channels` are the only ones it may go out on, none named is any. It holds from `valid_from` to `valid_until`, both
    days included, by UTC. `contact_cost_minor` is what proposing it costs beside the channel, such as a gift;
    `exposure_minor` is what is lent, the exposure at default. `issue` is the aim it serves, for levers.
    """

    offer_id: Name
    product_id: str
    issue: Name | None = None
    channels: tuple[ContactChannel, ...] = ()
    valid_from: date | None = None
    valid_until: date | None = None
    annual_margin_minor: int | None = None
    contact_cost_minor: Amount = 0
    lgd: Annotated[float, Field(ge=0, le=1)] | None = None
    exposure_minor: Amount | None = None

    def holds_on(self, day: date) -> bool:
        """Whether the day is within the offer's dates."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )

    def meets(self, other: Offer) -> bool:
        """Whether there is a day on which both hold."""
        begins = max(one.valid_from or date.min for one in (self, other))
        ends = min(one.valid_until or date.max for one in (self, other))
        return begins <= ends


class Levers(Settings):
    """Percent by which the bank wants more, or with a minus less, of an issue, a family, a product or an offer.

    They add up: 30, 10 and 15 make the value count 1.55 times. A lever moves an offer among those that are allowed; it
    opens no gate.
    """

    issue: dict[Name, Percent] = Field(default_factory=dict)
    family: dict[Name, Percent] = Field(default_factory=dict)
    product: dict[str, Percent] = Field(default_factory=dict)
    offer: dict[Name, Percent] = Field(default_factory=dict)

    def factor(self, *, issue: str | None, family: str, product: str, offer: str | None) -> float:
        """Return what the value of an offer is multiplied by."""
        percent = self.issue.get(issue or "", 0.0) + self.family.get(family, 0.0)
        return 1.0 + (percent + self.product.get(product, 0.0) + self.offer.get(offer or "", 0.0)) / 100.0


class CatalogueSettings(Settings):
    """Offers and levers; without any each product is its own offer and all count alike."""

    offers: tuple[Offer, ...] = ()
    levers: Levers = Levers()

    @property
    def is_plain(self) -> bool:
        """Whether nothing is set, so that each product is its own offer."""
        return not self.offers and self.levers == Levers()

    @model_validator(mode="after")
    def _dates_and_names_agree(self) -> CatalogueSettings:
        told: list[Fault] = []
        for place, one in enumerate(self.offers):
            if one.valid_from and one.valid_until and one.valid_until < one.valid_from:
                text = f"{one.valid_until} is before valid_from = {one.valid_from}, so that it never holds. Mend a date"
                told.append((("offers", place, "valid_until"), text))
            for other in self.offers[:place]:
                if other.offer_id == one.offer_id:
                    told.append((("offers", place, "offer_id"), f"{one.offer_id} is there twice. Rename one"))
                elif other.product_id == one.product_id and other.meets(one):
                    text = (
                        f"{other.offer_id} holds for {one.product_id} on some of the same days, and a product has one "
                        f"offer at a time. Set valid_from and valid_until so that they follow each other"
                    )
                    told.append((("offers", place, "offer_id"), text))
        if told:
            raise faults("CatalogueSettings", told)
        return self
