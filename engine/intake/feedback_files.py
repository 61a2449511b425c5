"""Files of feedback as campaign tools write them: CSV, JSON lines or Parquet, row by row as mappings of their names.

Every row keeps its number in the file, from 1 on, header not counted; a line that is no row is told by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from engine.config.intake import IntakeSettings
from engine.domain.errors import EmptySource, UnreadableSource
from engine.intake import event_files
from engine.intake.guards import refuse_other_formats
from engine.intake.textfiles import Job, spool_csv, spool_jsonl
from engine.lake.engine import DuckDBEngine

_JSON_LINES: Final = (".jsonl", ".ndjson", ".json")
_BESIDE: Final = ("_row", "_broken", "_text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: its number, and its values by the names of the file, or what was expected where it is no row."""

    number: int
    values: Mapping[str, Any] | None
    broken: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackFile:
    """A file that is open for reading; `rows` is how many it holds."""

    name: str
    rows: int
    _sql: str | None
    _path: Path
    _engine: DuckDBEngine

    def blocks(self, size: int) -> Iterator[list[Row]]:
        """Return the rows in the order of the file, so many at a time."""
        number = 0
        for batch in self._batches(size):
            block = []
            for values in batch.to_pylist():
                number += 1
                broken = values.pop("_broken", None)
                for name in _BESIDE:
                    values.pop(name, None)
                told = None if broken else {name: _plain(value) for name, value in values.items()}
                block.append(Row(number=number, values=told, broken=broken))
            if block:
                yield block

    def _batches(self, size: int) -> Iterator[pa.RecordBatch]:
        if self._sql is None:
            with pq.ParquetFile(self._path) as file:
                yield from file.iter_batches(size)
            return
        # the spool lies in the order of the file, and its numbers have no gaps
        for start in range(0, self.rows, size):
            rows = self._engine.query(
                f"SELECT * FROM ({self._sql}) WHERE _row >= {start} AND _row < {start + size} ORDER BY _row"
            )
            yield from rows.combine_chunks().to_batches()


def read(
    path: Path, engine: DuckDBEngine, spool: Path, rules: IntakeSettings, *, encoding: str | None = None
) -> FeedbackFile:
    """Open a file; what text becomes lies in the folder `spool` for as long as it is read.

    Raises
    ------
    UnreadableSource
        No such file, cut, a bomb, or of another format.
    EmptySource
        It holds no row.
    """
    if not path.is_file():
        raise UnreadableSource(str(path), "no such file", "Check the path.")
    if path.stat().st_size == 0:
        raise UnreadableSource(path.name, "the file is empty: 0 bytes", "Check the export that writes it.")
    with path.open("rb") as handle:
        parquet = handle.read(4) == b"PAR1"
    sql, rows = (None, _rows_of(path)) if parquet else _spooled(path, engine, spool, rules, encoding)
    if not rows:
        raise EmptySource(path.name, "feedback")
    return FeedbackFile(name=path.name, rows=rows, _sql=sql, _path=path, _engine=engine)


def _rows_of(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowInvalid, OSError):
        raise UnreadableSource(
            path.name, "its footer is missing or damaged, so the file was cut", "Fetch the file again."
        ) from None


def _spooled(
    path: Path, engine: DuckDBEngine, spool: Path, rules: IntakeSettings, encoding: str | None
) -> tuple[str, int]:
    refuse_other_formats(path, path.name, "feedback")
    job = Job(path=path, name=path.name, stem=spool / "feedback", engine=engine, rules=rules)
    name = path.name.lower().removesuffix(".gz").removesuffix(".zip")
    if name.endswith(_JSON_LINES):
        spooled = spool_jsonl(job)
    else:
        spooled = spool_csv(job, event_files.csv_options(path, encoding))
    return spooled.sql, spooled.rows


def _plain(value: Any) -> Any:
    # instants of Parquet without a zone are UTC, as everywhere here
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return value
