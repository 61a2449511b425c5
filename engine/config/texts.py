"""How contacts are told by step of a journey. See defaults/texts.toml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.config.load import Settings


class TextSettings(Settings):
    """How long after a step a contact counts as about it, and of how few customers nothing is told."""

    days_after_step: Annotated[int, Field(ge=1, le=365)]
    smallest_cell: Annotated[int, Field(ge=2)]
