"""Whether the server answers, what its problems mean, and its own description: open to everybody."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from engine.api import openapi, problems
from engine.api.openapi import documented
from engine.api.problems import Problem

router = APIRouter(tags=["service"])


class Health(BaseModel):
    """The server answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok", "version": "0.1.0"}]})

    status: Literal["ok"]
    version: str


class ProblemKind(BaseModel):
    """One kind of problem."""

    code: str
    status: int
    title: str
    remedy: str


@router.get("/v1/health", response_model=Health, **documented())
async def health() -> Any:
    """Say that the server answers; nothing of the bank is looked at."""
    return {"status": "ok", "version": version("wayline")}


@router.get("/v1/problems/{code}", response_model=ProblemKind, **documented("not_found"))
async def problem(code: Annotated[str, Path(examples=["run_expired"], max_length=60)]) -> Any:
    """Explain one kind of problem."""
    kind = problems.KINDS.get(code)
    if kind is None:
        raise Problem("not_found", f"No problem has that code. Codes: {', '.join(problems.KINDS)}.", field="code")
    return {"code": code, "status": kind.status, "title": kind.title, "remedy": kind.remedy}


@router.get(openapi.PATH, response_model=dict[str, Any], **documented())
async def description(request: Request) -> Response:
    """Return this description, OpenAPI 3.1."""
    return Response(orjson.dumps(request.app.openapi()), media_type="application/json")
