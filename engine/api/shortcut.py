"""A way past the framework for the one request that is asked many times a second; all others go on as ever.

The framework looks through its routes and wraps each request several times over, which costs as much as a decision. One
method on one pattern of paths is recognised here at once; its answers and its errors are the same as on the long way.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.api import faults

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

_PARAMETER: Final = re.compile(r"\\\{(\w+)\\\}")  # as an escaped pattern has it


class Shortcut:
    """Wraps the app: what comes with `method` to the path of `route` is handled by `handler`."""

    def __init__(self, app: ASGIApp, *, method: str, path: str, route: BaseRoute, handler: Handler) -> None:
        self.app, self.method, self.route, self.handler = app, method, route, handler
        self.path = re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", re.escape(path)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        found = None
        if scope["type"] == "http" and scope["method"] == self.method and not scope.get("root_path"):
            found = self.path.fullmatch(scope["path"])
        if found is None:
            await self.app(scope, receive, send)
            return
        scope["route"], scope["path_params"] = self.route, found.groupdict()
        request = Request(scope, receive, send)
        try:
            answer = await self.handler(request)
        except faults.ANSWERED as fault:
            answer = await faults.answer(request, fault)
        await answer(scope, receive, send)
