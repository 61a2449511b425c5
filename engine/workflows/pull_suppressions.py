"""Whom not to contact any more, in the order in which it was entered: only ever more, never less."""

from __future__ import annotations

from typing import Any

from engine.domain.errors import UnknownName
from engine.domain.grants import Grant
from engine.domain.words import CONTACT_CHANNELS
from engine.store import SuppressionFeed
from engine.store.suppression_feed import Cause
from engine.workflows.service import Service


def changes(service: Service, grant: Grant, since: int, limit: int, channel: str | None = None) -> dict[str, Any]:
    """Return causes entered after a number, what to ask for next, and the newest number there is.

    A cause that a person lifted is told no more, and its lifting never: a permission is raised by a new run alone.
    Rows of this feed do not count against the rows a day that a key allows.

    Raises
    ------
    NotGranted
    UnknownName
        There is no such channel.
    """
    grant.require("suppressions:read")
    wanted = channel or grant.channel
    if wanted is not None:
        grant.require_channel(wanted)
        if wanted not in CONTACT_CHANNELS:
            raise UnknownName("channel", wanted, CONTACT_CHANNELS)
    found, newest = SuppressionFeed(service.store).after(since, limit, wanted)
    following = found[-1].number if len(found) == limit else max(newest, since)
    if found:
        details = {"listing": "suppressions", "suppressions": len(found), "since": since, "until": following}
        service.keyring.release(grant, 0, "suppressions", details)
    return {"suppressions": [_shown(one) for one in found], "next_since": following, "newest": newest}


def _shown(one: Cause) -> dict[str, Any]:
    return {
        "number": one.number,
        "external_id": one.customer_id,
        "channel": one.channel,
        "reason": one.reason,
        "since": one.since,
    }
