"""What campaign tools report and how each of them writes it: names of fields, words for events, times, amounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, model_validator

from engine.config.load import Settings
from engine.domain.words import CONTACT_CHANNELS, FEEDBACK_TYPES

FIELDS: Final = (
    *("event_id", "type", "customer_id", "email", "occurred_at", "channel", "run_id", "recommendation_id"),
    *("decision_id", "product_id", "audience_id", "value", "value_minor", "currency", "message_id", "machine_open"),
    "bounce",
)
"""What an item may say, in our words; `email` finds the customer where the tool knows no other id."""

GENERIC: Final = "generic"
"""The preset of our own words, which the API speaks."""

Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class Outcome(Settings):
    """What one of a tool's events is to us; `channel` where the event says it too."""

    type: str
    channel: str | None = None
    bounce: Literal["hard", "soft"] | None = None
    machine_open: bool = False

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.type not in FEEDBACK_TYPES:
            raise ValueError(f"type must be one of {', '.join(FEEDBACK_TYPES)}")
        if self.channel is not None and self.channel not in CONTACT_CHANNELS:
            raise ValueError(f"channel must be one of {', '.join(CONTACT_CHANNELS)}")
        return self


class PresetSettings(Settings):
    """How one tool writes feedback.

    `fields` names, for each of ours, the tool's: the first that holds anything counts. A point leads into an object,
    and + joins two. `events` are its words for what happened (case does not matter), `ignored` those that are no
    feedback. `time` is "iso", "unix", "unix_ms", or a pattern as of strptime; `time_zone` is that of instants which
    name none, without which they are refused. `channels` are its words for channels, `channel` the one where nothing
    is said. `bounces` are its words for kinds of bounces. `derives_event_id` makes an id of the content where the tool
    gives none. `empty` are words that stand for no value.
    """

    about: str
    fields: dict[str, Names]
    events: dict[str, Outcome]
    ignored: tuple[str, ...] = ()
    time: str = "iso"
    time_zone: str | None = None
    channels: Mapping[str, str] = Field(default_factory=dict)
    channel: str | None = None
    bounces: Mapping[str, Literal["hard", "soft"]] = Field(default_factory=dict)
    derives_event_id: bool = False
    empty: tuple[str, ...] = ()

    def with_prefix(self, prefix: str) -> PresetSettings:
        """Return the preset with the prefix of exported fields in the names of its fields."""
        named = {
            field: tuple(name.replace("{prefix}", prefix).replace("{PREFIX}", prefix.upper()) for name in names)
            for field, names in self.fields.items()
        }
        return self.model_copy(update={"fields": named})

    @model_validator(mode="after")
    def _whole(self) -> Self:
        unknown = [name for name in self.fields if name not in FIELDS]
        if unknown:
            raise ValueError(f"no such field: {', '.join(unknown)}. Fields: {', '.join(FIELDS)}")
        if not {"customer_id", "email"} & self.fields.keys() or not {"type", "occurred_at"} <= self.fields.keys():
            raise ValueError("fields must name type, occurred_at, and customer_id or email")
        wrong = sorted({*self.channels.values(), *filter(None, [self.channel])} - set(CONTACT_CHANNELS))
        if wrong:
            raise ValueError(f"no such channel: {', '.join(wrong)}. Channels: {', '.join(CONTACT_CHANNELS)}")
        if self.time_zone is not None:
            try:
                ZoneInfo(self.time_zone)
            except (ZoneInfoNotFoundError, ValueError):
                raise ValueError("time_zone is not known here. Write one such as Etc/GMT+6") from None
        return self


class FeedbackSettings(Settings):
    """How feedback is taken; `defaults/feedback.toml` explains every key. A preset under a new name is a new one."""

    items_most: Annotated[int, Field(ge=1, le=10_000)]
    file_bytes: Annotated[int, Field(ge=1_024)]
    future_seconds: Annotated[int, Field(ge=0, le=86_400)]
    block: Annotated[int, Field(ge=1, le=100_000)]
    presets: dict[str, PresetSettings]
