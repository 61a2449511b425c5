"""The API as an ASGI application: `create_app(home)`; `python -m engine.api` serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI

from engine.api import background, faults, openapi
from engine.api.guard import Guard
from engine.api.keys import Gatekeeper
from engine.api.routes import ROUTERS, decisions, feedback
from engine.api.shortcut import Shortcut
from engine.config.api import ApiSettings
from engine.config.feedback import FeedbackSettings
from engine.workflows import service, session
from engine.workflows.pulls import Desk


def create_app(home: Path) -> FastAPI:
    """Return the API of a workspace; it is opened when the server starts and closed when it ends.

    Raises
    ------
    SettingsFault
        The section [api] or [feedback] of the workspace's wayline.toml is wrong.
    """
    settings = session.settings(session.workspace_at(home), ApiSettings, "api")

    @asynccontextmanager
    async def open_until_the_end(app: FastAPI) -> AsyncIterator[None]:
        with service.opened(home) as held:
            app.state.service, app.state.gatekeeper, app.state.desk = held, Gatekeeper(held), Desk.of(held)
            async with background.delivering(held):
                yield

    # no pages with scripts from elsewhere: the description is for programs
    app = FastAPI(
        title="Wayline", version=version("wayline"), lifespan=open_until_the_end,
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False,
        # spans would name paths, and paths name customers
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )  # fmt: skip
    files = session.settings(session.workspace_at(home), FeedbackSettings, "feedback").file_bytes
    # what is added later stands further out
    app.add_middleware(Shortcut, method="POST", path=decisions.PATH, route=decisions.ROUTE, handler=decisions.handle)
    app.add_middleware(Guard, body_bytes=settings.body_bytes, longer={feedback.FILE: files})
    faults.add_to(app, ROUTERS)
    openapi.add_to(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
