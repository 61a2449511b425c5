"""Audiences: which there are, who is in them, what changed since, and the manifest that proves a pull."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from engine.api import manifests, paging
from engine.api.keys import Granted, Pulling, Serving
from engine.api.manifests import Manifest
from engine.api.openapi import documented
from engine.exports.members import COLUMNS, ID
from engine.workflows import pull_audiences
from engine.workflows.pulls import Since

router = APIRouter(tags=["audiences"])

Name = Annotated[str, Path(pattern="^[a-z0-9_]{1,60}$", examples=["savers"], description="the audience's id")]
RunPath = Annotated[
    str, Path(pattern="^[A-Za-z0-9_.-]{1,80}$", examples=["latest"], description="a run, a snapshot, or `latest`")
]

_ROW: Final[dict[str, Any]] = {
    "external_id": "C00000042",
    "audience_id": "savers",
    "run_id": "20260630T235959Z-4f2a9c01de",
    "recommendation_id": "d-1f",
    "action_code": "fund",
    "action_rank": 1,
    "channel": "email",
    "valid_to": "2026-07-30T23:59:59Z",
    "consent_basis": "marketing",
    "consent_at": "2025-11-02T09:30:00Z",
}
_PAGE: Final[dict[str, Any]] = {
    "audience": "savers",
    "snapshot": "20260630T235959Z-4f2a9c01de-v1",
    "run_id": "20260630T235959Z-4f2a9c01de",
    "channel": "email",
    "rows": 1871,
    "content_sha256": "5f0d1df1",
    "withheld": 0,
    "next": "/v1/audiences/savers/members?cursor=AbC&limit=500",
}
_LINE: Final = '{"channel":"email","external_id":"C00000042","run_id":"20260630T235959Z-4f2a9c01de"}\n'


_SCHEMA: Final = paging.row_schema(COLUMNS, _ROW)


class Audience(BaseModel):
    """An audience and the snapshot of it that was made last; `members` are those of the rule, before any consent."""

    id: str
    name: str
    name_zh: str | None
    owner: str
    purpose: str
    channels: list[str]
    schedule: str
    version: int
    is_verified: bool
    is_retired: bool
    members: int | None
    run_id: str | None
    snapshot: str | None
    as_of: datetime | None


class Audiences(BaseModel):
    """The audiences that the key may see, by id."""

    audiences: list[Audience]


class Member(BaseModel):
    """A member who may be contacted; of the fields those that `fields` names, by default all."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_SCHEMA)

    external_id: str


class Page(BaseModel):
    """What all pages say: the snapshot that is pinned, how many rows all pages have, and where to go on."""

    audience: str
    snapshot: str
    run_id: str
    channel: str
    rows: int = Field(description="rows of all pages")
    content_sha256: str = Field(description="of all rows as JSON lines with all fields")
    withheld: int = Field(description="rows left out of this page, since their customer withdrew meanwhile")
    next: str | None = Field(description="the next page; null at the end")


class Members(Page):
    """A page of members."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_PAGE, "members": [_ROW]}]})

    members: list[Member]


_CHANGE: Final = {"op": "add", **_ROW}
_NULLABLE: Final = paging.row_schema((replace(one, nullable=one.name != ID) for one in COLUMNS), _CHANGE)["properties"]


class Change(BaseModel):
    """A change: of a `remove` the id alone counts, other fields are null; `add` and `update` are the whole row."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"properties": _NULLABLE, "examples": [_CHANGE]})

    op: Literal["remove", "add", "update"]
    external_id: str


class Changes(Page):
    """A page of changes; all removes come before the first add."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**_PAGE, "since": "20260531T235959Z-77b1c0aa12-v1", "changes": [{"op": "add", **_ROW}]}]
        }
    )

    since: str
    changes: list[Change]


class Differences(paging.Paged):
    """The parameters of changes."""

    since: Annotated[
        str | None,
        Field(max_length=80, pattern="^[A-Za-z0-9_.-]+$", description="the snapshot that the client holds"),
    ] = None
    allow_shrink: Annotated[
        bool, Field(description="take more members out at once than the bank's max_removed_share")
    ] = False


@router.get("/v1/audiences", response_model=Audiences, **documented(scope="audiences:read"))
async def audiences(grant: Granted, service: Serving) -> Any:
    """Return the audiences that the key may see."""
    return {"audiences": await run_in_threadpool(pull_audiences.listed, service, grant)}


@router.get("/v1/audiences/{audience}", response_model=Audience, **documented("not_found", scope="audiences:read"))
async def audience(audience: Name, grant: Granted, service: Serving) -> Any:
    """Return one audience."""
    return await run_in_threadpool(pull_audiences.one, service, grant, audience)


_PULL_FAULTS: Final = (
    "not_found",
    "refused_by_policy",
    "not_available",
    "row_cap_reached",
    "run_expired",
    "run_revoked",
)
_PAGE_FAULTS: Final = (*_PULL_FAULTS, "invalid_cursor", "not_acceptable")


@router.get(
    "/v1/audiences/{audience}/members",
    response_model=Members,
    responses=paging.paged(_LINE),
    **documented(*_PAGE_FAULTS, scope="audiences:read"),
)
async def members(
    request: Request,
    audience: Name,
    grant: Granted,
    desk: Pulling,
    query: Annotated[paging.Selection, Query()],
) -> Response:
    """Return who may be contacted, page by page from a pinned snapshot, sorted by id.

    Follow `next` to the end. With `cursor` the other parameters but `limit` are those of the first page. Members
    without consent, suppressed, above a contact cap, refused by risk, or held out for measurement are never among them.
    """
    asked = query.asked(request, desk.service.settings.page_rows)
    path = f"/v1/audiences/{audience}/members"
    return await paging.answer(
        request, "members", path, lambda: desk.members(grant, audience, asked, query.run, query.channel)
    )


@router.get(
    "/v1/audiences/{audience}/changes",
    response_model=Changes,
    responses=paging.paged(_LINE.replace("{", '{"op":"add",', 1)),
    **documented(*_PAGE_FAULTS, "resync_required", scope="audiences:read"),
)
async def changes(
    request: Request,
    audience: Name,
    grant: Granted,
    desk: Pulling,
    query: Annotated[Differences, Query()],
) -> Response:
    """Return what leads from the snapshot that the client holds to the latest: removes first, then adds and updates.

    Load suppressions first, then removes, then adds: whoever withdrew is out before anybody comes in. `snapshot` is
    what the client holds once it loaded all pages. Where the snapshot is kept no longer, the answer is 409 with the
    code `resync_required`: pull all members instead. Where more members would be removed than the bank allows at once,
    it is 403 with the code `refused_by_policy`; ask with `allow_shrink=true` if that is meant.
    """
    asked = query.asked(request, desk.service.settings.page_rows)
    path = f"/v1/audiences/{audience}/changes"
    since = Since(snapshot=query.since, allow_shrink=query.allow_shrink)
    return await paging.answer(
        request, "changes", path, lambda: desk.changes(grant, audience, since, asked, query.channel)
    )


@router.get(
    "/v1/audiences/{audience}/runs/{run}/manifest",
    response_model=Manifest,
    responses=manifests.RESPONSES,
    **documented(*_PULL_FAULTS, scope="exports:read"),
)
async def manifest(
    *, request: Request, audience: Name, run: RunPath, grant: Granted, service: Serving, channel: paging.Channel = None
) -> Response:
    """Return what may be pulled of a run: counts that add up, and the checksum of the rows, which is the ETag too."""
    release = await run_in_threadpool(pull_audiences.manifest, service, grant, audience, run, channel)
    return manifests.answer(request, release)
