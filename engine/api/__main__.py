"""Serve the API: `python -m engine.api --host 127.0.0.1 --port 8700`; the workspace is that of WAYLINE_HOME."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

import uvicorn

from engine.api.app import create_app
from engine.config.api import ApiSettings
from engine.domain.errors import WaylineError
from engine.workflows import service, session


def main() -> int:
    """Serve until the process is told to stop; requests under way are given time to end."""
    arguments = argparse.ArgumentParser(prog="python -m engine.api", description=__doc__)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=8700)
    arguments.add_argument("--public", action="store_true", help="other machines may reach it")
    chosen = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    home = Path(os.environ.get("WAYLINE_HOME", "workspace"))
    try:
        service.refuse_public(chosen.host, allowed=chosen.public)
        _serve(home, chosen.host, chosen.port)
    except WaylineError as fault:
        sys.stderr.write(f"Error: {fault.sentence}\n")
        return fault.exit_code
    return 0


def _serve(home: Path, host: str, port: int) -> None:
    settings = session.settings(session.workspace_at(home), ApiSettings, "api")
    uvicorn.run(
        create_app(home),
        host=host,
        port=port,
        log_config=None,
        access_log=False,  # it would write paths with customers in them; the guard writes its own
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


if __name__ == "__main__":
    sys.exit(main())
