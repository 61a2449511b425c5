"""How much memory live decisions take with very many customers: a file of records mapped, and decisions out of it.

    python -m tests.benchmarks.live_million HOME [customers]

The records of a workspace's run are repeated under ids of their own until there are so many customers, each in a
household of two. A process of its own maps them and decides for customers drawn at random; what it holds itself is
told apart from the pages of the file, which all processes share and the system takes back when it needs them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.lake import record_file
from engine.lake.workspace import Workspace
from engine.recommendations import live
from engine.workflows.live_decisions import Asking, decided
from engine.workflows.live_requests import LiveRequest, wanted
from engine.workflows.live_snapshots import Snapshot, snapshot

DECIDED, _AT_ONCE = 2_000, 20_000
_PROGRAM: Final = "import sys; from tests.benchmarks import live_million; live_million.decide(*sys.argv[1:])"
Row = dict[str, Any]


def run(home: Path, customers: int = 1_000_000) -> list[Row]:
    """Return what the file and the process that decides out of it take."""
    held = snapshot(Workspace(home))
    with tempfile.TemporaryDirectory(prefix="wayline-records-") as scratch:
        began = time.perf_counter()
        folder = Path(scratch) / "records"
        homes = np.arange(customers, dtype=np.int32) // 2
        record_file.write(folder, _blocks(held, customers), customers, homes, {"counted": []})
        written = time.perf_counter() - began
        size = sum(path.stat().st_size for path in folder.iterdir())
        command = [sys.executable, "-c", _PROGRAM, str(home), str(folder)]
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    head = {"customers": customers, "file_mb": round(size / 2**20), "written_seconds": round(written, 1)}
    return [head | told]


def _blocks(held: Snapshot, customers: int) -> Iterator[tuple[list[str], NDArray[Any]]]:
    for start in range(0, customers, _AT_ONCE):
        numbers = np.arange(start, min(start + _AT_ONCE, customers))
        yield [f"M{number:09d}" for number in numbers], held.kept.records[numbers % held.kept.size]


def decide(home: str, folder: str) -> None:
    """Print what a process takes that maps a folder and decides out of it."""
    held = snapshot(Workspace(Path(home)))
    before = _memory()
    kept = record_file.opened(Path(folder))
    assert kept is not None
    many = Snapshot(
        run_id=held.run_id,
        as_of=held.as_of,
        finished_at=held.finished_at,
        bundle=held.bundle,
        digest=held.digest,
        kept=kept,
        counted=held.counted,
    )
    want = wanted(LiveRequest(customer_id="M"), _settings(home))
    nothing = live.since([], [], [], policy=held.bundle.settings.contact, channels=held.channels, now=held.as_of)
    asking = Asking(want=want, happened=nothing, at=held.as_of)
    taken = []
    for row in np.random.default_rng(5).integers(0, kept.size, DECIDED).tolist():
        customer_id = f"M{row:09d}"
        began = time.perf_counter()
        place = many.kept.row_of(customer_id)
        assert place == row
        many.kept.household(place)
        block, settled = many.block([place], [customer_id])
        taken.append(time.perf_counter() - began)
        decided(many.bundle, block, settled, [asking])
    after = _memory()
    found = {
        "found_us": round(1e6 * sorted(taken)[DECIDED // 2]),
        "own_mb": after["RssAnon"],
        "own_mb_for_the_file": after["RssAnon"] - before["RssAnon"],
        "mapped_mb_touched": after["RssFile"] - before["RssFile"],
    }
    sys.stdout.write(json.dumps(found))


def _settings(home: str) -> Any:
    from engine.config.live import LiveSettings
    from engine.workflows import session

    return session.settings(Workspace(Path(home)), LiveSettings, "live")


def _memory() -> dict[str, int]:
    """Return the MiB of this process by kind, as Linux tells them."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    parts = (line.split() for line in lines if line.startswith("Rss"))
    return {name.rstrip(":"): int(size) // 1024 for name, size, _ in parts}


def main(arguments: Sequence[str]) -> None:
    """Print the row."""
    from tests.benchmarks.__main__ import show

    customers = int(arguments[1]) if len(arguments) > 1 else 1_000_000
    show(f"{customers:,} customers mapped for live decisions", run(Path(arguments[0]), customers))


if __name__ == "__main__":
    main(sys.argv[1:])
