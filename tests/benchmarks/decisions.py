"""How long one decision in real time takes: over HTTP, with its ledger entry on the disk, beside a bare endpoint.

    python -m tests.benchmarks.decisions [customers] [postgresql://user@host/database]

A bank is simulated and run, its API served by a process of its own, and so is a FastAPI app whose one endpoint returns
a constant. Decisions are asked at 200 a second, of customers in turn, each with an Idempotency-Key of its own, and then
by 64 connections without a pause, in turns with the bare endpoint. The ratio is what to look at; what else runs on the
machine counts against both. The last rows are what a transaction and its flush to the disk
cost without HTTP. The ledger is in SQLite, or in the PostgreSQL that is named.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from engine.lake.runs import open_run
from engine.lake.workspace import Workspace
from engine.store import LiveLedger
from engine.workflows import api_keys, demo, session
from engine.workflows.decide_now import DecideNow
from engine.workflows.live_requests import LiveRequest
from tests.benchmarks import http_load
from tests.benchmarks.http_load import Request

A_SECOND, SECONDS = 200, 15
SETTINGS: Final = '[live]\nclock = "run"\nstale_after_hours = 8000\n'
Row = dict[str, Any]


def run(customers: int = 20_000, home: Path | None = None) -> list[Row]:
    """Return one row per measurement; the workspace is made where none is given."""
    with tempfile.TemporaryDirectory(prefix="wayline-decisions-") as scratch:
        made = home or Path(scratch) / "workspace"
        if home is None:
            demo.prepare(made, customers=customers, seed=1)
        (made / "wayline.toml").write_text(SETTINGS, encoding="utf-8")
        return [*_without_http(made), *_over_http(made)]


def asks(home: Path, name: str) -> Request:
    """Return requests for decisions on the customers of a workspace in turn, with a key of their own."""
    name = f"{name}-{secrets.token_hex(4)}"  # the workspace may have been measured before
    key = api_keys.create(
        home, name, "bench", scopes=["decisions:write"], destination="generic", days=1, requests_per_minute=10**7
    )["key"]
    ids = open_run(Workspace(home)).read("decision_inputs", columns=["customer_id"])["customer_id"].to_pylist()
    body = orjson.dumps({"channel": "app", "page": "/cards", "seen": ["index_fund"], "offers": 2})

    def make(number: int) -> bytes:
        headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"{name}-{number}",
        }
        path = f"/v1/customers/{ids[number * 37 % len(ids)]}/next-best-action"
        return http_load.request("POST", path, headers, body)

    return make


def _without_http(home: Path) -> list[Row]:
    with DecideNow(home) as decide:
        began = time.perf_counter()
        assert decide.ready()
        ready = time.perf_counter() - began
        ids = open_run(Workspace(home)).read("decision_inputs", columns=["customer_id"])["customer_id"].to_pylist()
        requests = [LiveRequest(customer_id=ids[number * 37 % len(ids)]) for number in range(2_000)]
        spent = time.process_time()
        taken = sorted(_timed(decide, request) for request in requests[:300])
        alone = (time.process_time() - spent) / 300
        spent, began = time.process_time(), time.perf_counter()
        for future in [decide.submit(request) for request in requests]:
            future.result(60)
        together = (time.process_time() - spent) / len(requests), (time.perf_counter() - began) / len(requests)
    return [
        {"what": "first look at a run", "ms": round(1_000 * ready, 1), "cpu_ms": None, "a_second": None},
        {"what": "flush of 8 kB to the disk", "ms": round(1_000 * _flush(home), 2), "cpu_ms": None, "a_second": None},
        _row("one decision alone, no HTTP (median)", taken[150], alone),
        _row("one of 64 decisions together", together[1], together[0]),
    ]


def _timed(decide: DecideNow, request: LiveRequest) -> float:
    began = time.perf_counter()
    decide.answer(request)
    return time.perf_counter() - began


def _flush(home: Path) -> float:
    taken = []
    with (home / ".flush").open("wb") as handle:
        for _ in range(100):
            handle.write(bytes(8_192))
            handle.flush()
            began = time.perf_counter()
            os.fsync(handle.fileno())
            taken.append(time.perf_counter() - began)
    (home / ".flush").unlink()
    return sorted(taken)[50]


def _row(what: str, seconds: float, spent: float) -> Row:
    return {
        "what": what,
        "ms": round(1_000 * seconds, 2),
        "cpu_ms": round(1_000 * spent, 2),
        "a_second": round(1 / seconds),
    }


def _over_http(home: Path) -> list[Row]:
    ours, theirs = http_load.free_port(), http_load.free_port()
    with http_load.process(*http_load.api(home, ours), home), http_load.process(*http_load.bare(theirs)):
        plain = http_load.request("GET", "/", {})
        asyncio.run(http_load.at_rate(ours, asks(home, "warm"), a_second=50, seconds=2))
        replies = asyncio.run(http_load.at_rate(ours, asks(home, "steady"), a_second=A_SECOND, seconds=SECONDS))
        assert {reply.status for reply in replies} == {200}, replies[0]
        # an answer that nothing was decided for is quick, and not what is measured here
        assert {orjson.loads(reply.body)["code"] for reply in replies} <= {"OFFERED", "REFUSED"}
        idle = asyncio.run(http_load.at_rate(theirs, lambda _: plain, a_second=A_SECOND, seconds=SECONDS / 3))
        rates: dict[str, list[float]] = {"ours": [], "bare": []}
        for turn in range(3):
            rates["bare"].append(http_load.throughput(theirs, lambda _: plain, seconds=4))
            rates["ours"].append(http_load.throughput(ours, asks(home, f"flat-out-{turn}"), seconds=4))
        best = {name: max(found) for name, found in rates.items()}
    with LiveLedger(session.database_url(Workspace(home))) as ledger:
        kept = [ledger.decision(orjson.loads(reply.body)["decision_id"]) for reply in replies[::50]]
        assert all(kept), "a decision that was told is not in the ledger"
        assert ledger.unmatched() == 0
    shares = [("median", 0.5), ("p95", 0.95), ("p99", 0.99)]
    return [
        *(
            {
                "what": f"{A_SECOND} decisions a second over HTTP, ledger on disk: {name}",
                "ms": round(http_load.percentile(replies, share), 2),
                "cpu_ms": None,
                "a_second": None,
            }
            for name, share in shares
        ),
        {
            "what": f"{A_SECOND} requests a second to the bare endpoint: p99",
            "ms": round(http_load.percentile(idle, 0.99), 2),
            "cpu_ms": None,
            "a_second": None,
        },
        {"what": "decisions over HTTP, 64 connections", "ms": None, "cpu_ms": None, "a_second": round(best["ours"])},
        {"what": "a bare endpoint, 64 connections", "ms": None, "cpu_ms": None, "a_second": round(best["bare"])},
        {
            "what": f"decisions of the bare endpoint's rate: {best['ours'] / best['bare']:.2f}",
            "ms": None,
            "cpu_ms": None,
            "a_second": None,
        },
    ]


def main(arguments: Sequence[str]) -> None:
    """Print the rows."""
    from tests.benchmarks.__main__ import show

    customers = int(arguments[0]) if arguments else 20_000
    if len(arguments) > 1:
        os.environ["WAYLINE_DATABASE_URL"] = arguments[1]
    show(f"{customers:,} customers: one decision in real time", run(customers))


if __name__ == "__main__":
    main(sys.argv[1:])
