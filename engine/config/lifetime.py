"""How customer lifetime value is learned and told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.config.load import Settings

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class LifetimeSettings(Settings):
    """`minimum_returning` customers must have bought on two days or more; `parameter_limit` bounds the search."""

    minimum_customers: Annotated[int, Field(ge=10)]
    minimum_returning: Annotated[int, Field(ge=5)]
    sample_customers: Annotated[int, Field(ge=1000)]
    parameter_limit: Annotated[float, Field(gt=10)]
    horizon_days: Count
    margin_share: Share
    discount_yearly: Annotated[float, Field(ge=0)]
    discount_step_days: Count
    dependence_warning: Share
