"""How long questions about a log of events take, against reading the same columns.

    python -m tests.benchmarks.journeys [--events 10000000] [--folder DIR] [--ids text] [--steps] [--large]

One synthetic log: 20 events a customer on average, customers and events of very different frequency, 180 days in
order of time as Parquet. Every question is asked as its command asks it, in a process of its own, of the file as it
lies and of the log prepared once. CPU counts from the open door; what importing the libraries takes stands beside it.
The scan reads the columns that the question reads, and keeps the rows that it keeps, in DuckDB on the same threads.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

Row = dict[str, Any]

EVENTS_PER_CUSTOMER: Final = 20
EVENT_TYPES: Final = 30
DAYS: Final = 180
_COMPILERS: Final = "ibis.backends.sql.compilers"  # which Ibis imports when it compiles for the first time
STEPS: Final = ("event_01", "event_02", "event_04", "event_06", "event_08")
MANY_STEPS: Final = (2, 4, 8, 16)
LIMITS: Final = {"funnel": 5.0, "transitions": 10.0, "variants": 15.0, "retention": 3.5}
"""Times the CPU of its scan that a question may take of the file as it lies; of the prepared log, a third of that."""


def run(events: int = 10_000_000, folder: Path | None = None, ids: str = "integer") -> list[Row]:
    """Return one row per measure: what it took, times its reference, the limit, peak memory of the process."""
    with _place(folder) as scratch:
        log, prepared = _log(scratch, events, ids), scratch / "prepared"
        scans = {question: _apart("scan", question, log) for question in LIMITS}
        rows = [_row(f"scan for {question}", told, told) for question, told in scans.items()]
        for question, limit in LIMITS.items():
            rows.append(_row(question, _apart("ask", question, log), scans[question], limit))
        rows += _refreshed(scratch, log, prepared)
        for question, limit in LIMITS.items():
            rows.append(_row(f"{question}, prepared", _apart("ask", question, prepared), scans[question], limit / 3))
        return rows


def per_steps(events: int, folder: Path | None = None) -> list[Row]:
    """Return one row per number of steps of a funnel: linear growth is the claim."""
    with _place(folder) as scratch:
        log = _log(scratch, events, "integer")
        told = {steps: _apart("ask", f"funnel:{steps}", log) for steps in MANY_STEPS}
        return [_row(f"funnel of {steps} steps", one, told[MANY_STEPS[0]]) for steps, one in told.items()]


def large(events: int = 100_000_000, folder: Path | None = None) -> list[Row]:
    """Return one row per question of a log ten times as large, for its memory; the log is removed again."""
    with _place(folder) as scratch:
        log = _log(scratch, events, "integer")
        try:
            return [_row(question, told := _apart("ask", question, log), told) for question in LIMITS]
        finally:
            log.unlink()


def _refreshed(scratch: Path, log: Path, prepared: Path) -> list[Row]:
    """Measure a full refresh against a day's: the log is prepared, or brought up to date, and all questions counted."""
    before, day, yesterday = scratch / "before.parquet", scratch / "day.parquet", scratch / "yesterday"
    _apart("cut", f"{before}|{day}", log)
    full = _apart("refresh", str(prepared), log)
    _apart("refresh", str(yesterday), before)
    added = _apart("increment", str(yesterday), day)
    for path in (before, day):
        path.unlink()
    return [_row("full refresh", full, full), _row("a day's increment", added, full, 1 / 3)]


def _row(stage: str, told: Row, reference: Row, limit: float | None = None) -> Row:
    return {
        "stage": stage,
        "wall_seconds": told["wall_seconds"],
        "cpu_seconds": told["cpu_seconds"],
        "times": round(told["cpu_seconds"] / reference["cpu_seconds"], 2),
        "limit": None if limit is None else round(limit, 2),
        "peak_mib": told["peak_mib"],
        "import_cpu_seconds": told["import_cpu_seconds"],
    }


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    """Yield a folder for the log: the one that was named, where the log is kept, or one that is removed again."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="wayline-bench-") as scratch:
        yield Path(scratch)


def _log(folder: Path, events: int, ids: str) -> Path:
    path = folder / f"events_{events}_{ids}.parquet"
    if not path.exists():
        _apart("make", f"{events}|{ids}", path)
    return path


def _apart(action: str, detail: str, path: Path) -> Row:
    """Do something in a process of its own and return what it took: the best of two where it changes nothing."""
    told = []
    for _ in range(2 if action in ("scan", "ask") else 1):
        words = [sys.executable, "-m", "tests.benchmarks.journeys", "--do", action, detail, str(path)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        told.append(json.loads(done.stdout.splitlines()[-1]))
    best: Row = min(told, key=lambda one: one["cpu_seconds"])
    return best


# In a process of its own


def _do(action: str, detail: str, path: Path) -> None:
    """Do one thing and print what it took."""
    work: Callable[[], object] = {
        "make": _make,
        "scan": _scan,
        "ask": _ask,
        "cut": _cut,
        "refresh": _refresh,
        "increment": _increment,
    }[action](detail, path)
    imported, wall, cpu = time.process_time(), time.perf_counter(), time.process_time()
    work()
    told = {
        "wall_seconds": round(time.perf_counter() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 3),
        "import_cpu_seconds": round(imported, 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(told))


def _make(detail: str, path: Path) -> Callable[[], object]:
    import duckdb

    events, _, ids = detail.partition("|")
    total, customers = int(events), int(events) // EVENTS_PER_CUSTOMER
    customer = "place" if ids == "integer" else "'C' || lpad(place::VARCHAR, 8, '0')"
    step = DAYS * 86_400 * 1_000_000 / total
    connection = duckdb.connect(config={"threads": 2, "memory_limit": "6GB"})
    return lambda: connection.execute(
        f"""
        COPY (
            WITH drawn AS (
                SELECT i, hash(i) % 1000003 / 1000003.0 AS u, hash(i * 31 + 5) % 1000003 / 1000003.0 AS w
                FROM range({total}) AS r(i)
            ), placed AS (
                SELECT CAST(floor({customers} * pow(u, 1.9)) AS BIGINT) AS place,
                    CAST(floor({EVENT_TYPES} * pow(w, 2.2)) AS INTEGER) AS kind,
                    TIMESTAMP '2026-01-01' + to_microseconds(
                        CAST(floor(i * {step:.6f}) AS BIGINT) // 1000000 * 1000000) AS moment
                FROM drawn
            )
            SELECT {customer} AS customer_id, moment AS timestamp, 'event_' || lpad(kind::VARCHAR, 2, '0') AS event
            FROM placed
        ) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
        """
    )


def _scan(question: str, path: Path) -> Callable[[], object]:
    import duckdb

    connection = duckdb.connect(config={"threads": 2})
    columns = "max(customer_id), max(timestamp)" + ("" if question == "retention" else ", max(event)")
    # a condition that keeps every row has the column read: the file's statistics alone would answer the rest
    named = ", ".join(f"'{step}'" for step in STEPS)
    kept = f"event IN ({named})" if question == "funnel" else "customer_id::VARCHAR <> ''"
    if question != "funnel":
        columns = f"max(hash(customer_id)), {columns.partition(', ')[2]}, sum(epoch_us(timestamp) % 2)"
        kept = "true" if question == "retention" else "event <> ''"
    return lambda: connection.execute(f"SELECT {columns} FROM '{path}' WHERE {kept}").fetchall()


def _ask(question: str, path: Path) -> Callable[[], object]:
    import_module(_COMPILERS)
    from engine.workflows import journey_cohorts, journey_funnel, journey_paths
    from engine.workflows.event_logs import LogSource
    from journeys.paths import Wanted

    source = LogSource(path=path, home=path.parent / "no workspace")
    name, _, steps = question.partition(":")
    if name == "funnel":
        return lambda: journey_funnel.study(source, journey_funnel.Question(funnel=_funnel(int(steps or len(STEPS)))))
    if name == "transitions":
        return lambda: journey_paths.transition_graph(source, Wanted())
    if name == "variants":
        return lambda: journey_paths.most_frequent_variants(source, Wanted(), 50)
    weeks = journey_cohorts.RetentionQuestion(periods=journey_cohorts.Periods(unit="week"))
    return lambda: journey_cohorts.retained(source, weeks)


def _funnel(steps: int) -> Any:
    from journeys.spec import Funnel, Step

    names = (
        STEPS if steps == len(STEPS) else tuple(f"event_{number % EVENT_TYPES:02d}" for number in range(1, steps + 1))
    )
    return Funnel(steps=tuple(Step(name=name, events=(name,)) for name in names), window_seconds=14 * 86_400)


def _cut(detail: str, path: Path) -> Callable[[], object]:
    import duckdb

    before, _, day = detail.partition("|")
    connection = duckdb.connect(config={"threads": 2})

    def cut() -> None:
        last = f"(SELECT max(timestamp) - INTERVAL 1 DAY FROM '{path}')"
        for target, side in ((before, "<="), (day, ">")):
            rows = f"SELECT * FROM '{path}' WHERE timestamp {side} {last}"
            connection.execute(f"COPY ({rows}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")

    return cut


def _refresh(into: str, path: Path) -> Callable[[], object]:
    """Prepare the whole log, then count every question over all customers."""
    import_module(_COMPILERS)
    from engine.workflows import journey_prepare, prepared_logs
    from engine.workflows.event_logs import LogSource

    kernels = _kernels()

    def refresh() -> None:
        journey_prepare.prepare(LogSource(path=path, home=path.parent / "no workspace"), Path(into))
        log, _ = prepared_logs.read(Path(into))
        for names, kernel in kernels:
            log.map_blocks(kernel, names=names)

    return refresh


def _increment(into: str, path: Path) -> Callable[[], object]:
    """Sort a day in, write what that changes, then count every question over its customers alone, before and after.

    What adds up over customers is brought up to date by the difference.
    """
    import_module(_COMPILERS)
    from engine.workflows import journey_prepare
    from engine.workflows.event_logs import LogSource

    kernels = _kernels()

    def increment() -> None:
        source = LogSource(path=path, home=path.parent / "no workspace")
        _, added = journey_prepare.append(source, Path(into))
        for names, kernel in kernels:
            for log in (added.before, added.after):
                log.map_blocks(kernel, names=names)

    return increment


def _kernels() -> list[tuple[tuple[str, ...] | None, Any]]:
    """The events that each question reads, and what it makes of a block of them."""
    from functools import partial

    from journeys import outcomes, retention, transitions, variants
    from journeys.calendar import Calendar
    from journeys.paths import Wanted
    from journeys.retention import Retention

    weeks = Calendar(unit="week", zone="UTC", week_start="monday")
    names = tuple(f"event_{kind:02d}" for kind in range(EVENT_TYPES))
    return [
        (STEPS, partial(outcomes.rows, funnel=_funnel(len(STEPS)))),
        (None, partial(transitions.count_block, wanted=Wanted())),
        (None, partial(variants.count_block, wanted=Wanted(), names=names)),
        (None, partial(retention.of_block, asked=Retention(calendar=weeks), reach=10_000)),
    ]


def main() -> None:
    """Print the tables that were asked for."""
    from tests.benchmarks.__main__ import show

    arguments = argparse.ArgumentParser(prog="python -m tests.benchmarks.journeys", description=__doc__)
    arguments.add_argument("--events", type=int, default=10_000_000)
    arguments.add_argument("--folder", type=Path, help="where the log is made and kept; default: made and removed")
    arguments.add_argument("--ids", choices=("integer", "text"), default="integer", help="how customers are known")
    arguments.add_argument("--steps", action="store_true", help="also funnels of 2 to 16 steps")
    arguments.add_argument("--large", action="store_true", help="also a log of 100 million events, for its memory")
    arguments.add_argument("--do", nargs=3, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.do:
        _do(chosen.do[0], chosen.do[1], Path(chosen.do[2]))
        return
    show(f"{chosen.events:,} events, ids as {chosen.ids}", run(chosen.events, chosen.folder, chosen.ids))
    if chosen.steps:
        show(f"{chosen.events:,} events: funnels by their steps", per_steps(chosen.events, chosen.folder))
    if chosen.large:
        show("100,000,000 events", large(folder=chosen.folder))


if __name__ == "__main__":
    main()
