"""Serve the API: `python -m engine.api --host 127.0.0.1 --port 8700`; the workspace is that of WAYLINE_HOME."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from engine.api.server import server
from engine.domain.errors import WaylineError
from engine.workflows import service


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
        with service.opened(home):
            pass  # what forbids to serve is told in a sentence, before the server would tell it as a traceback
        server(home, chosen.host, chosen.port).run()
    except WaylineError as fault:
        sys.stderr.write(f"Error: {fault.sentence}\n")
        return fault.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
