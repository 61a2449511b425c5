"""What lies at a path that somebody picked, and the first rows of it: enough to match columns, never a whole file."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from engine.config.intake import IntakeSettings
from engine.domain.errors import SaidInBoth, UnreadableSource
from engine.intake import databases, spooling, workbooks
from engine.intake.guards import GuardedStream, likely_encoding, refuse_other_formats
from engine.intake.mapping import CsvOptions
from engine.lake.engine import identifier

Kind = Literal["csv", "parquet", "jsonl", "excel", "database"]
ROWS: Final = 200
"""Rows that are looked at."""
UPLOADS: Final = "uploads"
_HEAD: Final = 256 * 1024
_MOST_FILES: Final = 200
_SUFFIXES: Final[Mapping[str, Kind]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".asc": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "excel",
    ".duckdb": "database",
    ".sqlite": "database",
    ".db": "database",
}
_PACKED: Final = (".gz", ".zip")
_DELIMITERS: Final = ",;\t|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One thing that may fill a table: a file, a folder of Parquet files, a sheet, or a table of a database file."""

    name: str
    path: Path
    kind: Kind
    size_bytes: int
    part: str | None = None
    """The sheet of a workbook, or the table of a database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The columns of a source with its first values as text, and how it is written where it is delimited text."""

    source: Source
    columns: Mapping[str, tuple[str, ...]]
    csv: CsvOptions

    @property
    def rows(self) -> int:
        """How many rows were looked at."""
        return max((len(values) for values in self.columns.values()), default=0)


def look(text: str, *, allowed: Sequence[Path] = (), kept_out: Path | None = None) -> tuple[Source, ...]:
    """Return what lies at a path, by name; hidden files and those of other kinds are left out.

    Parameters
    ----------
    allowed : folders that files may be taken from; any when there is none.
    kept_out : the workspace, of which nothing but uploads may be taken: it holds keys.

    Raises
    ------
    SaidInBoth, UnreadableSource
        Nothing is there, or nothing that can be read.
    """
    path = _path(text, allowed, kept_out)
    try:
        found = _in_folder(path) if path.is_dir() else _of_file(path)
    except PermissionError:
        raise SaidInBoth(
            f"{path}: this may not be read by the account under which Wayline runs. Change its permissions.",
            f"{path}：运行 Wayline 的账户无权读取，请调整权限。",
        ) from None
    if not found:
        raise SaidInBoth(
            f"{path}: nothing here that can be loaded. Known are {', '.join(_SUFFIXES)}, also packed as .gz or .zip.",
            f"{path}：没有可载入的文件。支持 {'、'.join(_SUFFIXES)}，可用 .gz 或 .zip 压缩。",
        )
    return tuple(found)


def _path(text: str, allowed: Sequence[Path], kept_out: Path | None) -> Path:
    written = text.strip().strip("\"'")
    if not written or "\0" in written:
        raise SaidInBoth("Name a file or a folder of this machine.", "请填写本机上的文件或文件夹路径。")
    path = Path(written).expanduser()
    if not path.is_absolute():
        raise SaidInBoth(
            f'"{written}" is not a whole path. Begin with / so that it means the same for everybody.',
            f"“{written}”不是绝对路径，请以 / 开头。",
        )
    try:
        path = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise SaidInBoth(
            f"{written}: there is no such file or folder on this machine. Check the path.",
            f"{written}：本机没有该文件或文件夹，请检查路径。",
        ) from None
    if kept_out is not None and path.is_relative_to(kept_out / UPLOADS):
        return path
    inside = kept_out is not None and path.is_relative_to(kept_out)
    barred = bool(allowed) and not any(path.is_relative_to(folder.resolve()) for folder in allowed)
    if inside or barred or any(part.startswith(".") for part in path.parts):
        raise SaidInBoth(
            f"{path}: files may not be taken from here. Ask an administrator for a folder that may be used.",
            f"{path}：不允许从此处取文件，请向管理员索取可用文件夹。",
        )
    return path


def _in_folder(folder: Path) -> list[Source]:
    found: list[Source] = []
    for path in sorted(folder.iterdir())[: _MOST_FILES * 5]:
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir():
            parts = [part for part in path.rglob("*.parquet") if not part.name.startswith((".", "_"))]
            if parts:
                size = sum(part.stat().st_size for part in parts)
                found.append(Source(name=path.name, path=path, kind="parquet", size_bytes=size))
        elif kind_of(path) is not None:
            found += _of_file(path)
    if len(found) > _MOST_FILES:
        raise SaidInBoth(
            f"{folder} holds {len(found)} files; at most {_MOST_FILES} are matched at once. Pick a smaller folder.",
            f"{folder} 中有 {len(found)} 个文件，一次最多匹配 {_MOST_FILES} 个，请选择较小的文件夹。",
        )
    return found


def kind_of(path: Path) -> Kind | None:
    """Return what a file is by its name; None for a kind that is not loaded."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _PACKED]
    return _SUFFIXES.get(suffixes[-1]) if suffixes else None


def _of_file(path: Path) -> list[Source]:
    kind = kind_of(path)
    if kind is None:
        return []
    size = path.stat().st_size
    one = Source(name=path.name, path=path, kind=kind, size_bytes=size)
    if kind != "database":
        with path.open("rb"):  # whoever may not read it is told now
            return [one]
    return [
        Source(name=f"{path.name}: {table}", path=path, kind=kind, size_bytes=size, part=table)
        for table in _tables(path)
    ]


def _tables(path: Path) -> list[str]:
    with path.open("rb") as file:
        is_sqlite = file.read(6) == b"SQLite"
    if is_sqlite:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        return [str(row[0]) for row in rows if not str(row[0]).startswith("sqlite_")]
    with databases.open_duckdb(path, path.name) as bank:
        rows = bank.execute("SELECT table_name FROM information_schema.tables ORDER BY table_name").fetchall()
    return [str(row[0]) for row in rows]


def head(source: Source, rules: IntakeSettings) -> Head:
    """Return the columns and first rows of a source.

    Raises
    ------
    SaidInBoth, UnreadableSource
        It is empty, not what it claims, of an unknown encoding, has two columns of one name, or only one at all.
    """
    if source.path.is_file() and source.size_bytes == 0:
        raise UnreadableSource(source.name, "the file is empty: 0 bytes", "Check the extract that writes it.")
    columns, options = _READ[source.kind](source, rules)
    if len(columns) < 2:
        raise SaidInBoth(
            f"{source.name}: only one column was found. A table needs more; columns are told apart by a comma, "
            "a semicolon, a tab or a bar, and the first line must name them.",
            f"{source.name}：只找到一列。各列须以逗号、分号、制表符或竖线分隔，首行须为列名。",
        )
    return Head(source=source, columns=columns, csv=options)


_Read = tuple[dict[str, tuple[str, ...]], CsvOptions]


def _csv(source: Source, rules: IntakeSettings) -> _Read:
    refuse_other_formats(source.path, source.name, "CSV")
    encoding, text = _text(source, rules)
    lines = text.splitlines()
    whole = text if len(text.encode()) < _HEAD else "\n".join(lines[:-1])  # the last line may be cut
    delimiter = _delimiter(whole)
    reader = csv.reader(io.StringIO(whole), delimiter=delimiter)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        rows = list(islice(reader, ROWS))
    except csv.Error as fault:
        raise UnreadableSource(source.name, f"cannot be taken apart into rows ({fault})", "Check its quotes.") from None
    return _named(source, header, rows), CsvOptions(delimiter=delimiter, encoding=encoding)


def _text(source: Source, rules: IntakeSettings) -> tuple[str, str]:
    """Return the encoding of a text file and its beginning."""
    with source.path.open("rb") as file:
        mark = file.read(4)
    guesses = ["utf-16"] if mark[:2] in (b"\xff\xfe", b"\xfe\xff") else ["utf-8"]
    fault: UnreadableSource | None = None
    for encoding in (*guesses, "?"):
        named = _likely(source, rules) if encoding == "?" else encoding
        stream = GuardedStream(source.path, source.name, named, rules.limits)
        try:
            text = stream.read(_HEAD).decode("utf-8", errors="ignore").removeprefix("\ufeff")
        except UnreadableSource as problem:
            fault = fault or problem
        else:
            return named, text
        finally:
            stream.close()
    assert fault is not None, "every encoding that was tried failed with a sentence"
    raise fault


def _likely(source: Source, rules: IntakeSettings) -> str:
    stream = GuardedStream(source.path, source.name, "latin-1", rules.limits)
    try:
        return likely_encoding(stream.read(_HEAD).decode("utf-8").encode("latin-1", errors="ignore"))
    finally:
        stream.close()


def _delimiter(text: str) -> str:
    """Return what tells columns apart: what splits most lines into the same number of fields, the more the better."""
    best, most = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        try:
            widths = [len(row) for row in islice(csv.reader(io.StringIO(text), delimiter=delimiter), 50) if row]
        except csv.Error:
            continue
        if not widths or widths[0] < 2:
            continue
        alike = Counter(widths)[widths[0]] / len(widths)
        if (round(alike, 1), widths[0]) > most:
            best, most = delimiter, (round(alike, 1), widths[0])
    return best


def _named(source: Source, header: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, tuple[str, ...]]:
    if not any(header):
        raise UnreadableSource(source.name, "its first line names no columns", "Add a header line.")
    twice = sorted(name for name, times in Counter(header).items() if times > 1)
    if twice:
        raise SaidInBoth(
            f"{source.name}: two columns are called {', '.join(twice[:5])!r}. Give each column its own name.",
            f"{source.name}：有重名的列 {'、'.join(twice[:5])!r}，请为每列取不同的名称。",
        )
    return {
        name: tuple(row[place] if place < len(row) else "" for row in rows) for place, name in enumerate(header) if name
    }


def _parquet(source: Source, rules: IntakeSettings) -> _Read:
    path = source.path if source.path.is_file() else sorted(source.path.rglob("*.parquet"))[0]
    try:
        with pq.ParquetFile(path) as file:
            batch = next(file.iter_batches(ROWS), None)
            names = file.schema_arrow.names
    except (pa.ArrowInvalid, OSError):
        raise UnreadableSource(source.name, "is not a Parquet file, or was cut", "Fetch the file again.") from None
    values = {name: [] if batch is None else batch.column(name).to_pylist() for name in names}
    return {name: tuple(spooling.as_text(value) or "" for value in values[name]) for name in names}, CsvOptions()


def _jsonl(source: Source, rules: IntakeSettings) -> _Read:
    encoding, text = _text(source, rules)
    rows: list[dict[str, Any]] = []
    for line in text.splitlines()[:ROWS]:
        try:
            row = json.loads(line)
        except ValueError:
            break  # the last line may be cut
        if isinstance(row, dict):
            rows.append(row)
    if not rows:
        raise UnreadableSource(source.name, "its first line is no JSON object", "Write one object a line.")
    names = list(dict.fromkeys(name for row in rows for name in row))
    found = {name: tuple(spooling.as_text(row.get(name)) or "" for row in rows) for name in names}
    return found, CsvOptions(encoding=encoding)


def _excel(source: Source, rules: IntakeSettings) -> _Read:
    header, rows = workbooks.head(source.path, source.name, source.part, rules.limits, ROWS)
    return _named(source, header, rows), CsvOptions()


def _database(source: Source, rules: IntakeSettings) -> _Read:
    statement = f"SELECT * FROM {identifier(source.part or '')} LIMIT {ROWS}"
    try:
        with source.path.open("rb") as file:
            is_sqlite = file.read(6) == b"SQLite"
        if is_sqlite:
            with sqlite3.connect(f"file:{source.path}?mode=ro", uri=True) as connection:
                result = connection.execute(statement)
                names, rows = [column[0] for column in result.description], result.fetchall()
        else:
            with databases.open_duckdb(source.path, source.name) as bank:
                found = bank.execute(statement)
                names, rows = [column[0] for column in found.description or ()], found.fetchall()
    except (sqlite3.Error, duckdb.Error) as fault:
        raise UnreadableSource(source.name, f"cannot be read ({type(fault).__name__})", "Check the table.") from None
    texts = [[spooling.as_text(cell) or "" for cell in row] for row in rows]
    return _named(source, [str(name) for name in names], texts), CsvOptions()


_READ: Final = {"csv": _csv, "parquet": _parquet, "jsonl": _jsonl, "excel": _excel, "database": _database}


def address(source: Source) -> str:
    """Return the address of a database file, as a mapping names it."""
    with source.path.open("rb") as file:
        scheme = "sqlite" if file.read(6) == b"SQLite" else "duckdb"
    return f"{scheme}:///{source.path}"
