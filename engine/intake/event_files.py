"""Event logs as files: CSV, Parquet or XES, plain or packed, as one relation that the engine reads.

Parquet is read where it lies. Text passes once through the guards and is spooled to Parquet as text. Either way every
event has a number, its place in the file from 0 on (in a folder, the files in the order of their names), since the
engine keeps no order of rows.
"""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from engine.config.intake import IntakeSettings
from engine.domain.errors import UnreadableSource
from engine.intake import xes
from engine.intake.guards import likely_encoding, refuse_other_formats
from engine.intake.mapping import CsvOptions
from engine.intake.sql import number
from engine.intake.textfiles import Job, spool_csv
from engine.lake.engine import DuckDBEngine, identifier, quoted

_SAMPLE: Final = 1 << 20
_MOST_COLUMNS: Final = 10_000
_MOST_FOOTER_BYTES: Final = 64 << 20
_FILE_BITS: Final = 40
_ANOTHER_FORMAT: Final = "Export it as CSV, Parquet or XES."
_HOW_WRITTEN: Final = (
    "Name the encoding it was written in (--encoding gb18030, cp1252, utf-8, ...), and check its delimiter and quotes."
)
_DELIMITERS: Final = (",", ";", "\t", "|")
_BYTE_ORDER_MARKS: Final = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFile:
    """A file as a relation: SQL that gives the events, and the DuckDB type of each column.

    `row` names the column, beside those of the file, that holds each event's number. `broken` counts the lines that
    are no rows; they are not in the relation. `parquet` lists the files whose footers tell of the columns' values;
    empty when text was spooled. `notes` are the guesses that were made, a sentence each.
    """

    name: str
    sql: str
    columns: Mapping[str, str]
    row: str
    rows: int
    broken: int = 0
    parquet: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def read(
    path: Path, engine: DuckDBEngine, spool: Path, rules: IntakeSettings, *, encoding: str | None = None
) -> EventFile:
    """Return an event log as a relation; what text becomes lies in the folder `spool` for as long as it is read.

    Raises
    ------
    UnreadableSource
        No such file, empty, cut, a bomb, of another format, or wider than any table of events.
    """
    name = path.name
    if path.is_dir():
        return _parquet(path, _parts(path), engine)
    if not path.is_file():
        raise UnreadableSource(str(path), "no such file", "Check the path.")
    if path.stat().st_size == 0:
        raise UnreadableSource(name, "the file is empty: 0 bytes", "Check the extract that writes it.")
    with path.open("rb") as handle:
        if handle.read(4) == b"PAR1":
            return _parquet(path, (path,), engine)
    try:
        return _text(path, engine, spool, rules, encoding)
    except UnreadableSource as fault:
        # a log has no mapping file to mend
        remedy = _HOW_WRITTEN if "under [<table>.csv]" in fault.remedy else fault.remedy
        remedy = _ANOTHER_FORMAT if "in the mapping" in remedy else remedy
        raise UnreadableSource(fault.source, fault.problem, remedy) from None


# Parquet


def _parts(folder: Path) -> tuple[Path, ...]:
    parts = tuple(sorted(path for path in folder.rglob("*.parquet") if not path.name.startswith(("_", "."))))
    if not parts:
        raise UnreadableSource(str(folder), "is a folder without Parquet files", "Name the file of the log.")
    return parts


def _parquet(path: Path, parts: Sequence[Path], engine: DuckDBEngine) -> EventFile:
    rows = sum(_footer(part).num_rows for part in parts)
    listed = ", ".join(quoted(str(part)) for part in parts)
    names = pq.read_schema(parts[0]).names
    row = _unused(names)
    scan = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
    place = "file_row_number" if len(parts) == 1 else f"(file_index::BIGINT << {_FILE_BITS}) + file_row_number"
    sql = f"SELECT *, {place} AS {identifier(row)} FROM {scan}"
    return EventFile(
        name=path.name, sql=sql, columns=_described(sql, engine, row), row=row, rows=rows, parquet=tuple(parts)
    )


def _footer(path: Path) -> pq.FileMetaData:
    with path.open("rb") as handle:
        magic = handle.read(4)
        handle.seek(max(path.stat().st_size - 8, 0))
        end = handle.read(8)
    cut = UnreadableSource(path.name, "its footer is missing or damaged, so the file was cut", "Fetch the file again.")
    if magic != b"PAR1":
        raise UnreadableSource(path.name, "is not a Parquet file", "Name files of one format.")
    if end[4:] != b"PAR1":
        raise cut
    # before it is read: a footer of a million columns takes gigabytes apart
    if struct.unpack("<I", end[:4])[0] > _MOST_FOOTER_BYTES:
        raise _too_wide(path.name)
    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError):
        raise cut from None
    if footer.num_columns > _MOST_COLUMNS:
        raise _too_wide(path.name)
    return footer


# Text


def _text(path: Path, engine: DuckDBEngine, spool: Path, rules: IntakeSettings, encoding: str | None) -> EventFile:
    sample = _beginning(path)
    if sample.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return _xes(path, engine, spool, rules)
    refuse_other_formats(path, path.name, "an event log")
    options = _csv_options(sample, encoding)
    if b"\0" in sample and not options.encoding.lower().startswith(("utf-16", "utf-32")):
        raise UnreadableSource(path.name, "holds zero bytes, which no text file does", _HOW_WRITTEN)
    return _csv(path, engine, spool, rules, options)


def _beginning(path: Path) -> bytes:
    """Return the first unpacked bytes of a file; of a damaged archive as many as there are."""
    with path.open("rb") as handle:
        head = handle.read(4)
        handle.seek(0)
        try:
            if head[:2] == b"\x1f\x8b":
                return gzip.GzipFile(fileobj=handle).read(_SAMPLE)
            if head == b"PK\x03\x04":
                archive = zipfile.ZipFile(handle)
                with archive.open(archive.namelist()[0]) as member:
                    return member.read(_SAMPLE)
        except (EOFError, OSError, zlib.error, zipfile.BadZipFile, IndexError, RuntimeError, NotImplementedError):
            return b""  # the guard that reads it whole says what is wrong
        return handle.read(_SAMPLE)


def csv_options(path: Path, encoding: str | None = None) -> CsvOptions:
    """Return how a CSV file is written, as its first bytes tell: the delimiter, and the encoding if none is given."""
    return _csv_options(_beginning(path), encoding)


def _csv_options(sample: bytes, encoding: str | None) -> CsvOptions:
    chosen = encoding or _encoding(sample)
    line = sample.decode(chosen, errors="replace").partition("\n")[0] if _is_known(chosen) else ""
    outside = "".join(line.split('"')[::2])
    # the most frequent one of the header; a comma where there is none, as in a table of one column
    return CsvOptions(delimiter=max(_DELIMITERS, key=outside.count), encoding=chosen)


def _is_known(encoding: str) -> bool:
    try:
        "".encode(encoding)
    except LookupError:
        return False
    return True


def _encoding(sample: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if sample.startswith(mark):
            return "utf-8" if encoding == "utf-8-sig" else encoding
    whole = sample[: sample.rfind(b"\n") + 1] or sample
    try:
        whole.decode("utf-8")
    except UnicodeDecodeError as fault:
        if b"\0" in sample:  # no text; the guard says so
            return "utf-8"
        start = sample.rfind(b"\n", 0, fault.start) + 1
        return likely_encoding(sample[start : start + 4000])
    return "utf-8"


def _csv(path: Path, engine: DuckDBEngine, spool: Path, rules: IntakeSettings, options: CsvOptions) -> EventFile:
    job = Job(path=path, name=path.name, stem=spool / "log", engine=engine, rules=rules, most_columns=_MOST_COLUMNS)
    spooled = spool_csv(job, options)
    row = _unused(spooled.columns)
    texts = ", ".join(identifier(column) for column in spooled.columns)
    sql = f"SELECT {texts}, _row AS {identifier(row)} FROM ({spooled.sql}) WHERE _broken IS NULL"
    broken = number(engine, f"SELECT count(*) FROM ({spooled.sql}) WHERE _broken IS NOT NULL")
    notes = () if options.encoding == "utf-8" else (f"{path.name} was read as {options.encoding}.",)
    return EventFile(
        name=path.name,
        sql=sql,
        columns=dict.fromkeys(spooled.columns, "VARCHAR"),
        row=row,
        rows=spooled.rows,
        broken=broken,
        notes=notes,
    )


def _xes(path: Path, engine: DuckDBEngine, spool: Path, rules: IntakeSettings) -> EventFile:
    row = _unused(())
    rows = xes.spool(path, spool, rules.limits, row)
    if not rows:
        raise UnreadableSource(path.name, "holds no events", "Check the export that writes it.")
    sql = f"SELECT * FROM read_parquet({quoted(str(spool / '*.parquet'))}, union_by_name = true)"
    return EventFile(name=path.name, sql=sql, columns=_described(sql, engine, row), row=row, rows=rows)


def _too_wide(name: str) -> UnreadableSource:
    return UnreadableSource(
        name, f"has more than {_MOST_COLUMNS:,} columns, as no event log does", "Check the delimiter and the format."
    )


def _unused(names: Sequence[str]) -> str:
    row = "_row"
    while row in names:
        row = f"_{row}"
    return row


def _described(sql: str, engine: DuckDBEngine, row: str) -> dict[str, str]:
    rows = engine.connection.execute(f"DESCRIBE {sql}").fetchall()
    return {str(one[0]): str(one[1]) for one in rows if one[0] != row}
