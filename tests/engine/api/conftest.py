"""A server of the API on a real port, and keys to ask it with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.api.server import server
from engine.domain.grants import SCOPES
from engine.workflows import api_keys

Key = Callable[..., dict[str, str]]


@contextmanager
def served(home: Path) -> Iterator[str]:
    """Serve a workspace on a free port of this machine and yield the address."""
    made = server(home, "127.0.0.1", 0)
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not made.started:
        assert thread.is_alive() and time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{made.servers[0].sockets[0].getsockname()[1]}"
    finally:
        made.should_exit = True
        thread.join(timeout=30)


def key_of(home: Path, name: str = "crm", **wanted: Any) -> dict[str, str]:
    """Make a key, by default with every scope, and return the header that it is sent in."""
    given = {"scopes": sorted(SCOPES), "destination": "generic", "days": 30, **wanted}
    return {"Authorization": f"Bearer {api_keys.create(home, name, 'ann', **given)['key']}"}


@pytest.fixture(scope="module")
def empty_home(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with nothing in it, on each database in turn."""
    return tmp_path_factory.mktemp("api") / "workspace"


@pytest.fixture(scope="module")
def empty(empty_home: Path) -> Iterator[httpx.Client]:
    """A client of a server over that workspace; it sends no key of its own."""
    with served(empty_home) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client
