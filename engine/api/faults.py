"""Errors as answers: each of ours becomes one problem, and nothing of the bank's own machine is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from engine.api.problems import Problem
from engine.domain import errors
from engine.domain.grants import KeyRefused, NotGranted, RowCapReached
from engine.domain.pulls import Contradicted, CursorRefused, ResyncRequired, RunExpired, RunRevoked

_BY_STATUS: Final = {
    HTTPStatus.BAD_REQUEST: "malformed_request",
    HTTPStatus.NOT_FOUND: "no_such_path",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
}
_RETRY: Final = {"Retry-After": "5"}
KEYS_TAKEN: Final = {"WWW-Authenticate": 'Bearer realm="wayline", Basic realm="wayline", charset="UTF-8"'}


def add_to(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Make the app answer every error with a problem; the routers tell which methods a path knows."""
    app.state.routers = routers
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)


async def answer(request: Request, fault: Exception) -> Response:
    """Return the answer to a request that ended with an error of ANSWERED."""
    handler = next(handler for kind, handler in _HANDLERS.items() if isinstance(fault, kind))
    return await handler(request, fault)


async def _own(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, Problem)
    return fault.response(request.state.number)


async def _http(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    code = _BY_STATUS.get(HTTPStatus(fault.status_code), "malformed_request")
    told = {
        "no_such_path": "No path of the API is like that.",
        "method_not_allowed": "The path is there, and does not know this method.",
        "malformed_request": "The body cannot be read as what its Content-Type says.",
    }
    headers = {"Allow": ", ".join(_methods(request))} if code == "method_not_allowed" else fault.headers
    return Problem(code, told.get(code, str(fault.detail)), headers=headers).response(request.state.number)


def _methods(request: Request) -> list[str]:
    """Return every method that a path knows; the router itself names those of one of its routes alone."""
    every: Iterable[BaseRoute] = (route for router in request.app.state.routers for route in router.routes)
    here = [route for route in every if route.matches(request.scope)[0] != Match.NONE]
    return sorted({method for route in here for method in getattr(route, "methods", None) or ()})


async def _invalid(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, RequestValidationError)
    return invalid(fault.errors()).response(request.state.number)


def invalid(faults: Any) -> Problem:
    """Return the problem for values that a model refused; the values themselves are not repeated."""
    if any(one["type"] == "json_invalid" for one in faults):
        return Problem("malformed_request", "The body is not valid JSON.", field="body")
    told = [{"field": ".".join(map(str, one["loc"])), "detail": f"{one['msg']}."} for one in faults]
    first = told[0]["field"]
    count = "1 value is" if len(told) == 1 else f"{len(told)} values are"
    return Problem("invalid_request", f"{count} not as expected, first {first}.", field=first, errors=told)


async def _wayline(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, errors.WaylineError)
    return problem_of(fault).response(request.state.number)


_HANDLERS: Final[dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]] = {
    Problem: _own,
    HTTPException: _http,
    RequestValidationError: _invalid,
    errors.WaylineError: _wayline,
}
ANSWERED: Final = tuple(_HANDLERS)
"""Errors that end a request with an answer; any other is unforeseen."""


def problem_of(fault: errors.WaylineError) -> Problem:
    """Return the problem that one of our errors is to a client; paths and addresses of the machine are left out."""
    code, detail, field, headers = next(told for kind, told in _OURS if isinstance(fault, kind))
    if isinstance(fault, NotGranted):
        field = fault.needed
    if isinstance(fault, Contradicted):
        field = fault.member
    return Problem(code, detail or fault.sentence, field=field, headers=headers)


# an empty detail: the error's own sentence, which names nothing of the machine
_OURS: Final[tuple[tuple[type[errors.WaylineError], tuple[str, str, str | None, dict[str, str]]], ...]] = (
    (KeyRefused, ("key_refused", "", "Authorization", KEYS_TAKEN)),
    (RowCapReached, ("row_cap_reached", "", None, {})),
    (NotGranted, ("not_granted", "", None, {})),
    (CursorRefused, ("invalid_cursor", "", "cursor", {})),
    (RunExpired, ("run_expired", "", "run", {})),
    (RunRevoked, ("run_revoked", "", "run", {})),
    (ResyncRequired, ("resync_required", "", "since", {})),
    (Contradicted, ("conflict", "", None, {})),
    (errors.RefusedByPolicy, ("refused_by_policy", "", None, {})),
    (errors.DeliveryUnderWay, ("delivery_under_way", "", "Idempotency-Key", {"Retry-After": "60"})),
    (errors.KeyReused, ("idempotency_key_reused", "", "Idempotency-Key", {})),
    (errors.UnknownName, ("not_found", "", None, {})),
    (errors.RunMissing, ("not_found", "There is no such completed run. Leave `run` out for the latest.", "run", {})),
    (errors.MartMissing, ("not_available", "", None, {})),
    (errors.NotEnoughData, ("not_available", "", None, {})),
    (errors.StoreUnavailable, ("unavailable", "The database does not answer as expected.", None, _RETRY)),
    (errors.WorkspaceBusy, ("unavailable", "Another process writes to the workspace.", None, _RETRY)),
    (errors.WorkspaceMissing, ("not_available", "The workspace holds no data yet.", None, {})),
    (errors.WaylineError, ("unforeseen", "The engine refused, for a reason that only its own log tells.", None, {})),
)
