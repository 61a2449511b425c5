"""How much of the machine the engine may take."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.config.load import Settings


class RuntimeSettings(Settings):
    """`memory_limit` bounds the embedded engine alone; what does not fit spills into the workspace's `tmp`."""

    memory_limit: Annotated[str, Field(pattern=r"^\d+(\.\d+)?\s?(MB|GB|MiB|GiB)$")]
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
