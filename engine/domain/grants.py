"""What a key of the API may do: scopes, audiences, a channel, rows a day. Everything not granted is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from engine.domain.errors import RefusedByPolicy, UnknownName, WaylineError

SCOPES: Final = {
    "audiences:read": "audiences, their members and what changed in them",
    "recommendations:read": "the offers of a run, of all customers",
    "suppressions:read": "who must not be contacted any more",
    "exports:read": "manifests of what was handed over",
    "exports:ack": "say that a run was loaded",
    "decisions:read": "look at the next best action for one customer",
    "decisions:write": "decide the next best action for one customer, which counts as a contact",
    "feedback:write": "say what became of contacts",
    "journal:read": "what happened, in the order in which it happened",
}
"""Every scope with what it opens."""


class KeyRefused(WaylineError):
    """A request names no key, or one that is unknown, expired or revoked: which of them is not told."""

    def __init__(self) -> None:
        super().__init__(
            "No valid key came with the request. Send `Authorization: Bearer KEY`, or Basic with the key's id and "
            "secret. `wayline api keys create` makes one; an expired or revoked key must be replaced."
        )


class NotGranted(RefusedByPolicy):
    """The key is valid, and does not allow this; `needed` is what it lacks."""

    def __init__(self, needed: str, sentence: str) -> None:
        self.needed = needed
        super().__init__(sentence)


class RowCapReached(RefusedByPolicy):
    """More rows would leave with a key in one day than it allows; nothing of them has left."""

    def __init__(self, wanted: int, left: int, cap: int) -> None:
        self.wanted, self.left, self.cap = wanted, left, cap
        super().__init__(
            f"{wanted:,} rows were asked for and {left:,} of the key's {cap:,} rows a day (UTC) are left. Ask for "
            f"less, wait for the next day, or have the key replaced by one with a higher cap."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one key allows. None for `audiences`, `channel`, `row_cap` or `requests_per_minute`: no limit by the key."""

    key_id: str
    name: str
    scopes: frozenset[str]
    audiences: frozenset[str] | None
    destination: str
    channel: str | None
    row_cap: int | None
    requests_per_minute: int | None
    expires_at: datetime

    @property
    def actor(self) -> str:
        """Who acts, as the audit log names it."""
        return f"api/{self.name}"

    def require(self, scope: str) -> None:
        """Raise NotGranted unless the key has the scope."""
        if scope not in self.scopes:
            raise NotGranted(scope, f"The key has no scope {scope}. Ask for a key that has it.")

    def allows_audience(self, audience: str) -> bool:
        """Whether the key may see an audience."""
        return self.audiences is None or audience in self.audiences

    def require_audience(self, audience: str, known: Iterable[str]) -> None:
        """Raise UnknownName unless the audience is there and the key may see it: which of both is not told."""
        seen = sorted(name for name in known if self.allows_audience(name))
        if audience not in seen:
            raise UnknownName("audience", audience, seen)

    def require_channel(self, channel: str) -> None:
        """Raise NotGranted where the key is for another channel."""
        if self.channel is not None and channel != self.channel:
            raise NotGranted(
                f"channel:{channel}", f"The key is for the channel {self.channel}. Ask for a key for {channel}."
            )
