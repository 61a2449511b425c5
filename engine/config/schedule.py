"""How scheduled jobs are made: how often again, how long nobody else may begin, who hears of a failure."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.config.load import Settings


class ScheduleSettings(Settings):
    """`defaults/schedule.toml` explains every key."""

    retries: Annotated[int, Field(ge=0, le=20)]
    retry_seconds: Annotated[float, Field(gt=0, le=86_400)]
    hold_seconds: Annotated[float, Field(ge=1, le=3_600)]
    look_seconds: Annotated[float, Field(gt=0, le=3_600)]
    grace_seconds: Annotated[float, Field(ge=0, le=86_400)]
    late_hours: Annotated[float, Field(gt=0, le=8_784)]
    alert_command: tuple[str, ...] = ()
    alert_url: Annotated[str, Field(pattern="^(https?://.+)?$")] = ""
    alert_seconds: Annotated[float, Field(gt=0, le=300)]
