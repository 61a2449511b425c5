"""What happened, by offset: a campaign tool follows it and knows when to pull."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from engine.api.keys import Granted, Serving
from engine.api.openapi import documented
from engine.workflows import journal as workflow

router = APIRouter(tags=["journal"])

_EXAMPLE: Final[dict[str, Any]] = {
    "events": [
        {
            "offset": 1042,
            "at": "2026-07-01T02:14:09Z",
            "event": "audience_published",
            "subject": "savers",
            "details": {"run_id": "20260630T235959Z-4f2a9c01de", "added": 120, "removed": 31, "members": 5210},
        }
    ],
    "next_after": 1042,
    "newest": 1042,
}


class Event(BaseModel):
    """One event; `details` hold counts, ids of runs and hashes, never who."""

    offset: int = Field(ge=1)
    at: datetime
    event: str
    subject: str
    details: dict[str, Any]


class Events(BaseModel):
    """Events in the order in which they happened."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    events: list[Event]
    next_after: int = Field(description="what to ask for after next")
    newest: int = Field(description="the newest offset there is; 0 where nothing has happened yet")


@router.get("/v1/journal", response_model=Events, **documented(scope="journal:read"))
async def journal(
    grant: Granted,
    service: Serving,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="the last offset that was read; 0 from the start")] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Any:
    """Return the events after an offset. Offsets have no gaps and never change; ask again after `next_after`."""
    return await run_in_threadpool(workflow.events, service, grant, after, limit)
