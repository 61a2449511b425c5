"""What holds for the whole bank: base currency, reference rates, time zone, seed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from engine.config.load import Settings


class BankSettings(Settings):
    """`rates` holds, for each currency the bank keeps, how many units of the base currency one unit is worth.

    A workspace that gives rates gives all of them: those of another base currency would mean something else.
    """

    replaced_whole = frozenset({"rates"})

    name: str
    base_currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    rates: dict[str, Annotated[float, Field(gt=0)]]
    time_zone: str
    seed: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _base_is_one(self) -> BankSettings:
        if self.rates.get(self.base_currency) != 1.0:
            raise ValueError(f"rates.{self.base_currency} must be 1, since {self.base_currency} is the base currency")
        return self
