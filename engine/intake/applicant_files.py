"""A file with one row for each loan or applicant, nothing said about its columns: what each column is, and its values.

Numbers and text can be characteristics. What tells one row from another (ids), dates, free text and what is the same
in every row cannot, and is left out by name with the reason. Nothing is guessed silently: a cell that is no number in
a column of numbers, and a number without end, are read as missing and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from engine.config.intake import IntakeSettings
from engine.domain.errors import UnreadableSource
from engine.intake import event_files, workbooks
from engine.intake.cells import BLANKS
from engine.intake.event_files import EventFile
from engine.intake.sql import first_row
from engine.lake.engine import DuckDBEngine, identifier, quoted

Kind = Literal["number", "category"]
Why = Literal["id", "date", "free_text", "many_values", "constant", "empty", "nested"]

ROW: Final = "row_number"
"""The column beside those asked for that holds each row's number in the file, from 1 on."""

_NOTHING: Final = ("na", "n/a", "nan", "null")
_NUMBERS: Final = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)")
_NESTED: Final = re.compile(r".*\[.*\]|STRUCT.*|MAP.*|UNION.*|BLOB|JSON|VARIANT")
_NAMED_ID: Final = re.compile(r"(^|.*[_ \-.])(id|uuid|guid|key|nr|no|number)|.*[a-z]I[Dd]", re.IGNORECASE)
_MOSTLY: Final = 0.95  # share of numbers from which the other cells are faults rather than words
_NEARLY_ALL: Final = 0.95  # share of rows with a value of their own from which a column tells rows apart
_FEW_ROWS: Final = 20  # below it a column of different values may be so by chance
_MOST_CATEGORIES: Final = 1_000
_ROWS_A_VALUE: Final = 5  # rows that a value of a category has on average at least
_LONG: Final = 40  # characters on average from which text is prose
_MOST_VALUES: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A column that cannot be a characteristic; `values` is how many different ones it has."""

    name: str
    why: Why
    values: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Cells of a column of numbers that were read as missing: those that are no numbers, and those without end."""

    name: str
    no_number: int
    infinite: int
    first_row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of a file are. A column is in `kinds` or in `left_out`."""

    kinds: Mapping[str, Kind]
    left_out: tuple[LeftOut, ...] = ()
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Profile:
    """What was counted of the cells of one column that hold anything.

    `dates` counts what reads as a date, `spaced` texts of several words; `span` is the largest number less the smallest
    where all are whole, else None.
    """

    name: str
    filled: int = 0
    different: int = 0
    numbers: int = 0
    infinite: int = 0
    first_unread: int | None = None
    length: float = 0.0
    spaced: int = 0
    dates: int = 0
    span: float | None = None


def read(
    path: Path, engine: DuckDBEngine, spool: Path, rules: IntakeSettings, *, encoding: str | None = None
) -> EventFile:
    """Return a CSV, Parquet or Excel file as a relation; what text becomes lies in the folder `spool`.

    Raises
    ------
    UnreadableSource
        No such file, empty, cut, of another format, not of its encoding, two columns of one name, or XML.
    """
    if path.is_file() and _is_workbook(path):
        return _workbook(path, engine, spool, rules)
    file = event_files.read(path, engine, spool, rules, encoding=encoding)
    if file.parquet and _doubled(file):
        raise UnreadableSource(file.name, "two columns have one name", "Give each column its own name.")
    return file


def columns(file: EventFile, engine: DuckDBEngine, *, categories: Sequence[str] = ()) -> Columns:
    """Return what each column of a file is.

    categories : columns whose values are names even where they look like numbers.
    """
    kinds: dict[str, Kind] = {}
    left_out, unread = [], []
    for name in file.columns:
        nested = _NESTED.fullmatch(file.columns[name]) is not None
        counted = _Profile(name=name) if nested else _profile(file, name, engine)
        found: Kind | Why = "nested" if nested else _judged(counted, forced=name in categories)
        if found == "number" or found == "category":  # noqa: PLR1714  told apart by the type checker
            kinds[name] = found
        else:
            left_out.append(LeftOut(name=name, why=found, values=counted.different))
        no_number = counted.filled - counted.numbers
        if found == "number" and no_number + counted.infinite:
            first = counted.first_unread or 0
            unread.append(Unread(name=name, no_number=no_number, infinite=counted.infinite, first_row=first))
    return Columns(kinds=kinds, left_out=tuple(left_out), unread=tuple(unread))


def values(file: EventFile, column: str, engine: DuckDBEngine) -> dict[str, int]:
    """Return the values of a column as text, the most frequent first, and how many rows have each."""
    rows = engine.connection.execute(
        f"SELECT {_text(file, column)} AS v, count(*) AS n FROM ({file.sql}) WHERE v IS NOT NULL "
        f"GROUP BY v ORDER BY n DESC, v LIMIT {_MOST_VALUES}"
    ).fetchall()
    return {str(value): int(count) for value, count in rows}


def table(
    file: EventFile, kinds: Mapping[str, Kind], engine: DuckDBEngine, texts: Sequence[str] = (), time: str | None = None
) -> pa.Table:
    """Return the rows of a file in order: characteristics by kind, `texts` as trimmed text, and `ROW`.

    time : a column that comes as UTC timestamps, null where one cannot be read.
    """
    return engine.query(_select(file, kinds, texts, time))


def batches(
    file: EventFile, kinds: Mapping[str, Kind], engine: DuckDBEngine, texts: Sequence[str] = (), *, size: int
) -> Iterator[pa.Table]:
    """Yield the same rows in blocks of at most `size`, each read when it is asked for."""
    reader = engine.connection.sql(_select(file, kinds, texts, None)).to_arrow_reader(size)
    for batch in reader:
        yield pa.Table.from_batches([batch])


def _select(file: EventFile, kinds: Mapping[str, Kind], texts: Sequence[str], time: str | None) -> str:
    made = {name: _number(file, name) if kind == "number" else _text(file, name) for name, kind in kinds.items()}
    made |= {name: _text(file, name) for name in texts}
    if time is not None:
        made[time] = _time(file, time)
    listed = "".join(f"{sql} AS {identifier(name)}, " for name, sql in made.items())
    # the engine keeps no order of rows by itself
    row = identifier(file.row)
    return f"SELECT {listed}{row} + 1 AS {identifier(ROW)} FROM ({file.sql}) ORDER BY {row}"


def _is_workbook(path: Path) -> bool:
    with path.open("rb") as handle:
        return path.suffix.lower() in {".xlsx", ".xlsm"} and handle.read(4) == b"PK\x03\x04"


def _workbook(path: Path, engine: DuckDBEngine, spool: Path, rules: IntakeSettings) -> EventFile:
    written = workbooks.spool(path, path.name, None, spool / "sheet.parquet", rules.limits)
    row = "_row"
    while row in written.columns:
        row = f"_{row}"
    scan = f"read_parquet({quoted(str(written.path))}, file_row_number = true)"
    sql = f"SELECT * EXCLUDE (file_row_number), file_row_number AS {identifier(row)} FROM {scan}"
    kinds = dict.fromkeys(written.columns, "VARCHAR")
    return EventFile(name=path.name, sql=sql, columns=kinds, row=row, rows=written.rows)


def _doubled(file: EventFile) -> bool:
    names = [name.lower() for name in pq.read_schema(file.parquet[0]).names]
    return len(set(names)) < len(names)


def _profile(file: EventFile, name: str, engine: DuckDBEngine) -> _Profile:
    """Count one column in one pass over it."""
    kind = file.columns[name]
    moment = "TRY_CAST(t AS TIMESTAMP)" if kind == "VARCHAR" else "NULL"
    day = "CASE length(t) WHEN 8 THEN try_strptime(t, '%Y%m%d') WHEN 6 THEN try_strptime(t, '%y%m%d') END"
    row = first_row(
        engine,
        "SELECT count(t), count(DISTINCT t), count(x), count(*) FILTER (isinf(x)), "
        "min(r) FILTER (t IS NOT NULL AND (x IS NULL OR isinf(x))), coalesce(avg(length(t)), 0), "
        f"count(*) FILTER (contains(t, ' ')), count(CASE WHEN x IS NULL THEN {moment} ELSE {day} END), "
        "CASE WHEN bool_and(x = trunc(x)) THEN max(x) - min(x) END "
        f"FROM (SELECT {_text(file, name)} AS t, {_raw_number(file, name)} AS x, {identifier(file.row)} AS r "
        f"FROM ({file.sql}))",
    )
    filled, different, numbers, infinite, first, length, spaced, dates, span = row
    return _Profile(
        name=name,
        filled=filled,
        different=different,
        numbers=numbers,
        infinite=infinite,
        first_unread=None if first is None else first + 1,
        length=length,
        spaced=spaced,
        dates=dates,
        span=span,
    )


def _judged(profile: _Profile, *, forced: bool) -> Kind | Why:
    """Return the kind of a column, or why it has none."""
    if profile.filled == 0:
        return "empty"
    if profile.different == 1:
        return "constant"
    if forced:
        return "category"
    if profile.dates == profile.filled and (profile.numbers == 0 or profile.filled >= _FEW_ROWS):
        return "date"
    if profile.numbers >= _MOSTLY * profile.filled:
        return "id" if _numbers_rows(profile) else "number"
    return _of_text(profile)


def _of_text(profile: _Profile) -> Kind | Why:
    if profile.length >= _LONG:
        return "free_text"
    if profile.filled >= _FEW_ROWS and profile.different >= _NEARLY_ALL * profile.filled:
        return "free_text" if profile.spaced * 2 > profile.filled else "id"
    few_each = profile.different > _FEW_ROWS and profile.different * _ROWS_A_VALUE > profile.filled
    return "many_values" if profile.different > _MOST_CATEGORIES or few_each else "category"


def _numbers_rows(profile: _Profile) -> bool:
    """Whether whole numbers tell the rows apart: each its own, and without gaps or in a column named like an id."""
    if profile.span is None or profile.filled < _FEW_ROWS or profile.different < profile.filled:
        return False
    return profile.span == profile.filled - 1 or _NAMED_ID.fullmatch(profile.name) is not None


def _text(file: EventFile, name: str) -> str:
    """Return SQL of a column as trimmed text, null where it says nothing."""
    raw = identifier(name)
    if file.columns[name] in {"FLOAT", "DOUBLE"}:
        # 1.0 is the 1 of a file of text; a number without end is none of these, and not empty either
        whole = f"CASE WHEN {raw} = trunc({raw}) THEN CAST(TRY_CAST({raw} AS BIGINT) AS VARCHAR) END"
        words = f"CAST({raw} AS VARCHAR)"
        # not by isnan: a file's statistics leave NaN out, and the engine takes from them that there is none
        return f"coalesce({whole}, CASE WHEN {words} NOT IN ('nan', '-nan') THEN {words} END)"
    if file.columns[name] != "VARCHAR":
        return f"CAST({raw} AS VARCHAR)"
    trimmed = f"trim({raw}, {quoted(BLANKS)})"
    return f"CASE WHEN lower({trimmed}) NOT IN ('', {', '.join(map(quoted, _NOTHING))}) THEN {trimmed} END"


def _raw_number(file: EventFile, name: str) -> str:
    """Return SQL of a column as a number, without end where it says so, null where it is none."""
    kind = file.columns[name]
    if kind != "VARCHAR" and not _NUMBERS.fullmatch(kind):
        return "CAST(NULL AS DOUBLE)"
    number = f"TRY_CAST({_text(file, name) if kind == 'VARCHAR' else identifier(name)} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) OR isinf({number}) THEN {number} END"  # see _text on isnan


def _number(file: EventFile, name: str) -> str:
    number = _raw_number(file, name)
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def _time(file: EventFile, name: str) -> str:
    """Return SQL of a column as a timestamp: ISO text, 20260630, 260630, a year, or what Parquet has as one."""
    kind = file.columns[name]
    if "TIME ZONE" in kind:
        return f"CAST({identifier(name)} AT TIME ZONE 'UTC' AS TIMESTAMP)"
    if kind != "VARCHAR" and not _NUMBERS.fullmatch(kind):
        return f"TRY_CAST({identifier(name)} AS TIMESTAMP)"
    text = f"regexp_replace({_text(file, name)}, '[.]0$', '')"
    forms = {8: "%Y%m%d", 6: "%y%m%d", 4: "%Y"}
    cases = " ".join(f"WHEN {length} THEN try_strptime({text}, {quoted(form)})" for length, form in forms.items())
    digits = f"CASE length({text}) {cases} END"
    return f"CASE WHEN regexp_full_match({text}, '[0-9]+') THEN {digits} ELSE TRY_CAST({text} AS TIMESTAMP) END"
