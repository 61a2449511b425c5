"""What is told of scored customers: the limits of each score, every cell, the best of them, and a file of all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.domain.errors import SettingsFault
from engine.exports import csv_dialects

FORMATS: Final = (".csv", ".parquet")

_OF_SCORE: Final = {"recency_score": "recency_days", "frequency_score": "purchases", "monetary_score": "net_spend"}
_PRECISION: Final = pa.decimal128(38, 6)
_VALUE: Final = "lifetime_value"


def levels(customers: pa.Table) -> list[dict[str, Any]]:
    """Return a row per score and level, 5 first: how many have it, from which value to which."""
    rows = []
    for score, measure in _OF_SCORE.items():
        found = customers.group_by(score).aggregate([(measure, "count"), (measure, "min"), (measure, "max")])
        rows += [
            {
                "score": score,
                "level": row[score],
                "measure": measure,
                "customers": row[f"{measure}_count"],
                "lowest": row[f"{measure}_min"],
                "highest": row[f"{measure}_max"],
            }
            for row in found.sort_by([(score, "descending")]).to_pylist()
        ]
    return rows


def cells(customers: pa.Table) -> list[dict[str, Any]]:
    """Return a row per cell that has customers, the best scores first: their money, and what they are still worth."""
    wanted = [("net_spend", "count"), ("net_spend", "sum")]
    wanted += [(_VALUE, "sum")] if _VALUE in customers.column_names else []
    found = customers.group_by("rfm_cell").aggregate(wanted).sort_by([("rfm_cell", "descending")])
    return [
        {
            "rfm_cell": row["rfm_cell"],
            "customers": row["net_spend_count"],
            "net_spend": row["net_spend_sum"],
            _VALUE: row.get(f"{_VALUE}_sum"),
        }
        for row in found.to_pylist()
    ]


def best(customers: pa.Table, top: int) -> list[dict[str, Any]]:
    """Return the customers of the highest lifetime value, or of the most money where there is none."""
    by = _VALUE if _VALUE in customers.column_names else "net_spend"
    order = [(by, "descending"), ("customer_id", "ascending")]
    place = pc.select_k_unstable(customers, k=min(max(top, 0), customers.num_rows), sort_keys=order)
    rows: list[dict[str, Any]] = customers.take(place).to_pylist()
    return rows


def write(customers: pa.Table, path: Path) -> None:
    """Write all customers as Parquet or CSV: the file is there whole or not at all."""
    with _aside(path) as aside:
        if path.suffix.lower() == ".parquet":
            pq.write_table(customers, aside, compression="zstd")
            return
        guarded = csv_dialects.guarded(_written(customers))
        with aside.open("wb") as file:
            file.write(csv_dialects.csv_header(guarded.column_names, csv_dialects.IMPORT))
            file.write(csv_dialects.csv_lines(guarded, csv_dialects.IMPORT))


def _written(customers: pa.Table) -> pa.Table:
    """Return the rows with numbers of a stated precision, as CSV needs them."""
    for place, field in enumerate(customers.schema):
        if pa.types.is_floating(field.type):
            customers = customers.set_column(place, field.name, customers[field.name].cast(_PRECISION, safe=False))
    return customers


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    aside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        aside.replace(path)
    except OSError as fault:
        reason = fault.strerror or "it cannot be used"
        raise SettingsFault(path.name, [f"cannot be written there ({reason}); name another place"]) from None
    finally:
        with suppress(OSError):
            aside.unlink()
