"""The app and another server in one process, for a laptop: `python -m engine.ui.one_process --port 8501 ...`.

Streamlit's ASGI entry serves the pages; what comes to a path under the prefix goes to the other, which is named as
`module:function` and made of the workspace's folder, so that no door imports another. Pages that compute keep the
answers of both waiting: for anything real there are two processes.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import streamlit as st
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.domain.errors import WaylineError
from engine.workflows import service

ADDRESS: Final = "127.0.0.1"


class Router(Protocol):
    """What opens an application and closes it again."""

    def lifespan_context(self, app: Any) -> AbstractAsyncContextManager[Any]:
        """Open it."""


class Other(Protocol):
    """An ASGI application that is opened and closed as Starlette's are."""

    @property
    def router(self) -> Router:
        """What opens it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""


class Before:
    """Stands before the pages and hands what is under the prefix to the other, untouched by what Streamlit adds."""

    def __init__(self, app: ASGIApp, *, other: ASGIApp, prefix: str) -> None:
        self.app, self.other, self.prefix = app, other, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or a page's connection."""
        here = scope["type"] == "http" and scope["path"].startswith(self.prefix)
        await (self.other if here else self.app)(scope, receive, send)


def together(script: Path, other: Other, prefix: str) -> st.App:
    """Return the pages of a script with another application before them; both are opened and closed together."""

    @asynccontextmanager
    async def open_until_the_end(_: st.App) -> AsyncIterator[dict[str, Any]]:
        async with other.router.lifespan_context(other):
            yield {}

    before = Middleware(Before, other=other, prefix=prefix)
    return st.App(script, lifespan=open_until_the_end, middleware=[before])


def main() -> int:
    """Serve until the process is told to stop."""
    arguments = argparse.ArgumentParser(prog="python -m engine.ui.one_process", description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--script", type=Path, required=True)
    arguments.add_argument("--other", required=True, help="module:function, called with the workspace's folder")
    arguments.add_argument("--prefix", required=True)
    chosen = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    for name in ("alembic", "uvicorn", "watchdog"):
        logging.getLogger(name).setLevel(logging.WARNING)
    home = Path(os.environ.get("WAYLINE_HOME", "workspace"))
    module, _, function = chosen.other.partition(":")
    try:
        with service.opened(home):
            pass  # what forbids to serve is told in a sentence, before the server would tell it as a traceback
        other = getattr(import_module(module), function)(home)
    except WaylineError as fault:
        sys.stderr.write(f"Error: {fault.sentence}\n")
        return fault.exit_code
    config = {
        "server.address": ADDRESS,
        "server.port": chosen.port,
        "server.headless": True,
        "server.showEmailPrompt": False,
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
    }
    with suppress(KeyboardInterrupt):  # Ctrl-C is told again once everything was closed
        together(chosen.script, other, chosen.prefix).run(config=config)
    return 0


if __name__ == "__main__":
    sys.exit(main())
