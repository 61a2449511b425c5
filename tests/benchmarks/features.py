"""How long the feature table takes, against hand-written DuckDB SQL for the same columns and against reading them.

    python -m tests.benchmarks.features [customers | curated folder]

All three run in one process on the same tables, turn and turn about, the best of the repeats counts; before any time
is given, the two feature tables are compared row by row. The ratio is what to look at: seconds depend on the machine.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.config.bank import BankSettings
from engine.config.load import load
from engine.domain.curated import CURATED
from engine.domain.errors import CheckFailed
from engine.features import table
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import unbound
from tests.benchmarks.features_by_hand import by_hand, scan
from tests.engine.features.builders import write_bank

AS_OF = datetime(2026, 6, 20, 8, 30, tzinfo=UTC)
Row = dict[str, Any]


def run(tables: Path | int = 20_000, *, repeats: int = 3, memory_limit: str = "4GB", threads: int = 2) -> list[Row]:
    """Return one row per way: seconds of wall and of CPU, how many times the hand-written SQL and the scan it takes.

    Parameters
    ----------
    tables : a folder of curated tables, or the number of customers of a random bank to make first.

    Raises
    ------
    CheckFailed
        The two feature tables are not equal.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = tables if isinstance(tables, Path) else write_bank(Path(scratch) / "bank", tables)
        with DuckDBEngine(memory_limit=memory_limit, threads=threads, spill=Path(scratch) / "spill") as engine:
            return _measure(engine, folder, repeats)


def _measure(engine: DuckDBEngine, folder: Path, repeats: int) -> list[Row]:
    bound = {}
    for name in sorted({name for theme in table.THEMES for name in theme.reads}):
        engine.attach(name, folder / name)
        bound[name] = unbound(CURATED[name])
    bank = load(BankSettings, "bank")
    compiled = engine.compile(table.build(bound, AS_OF, bank))
    ways = {
        "scan of the columns": lambda: engine.query(scan(AS_OF)),
        "hand-written SQL": lambda: _make(engine, "hand", by_hand(AS_OF, bank)),
        "wayline": lambda: _make(engine, "ours", compiled),
        "compiling it": lambda: engine.compile(table.build(bound, AS_OF, bank)),
    }
    best: dict[str, tuple[float, float]] = {}
    for _ in range(repeats):
        for way, work in ways.items():
            best[way] = min(best.get(way, (float("inf"), float("inf"))), _timed(work))
    _compare(engine)
    return _rows(engine, best)


def _make(engine: DuckDBEngine, name: str, sql: str) -> None:
    engine.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}")


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _compare(engine: DuckDBEngine) -> None:
    names = ", ".join(["customer_id", *table.FEATURES])
    pairs = (("hand", "ours"), ("ours", "hand"))
    found = [
        engine.connection.execute(
            f"SELECT count(*) FROM (SELECT {names} FROM {one} EXCEPT ALL SELECT {names} FROM {two})"
        ).fetchone()
        for one, two in pairs
    ]
    if any(count is None or count[0] for count in found):
        raise CheckFailed(f"The feature table differs from the hand-written one in {found} rows. Mend one of them.")


def _rows(engine: DuckDBEngine, best: dict[str, tuple[float, float]]) -> list[Row]:
    customers = engine.query("SELECT count(*) FROM ours")[0][0].as_py()
    (hand, hand_cpu), (read, _) = best["hand-written SQL"], best["scan of the columns"]
    return [
        {
            "customers": customers,
            "way": way,
            "seconds": round(wall, 2),
            "cpu_seconds": round(cpu, 2),
            "times_by_hand": round(wall / hand, 2),
            "times_by_hand_cpu": round(cpu / hand_cpu, 2),
            "times_scan": round(wall / read, 2),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        for way, (wall, cpu) in best.items()
    ]


if __name__ == "__main__":
    given = sys.argv[1] if len(sys.argv) > 1 else "20000"
    for row in run(int(given) if given.isdigit() else Path(given)):
        print("  ".join(f"{name}={value}" for name, value in row.items()))
