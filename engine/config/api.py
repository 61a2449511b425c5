"""Limits of the API: how often, how much at once, for how long."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from engine.config.load import Settings

Count = Annotated[int, Field(ge=1)]


class ApiSettings(Settings):
    """What one key, one request and one page may take; `defaults/api.toml` explains every key."""

    requests_per_minute: Count
    refused_per_minute: Count
    body_bytes: Annotated[int, Field(ge=1_024)]
    page_rows: Count
    page_rows_most: Annotated[int, Field(ge=1, le=10_000)]
    line_rows_most: Annotated[int, Field(ge=1, le=100_000)]
    snapshot_days: Count
    key_cache_seconds: Annotated[float, Field(ge=0, le=60)]
    shutdown_seconds: Annotated[int, Field(ge=0, le=600)]

    @model_validator(mode="after")
    def _ordered(self) -> ApiSettings:
        if not self.page_rows <= self.page_rows_most <= self.line_rows_most:
            raise ValueError("page_rows must be at most page_rows_most, and that at most line_rows_most")
        return self
