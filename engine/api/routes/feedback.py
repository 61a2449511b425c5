"""What became of contacts: one request of items, or a file; on disk before the answer, withdrawals in force with it."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, FastAPI, Header, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from engine.api.keys import Granted, Serving
from engine.api.openapi import documented
from engine.api.problems import Problem
from engine.domain.grants import Grant
from engine.domain.words import CONTACT_CHANNELS, FEEDBACK_TYPES
from engine.workflows import feedback as workflow
from engine.workflows import feedback_jobs as jobs
from engine.workflows.service import Service

FILE: Final = "/v1/feedback/file"

_SCOPE: Final = "feedback:write"
_JSON: Final = "application/json"
_LINES: Final = "application/x-ndjson"


@asynccontextmanager
async def _working(app: FastAPI) -> AsyncIterator[None]:
    worker = jobs.Worker(app.state.service)
    app.state.feedback = worker
    worker.start()
    try:
        yield
    finally:
        await run_in_threadpool(worker.stop)


router = APIRouter(tags=["feedback"], lifespan=_working)

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="the same body under the same key gets the answer of the first",
    ),
]
JobId = Annotated[str, Path(pattern="^fb_[0-9a-f]{24}$", examples=["fb_5d1b6a0c7f3e2a905d1b6a0c"])]


class Rejected(BaseModel):
    """One item that was not taken: its place in the request, from 0."""

    index: int
    code: str
    detail: str


class Answer(BaseModel):
    """What became of the items. `suppressed` of those accepted are a reason not to contact somebody any more."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "accepted": 2,
                    "duplicate": 1,
                    "ignored": 0,
                    "suppressed": 1,
                    "rejected": [
                        {"index": 3, "code": "unknown_customer", "detail": "The bank has no customer of this id."}
                    ],
                }
            ]
        }
    )

    accepted: int
    duplicate: int
    ignored: int
    suppressed: int
    rejected: list[Rejected]


class Job(BaseModel):
    """A file and how it stands; counts come when it is done, `error` says why it failed."""

    job: str
    status: Literal["running", "done", "failed"]
    source: str
    started_at: datetime
    finished_at: datetime | None
    rows: int | None
    accepted: int | None
    duplicate: int | None
    ignored: int | None
    rejected: int | None
    suppressed: int | None
    codes: dict[str, int] | None = Field(description="rejected rows by code")
    error: str | None


_ITEM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["event_id", "type", "external_id", "occurred_at"],
    "properties": {
        "event_id": {"type": "string", "maxLength": 200, "description": "of the event, unique for ever"},
        "type": {"type": "string", "enum": list(FEEDBACK_TYPES)},
        "external_id": {"type": "string", "maxLength": 200, "description": "the customer, as exported"},
        "occurred_at": {"type": "string", "format": "date-time"},
        "recommendation_id": {"type": "string", "description": "as exported; it says which contact this was"},
        "decision_id": {"type": "string", "description": "of a decision made live"},
        "run_id": {"type": "string"},
        "audience_id": {"type": "string"},
        "product_id": {"type": "string"},
        "channel": {"type": "string", "enum": list(CONTACT_CHANNELS)},
        "message_id": {"type": "string", "description": "of the message; what is told twice of one is one contact"},
        "value": {"type": ["number", "string"], "description": "what a conversion is worth, in the currency"},
        "value_minor": {"type": "integer", "minimum": 0, "description": "the same in minor units"},
        "currency": {"type": "string", "description": "ISO 4217, needed beside an amount"},
        "machine_open": {"type": "boolean", "description": "opened by a mail programme; it is no answer"},
        "bounce": {"type": "string", "enum": ["hard", "soft"]},
    },
}
_EXAMPLE: Final = {
    "event_id": "7b0c-1",
    "type": "clicked",
    "external_id": "C00000042",
    "recommendation_id": "9097dc8aa005-C00000042-credit_card",
    "occurred_at": "2026-07-01T09:30:00Z",
}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            _JSON: {"schema": {"type": "array", "maxItems": 1000, "items": _ITEM}, "example": [_EXAMPLE]},
            _LINES: {"schema": {"type": "string", "description": "one such object per line"}},
        },
    }
}
_FILE_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {name: {"schema": {"type": "string", "format": "binary"}} for name in jobs.SUFFIXES},
    }
}


def _with_body(told: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    return {"openapi_extra": {**told["openapi_extra"], **body}}


@router.post(
    "/v1/feedback",
    response_model=Answer,
    responses={207: {"model": Answer, "description": "Some items were rejected, the others are taken"}},
    **_with_body(
        documented("unsupported_media_type", "delivery_under_way", "idempotency_key_reused", scope=_SCOPE), _BODY
    ),
)
async def feedback(request: Request, grant: Granted, service: Serving, key: Key = None) -> Any:
    """Take what became of contacts: a JSON array of at most 1,000 items, or one item per line as NDJSON.

    Each item has an answer of its own, and an event that came before is a duplicate, for ever, in whatever order.
    When the answer comes, what is accepted is on disk, and nobody who unsubscribed in it is offered anything more.
    """
    grant.require(_SCOPE)
    kind = _content_type(request, (_JSON, _LINES))
    body = await request.body()
    answer = await run_in_threadpool(_received, service, grant, body, kind, key)
    return _json(answer, 207 if answer["rejected"] else 200)


def _json(told: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(told), status, headers, media_type=_JSON)


def _received(service: Service, grant: Grant, body: bytes, kind: str, key: str | None) -> dict[str, Any]:
    items = _items(body, kind)
    reader = workflow.desk(service.workspace, grant=grant)
    most = reader.settings.items_most
    if len(items) > most:
        raise Problem("invalid_request", f"{len(items):,} items; at most {most:,} come in one request.", field="body")
    delivery = workflow.Delivery(sender=grant.name, idempotency_key=key, body_sha256=hashlib.sha256(body).hexdigest())
    return workflow.receive(service.store.acting(grant.actor), reader, items, delivery)


def _items(body: bytes, kind: str) -> list[Any]:
    if kind == _LINES:
        return [_line(line) for line in body.splitlines() if line.strip()]
    try:
        items = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Problem("malformed_request", "The body is not valid JSON.", field="body") from None
    if not isinstance(items, list):
        raise Problem("invalid_request", "Expected an array of items.", field="body")
    return items


def _line(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None  # an item that is no object, answered as such


def _content_type(request: Request, known: tuple[str, ...]) -> str:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in known:
        raise Problem("unsupported_media_type", f"Expected Content-Type {' or '.join(known)}.", field="Content-Type")
    return kind


@router.post(
    FILE,
    status_code=202,
    response_model=Job,
    **_with_body(documented("not_found", "unsupported_media_type", "idempotency_key_reused", scope=_SCOPE), _FILE_BODY),
)
async def feedback_file(
    request: Request,
    grant: Granted,
    service: Serving,
    preset: Annotated[str, Query(alias="from", max_length=60, description="how the file is written")] = "generic",
    key: Key = None,
) -> Any:
    """Take a whole file as one of the presets writes it: CSV, NDJSON or Parquet, by its Content-Type.

    The answer comes once the file is on disk, and names the job that enters it; ask there what became of the rows.
    """
    grant.require(_SCOPE)
    kind = _content_type(request, tuple(jobs.SUFFIXES))
    job = f"fb_{secrets.token_hex(12)}"
    path = await run_in_threadpool(jobs.landing, service, job, kind)
    try:
        with path.open("wb") as handle:
            async for chunk in request.stream():
                handle.write(chunk)
            await run_in_threadpool(_to_disk, handle)
        upload = jobs.Upload(job=job, path=path, source=preset, idempotency_key=key)
        told = await run_in_threadpool(jobs.accept, service, grant, upload)
    except BaseException:
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            path.parent.rmdir()
        raise
    if told["job"] == job:
        request.app.state.feedback.take(job)
    return _json(told, 202, {"Location": f"/v1/feedback/jobs/{told['job']}"})


def _to_disk(handle: Any) -> None:
    handle.flush()
    os.fsync(handle.fileno())


@router.get("/v1/feedback/jobs/{job}", response_model=Job, **documented("not_found", scope=_SCOPE))
async def job_of(grant: Granted, service: Serving, job: JobId) -> Any:
    """Say how the entering of a file stands, and what became of its rows."""
    return await run_in_threadpool(jobs.shown, service, grant, job)


@router.get(
    "/v1/feedback/jobs/{job}/errors",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "the rejected rows"}},
    **documented("not_found", "delivery_under_way", scope=_SCOPE),
)
async def errors_of(grant: Granted, service: Serving, job: JobId) -> Response:
    """Return the rejected rows of a file as CSV: row_number, error_code, error_message; never a value of a row."""
    path = await run_in_threadpool(jobs.errors, service, grant, job)
    if path is None:
        return Response("row_number,error_code,error_message\n", media_type="text/csv")
    return FileResponse(path, media_type="text/csv")
