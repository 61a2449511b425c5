"""The description of the API, OpenAPI 3.1: every status code of every operation, with examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from engine.api import problems
from engine.api.keys import SCHEMES
from engine.domain.grants import SCOPES

PATH: Final = "/v1/openapi.json"

_EVERYWHERE: Final = ("malformed_request", "body_too_large", "unforeseen")
_WITH_KEY: Final = (*_EVERYWHERE, "key_refused", "not_granted", "too_many_requests", "unavailable")
_ABOUT: Final = """\
Campaign tools pull audiences, offers and suppressions from pinned runs, page by page, and send back what became of
them.

Every request needs a key (`wayline api keys create`), as `Authorization: Bearer KEY` or as HTTP Basic. Every error is
a problem of RFC 9457 with a `code`; `/v1/problems/{code}` explains each. New members of objects may come at any time;
what is there now stays within `/v1`.
"""


def documented(*codes: str, scope: str | None = None) -> dict[str, Any]:
    """Return how a route is told of: the problems it answers with, beside those of every route, and its scope.

    Use it as `@router.get("/v1/...", **documented("not_found", scope="audiences:read"))`. Without a scope the route is
    public; with one it must depend on `Granted`.
    """
    extra: dict[str, Any] = {"x-problems": [*(_WITH_KEY if scope else _EVERYWHERE), *codes]}
    if scope is not None:
        assert scope in SCOPES, scope
        extra |= {"x-scope": scope, "security": [{name: []} for name in SCHEMES]}
    return {"openapi_extra": extra}


def add_to(app: FastAPI) -> None:
    """Make the app describe itself; the description is made once."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    openapi_version="3.1.0",
                    description=_ABOUT,
                    routes=app.routes,
                    tags=app.openapi_tags,
                )
            )
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _complete(schema: dict[str, Any]) -> dict[str, Any]:
    parts = schema.setdefault("components", {})
    parts["securitySchemes"] = SCHEMES
    models = parts.setdefault("schemas", {})
    models["Problem"] = problems.SCHEMA
    for unused in ("HTTPValidationError", "ValidationError"):
        models.pop(unused, None)
    for operation in _operations(schema):
        _add_problems(operation)
    return schema


def _operations(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path in schema["paths"].values():
        yield from path.values()


def _add_problems(operation: dict[str, Any]) -> None:
    codes = [*operation["x-problems"]]
    if operation.get("parameters") or "requestBody" in operation:
        codes.append("invalid_request")
    scope = operation.get("x-scope")
    if scope is not None:
        told = operation.get("description", "").rstrip()
        operation["description"] = f"{told}\n\nNeeds the scope `{scope}`.".strip()
    operation["responses"].pop("422", None)
    for status, here in sorted(_by_status(codes).items()):
        operation["responses"][str(status)] = _answer(status, here)


def _by_status(codes: list[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for code in codes:
        found.setdefault(problems.KINDS[code].status, []).append(code)
    return found


def _answer(status: int, codes: list[str]) -> dict[str, Any]:
    kinds = [problems.KINDS[code] for code in codes]
    examples = {
        code: {"value": problems.Problem(code, kind.remedy).body("5d1b6a0c7f3e2a90")}
        for code, kind in zip(codes, kinds, strict=True)
    }
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}}
    answer: dict[str, Any] = {"description": "; or ".join(kind.title for kind in kinds), "content": content}
    if status in (429, 503):
        answer["headers"] = {
            "Retry-After": {"description": "seconds to wait", "schema": {"type": "integer", "minimum": 1}}
        }
    return answer
