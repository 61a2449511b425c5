"""What portraits of clusters are made of, and from when a difference is worth a sentence."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.config.load import Settings

Words = Annotated[tuple[str, ...], Field(min_length=2, max_length=2)]


class PersonaSettings(Settings):
    """`behaviours` and `life` name features of the feature table; `most` how many facts of a kind a portrait tells.

    A fact is told when its effect size is `smallest_effect` or more in either direction, its interval leaves out 0,
    and both sides have `minimum_customers` of whom it is known. `words` are what values are called, in English and
    Chinese.
    """

    smallest_effect: Annotated[float, Field(gt=0)]
    minimum_customers: Annotated[int, Field(ge=2)]
    behaviours: tuple[str, ...]
    life: tuple[str, ...]
    channels: dict[str, str]
    employment: str
    most: dict[str, Annotated[int, Field(ge=0)]]
    words: dict[str, Words]
