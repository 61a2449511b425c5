"""Rows of Python values, such as a workbook or a database cursor gives, to a Parquet spool of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A spool: where it lies, what it came from, its columns and rows."""

    path: Path
    name: str
    columns: tuple[str, ...]
    rows: int


def write(name: str, columns: Sequence[str], chunks: Iterable[Sequence[Sequence[object]]], target: Path) -> Written:
    """Write chunks of rows as text columns, in their order, holding one chunk at a time."""
    schema = pa.schema([(column, pa.string()) for column in columns])
    rows = 0
    with pq.ParquetWriter(target, schema, compression="lz4") as writer:
        for chunk in chunks:
            cells = list(zip(*chunk, strict=True)) or [()] * len(columns)
            arrays = [pa.array([as_text(cell) for cell in column], pa.string()) for column in cells]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            rows += len(chunk)
    return Written(path=target, name=name, columns=tuple(columns), rows=rows)


def as_text(value: object) -> str | None:
    """Return a value as a CSV file would hold it: ISO dates, a whole float without its point."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)
