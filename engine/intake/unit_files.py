"""A file with one row per unit as a typed table: ids, arms and groups as trimmed text, numbers as numbers.

What a cell cannot be is counted and told with its column and first row, never turned into something that it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ibis

from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.intake.cells import BLANKS
from engine.intake.event_files import EventFile
from engine.intake.sql import first_row
from engine.lake.engine import DuckDBEngine, identifier, quoted

UNITS: Final = "unit_table"
"""The name under which the engine knows the table."""

ARM: Final = "arm"
ROW: Final = "row_number"

_WHOLE: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT")
_NOTHING: Final = ("", "na", "n/a", "nan", "null", "none", "nil", "-")
_TRUE: Final = ("true", "t", "yes", "y")
_FALSE: Final = ("false", "f", "no", "n")
_MOST_LISTED: Final = 50
_NO_ARMS: Final = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRoles:
    """Which columns play which role; `unit` None: every row is a unit of its own; `variant` None: there are no arms."""

    unit: str | None
    variant: str | None
    cluster: str | None = None
    numbers: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitTable:
    """The typed table as the engine knows it: the name of each role's column, and what was left out.

    `table` has "arm", the numbers under `of` of their source columns, and rows with a unit and an arm only. `whole`
    are the columns of whole numbers and truth values.
    """

    table: Any
    of: Mapping[str, str]
    whole: tuple[str, ...]
    rows: int
    broken: int
    without_arm: int
    without_unit: int
    notes: tuple[str, ...]


def attach(file: EventFile, roles: UnitRoles, engine: DuckDBEngine, spool: Path) -> UnitTable:
    """Make a file readable as the table `UNITS`.

    Raises
    ------
    UnknownName
        A column that was named is not in the file.
    SettingsFault
        A column of numbers holds other text, or one of truth values other values; every such column is named.
    NotEnoughData
        The file has no row, or none with a unit and an arm.
    """
    for what, column in _named(roles):
        if column not in file.columns:
            raise UnknownName(f"{what} column", column, list(file.columns)[:_MOST_LISTED])
    if file.rows - file.broken == 0:
        raise NotEnoughData("experiment", f"{file.name} has no rows", "a file with a row for each unit")
    wanted = dict.fromkeys(column for _, column in _named(roles))
    of = {column: f"c{place}" for place, column in enumerate(wanted)}
    numbers = (*roles.numbers, *roles.shares)
    made = {column: _sql(file, column, number=column in numbers, share=column in roles.shares) for column in wanted}
    selected = [f"{made[column]} AS {of[column]}" for column in wanted]
    typed = f"SELECT {', '.join(selected)}, {identifier(file.row)} AS {ROW} FROM ({file.sql})"
    _refuse_other_values(file, roles, engine)
    if not file.parquet:
        # parsed once, not at every reading
        target = spool / "units.parquet"
        engine.connection.execute(f"COPY ({typed}) TO {quoted(str(target))} (FORMAT parquet, COMPRESSION lz4)")
        typed = f"SELECT * FROM read_parquet({quoted(str(target))})"
    arm = quoted(_NO_ARMS) if roles.variant is None else of[roles.variant]
    drawn = [of[column] for column in (roles.cluster, roles.unit) if column is not None]
    has_unit = " AND ".join(f"{name} IS NOT NULL" for name in drawn) or "true"
    rows, without_arm, without_unit = first_row(
        engine,
        f"SELECT count(*), count(*) FILTER ({arm} IS NULL), count(*) FILTER ({arm} IS NOT NULL AND NOT ({has_unit})) "
        f"FROM ({typed})",
    )
    if rows == without_arm + without_unit:
        lacking = "an arm" if without_arm else "a unit"
        raise NotEnoughData("experiment", f"no row of {file.name} has {lacking}", "the columns of the unit and its arm")
    gaps = f" WHERE {arm} IS NOT NULL AND {has_unit}" if without_arm + without_unit else ""
    engine.connection.execute(
        f"CREATE OR REPLACE VIEW {identifier(UNITS)} AS SELECT *, {arm} AS {ARM} FROM ({typed}){gaps}"
    )
    kinds = dict(engine.connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE {UNITS})").fetchall())
    schema = {name: _ibis_type(str(kind)) for name, kind in kinds.items()}
    return UnitTable(
        table=ibis.table(ibis.schema(schema), name=UNITS),
        of=of,
        whole=tuple(of[column] for column in numbers if schema[of[column]] != "float64"),
        rows=rows,
        broken=file.broken,
        without_arm=without_arm,
        without_unit=without_unit,
        notes=file.notes,
    )


def _named(roles: UnitRoles) -> list[tuple[str, str]]:
    named: list[tuple[str, str | None]] = [("unit", roles.unit), ("variant", roles.variant), ("cluster", roles.cluster)]
    named += [("metric", column) for column in (*roles.numbers, *roles.shares)]
    named += [("group", column) for column in roles.groups]
    return [(what, column) for what, column in named if column is not None]


def _sql(file: EventFile, column: str, *, number: bool, share: bool) -> str:
    """Return SQL of one column: text trimmed, what says nothing null; numbers as they are."""
    raw, kind = identifier(column), file.columns[column]
    if not number:
        return raw if kind in _WHOLE else _text(raw)
    if kind == "BOOLEAN" or kind in _WHOLE:
        return raw if kind != "HUGEINT" else f"CAST({raw} AS DOUBLE)"
    if kind != "VARCHAR":
        return f"TRY_CAST({raw} AS DOUBLE)"
    text = f"lower({_text(raw)})"
    value = f"TRY_CAST({text} AS DOUBLE)"
    if not share:
        return f"CASE WHEN {text} NOT IN ({_listed(_NOTHING)}) THEN {value} END"
    return (
        f"CASE WHEN {text} IN ({_listed(_NOTHING)}) THEN NULL WHEN {text} IN ({_listed(_TRUE)}) THEN true "
        f"WHEN {text} IN ({_listed(_FALSE)}) THEN false WHEN {value} = 1 THEN true WHEN {value} = 0 THEN false END"
    )


def _text(raw: str) -> str:
    return f"nullif(trim(CAST({raw} AS VARCHAR), {quoted(BLANKS)}), '')"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(quoted(word) for word in words)


def _refuse_other_values(file: EventFile, roles: UnitRoles, engine: DuckDBEngine) -> None:
    """Raise with every column whose cells are not what the column was said to hold."""
    asked = [(column, column in roles.shares) for column in dict.fromkeys((*roles.numbers, *roles.shares))]
    wrong = {column: _wrong(file, column, share=share) for column, share in asked}
    checked = [column for column in wrong if wrong[column]]
    if not checked:
        return
    parts = ", ".join(
        f"count(*) FILTER ({wrong[column]}), min({identifier(file.row)}) FILTER ({wrong[column]})" for column in checked
    )
    found = first_row(engine, f"SELECT {parts} FROM ({file.sql})")
    expected = {False: "are no numbers", True: "are neither 0 nor 1, true nor false; for another number say mean"}
    faults = [
        f'"{column}": {found[2 * place]:,} of {file.rows - file.broken:,} values {expected[column in roles.shares]}, '
        f"the first in row {found[2 * place + 1] + 1:,}"
        for place, column in enumerate(checked)
        if found[2 * place]
    ]
    if faults:
        raise SettingsFault(file.name, faults)


def _wrong(file: EventFile, column: str, *, share: bool) -> str:
    raw, kind = identifier(column), file.columns[column]
    if kind == "BOOLEAN":
        return ""
    made = _sql(file, column, number=True, share=share)
    if kind == "VARCHAR":
        text = f"lower({_text(raw)})"
        return f"{text} NOT IN ({_listed(_NOTHING)}) AND ({made}) IS NULL"
    if share:
        return f"{raw} NOT IN (0, 1) AND NOT isnan(CAST({raw} AS DOUBLE))"
    plain = kind in _WHOLE or kind in {"FLOAT", "DOUBLE"} or kind.startswith("DECIMAL")
    return "" if plain else f"{raw} IS NOT NULL AND ({made}) IS NULL"


def _ibis_type(kind: str) -> str:
    if kind == "BOOLEAN":
        return "boolean"
    return "int64" if kind in _WHOLE else "float64" if kind in {"DOUBLE", "FLOAT"} else "string"
