"""Small tables of recommendations and the settings to export them with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.config.exports import ExportSettings, FileFormat
from engine.config.load import load
from engine.domain.marts import RECOMMENDATIONS
from engine.exports.bundle import export_recommendations
from engine.exports.manifest import Manifest
from engine.lake.schema import arrow_schema

AS_OF = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
CREATED = datetime(2026, 7, 1, 6, 0, 0, tzinfo=UTC)


def offer(customer: str, rank: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "rank": rank,
        "decision_id": f"abc-{customer}-{rank}",
        "product_id": "index_fund",
        "channel": "email",
        "propensity": 0.1234567,
        "expected_value_minor": 4321,
        "expected_loss_minor": 99,
        "offer_id": "index_fund",
        "annual_rate": 0.0565,
        "limit_minor": 2_000_000,
        "track": "fast_track",
        "reason_1": "Already has: Debit card.",
        "reason_1_zh": "已持有借记卡。",
        "reason_2": None,
        "reason_2_zh": None,
    } | changes


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(RECOMMENDATIONS))


def offers(customers: int = 5, each: int = 2) -> pa.Table:
    return table([offer(f"C{number:04d}", rank + 1) for number in range(customers) for rank in range(each)])


def export(rows: Any, destination: Path, file_format: FileFormat = "jsonl", parts: int = 4, **more: Any) -> Manifest:
    settings = load(ExportSettings, "exports", flags={"rows_per_part": parts})
    return export_recommendations(
        rows, destination, file_format, run_id="R1", as_of=AS_OF, created_at=CREATED, settings=settings, **more
    )
