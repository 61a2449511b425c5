"""The server of the API: HTTP on one address, ended gracefully, with no log of its own that names a customer."""

from __future__ import annotations

import logging
from pathlib import Path

import uvicorn

from engine.api.app import create_app
from engine.config.api import ApiSettings
from engine.workflows import session


def _none(_: logging.LogRecord) -> bool:
    """Let no record pass."""
    return False


def server(home: Path, host: str, port: int) -> uvicorn.Server:
    """Return a server of a workspace that is ready to run; port 0 takes any that is free.

    When it is told to stop it takes no more requests, and those under way have `shutdown_seconds` to end.

    Raises
    ------
    SettingsFault
    """
    settings = session.settings(session.workspace_at(home), ApiSettings, "api")
    # its paths name customers, the guard writes a log of its own; a filter outlives what others configure later
    logging.getLogger("uvicorn.access").addFilter(_none)
    return uvicorn.Server(
        uvicorn.Config(
            create_app(home),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.shutdown_seconds,
        )
    )
