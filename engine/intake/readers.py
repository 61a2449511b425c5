"""Every source as one relation: file, row number, and the source's own columns, read by DuckDB from Parquet.

Parquet is read where it lies. Everything else passes once through a guard and is spooled to Parquet as text, in the
order of the file, so that later steps know one format only and a row keeps its number: 0-based, of the data rows.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from engine.config.intake import IntakeSettings
from engine.domain.errors import EmptySource, MissingColumns, UnreadableSource
from engine.domain.schema import Table
from engine.intake import databases, workbooks
from engine.intake.guards import refuse_other_formats
from engine.intake.mapping import TableMapping
from engine.intake.textfiles import Job, Spooled, plain, spool_csv, spool_jsonl
from engine.lake.engine import DuckDBEngine, identifier, quoted
from engine.lake.files import file_digest

_PATTERN: Final = {"parquet": "*.parquet", "csv": "*.csv*", "jsonl": "*.jsonl*", "excel": "*.xlsx"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file of a source as it was read; a database is one file too, of what it gave."""

    name: str
    sha256: str
    size_bytes: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A source as a relation: SQL that gives _file, _row, _broken, _text and the source's columns with these types.

    `_broken` says what was expected where a line is no row at all; the source's columns are then empty and `_text`
    holds the line.
    """

    sql: str
    columns: dict[str, str]
    files: tuple[SourceFile, ...]

    @property
    def rows(self) -> int:
        """How many rows the source holds, broken ones counted."""
        return sum(file.rows for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where and how sources are read: the mapping file's folder, an engine, a folder for spools, the settings."""

    base: Path
    engine: DuckDBEngine
    spool: Path
    rules: IntakeSettings


def read(table: Table, mapping: TableMapping, desk: Desk) -> Raw:
    """Return the source of one table as a relation, checked as far as that can be done without reading values.

    Raises
    ------
    MissingColumns, EmptySource, UnreadableSource
        One sentence each; nothing has been loaded then.
    """
    desk.spool.mkdir(parents=True)
    if mapping.kind == "database":
        return _by_channel(_database(table, mapping, desk), mapping, desk)
    paths = _paths(mapping, desk.base)
    raw = _parquet(table, mapping, paths, desk) if mapping.kind == "parquet" else _text(table, mapping, paths, desk)
    if raw.rows == 0:
        raise EmptySource(", ".join(mapping.sources), table.name)
    return _by_channel(raw, mapping, desk)


def _by_channel(raw: Raw, mapping: TableMapping, desk: Desk) -> Raw:
    """Turn a row with a yes or no for each channel into one row for each channel that was answered.

    A channel that was not answered gives no row: silence is not consent, and not its withdrawal either. Each channel is
    a file of its own in the report, so that file and row number still name one row.
    """
    if not mapping.per_channel:
        return raw
    answers = ", ".join(identifier(column) for column in dict.fromkeys(mapping.per_channel.values()))
    parts, files = [], []
    for channel, column in mapping.per_channel.items():
        answer = f"nullif(trim(CAST({identifier(column)} AS VARCHAR)), '')"
        named = f"_file || {quoted(f' ({channel})')}"
        part = (
            f"SELECT {named} AS _file, _row, _broken, _text, {quoted(channel)} AS channel, {answer} AS granted, "
            f"* EXCLUDE (_file, _row, _broken, _text, {answers}) FROM ({raw.sql}) WHERE {answer} IS NOT NULL"
        )
        counted = dict(desk.engine.connection.execute(f"SELECT _file, count(*) FROM ({part}) GROUP BY 1").fetchall())
        files += [
            replace(file, name=f"{file.name} ({channel})", rows=counted.get(f"{file.name} ({channel})", 0))
            for file in raw.files
        ]
        parts.append(part)
    left = {name: kind for name, kind in raw.columns.items() if name not in mapping.per_channel.values()}
    columns = {"channel": "VARCHAR", "granted": "VARCHAR", **left}
    found = Raw(sql=" UNION ALL BY NAME ".join(parts), columns=columns, files=tuple(files))
    if found.rows == 0:
        raise EmptySource(", ".join(mapping.per_channel.values()), "consents")
    return found


def _paths(mapping: TableMapping, base: Path) -> list[Path]:
    found: list[Path] = []
    for source in mapping.sources:
        path = base / source
        if path.is_dir():
            matches = [p for p in path.rglob(_PATTERN[mapping.kind]) if not p.name.startswith(("_", "."))]
        elif path.is_file():
            matches = [path]
        else:
            matches = [Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file()]  # noqa: PTH207 (may be absolute)
        if not matches:
            raise UnreadableSource(source, "no such file", "Paths are relative to the mapping file; check it there.")
        found += sorted(matches)
    return list(dict.fromkeys(found))


def _name(path: Path, base: Path) -> str:
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def require_columns(name: str, table: Table, mapping: TableMapping, found: list[str]) -> None:
    """Raise MissingColumns when a mapped column, or one that the table must have, is not in the source."""
    missing = [
        source
        for source in dict.fromkeys((*mapping.columns.values(), *mapping.per_channel.values()))
        if source not in found
    ]
    by_channel = ("channel", "granted") if mapping.per_channel else ()
    missing += [
        column.name
        for column in table.source_columns
        if column.required and column.name not in {*mapping.columns, *mapping.constants, *by_channel, *found}
    ]
    if missing:
        raise MissingColumns(name, table.name, missing, found)


# Parquet


def _parquet(table: Table, mapping: TableMapping, paths: list[Path], desk: Desk) -> Raw:
    base, files = desk.base, []
    for path in paths:
        name = _name(path, base)
        footer = _footer(path, name)
        require_columns(name, table, mapping, footer.schema.to_arrow_schema().names)
        files.append(
            SourceFile(name=name, sha256=file_digest(path), size_bytes=path.stat().st_size, rows=footer.num_rows)
        )
    listed = ", ".join(quoted(str(path)) for path in paths)
    scan = (
        f"read_parquet([{listed}], filename = true, file_row_number = true, union_by_name = true, "
        "hive_partitioning = false)"
    )
    short = _short_name("filename", base)
    sql = (
        f"SELECT {short} AS _file, file_row_number AS _row, NULL::VARCHAR AS _broken, NULL::VARCHAR AS _text, "
        f"* EXCLUDE (filename, file_row_number) FROM {scan}"
    )
    return Raw(sql=sql, columns=_described(sql, desk.engine), files=tuple(files))


def _short_name(column: str, base: Path) -> str:
    prefix = f"{base}/"
    return f"CASE WHEN starts_with({column}, {quoted(prefix)}) THEN {column}[{len(prefix) + 1}:] ELSE {column} END"


def _footer(path: Path, name: str) -> pq.FileMetaData:
    if path.stat().st_size == 0:
        raise UnreadableSource(name, "the file is empty: 0 bytes", "Check the extract that writes it.")
    with path.open("rb") as handle:
        if handle.read(4) != b"PAR1":
            raise UnreadableSource(name, "is not a Parquet file", "Mend `format` or `source` in the mapping.")
    try:
        return pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError):
        raise UnreadableSource(
            name, "its footer is missing or damaged, so the file was cut", "Fetch the file again."
        ) from None


def _described(sql: str, engine: DuckDBEngine) -> dict[str, str]:
    rows = engine.connection.execute(f"DESCRIBE {sql}").fetchall()
    return {str(row[0]): str(row[1]) for row in rows if row[0] not in {"_file", "_row", "_broken", "_text"}}


# CSV, JSONL, Excel: spooled


def _text(table: Table, mapping: TableMapping, paths: list[Path], desk: Desk) -> Raw:
    parts, files, columns = [], [], dict[str, str]()
    for index, path in enumerate(paths):
        name = _name(path, desk.base)
        if path.stat().st_size == 0:
            raise UnreadableSource(name, "the file is empty: 0 bytes", "Check the extract that writes it.")
        part = _spooled(
            mapping, Job(path=path, name=name, stem=desk.spool / f"{index:05d}", engine=desk.engine, rules=desk.rules)
        )
        require_columns(name, table, mapping, list(part.columns))
        files.append(SourceFile(name=name, sha256=file_digest(path), size_bytes=path.stat().st_size, rows=part.rows))
        parts.append(f"SELECT {quoted(name)} AS _file, * FROM ({part.sql})")
        columns |= dict.fromkeys(part.columns, "VARCHAR")
    return Raw(sql=" UNION ALL BY NAME ".join(parts), columns=columns, files=tuple(files))


def _spooled(mapping: TableMapping, job: Job) -> Spooled:
    if mapping.kind == "excel":
        target = job.stem.with_suffix(".parquet")
        written = workbooks.spool(job.path, job.name, mapping.sheet, target, job.rules.limits)
        return Spooled(sql=plain(written.path), columns=written.columns, rows=written.rows)
    refuse_other_formats(job.path, job.name, mapping.kind.upper())
    return spool_jsonl(job) if mapping.kind == "jsonl" else spool_csv(job, mapping.csv)


# databases


def _database(table: Table, mapping: TableMapping, desk: Desk) -> Raw:
    assert mapping.database is not None
    rows = desk.rules.limits.database_rows_per_fetch
    written = databases.spool(mapping.database, desk.base, desk.spool / "00000.parquet", rows)
    require_columns(written.name, table, mapping, list(written.columns))
    if written.rows == 0:
        raise EmptySource(written.name, table.name)
    file = SourceFile(
        name=written.name,
        sha256=file_digest(written.path),
        size_bytes=written.path.stat().st_size,
        rows=written.rows,
    )
    sql = f"SELECT {quoted(written.name)} AS _file, * FROM ({plain(written.path)})"
    return Raw(sql=sql, columns=_described(sql, desk.engine), files=(file,))
