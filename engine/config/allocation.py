"""What all offers of a run together may cost and count: a budget, capacities and minimum shares; none as shipped."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from engine.config.contact import ContactChannel
from engine.config.load import Fault, Settings, faults
from engine.config.recommendations import Count

Part = Annotated[float, Field(gt=0, le=1)]


class AllocationSettings(Settings):
    """Limits on the offers of one run; where none is set, every customer gets the best offers that the gates let pass.

    `budget_minor` is what the contacts of all offers may cost, in minor units of the base currency; a capacity counts
    offers, by product and by channel; a minimum share is of all offers made. `sample_customers` are those on whom the
    shadow prices are found: with as many as the bank has the prices are exact.
    """

    sample_customers: Annotated[int, Field(ge=100, le=200_000)]
    budget_minor: Count | None = None
    product_capacity: dict[str, Count]
    channel_capacity: dict[ContactChannel, Count]
    min_share: dict[str, Part]

    @property
    def is_on(self) -> bool:
        """Whether any limit is set."""
        return self.budget_minor is not None or bool(self.product_capacity or self.channel_capacity or self.min_share)

    @model_validator(mode="wrap")
    @classmethod
    def _limits_can_hold_together(cls, values: Any, handler: Any) -> AllocationSettings:
        found: AllocationSettings = handler(values)
        if told := _contradictions(found):
            raise faults(cls.__name__, told)
        return found


def _contradictions(found: AllocationSettings) -> list[Fault]:
    """Return the limits that only no offer at all would hold, each with what to change."""
    told: list[Fault] = []
    asked = sum(found.min_share.values())
    if asked > 1 + 1e-9:
        told.append(
            (
                ("min_share",),
                f"the minimum shares of {', '.join(found.min_share)} sum to {asked:g}: expected 1 or less. "
                f"For 5 % write 0.05",
            )
        )
    for product, share in found.min_share.items():
        if found.product_capacity.get(product) == 0:
            told.append(
                (
                    ("min_share", product),
                    f"at least {share:g} of all offers should be of {product}, whose product_capacity is 0, so nothing "
                    f"at all could be offered. Take one of the two out",
                )
            )
    return told
