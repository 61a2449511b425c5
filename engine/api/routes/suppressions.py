"""Whom not to contact any more: a feed to load before anything else."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from engine.api import paging
from engine.api.keys import Granted, Serving
from engine.api.openapi import documented
from engine.workflows import pull_suppressions as workflow

router = APIRouter(tags=["suppressions"])


class Suppression(BaseModel):
    """One cause not to contact a customer; channel null is every channel."""

    number: int
    external_id: str
    channel: str | None
    reason: str
    since: datetime


class Suppressions(BaseModel):
    """Causes in the order in which they were entered."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "suppressions": [
                        {
                            "number": 17,
                            "external_id": "C00000042",
                            "channel": "email",
                            "reason": "unsubscribed",
                            "since": "2026-07-02T08:15:00Z",
                        }
                    ],
                    "next_since": 17,
                    "newest": 17,
                }
            ]
        }
    )

    suppressions: list[Suppression]
    next_since: int = Field(description="what to ask for after next")
    newest: int = Field(description="the newest number there is; 0 where nobody is suppressed")


@router.get(
    "/v1/suppressions/changes", response_model=Suppressions, **documented("not_found", scope="suppressions:read")
)
async def changes(
    grant: Granted,
    service: Serving,
    since: Annotated[int, Query(ge=0, le=2**31 - 1, description="the last number that was read; 0 from the start")] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 1_000,
    channel: paging.Channel = None,
) -> Any:
    """Return who must not be contacted, entered after a number. There is no opposite: only a new run allows again."""
    return await run_in_threadpool(workflow.changes, service, grant, since, limit, channel)
