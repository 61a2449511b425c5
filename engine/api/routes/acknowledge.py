"""A receiver says what it loaded: of a run that it pulled, or of a bundle that came to it as files."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from engine.api.keys import Granted, Serving
from engine.api.openapi import documented
from engine.api.routes.audiences import RunPath
from engine.workflows import pull_acks

router = APIRouter(tags=["acknowledgements"])

Rows = Annotated[int, Field(ge=0, le=10**12)]


class Rejected(BaseModel):
    """A row that the receiver did not take, and why."""

    model_config = ConfigDict(extra="forbid")

    external_id: Annotated[str, Field(max_length=200)]
    code: Annotated[str, Field(max_length=100)]
    detail: Annotated[str | None, Field(max_length=1_000)] = None


class Acknowledgement(BaseModel):
    """What came, and what became of it. `audience` null: the offers of all customers."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "audience": "savers",
                    "channel": "email",
                    "received_rows": 1871,
                    "content_sha256": "5f0d1df1fc49e30424381b57b1d4c73e067772a4267dde043a19b026935602c8",
                    "loaded": 1870,
                    "rejected": [{"external_id": "C00000042", "code": "invalid_email", "detail": None}],
                }
            ]
        },
    )

    audience: Annotated[str | None, Field(pattern="^[a-z0-9_]{1,60}$")] = None
    channel: Annotated[str | None, Field(pattern="^[a-z_]{1,40}$")] = None
    received_rows: Rows
    content_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="as the manifest or the page told it")]
    loaded: Rows
    rejected: Annotated[list[Rejected], Field(max_length=1_000)] = []


class Acknowledged(BaseModel):
    """What is on record."""

    snapshot: str
    channel: str
    received_rows: int
    loaded: int
    rejected: int
    content_sha256: str
    acknowledged_at: datetime


@router.post(
    "/v1/runs/{run}/ack",
    response_model=Acknowledged,
    **documented("not_found", "conflict", "run_expired", scope="exports:ack"),
)
async def acknowledge(run: RunPath, body: Acknowledgement, grant: Granted, service: Serving) -> Any:
    """Keep what a receiver says of a run. The same body again gives the same answer; another one is a conflict."""
    rejected = tuple(one.model_dump() for one in body.rejected)
    said = pull_acks.Said(**{**body.model_dump(), "rejected": rejected})
    return await run_in_threadpool(pull_acks.acknowledge, service, grant, run, said)


class BundleAcknowledgement(BaseModel):
    """What came of a bundle: its checksum, the rows of all its files, and the ids that were not taken."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "audience": "savers",
                    "channel": "email",
                    "received_rows": 1871,
                    "content_sha256": "5f0d1df1fc49e30424381b57b1d4c73e067772a4267dde043a19b026935602c8",
                    "rejected": ["C00000042"],
                }
            ]
        },
    )

    audience: Annotated[str, Field(pattern="^[a-z0-9_]{1,60}$")]
    channel: Annotated[str | None, Field(pattern="^[a-z_]{1,40}$")] = None
    received_rows: Rows
    content_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="as the bundle's manifest told it")]
    rejected: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=1_000)] = []


class BundleAcknowledged(BaseModel):
    """What is on record; the next delta for this destination goes on from it."""

    audience: str
    to: str
    run_id: str
    mode: str
    content_sha256: str
    received_rows: int
    rejected: int
    members: int
    acked_by: str
    acked_at: datetime


@router.post(
    "/v1/exports/{run}/ack",
    response_model=BundleAcknowledged,
    **documented("not_found", "conflict", scope="exports:ack"),
)
async def acknowledge_bundle(run: RunPath, body: BundleAcknowledgement, grant: Granted, service: Serving) -> Any:
    """Keep that the key's destination loaded a bundle of files. The same body again gives the same answer."""
    said = pull_acks.SaidOfBundle(**{**body.model_dump(), "rejected": tuple(body.rejected)})
    return await run_in_threadpool(pull_acks.acknowledge_bundle, service, grant, run, said)
