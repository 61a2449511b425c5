"""Where servers listen: the first port that is free."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from engine.domain.errors import WaylineError


def free_port(host: str, port: int | None, candidates: Sequence[int]) -> int:
    """Return the port asked for, else the first candidate that is free; raises WaylineError when it is taken."""
    for candidate in candidates if port is None else (port,):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
            return candidate
    which = f"Port {port} is" if port is not None else f"Ports {candidates[0]} to {candidates[-1]} are"
    raise WaylineError(f"{which} taken on {host}. Name another with --port.")
