"""How often a customer, a channel and a household may be contacted, and when the bank keeps quiet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config.load import Settings, faults

ContactChannel = Literal["email", "sms", "phone", "push", "post"]
CapName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Days = Annotated[int, Field(ge=1, le=3650)]
QuietDays = Annotated[int, Field(ge=0, le=3650)]


class ContactCap(Settings):
    """At most `max_contacts` within the last `days`: with a customer, on one channel, or with a whole household."""

    per: Literal["customer", "channel", "household"]
    channel: ContactChannel | None = None
    max_contacts: Annotated[int, Field(ge=0)]
    days: Days

    @model_validator(mode="after")
    def _channel_where_it_belongs(self) -> ContactCap:
        if self.per == "channel" and self.channel is None:
            told = 'missing, though per = "channel" limits one channel. Name it, such as channel = "sms"'
            raise faults("ContactCap", [(("channel",), told)])
        if self.per != "channel" and self.channel is not None:
            told = f'per = "{self.per}" counts every channel. Leave channel out, or write per = "channel"'
            raise faults("ContactCap", [(("channel",), told)])
        return self


class Fatigue(Settings):
    """What contacts without an answer cost: each leaves a share of the response, and too many end the contacts."""

    window_days: Days
    max_unanswered: Annotated[int, Field(ge=1)]
    response_kept: Annotated[float, Field(gt=0, le=1)]


class ContactPolicy(Settings):
    """Caps by name, quiet periods and fatigue; a stricter value never lets an offer past that a looser one refused."""

    caps: Annotated[dict[CapName, ContactCap], Field(min_length=1)]
    quiet_after_complaint_days: QuietDays
    quiet_after_contact_days: QuietDays
    fatigue: Fatigue

    def named(self, per: str) -> tuple[str, ...]:
        """Return the names of the caps per customer, channel or household."""
        return tuple(name for name, cap in self.caps.items() if cap.per == per)
