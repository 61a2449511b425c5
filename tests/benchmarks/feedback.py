"""A server killed under load many times, and how fast a file of feedback is entered."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from engine.lake.runs import open_run
from engine.lake.workspace import Workspace
from engine.workflows import demo, feedback_file
from tests.doors.feedback_kills import kill_under_load
from tests.doors.test_feedback_kill import assert_nothing_lost


def run(customers: int, kills: int, folder: Path) -> list[dict[str, Any]]:
    """Return what was acknowledged while a server was killed, all of it found again, and rows a second of a file."""
    home = folder / "workspace"
    demo.prepare(home, customers=customers, seed=1, progress=None)
    began = time.perf_counter()
    told = kill_under_load(home, kills)
    killed_seconds = time.perf_counter() - began
    assert_nothing_lost(home, told.events, told.withdrawn)
    path = _file(home, folder / "told.jsonl")
    began = time.perf_counter()
    loaded = feedback_file.load(home, path, "generic")
    seconds = time.perf_counter() - began
    return [
        {
            "kills": kills,
            "acknowledged": len(told.events),
            "unanswered": told.unanswered,
            "lost": 0,
            "kill_seconds": round(killed_seconds, 1),
            "file_rows": loaded.rows,
            "rows_a_second": round(loaded.rows / seconds),
        }
    ]


def _file(home: Path, path: Path) -> Path:
    at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    offers = open_run(Workspace(home)).read("recommendations", ["customer_id", "decision_id"]).to_pylist()
    with path.open("w", encoding="utf-8") as handle:
        for place, offer in enumerate(offers):
            for kind in ("sent", "delivered", "opened", "clicked"):
                item = {
                    "event_id": f"file-{place}-{kind}",
                    "type": kind,
                    "external_id": offer["customer_id"],
                    "recommendation_id": offer["decision_id"],
                    "occurred_at": at,
                }
                handle.write(json.dumps(item) + "\n")
    return path
