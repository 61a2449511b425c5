"""Read the journal with a key: events about audiences that the key may not see are left out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from engine.domain.grants import Grant
from engine.workflows.service import Service


def events(service: Service, grant: Grant, after: int, limit: int) -> dict[str, Any]:
    """Return the events after an offset, the oldest first, what to ask for next, and the newest offset there is.

    Raises
    ------
    NotGranted
    """
    grant.require("journal:read")
    found, newest = service.journal.after(after, limit, audiences=grant.audiences)
    # where a page is not full, everything up to the newest was looked at, also what the key may not see
    following = found[-1].offset if len(found) == limit else max(newest, after)
    return {"events": [asdict(one) for one in found], "next_after": following, "newest": newest}
