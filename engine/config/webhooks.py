"""How often and for how long a webhook is tried."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.config.load import Settings

Seconds = Annotated[float, Field(gt=0)]


class WebhookSettings(Settings):
    """Waits between attempts, their jitter, and time limits; `defaults/webhooks.toml` explains every key."""

    retry_seconds: Annotated[tuple[Seconds, ...], Field(min_length=1, max_length=50)]
    jitter_share: Annotated[float, Field(ge=0, lt=1)]
    timeout_seconds: Seconds
    lease_seconds: Seconds
    overlap_hours: Annotated[float, Field(ge=0)]
