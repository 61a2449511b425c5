"""When clusters of two dates are the same, and what about their movement is worth a notice."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.config.load import Settings

Share = Annotated[float, Field(gt=0, le=1)]


class MovementNotice(Settings):
    """The sentence of a notice in English and Chinese; {name}, {share}, {others} and {value} stand in it."""

    en: str
    zh: str


class MovementNotices(Settings):
    """A sentence for each kind of notice."""

    split: MovementNotice
    merged: MovementNotice
    dissolving: MovementNotice
    shrinking: MovementNotice
    shifted: MovementNotice


class MovementSettings(Settings):
    """Shares of customers; `shifted_index` is a population stability index."""

    same_overlap: Share
    split_share: Share
    dissolving_share: Share
    shrinking_share: Share
    shifted_index: Annotated[float, Field(gt=0)]
    notices: MovementNotices
