"""What holds for the whole bank: base currency, reference rates, time zone, seed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.config.load import Settings


class BankSettings(Settings):
    """`rates` holds, for each currency the bank keeps, how many units of the base currency one unit is worth."""

    name: str
    base_currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    rates: dict[str, Annotated[float, Field(gt=0)]]
    time_zone: str
    seed: Annotated[int, Field(ge=0)]
