"""A server of the API that is killed under load again and again, and what campaign tools were told meanwhile."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from engine.lake.runs import open_run
from engine.lake.workspace import Workspace
from engine.workflows import api_keys

_ITEMS = 25


@dataclass
class Told:
    """Ids of events that some answer called accepted or duplicate, those that withdraw, and answers by status."""

    events: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)
    statuses: dict[int, int] = field(default_factory=dict)
    unanswered: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class _Server:
    port: int
    headers: dict[str, str]


def kill_under_load(home: Path, kills: int, seed: int = 1, senders: int = 4) -> Told:
    """Serve a workspace, send feedback from several threads, kill the server so often, and return what was told."""
    rng, told, over = random.Random(seed), Told(), threading.Event()
    key = api_keys.create(home, "crm", "ann", scopes=["feedback:write"], destination="generic", days=2)["key"]
    offers = open_run(Workspace(home)).read("recommendations", where={"rank": 1}).to_pylist()
    port = _free_port()
    server = _served(home, port)
    to = _Server(port=port, headers={"Authorization": f"Bearer {key}"})
    threads = [
        threading.Thread(target=_send, args=(f"{seed}-{number}", offers, to, told, over)) for number in range(senders)
    ]
    try:
        for thread in threads:
            thread.start()
        for _ in range(kills):
            time.sleep(rng.uniform(0.2, 1.5))
            os.kill(server.pid, signal.SIGKILL)
            server.wait()
            server = _served(home, port)
        time.sleep(0.5)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        server.kill()
        server.wait()
    return told


def _send(name: str, offers: list[dict[str, Any]], to: _Server, told: Told, over: threading.Event) -> None:
    """Send one delivery after the other; one that gets no answer is sent again under its key, as a tool would."""
    at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    number = 0
    with httpx.Client(base_url=f"http://127.0.0.1:{to.port}", timeout=20) as client:
        while not over.is_set():
            items = []
            for place in range(_ITEMS):
                offer = offers[(number * _ITEMS + place) % len(offers)]
                items.append(
                    {
                        "event_id": f"{name}-{number}-{place}",
                        "type": "unsubscribed" if place == 0 else "sent",
                        "external_id": offer["customer_id"],
                        "recommendation_id": offer["decision_id"],
                        "occurred_at": at,
                    }
                )
            keyed = to.headers | ({"Idempotency-Key": f"{name}-{number}"} if number % 2 else {})
            if _sent(client, items, keyed, told, over):
                number += 1


def _sent(
    client: httpx.Client, items: list[dict[str, Any]], headers: dict[str, str], told: Told, over: threading.Event
) -> bool:
    try:
        answer = client.post("/v1/feedback", json=items, headers=headers)
    except httpx.HTTPError:
        with told.lock:
            told.unanswered += 1
        over.wait(0.05)
        return False
    with told.lock:
        told.statuses[answer.status_code] = told.statuses.get(answer.status_code, 0) + 1
    if answer.status_code == 409:  # the first try is still held by the server that was killed: a new delivery instead
        return True
    if answer.status_code != 200:
        over.wait(0.05)
        return False
    with told.lock:
        told.events |= {item["event_id"] for item in items}
        told.withdrawn.add(items[0]["event_id"])
    return True


def _served(home: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "engine.api", "--port", str(port)]
    environment = {**os.environ, "WAYLINE_HOME": str(home)}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/v1/health", timeout=1).status_code == 200:
                return server
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError("the server did not start")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
