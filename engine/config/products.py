"""The product catalogue of the demo bank; a real bank brings its own products table through intake."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.config.load import Settings

Family = Literal["account", "deposit", "card", "loan", "mortgage", "insurance", "investment"]


class ProductSettings(Settings):
    """One product of the catalogue; amounts are minor units of the base currency, shares 0 to 1."""

    product_id: Annotated[str, Field(pattern="^[a-z0-9_]+$")]
    name_en: str
    name_zh: str
    family: Family
    is_credit: bool = False
    annual_margin_minor: int
    typical_amount_minor: Annotated[int, Field(ge=0)] = 0
    typical_term_months: Annotated[int, Field(ge=0)] | None = None
    annual_rate: float = 0.0
    lgd: Annotated[float, Field(ge=0, le=1)] | None = None
    min_age: Annotated[int, Field(ge=0)] = 18
    max_age: Annotated[int, Field(ge=0)] | None = None
    requires_product_id: str | None = None
    multiple: bool = False


class Catalogue(Settings):
    """Every product of the bank, in the order in which screens list them."""

    products: tuple[ProductSettings, ...]
