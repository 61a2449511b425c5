"""How long the journey marts take, against reading the same columns.

    python -m tests.benchmarks.journeys 10000000

Synthetic events: customers of very different activity, 15 % of the events belong to the shipped journeys, the rest
is what fills a bank's log. The scan that the funnel is measured against reads the same columns and filters by the
same event names, in the same process.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from engine.config.journeys import Journeys
from engine.config.load import load
from engine.domain.curated import EVENTS
from engine.lake.engine import DuckDBEngine, quoted
from engine.lake.schema import unbound
from journeys import funnel
from journeys.event_log import EventLog

AS_OF = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
Row = dict[str, Any]


def run(events: int = 10_000_000, folder: Path | None = None) -> list[Row]:
    """Return one row per measure: stage, seconds of wall and of CPU, times the scan, peak memory of the process."""
    with tempfile.TemporaryDirectory() as scratch:
        place = folder or Path(scratch)
        source = place / f"events_{events}.parquet"
        if not source.exists():
            # in a process of its own: what drawing the events takes is not the funnel's memory
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
                apart.submit(_make, source, events).result()
        return _measure(source, events)


def _measure(source: Path, events: int) -> list[Row]:
    wanted = load(Journeys, "journeys").journeys
    names = sorted({name for journey in wanted for step in journey.steps for name in step.events})
    listed = ", ".join(quoted(name) for name in names)
    with DuckDBEngine(memory_limit="4GB", threads=2) as engine:
        engine.attach("events", source)
        scan = (
            f"SELECT count(customer_id), max(occurred_at), max(product_id) FROM events WHERE event_name IN ({listed})"
        )
        floor = _timed(lambda: engine.query(scan))
        log = EventLog(table=unbound(EVENTS))
        one = _timed(lambda: funnel.run(engine, log, wanted[:1], AS_OF))
        four = _timed(lambda: funnel.run(engine, log, wanted, AS_OF))
    measured = {"scan": floor, "one journey": one, f"{len(wanted)} journeys": four}
    return [
        {
            "events": events,
            "stage": stage,
            "wall_seconds": round(wall, 2),
            "cpu_seconds": round(cpu, 2),
            "times_scan": round(cpu / floor[1], 1),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        for stage, (wall, cpu) in measured.items()
    ]


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Best of two, in wall and CPU seconds: the first run also warms the file cache."""
    seen = []
    for _ in range(2):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        seen.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(seen)


def _make(target: Path, events: int) -> None:
    """Write events sorted by customer and time, the customers' activity skewed as in a real log."""
    customers = max(events // 30, 10)
    steps = "['product_viewed','product_viewed','product_viewed','product_viewed','calculator_used','calculator_used',"
    steps += "'application_started','documents_uploaded','application_submitted','product_opened','first_use']"
    products = "['credit_card_classic','credit_card_gold','personal_loan','auto_loan','mortgage','index_fund']"
    with DuckDBEngine(memory_limit="6GB", threads=2, spill=target.parent / "spill") as engine:
        engine.connection.execute(
            f"""
            COPY (
                WITH drawn AS (
                    SELECT hash(i) AS h, hash(i + 7919) AS g, hash(i * 31 + 5) AS k, i FROM range({events}) r(i)
                ), placed AS (
                    SELECT 'c' || CAST(floor({customers} * pow((h % 1000000) / 1000000.0, 2)) AS BIGINT) AS customer_id,
                        TIMESTAMP '2024-07-01' + to_seconds(CAST(g % 63072000 AS DOUBLE)) AS occurred_at,
                        k % 100 < 15 AS in_journey, CAST(k // 100 AS BIGINT) AS dice, i
                    FROM drawn
                )
                SELECT 'e' || i AS event_id, customer_id, occurred_at,
                    CASE WHEN in_journey THEN ({steps})[1 + dice % 11] ELSE ['login','page_view','push_opened',
                        'statement_viewed','atm_withdrawal'][1 + dice % 5] END AS event_name,
                    ['web','app','branch'][1 + dice % 3] AS channel,
                    CASE WHEN in_journey THEN ({products})[1 + (dice // 11) % 6] END AS product_id,
                    NULL::VARCHAR AS lifecycle
                FROM placed ORDER BY customer_id, occurred_at
            ) TO {quoted(str(target))} (FORMAT parquet, COMPRESSION zstd)
            """
        )


if __name__ == "__main__":
    for row in run(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000):
        print(row)
