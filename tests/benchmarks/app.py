"""The app on a large bank: how soon a page stands in the browser, and how it fares with many readers at once.

Beside it, in the same run, stands Streamlit's own cost: a page of six headings from the same kind of server.
Readers beyond the first are sessions over the app's own websocket: twenty browsers would measure the browsers.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.doors.looks import addresses, open_page
from tests.doors.served import HERE, Watched, chromium, serving

READERS: Final = 20
THINKING_SECONDS: Final = 20.0  # between one page and the next of a reader
VISITS: Final = 4  # pages that each reader looks at
_ANSWER: Final = 120.0  # seconds that a page may take before the benchmark gives up
_PAINTED: Final = "[data-testid=stMain] [data-testid=stElementContainer] >> nth=4"  # the first thing below the head


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Seconds that a page took in a browser: to its first content, and whole, in units of an empty page too."""

    page: str
    first_content: float
    whole: float
    of_an_empty_page: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """How the app fares with readers at once: seconds of a visit, and memory of the server for each reader, in MiB."""

    readers: int
    visits: int
    median_seconds: float
    slowest_seconds: float
    alone_seconds: float
    memory_each_mb: float


def pages(home: Path) -> list[Page]:
    """Return a row for each page: the second visit, when the process has answered the page's questions once."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as held:
        empty_script = Path(scratch) / "empty.py"
        empty_script.write_text("import streamlit as st\nfor n in range(6):\n    st.header(n)\n", encoding="utf-8")
        address = held.enter_context(serving(home, Path(scratch) / "app.log"))
        bare = held.enter_context(serving(home, Path(scratch) / "empty.log", script=empty_script))
        browser = held.enter_context(chromium())
        watched = Watched(browser.new_context(viewport={"width": 1440, "height": 900}).new_page())
        for _ in range(2):
            nothing = _visit(watched, bare, "home", "")
        rows = []
        for page, query in addresses(home).items():
            open_page(watched, address, page, query, "en")
            first, whole = _visit(watched, address, page, query)
            rows.append(
                Page(page=page, first_content=round(first, 2), whole=round(whole, 2),
                     of_an_empty_page=round(whole / nothing[1], 1))
            )  # fmt: skip
        return rows


def _visit(watched: Watched, address: str, page: str, query: str) -> tuple[float, float]:
    """Open a page; return the seconds until something stands below its head, and until nothing changes any more."""
    began = time.perf_counter()
    watched.page.goto(f"{address}/{'' if page == 'home' else page}?{query}")
    watched.page.wait_for_selector(_PAINTED, timeout=_ANSWER * 1_000)
    first = time.perf_counter() - began
    last, rested = began + first, 0
    while rested < 5:
        watched.page.wait_for_timeout(50)
        state = watched.page.locator('[data-testid="stApp"]').get_attribute("data-test-script-state")
        rested = rested + 1 if state == "notRunning" else 0
        last = last if rested else time.perf_counter()
    return first, last - began


def readers(home: Path, count: int = READERS) -> Readers:
    """Return how long visits take when that many readers look at pages, each thinking some seconds in between."""
    with tempfile.TemporaryDirectory() as scratch, serving(home, Path(scratch) / "app.log") as address:
        queries = list(addresses(home).items())
        port = int(address.rsplit(":", 1)[1])
        alone = asyncio.run(_together(port, queries, 1, thinking=0.0))  # whoever comes later finds the answers
        alone = asyncio.run(_together(port, queries, 1, thinking=0.0))
        before = _memory_mb(port)
        taken = asyncio.run(_together(port, queries, count, thinking=THINKING_SECONDS, memory=port))
        after = taken.pop()
    return Readers(
        readers=count,
        visits=len(taken),
        median_seconds=round(statistics.median(taken), 2),
        slowest_seconds=round(max(taken), 2),
        alone_seconds=round(statistics.median(alone), 2),
        memory_each_mb=round((after - before) / count, 1),
    )


async def _together(
    port: int, queries: Sequence[tuple[str, str]], count: int, *, thinking: float, memory: int | None = None
) -> list[float]:
    """Let readers look at pages at once; with `memory`, the last entry is what the server then holds."""
    held: list[Any] = []
    visits = len(queries) if count == 1 else VISITS
    taken = await asyncio.gather(
        *(_reader(port, queries, place, visits=visits, thinking=thinking, held=held) for place in range(count)),
    )
    seconds = [one for reader in taken for one in reader]
    if memory is not None:
        seconds.append(_memory_mb(memory))  # all sessions are still open
    for socket in held:
        await socket.close()
    return seconds


async def _reader(
    port: int, queries: Sequence[tuple[str, str]], place: int, *, visits: int, thinking: float, held: list[Any]
) -> list[float]:
    from websockets.asyncio.client import connect

    await asyncio.sleep(thinking * place / READERS)
    socket = await connect(
        f"ws://{HERE}:{port}/_stcore/stream",
        max_size=None,
        subprotocols=["streamlit"],
        open_timeout=_ANSWER,
        origin=f"http://{HERE}:{port}",
    )
    held.append(socket)
    seconds = []
    for visit in range(visits):
        page, query = queries[(place + visit) % len(queries)]
        began = time.perf_counter()
        await _rerun(socket, "" if page == "home" else page, query)
        seconds.append(time.perf_counter() - began)
        await asyncio.sleep(thinking)
    return seconds


async def _rerun(socket: Any, page: str, query: str) -> None:
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    asked = BackMsg()
    asked.rerun_script.query_string = query
    asked.rerun_script.page_name = page
    await socket.send(asked.SerializeToString())
    async with asyncio.timeout(_ANSWER):
        async for frame in socket:
            told = ForwardMsg()
            told.ParseFromString(frame)
            if told.WhichOneof("type") == "script_finished":
                return


def _memory_mb(port: int) -> float:
    """Return the resident memory of the server that listens on the port."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
                status = (entry / "status").read_text(encoding="utf-8")
            except OSError:
                continue
            if f"--server.port={port}".encode() in line:
                return int(status.split("VmRSS:")[1].split()[0]) / 1024
    raise RuntimeError(f"no server listens on port {port}")
