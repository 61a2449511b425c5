"""Pages as answers: JSON with the rows in a list, or JSON lines with what is said of them in headers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import orjson
import pyarrow as pa
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from starlette.responses import Response

from engine.api.problems import Problem
from engine.exports import csv_dialects as text
from engine.exports.members import MemberColumn
from engine.exports.releases import Release
from engine.exports.rows import SCORE, ExportColumn
from engine.workflows.pulls import Asked, Page

JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"
JSON_ROWS: Final = 1_000  # the most rows of a page as JSON; as lines, which are read one at a time, ten times as many
LINE_ROWS: Final = 10_000

Cursor = Annotated[
    str | None,
    Field(max_length=2_000, description="where to go on: that of `next`, as it came; it pins the snapshot"),
]
Limit = Annotated[
    int | None,
    Field(
        ge=1,
        le=LINE_ROWS,
        description=f"rows of a page, by default those of the settings; as JSON at most {JSON_ROWS:,} come",
    ),
]
Fields = Annotated[
    str | None,
    Field(
        max_length=500,
        pattern="^[a-z0-9_]+(,[a-z0-9_]+)*$",
        description="names of fields, separated by commas; by default all. `external_id` always comes",
        examples=["external_id,action_code"],
    ),
]
Run = Annotated[
    str | None,
    Field(
        max_length=80, pattern="^[A-Za-z0-9_.-]+$", description="a run or a snapshot by its id; by default the latest"
    ),
]
Channel = Annotated[
    str | None,
    Field(max_length=40, pattern="^[a-z_]+$", description="the channel to contact on; by default that of the key"),
]


class Paged(BaseModel):
    """The parameters of all listings; one that is not known is refused rather than ignored."""

    model_config = ConfigDict(extra="forbid")

    channel: Channel = None
    fields: Fields = None
    cursor: Cursor = None
    limit: Limit = None

    def asked(self, request: Request, default: int) -> Asked:
        """Return what is asked for; `default` is how many rows where no limit is named."""
        most = LINE_ROWS if wants_lines(request) else JSON_ROWS
        names = tuple(self.fields.split(",")) if self.fields is not None else None
        return Asked(limit=min(self.limit or default, most), fields=names, cursor=self.cursor)


class Selection(Paged):
    """The parameters of a listing of one run."""

    run: Run = None


_JSON_TYPES: Final = {
    pa.string(): {"type": "string"},
    pa.int64(): {"type": "integer"},
    pa.bool_(): {"type": "boolean"},
    SCORE: {"type": "number"},
}


def row_schema(columns: Iterable[MemberColumn | ExportColumn], example: Mapping[str, Any]) -> JsonDict:
    """Return what the description says of a row: every column, any of which `fields` may leave out, and an example."""
    told: dict[str, Any] = {}
    for column in columns:
        kind = _JSON_TYPES[column.kind]
        told[column.name] = {**kind, "description": column.meaning}
        if column.nullable:
            told[column.name]["type"] = [kind["type"], "null"]
    return {"properties": told, "examples": [dict(example)]}


HEADERS: Final = {
    "Link": {"description": 'the next page, rel="next"; none at the end', "schema": {"type": "string"}},
    "X-Snapshot": {"description": "the snapshot that is pinned", "schema": {"type": "string"}},
    "X-Snapshot-Rows": {"description": "rows of all pages", "schema": {"type": "string"}},
    "X-Withheld": {"description": "rows left out of this page: withdrew since", "schema": {"type": "string"}},
}


def paged(example_line: str) -> dict[int | str, dict[str, Any]]:
    """Return what a route says of an answer that is a page, beside its model."""
    line = {"schema": {"type": "string", "description": "one object a line"}, "example": example_line}
    return {200: {"headers": HEADERS, "content": {LINES: line}}}


def wants_lines(request: Request) -> bool:
    """Return whether a request wants JSON lines; raises Problem when it accepts neither form."""
    accepted = {one.partition(";")[0].strip().lower() for one in request.headers.get("accept", "*/*").split(",")}
    if LINES in accepted:
        return True
    if accepted & {JSON, "*/*", "application/*", ""}:
        return False
    raise Problem("not_acceptable", f"Pages come as {JSON} or {LINES}.", field="Accept")


async def answer(request: Request, rows_are: str, path: str, pull: Callable[[], Page]) -> Response:
    """Return a page as an answer; it is read in a thread of its own."""
    return await run_in_threadpool(_answer, request, rows_are, path, pull)


def _answer(request: Request, rows_are: str, path: str, pull: Callable[[], Page]) -> Response:
    page = pull()
    following = None
    if page.next is not None:
        following = f"{path}?{urlencode({'cursor': page.next, 'limit': page.limit})}"
    headers = {"Link": f'<{following}>; rel="next"'} if following else {}
    if wants_lines(request):
        manifest = page.release.manifest
        headers |= {"X-Snapshot": str(manifest.get("to", page.release.name)), "X-Withheld": str(page.withheld)}
        headers |= {"X-Snapshot-Rows": str(page.release.rows)}
        return Response(text.joined(page.objects, "\n"), headers=headers, media_type=LINES)
    head = orjson.dumps({**_told(page), "next": following})
    rows = text.joined(page.objects, ",")[:-1]
    return Response(b"%s,%s:[%s]}" % (head[:-1], orjson.dumps(rows_are), rows), headers=headers, media_type=JSON)


def _told(page: Page) -> dict[str, Any]:
    manifest = page.release.manifest
    told = {
        "snapshot": manifest.get("to", page.release.name),
        "run_id": manifest["run_id"],
        "channel": None if page.place.channel == "any" else page.place.channel,
        "rows": page.release.rows,
        "content_sha256": manifest["content_sha256"],
        "withheld": page.withheld,
    }
    told |= {"audience": page.place.subject} if page.place.subject else {}
    return told | ({"since": page.place.against} if page.place.against else {})


def not_modified(request: Request, release: Release) -> bool:
    """Return whether a client holds a manifest already: by its tag, else by its date."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        held = {one.strip().removeprefix("W/") for one in tags.split(",")}
        return "*" in held or tag(release) in held
    return request.headers.get("if-modified-since") == date(release)


def tag(release: Release) -> str:
    """Return the entity tag of a manifest: that of its content."""
    return f'"{release.manifest["content_sha256"]}"'


def date(release: Release) -> str:
    """Return when a release was made, as HTTP writes dates."""
    return release.made_at.strftime("%a, %d %b %Y %H:%M:%S GMT")
