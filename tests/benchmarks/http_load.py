"""Servers in processes of their own, and load on them: at a fixed rate, or as much as they take.

At a fixed rate each request is timed from the moment at which it was due, so that a server that stalls cannot hide what
waits. As much as a server takes is asked by wrk where the machine has it, else by the same sockets in a closed loop.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

BARE: Final = """
import sys
import uvicorn
from fastapi import FastAPI

app = FastAPI()

@app.get("/")
async def bare():
    return {"answer": True}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
"""

# wrk sends the requests of a file, each after its length in eight digits, and each once: what is asked twice with one
# Idempotency-Key is answered from memory
_LUA: Final = """
local all, n = {}, 0
init = function(args)
  local file = io.open(args[1], "rb")
  while true do
    local length = file:read(8)
    if not length then break end
    all[#all + 1] = file:read(tonumber(length))
  end
end
request = function()
  n = n + 1
  if n > #all then error("all requests were sent") end
  return all[n]
end
"""
_MOST: Final = 6_000  # requests made for each second that wrk asks

Request = Callable[[int], bytes]
"""The bytes of the request of a number, whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back: its status, its body, and the seconds from when it was due."""

    status: int
    body: bytes
    seconds: float


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Return a whole request of HTTP/1.1."""
    told = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@contextmanager
def process(command: Sequence[str], address: str, home: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the end of the block, once its address answers."""
    environment = os.environ | ({} if home is None else {"WAYLINE_HOME": str(home)}) | {"OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as told:
        running = subprocess.Popen(list(command), env=environment, stdout=told, stderr=told)
        try:
            _await(running, address, told)
            yield running
        finally:
            running.terminate()
            running.wait(timeout=60)


def _await(running: subprocess.Popen[bytes], address: str, told: object) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            with urlopen(address, timeout=5):
                return
        except (URLError, ConnectionError, TimeoutError):
            if running.poll() is not None or time.monotonic() > deadline:
                told.seek(0)  # type: ignore[attr-defined]
                raise RuntimeError(told.read().decode()) from None  # type: ignore[attr-defined]
            time.sleep(0.02)


def api(home: Path, port: int) -> tuple[list[str], str]:
    """Return the command line of the API of a workspace and the address that tells when it answers."""
    return [sys.executable, "-m", "engine.api", "--port", str(port)], f"http://127.0.0.1:{port}/v1/health"


def bare(port: int) -> tuple[list[str], str]:
    """Return the same of a FastAPI app with one endpoint that does nothing."""
    return [sys.executable, "-c", BARE, str(port)], f"http://127.0.0.1:{port}/"


class Sockets:
    """Connections to a server that are kept and used again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, whole: bytes, due: float) -> Reply:
        """Send a request and return the reply; raises ConnectionError where the server goes away."""
        while self._idle and self._idle[-1][0].at_eof():
            self._idle.pop()[1].close()  # a server closes what was idle for long
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(whole)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(length[1]) if length else 0)
        except asyncio.IncompleteReadError:
            writer.close()
            raise ConnectionResetError from None
        self._idle.append((reader, writer))
        return Reply(status=int(head[9:12]), body=body, seconds=time.perf_counter() - due)

    def close(self) -> None:
        """Close all that are idle."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def at_rate(port: int, make: Request, *, a_second: float, seconds: float) -> list[Reply]:
    """Send so many requests a second, each when it is due whatever became of those before.

    The replies of a first second, in which connections are made, are left out. What asks must not stand still itself:
    it makes its requests before, and collects no garbage meanwhile.
    """
    first, count = int(a_second), int(a_second * (seconds + 1))
    whole = [make(number) for number in range(count)]
    sockets, began = Sockets(port), time.perf_counter() + 0.5

    async def one(number: int) -> Reply:
        due = began + number / a_second
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        return await sockets.ask(whole[number], due)

    gc.collect()
    gc.disable()
    try:
        replies = await asyncio.gather(*(one(number) for number in range(count)))
    finally:
        gc.enable()
    sockets.close()
    return list(replies[first:])


async def closed_loop(port: int, make: Request, *, connections: int, seconds: float) -> float:
    """Return how many requests a second are answered when so many connections ask without a pause."""
    sockets, ends, numbers, done = Sockets(port), time.perf_counter() + seconds, iter(range(10**9)), 0

    async def one() -> None:
        nonlocal done
        while time.perf_counter() < ends:
            reply = await sockets.ask(make(next(numbers)), time.perf_counter())
            assert reply.status == 200, reply.body
            done += 1

    await asyncio.gather(*(one() for _ in range(connections)))
    sockets.close()
    return done / seconds


def throughput(port: int, make: Request, *, connections: int = 64, seconds: float = 8) -> float:
    """Return how many requests a second a server answers, asked by wrk where the machine has it."""
    if shutil.which("wrk") is None:
        return asyncio.run(closed_loop(port, make, connections=connections, seconds=seconds))
    with tempfile.TemporaryDirectory() as folder:
        script, whole = Path(folder) / "ask.lua", Path(folder) / "requests"
        whole.write_bytes(b"".join(b"%8d%s" % (len(one), one) for one in map(make, range(int(seconds * _MOST)))))
        script.write_text(_LUA, encoding="utf-8")
        flags = ["-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script)]
        told = subprocess.run(
            ["wrk", *flags, f"http://127.0.0.1:{port}", str(whole)], capture_output=True, text=True, check=True
        ).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(told)
    found = re.search(r"Requests/sec: *([\d.]+)", told)
    assert found is not None, told
    return float(found[1])


def percentile(replies: Sequence[Reply], share: float) -> float:
    """Return the milliseconds within which a share of the replies came."""
    ordered = sorted(reply.seconds for reply in replies)
    return 1_000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]
