"""The offers of a run in bulk, for tools that take all of them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from engine.api import manifests, paging
from engine.api.keys import Granted, Pulling, Serving
from engine.api.manifests import Manifest
from engine.api.openapi import documented
from engine.api.routes.audiences import RunPath
from engine.exports.rows import COLUMNS
from engine.workflows import pull_audiences

router = APIRouter(tags=["recommendations"])

_OFFER: Final[dict[str, Any]] = {
    "external_id": "C00000042",
    "run_id": "20260630T235959Z-4f2a9c01de",
    "recommendation_id": "d-1f",
    "action_code": "fund",
    "action_rank": 1,
    "channel": "email",
    "score": 0.0421,
    "valid_to": "2026-07-30T23:59:59Z",
}
_FAULTS: Final = ("not_found", "not_available", "refused_by_policy", "run_expired")


class Offer(BaseModel):
    """An offer; of the fields those that `fields` names, by default all."""

    model_config = ConfigDict(extra="allow", json_schema_extra=paging.row_schema(COLUMNS, _OFFER))

    external_id: str


class Offers(BaseModel):
    """A page of offers; channel is null where those of all channels are pulled."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "snapshot": "20260630T235959Z-4f2a9c01de",
                    "run_id": "20260630T235959Z-4f2a9c01de",
                    "channel": None,
                    "rows": 3120,
                    "content_sha256": "77ab",
                    "withheld": 0,
                    "next": "/v1/recommendations?cursor=AbC",
                    "recommendations": [_OFFER],
                }
            ]
        }
    )

    snapshot: str
    run_id: str
    channel: str | None
    rows: int
    content_sha256: str
    withheld: int
    next: str | None = Field(description="the next page; null at the end")
    recommendations: list[Offer]


@router.get(
    "/v1/recommendations",
    response_model=Offers,
    responses=paging.paged('{"action_code":"fund","external_id":"C00000042"}\n'),
    **documented(*_FAULTS, "row_cap_reached", "invalid_cursor", "not_acceptable", scope="recommendations:read"),
)
async def recommendations(
    request: Request,
    grant: Granted,
    desk: Pulling,
    query: Annotated[paging.Selection, Query()],
) -> Response:
    """Return a run's offers of all customers, page by page, by customer and rank; `channel` keeps those on it."""
    asked = query.asked(request, desk.service.settings.page_rows)
    return await paging.answer(
        request, "recommendations", "/v1/recommendations", lambda: desk.offers(grant, asked, query.run, query.channel)
    )


@router.get(
    "/v1/recommendations/runs/{run}/manifest",
    response_model=Manifest,
    responses=manifests.RESPONSES,
    **documented(*_FAULTS, scope="exports:read"),
)
async def manifest(
    *, request: Request, run: RunPath, grant: Granted, service: Serving, channel: paging.Channel = None
) -> Response:
    """Return what may be pulled of a run's offers, and the checksum of the rows, which is the ETag too."""
    release = await run_in_threadpool(pull_audiences.offers_manifest, service, grant, run, channel)
    return manifests.answer(request, release)
