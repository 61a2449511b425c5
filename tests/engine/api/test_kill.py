"""The server is killed at random moments while it is pulled from: no half snapshot, and nothing left unaudited."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
import pytest

from engine.exports import releases
from engine.store import Store
from engine.workflows import session, suppressed
from tests.engine.api.conftest import key_of
from tests.engine.api.test_pulls import save

KILLS: Final = int(os.environ.get("WAYLINE_KILLS", "2"))
SERVE: Final = """
import sys
from contextlib import suppress
from pathlib import Path
from engine.api.server import server
made = server(Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2]))
made.run()
"""


def started(home: Path, port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(home), str(port)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return process
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, "the server did not start"
            time.sleep(0.1)


class Pullers:
    """Threads that pull members and changes again and again, whatever becomes of the server."""

    def __init__(self, address: str, key: dict[str, str]) -> None:
        self.address, self.key, self.draw = address, key, random.Random(5)
        self.received: list[str] = []  # the checksum of what came, once for each pull that was begun
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._pull, daemon=True) for _ in range(2)]

    def __enter__(self) -> Pullers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _pull(self) -> None:
        snapshot = ""
        with httpx.Client(base_url=self.address, headers=self.key, timeout=60) as client:
            while not self._ended.wait(0.05):
                with suppress(httpx.TransportError, KeyError):
                    address = "/v1/audiences/everyone/members?limit=40"
                    if snapshot and self.draw.random() < 0.5:
                        address = f"/v1/audiences/everyone/changes?since={snapshot}&limit=40"
                    page = client.get(address).json()
                    self.received.append(page["content_sha256"])
                    snapshot = page["snapshot"]
                    while page["next"] and not self._ended.is_set():
                        page = client.get(page["next"]).json()


def killed_again_and_again(home: Path, port: int) -> None:
    draw, everybody = random.Random(3), [""]
    for _ in range(KILLS):
        # the next one has its snapshots to make again
        shutil.rmtree(home / "pulls", ignore_errors=True)
        process = started(home, port)
        try:
            time.sleep(draw.uniform(0.2, 2.0))
            suppressed.suppress(home, draw.choice(everybody), "email", "ann", "asked")
            time.sleep(draw.uniform(0.0, 0.5))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for one in releases.every(home / "pulls" / "everyone" / "email"):
            everybody = one.table(["external_id"])["external_id"].to_pylist()
            assert len(everybody) == one.rows > 0


def test_a_killed_server_leaves_no_half_snapshot_and_no_rows_that_left_without_an_entry(
    small_home: Path, own_database: str, tmp_path: Path, unused_port: int
) -> None:
    home, address = tmp_path / "home", f"http://127.0.0.1:{unused_port}"
    shutil.copytree(small_home, home)
    save(home)
    key = key_of(home, requests_per_minute=1_000_000)
    with Pullers(address, key) as pullers:
        killed_again_and_again(home, unused_port)
        process = started(home, unused_port)
        try:
            answer = httpx.get(f"{address}/v1/audiences/everyone/members?limit=1000", headers=key, timeout=60)
            assert answer.status_code == 200 and answer.json()["members"]
        finally:
            process.terminate()
            process.wait()
    assert list((home / "pulls" / "everyone" / "email").glob("_building-*")) == []
    with Store(session.database_url(session.workspace_at(home))) as store:
        assert store.verify_audit() is None
        entered = [one.details["content_sha256"] for one in store.audit_trail(limit=100_000, action="api.pulled")]
    for content in set(pullers.received):
        assert pullers.received.count(content) <= entered.count(content)


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
