"""What stands around every request: a number, the limit of its body, headers of safety, one line of log, no traceback.

The log names the route's pattern and the key's id: never a path with a customer in it, a query, a body or a value.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.api.problems import Problem
from engine.workflows.unguessable import hex_digits

LOG: Final = logging.getLogger("wayline.api")

# as they go over the wire: no route sets any of these itself, so that they are appended without a look at what is there
_SAFE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NO_STORE: Final = (b"cache-control", b"no-store")
_LINE: Final = "%s %s %s %s key=%s %.1f ms"
_number: Final = hex_digits(16)


class Guard:
    """Wraps the app; `body_bytes` is the longest body of a request, `longer` that of single paths."""

    def __init__(self, app: ASGIApp, *, body_bytes: int, longer: Mapping[str, int] | None = None) -> None:
        self.app, self.body_bytes, self.longer = app, body_bytes, longer or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number = _number()
        scope.setdefault("state", {})["number"] = number
        began, sent = time.perf_counter(), _Sent()
        most = self.longer.get(scope["path"], self.body_bytes)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent.status = message["status"]
                _add_headers(message, number)
            await send(message)

        try:
            if _claimed(scope) > most:
                await _too_large(most).response(number)(scope, receive, answer)
            else:
                await self.app(scope, _limited(receive, most), answer)
        except Exception as fault:
            LOG.error("%s %s at %s", number, type(fault).__name__, _where(fault))
            if sent.status:
                raise _Broken from None
            problem = Problem("unforeseen", "Nothing was changed that was not confirmed. The server's log knows more.")
            await problem.response(number)(scope, receive, answer)
        finally:
            taken = (time.perf_counter() - began) * 1_000
            route = getattr(scope.get("route"), "path", "-")
            key = scope["state"].get("key_id", "-")
            _note((number, scope["method"], route, sent.status, key, taken))


def _limited(receive: Receive, most: int) -> Receive:
    """Return what reads the body and stops reading at the limit."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            problem = _too_large(most)
            raise HTTPException(problem.kind.status, problem.detail, problem.headers)
        return message

    return limited


def _too_large(most: int) -> Problem:
    # the rest of the body is not worth reading: the connection ends with the answer
    detail = f"A body may have {most:,} bytes."
    return Problem("body_too_large", detail, field="body", headers={"Connection": "close"})


class _Sent:
    """The status that was sent, 0 before any."""

    status = 0


class _Broken(Exception):
    """An answer ended in the middle: the connection must be cut, and the fault is told already."""


def _claimed(scope: Scope) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(length) if length.isdigit() else 0


def _add_headers(message: Message, number: str) -> None:
    headers = message["headers"]
    if not any(name == b"cache-control" for name, _ in headers):
        headers = [*headers, _NO_STORE]
    message["headers"] = [*headers, *_SAFE, (b"x-request-id", number.encode())]


def _note(told: tuple[str, str, str, int, str, float]) -> None:
    """Write the line of a request; without a look at who writes it, which takes as long as the line."""
    if LOG.isEnabledFor(logging.INFO):
        LOG.handle(LOG.makeRecord(LOG.name, logging.INFO, __file__, 0, _LINE, told, None, "request"))


def _where(fault: BaseException) -> str:
    """Return the places in the code, without any value: a message may quote one."""
    frames = traceback.extract_tb(fault.__traceback__)[-6:]
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
