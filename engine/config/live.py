"""How one decision at a time is made: whose clock, which runs are too old, what places and pages narrow."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.config.load import Settings
from engine.config.products import Family

Name = Annotated[str, Field(min_length=1, max_length=100)]
Offers = Annotated[int, Field(ge=1, le=10)]


class Placement(Settings):
    """A place where offers are shown: how many it has room for, and the families of products that may stand there."""

    offers: Offers = 1
    families: Annotated[tuple[Family, ...], Field(max_length=7)] = ()


class LiveSettings(Settings):
    """How live decisions are made; `defaults/live.toml` explains every key."""

    clock: Literal["now", "run"]
    stale_after_hours: Annotated[float, Field(gt=0, le=8_760)]
    look_for_runs_seconds: Annotated[float, Field(ge=0, le=3_600)]
    requests_together: Annotated[int, Field(ge=1, le=500)]
    wait_seconds: Annotated[float, Field(gt=0, le=60)]
    cache_seconds: Annotated[int, Field(ge=0, le=3_600)]
    offers: Offers
    placements: dict[Name, Placement]
    pages: dict[Name, tuple[Family, ...]]
