"""Manifests as answers: what may be pulled, with its checksum as the entity tag: nobody loads the same twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from engine.api import paging
from engine.exports.releases import Release

EXAMPLE: Final[dict[str, Any]] = {
    "contract": "audience-pull",
    "schema_version": "1.0.0",
    "snapshot": "20260630T235959Z-4f2a9c01de-v1",
    "run_id": "20260630T235959Z-4f2a9c01de",
    "audience": {
        "id": "savers",
        "name": "Savers",
        "name_zh": None,
        "owner": "ann",
        "version": 1,
        "definition_sha256": "9f2c",
        "verified_by": "bob",
    },
    "as_of": "2026-06-30T23:59:59Z",
    "made_at": "2026-07-01T02:14:09Z",
    "expires_at": "2026-07-31T02:14:09Z",
    "purpose": "marketing",
    "channel": "email",
    "counts": {"selected": 2539, "excluded": {"holdout": 120, "no_consent": 548}, "exported": 1871},
    "reasons": {"CONTROL_GROUP": 120, "NO_CONSENT": 548},
    "rows": 1871,
    "fields": ["external_id", "run_id", "channel"],
    "content_sha256": "5f0d1df1",
}


class AudienceFacts(BaseModel):
    """Whom it is about; `verified_by` is the second person who found the rule right, if there is one."""

    id: str
    name: str
    name_zh: str | None
    owner: str
    version: int
    definition_sha256: str
    verified_by: str | None


class Counts(BaseModel):
    """selected = all that are excluded + exported."""

    selected: int
    excluded: dict[str, int] = Field(description="left out, each counted at the first exclusion that applies")
    exported: int


class Manifest(BaseModel):
    """What may be pulled of one run, and the checksum over its rows as JSON lines with all fields."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    contract: str
    schema_version: str
    snapshot: str
    run_id: str
    audience: AudienceFacts | None
    as_of: datetime
    made_at: datetime
    expires_at: datetime
    purpose: str
    channel: str | None
    counts: Counts
    reasons: dict[str, int] = Field(description="members left out, by the code of the reason")
    rows: int
    fields: list[str]
    content_sha256: str


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "headers": {
            "ETag": {"description": "the checksum of the content", "schema": {"type": "string"}},
            "Last-Modified": {"description": "when it was made", "schema": {"type": "string"}},
        }
    },
    304: {"description": "What the client holds is still right"},
}


def answer(request: Request, release: Release) -> Response:
    """Return a manifest, or that the client holds it already."""
    headers = {
        "ETag": paging.tag(release),
        "Last-Modified": paging.date(release),
        "Cache-Control": "private, no-cache",  # kept by the client, asked for again each time
    }
    if paging.not_modified(request, release):
        return Response(status_code=304, headers=headers)
    content = Manifest.model_validate(release.manifest).model_dump_json()
    return Response(content, headers=headers, media_type=paging.JSON)
