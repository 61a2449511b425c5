"""What a table's contract says of each row, as checks and notes over its cells, and the one query that makes all.

A check that fails sends the row to quarantine; a note only counts what a repair did. Each has a bit, so that a row
carries all its faults in one integer and the counting is a `GROUP BY` over a handful of masks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from engine.domain.schema import Column, Kind
from engine.intake import cells
from engine.intake.cells import Cell, Reading
from engine.intake.codes import Code
from engine.intake.readers import Raw
from engine.lake.engine import identifier, quoted
from engine.lake.schema import naive_utc

BAD: Final = 0
"""Bucket of the rows that go to quarantine."""
WHOLE: Final = 1
"""Bucket of a table that is not partitioned by month."""

_KIND_WORDS: Final = {
    Kind.TEXT: "readable text",
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a number",
    Kind.SHARE: "a share between 0 and 1",
    Kind.MONEY: "an amount",
    Kind.BOOLEAN: "true or false",
    Kind.DATE: "a date such as 2026-06-30",
    Kind.INSTANT: "an instant such as 2026-06-30T09:15:00Z",
}
_PRECEDENCE: Final = {code: rank for rank, code in enumerate(Code)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One way in which a row breaks the contract."""

    code: Code
    column: str
    expected: str
    fails: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One repair of one column, true for the rows it touched."""

    rule: str
    column: str
    touched: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a table is judged against: the end of the extract, the tables before it, what was seen in its columns."""

    until: datetime | None
    parents: frozenset[str]
    mended: frozenset[str]
    mixed_zones: frozenset[str]
    identities: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The query of one table and what the bits of its masks mean."""

    sql: str
    checks: tuple[Check, ...]
    notes: tuple[Note, ...]
    extras: tuple[str, ...]


def extras_of(reading: Reading, raw: Raw, used: Iterable[Cell]) -> tuple[str, ...]:
    """Return the source columns that nothing uses and the mapping does not ignore."""
    taken = {cell.source for cell in used} | set(reading.mapping.ignore)
    return tuple(name for name in raw.columns if name not in taken)


def plan(reading: Reading, raw: Raw, around: Surroundings) -> Plan:
    """Return the query that turns a raw source into judged rows.

    It gives `_file`, `_row`, `_fault` and `_note` (masks), `_broken`, `_json` (the raw row, of bad rows only), the
    columns of the contract, the unused source columns as `x_<name>`, and `_bucket`: 0 for bad rows, else yyyymm or 1.
    """
    made = cells.build(reading, raw.columns)
    checks = tuple(sorted(_checks(reading, made, around), key=lambda check: _PRECEDENCE[check.code]))
    notes = tuple(_notes(reading, made, around))
    extras = extras_of(reading, raw, made)
    if max(len(checks), len(notes)) > 62:
        raise AssertionError(f"{reading.table.name}: more checks than bits")
    return Plan(
        sql=_query(reading, raw, made, around, (checks, notes, extras)), checks=checks, notes=notes, extras=extras
    )


# checks


def _checks(reading: Reading, made: tuple[Cell, ...], around: Surroundings) -> Iterator[Check]:
    yield Check(code=Code.BROKEN_ROW, column="", expected="", fails="_broken IS NOT NULL")
    for cell in made:
        raw, value, column = identifier(f"r_{cell.name}"), identifier(f"v_{cell.name}"), cell.column
        if column.required:
            expected = f"a value: {column.meaning}"
            yield Check(code=Code.MISSING_VALUE, column=cell.name, expected=expected, fails=f"{raw} IS NULL")
        yield from _type_checks(reading, cell, around)
        yield from _range_checks(reading, column, value, around)
        if column.references and column.required:
            parent = column.references.partition(".")[0]
            expected = f"a {column.references.partition('.')[2]} that is in {parent}"
            fails = f"{value} IS NOT NULL AND {_key_of(cell.name)} IS NULL"
            yield Check(code=Code.ORPHAN_REFERENCE, column=cell.name, expected=expected, fails=fails)


def _type_checks(reading: Reading, cell: Cell, around: Surroundings) -> Iterator[Check]:
    raw, value, column = identifier(f"r_{cell.name}"), identifier(f"v_{cell.name}"), cell.column
    unfit = f"{raw} IS NOT NULL AND {value} IS NULL"
    if column.choices:
        if column.required or not reading.enabled("empty_unknown_choice"):
            expected = f"one of {', '.join(column.choices)}"
            yield Check(code=Code.UNKNOWN_VALUE, column=cell.name, expected=expected, fails=unfit)
    elif cell.name == "currency":
        known = sorted(reading.bank.rates)
        listed = ", ".join(quoted(currency) for currency in known)
        expected = f"one of {', '.join(known)}"
        fails = f"{value} NOT IN ({listed})"
        yield Check(code=Code.UNKNOWN_CURRENCY, column=cell.name, expected=expected, fails=fails)
    elif column.kind is Kind.TEXT:
        if column.required and _human(reading, cell):
            yield Check(code=Code.WRONG_TYPE, column=cell.name, expected=_KIND_WORDS[Kind.TEXT], fails=unfit)
    elif cell.name in around.mixed_zones:
        naive = f"{value} IS NOT NULL AND NOT {identifier(f'a_{cell.name}')}"
        expected = "an offset from UTC, as other rows of the column have"
        yield Check(code=Code.MIXED_TIME_ZONE, column=cell.name, expected=expected, fails=naive)
        yield Check(code=Code.WRONG_TYPE, column=cell.name, expected=_KIND_WORDS[column.kind], fails=unfit)
    elif cell.may_be_wrong:
        yield Check(code=Code.WRONG_TYPE, column=cell.name, expected=_KIND_WORDS[column.kind], fails=unfit)


def _range_checks(reading: Reading, column: Column, value: str, around: Surroundings) -> Iterator[Check]:
    if column.kind in {Kind.DATE, Kind.INSTANT}:
        yield from _time_checks(reading, column, value, around)
        return
    low, high = column.minimum, column.maximum
    if column.kind is Kind.SHARE:
        low, high = low or 0.0, 1.0 if high is None else high
    bounds = [f"{value} < {low:g}"] if low is not None else []
    bounds += [f"{value} > {high:g}"] if high is not None else []
    if bounds:
        words = [f"at least {low:g}"] if low is not None else []
        words += [f"at most {high:g}"] if high is not None else []
        expected = " and ".join(words)
        yield Check(code=Code.OUT_OF_RANGE, column=column.name, expected=expected, fails=" OR ".join(bounds))


def _time_checks(reading: Reading, column: Column, value: str, around: Surroundings) -> Iterator[Check]:
    judgement, table = reading.rules.judgement, reading.table
    earliest = naive_utc(judgement.earliest)
    if column.name == "birth_date" and around.until is not None:
        until = naive_utc(around.until)
        earliest = max(earliest, until - timedelta(days=round(365.25 * judgement.oldest_age_years)))
    expected = f"not before {earliest.date().isoformat()}"
    fails = f"{value} < TIMESTAMP '{earliest.isoformat(sep=' ')}'"
    yield Check(code=Code.OUT_OF_RANGE, column=column.name, expected=expected, fails=fails)
    is_past = column.name == table.time_column or f"{table.name}.{column.name}" in judgement.past_columns
    if is_past and around.until is not None:
        until = naive_utc(around.until)
        expected = f"not later than the end of the extract, {until.isoformat()}Z"
        fails = f"{value} > TIMESTAMP '{until.isoformat(sep=' ')}'"
        yield Check(code=Code.FUTURE_TIME, column=column.name, expected=expected, fails=fails)


# notes


def _notes(reading: Reading, made: tuple[Cell, ...], around: Surroundings) -> Iterator[Note]:
    for cell in made:
        for note in (*_text_notes(reading, cell, around), *_value_notes(reading, cell, around)):
            if reading.enabled(note.rule):
                yield note
    by_name = {cell.name for cell in made}
    if {"occurred_at", "ingested_at"} <= by_name and reading.enabled("note_late_row"):
        hours = reading.rules.judgement.late_hours
        late = f"v_ingested_at > v_occurred_at + to_microseconds({round(hours * 3_600_000_000)})"
        yield Note(rule="note_late_row", column="ingested_at", touched=late)
    if _resolves(reading, made, around):
        known = f"{_known_customer(made)} IS NULL"
        yield Note(rule="fill_customer", column="customer_id", touched=f"{known} AND i.customer_id IS NOT NULL")
        yield Note(rule="note_unresolved_customer", column="customer_id", touched=f"{known} AND i.customer_id IS NULL")


def _text_notes(reading: Reading, cell: Cell, around: Surroundings) -> Iterator[Note]:
    raw, value = identifier(f"r_{cell.name}"), identifier(f"v_{cell.name}")
    if cell.is_text:
        yield Note(rule="trim_space", column=cell.name, touched=identifier(f"t_{cell.name}"))
    if cell.name in around.mended:
        yield Note(rule="mend_mojibake", column=cell.name, touched=f"{_mend_of(cell.name)} IS NOT NULL")
    if cell.column.choices and cell.is_text:
        yield Note(rule="fold_choice", column=cell.name, touched=f"{value} IS NOT NULL AND {raw} <> {value}")
        if not cell.column.required:
            lost = f"{raw} IS NOT NULL AND {value} IS NULL"
            yield Note(rule="empty_unknown_choice", column=cell.name, touched=lost)
    elif cell.name == "currency" and cell.is_text:
        yield Note(rule="fold_choice", column=cell.name, touched=f"{raw} <> {value}")
    elif _human(reading, cell) and not cell.column.required:
        lost = f"{raw} IS NOT NULL AND {value} IS NULL"
        yield Note(rule="empty_unreadable", column=cell.name, touched=lost)


def _value_notes(reading: Reading, cell: Cell, around: Surroundings) -> Iterator[Note]:
    column = cell.column
    helpers = [name for name, _ in cell.helpers]
    if column.kind is Kind.MONEY and helpers:
        exact = identifier(helpers[0])
        yield Note(rule="round_money", column=cell.name, touched=f"{exact} <> round({exact})")
    assumed = reading.zone is None and cell.is_text and cell.name not in around.mixed_zones
    if column.kind is Kind.INSTANT and helpers and assumed:
        naive = f"{identifier(f'v_{cell.name}')} IS NOT NULL AND NOT {identifier(helpers[0])}"
        yield Note(rule="assume_time_zone", column=cell.name, touched=naive)
    if column.references and not column.required:
        lost = f"{identifier(f'v_{cell.name}')} IS NOT NULL AND {_key_of(cell.name)} IS NULL"
        yield Note(rule="empty_orphan", column=cell.name, touched=lost)


# the query


def _query(
    reading: Reading,
    raw: Raw,
    made: tuple[Cell, ...],
    around: Surroundings,
    judged: tuple[tuple[Check, ...], tuple[Note, ...], tuple[str, ...]],
) -> str:
    checks, notes, extras = judged
    kept = [f"{identifier(name)} AS {identifier(f'x_{name}')}" for name in extras]
    source = ", ".join(
        ["_file", "_row", "_broken", "_text", *_raw_columns(reading, made), *kept, f"{_row_struct(raw)} AS _source"]
    )
    typed = ", ".join(["l.*", *_typed_columns(reading, made, around)])
    # a line that is no row fails the first check and is not asked anything else
    faults = f"CASE WHEN _broken IS NOT NULL THEN 1 ELSE {_mask(check.fails for check in checks)} END"
    masks = f"{faults} AS _fault, {_mask(note.touched for note in notes)} AS _note"
    picked = ", ".join([*_final_columns(reading, made, around), *(identifier(f"x_{name}") for name in extras)])
    return (
        "SELECT _file, _row, _fault, _note, _broken, "
        "CASE WHEN _fault <> 0 THEN coalesce(_text, to_json(_source)::VARCHAR) END AS _json, "
        f"{picked}, {_bucket(reading)} AS _bucket FROM ("
        f"SELECT t.*, {masks}{_joined_columns(reading, made, around)} FROM ("
        f"SELECT {typed} FROM (SELECT {source} FROM ({raw.sql})) l{_mend_joins(made, around)}"
        f") t{_key_joins(reading, made, around)})"
    )


def _raw_columns(reading: Reading, made: tuple[Cell, ...]) -> Iterator[str]:
    for cell in made:
        yield f"{cell.raw} AS {identifier(f'r_{cell.name}')}"
        if cell.is_text and reading.enabled("trim_space"):
            source = identifier(cell.source)
            cut = f"{source} <> coalesce({cells.trimmed(reading, source)}, {source})"
            yield f"{cut} AS {identifier(f't_{cell.name}')}"


def _row_struct(raw: Raw) -> str:
    return "struct_pack(" + ", ".join(f"{identifier(name)} := {identifier(name)}" for name in raw.columns) + ")"


def _typed_columns(reading: Reading, made: tuple[Cell, ...], around: Surroundings) -> Iterator[str]:
    # amounts last: their unit depends on the row's currency
    for cell in sorted(made, key=lambda cell: cell.column.kind is Kind.MONEY):
        for name, sql in cell.helpers:
            yield f"{sql} AS {identifier(name)}"
        value = cell.value
        if cell.name in around.mended:
            yield f"{_mend_table(cell.name)}.good AS {identifier(f'm_{cell.name}')}"
            value = f"coalesce({_mend_of(cell.name)}, {value})"
        if _human(reading, cell) and (cell.column.required or reading.enabled("empty_unreadable")):
            value = f"CASE WHEN NOT contains({value}, chr(65533)) THEN {value} END"
        yield f"{value} AS {identifier(f'v_{cell.name}')}"


def _human(reading: Reading, cell: Cell) -> bool:
    return cell.is_text and cells.is_human_text(reading.table, cell.column)


def _mend_table(column: str) -> str:
    return identifier(f"_mend_{column}")


def _mend_of(column: str) -> str:
    return identifier(f"m_{column}")


def _mend_joins(made: tuple[Cell, ...], around: Surroundings) -> str:
    named = [cell.name for cell in made if cell.name in around.mended]
    return "".join(
        f" LEFT JOIN {_mend_table(name)} ON {_mend_table(name)}.bad = l.{identifier(f'r_{name}')}" for name in named
    )


def _key_of(column: str) -> str:
    return f"{identifier(f'k_{column}')}.k"


def _referring(made: tuple[Cell, ...]) -> list[Cell]:
    return [cell for cell in made if cell.column.references]


def keys_table(parent: str) -> str:
    """Return the name of the temporary table that holds the keys kept of a table, in its column `k`."""
    return identifier(f"_keys_{parent}")


def _resolves(reading: Reading, made: tuple[Cell, ...], around: Surroundings) -> bool:
    identified = {"id_type", "id_value"} <= {cell.name for cell in made}
    return reading.table.name == "events" and identified and around.identities and reading.enabled("fill_customer")


def _known_customer(made: tuple[Cell, ...]) -> str:
    return _key_of("customer_id") if any(cell.name == "customer_id" for cell in made) else "NULL"


def _key_joins(reading: Reading, made: tuple[Cell, ...], around: Surroundings) -> str:
    joins = []
    for cell in _referring(made):
        parent = str(cell.column.references).partition(".")[0]
        table = keys_table(parent) if parent in around.parents else "(SELECT NULL::VARCHAR AS k)"
        alias = identifier(f"k_{cell.name}")
        joins.append(f" LEFT JOIN {table} {alias} ON {alias}.k = t.{identifier(f'v_{cell.name}')}")
    if _resolves(reading, made, around):
        key = "concat(t.v_id_type, chr(31), t.v_id_value)"
        joins.append(f" LEFT JOIN _identity i ON i.k = CASE WHEN {_known_customer(made)} IS NULL THEN {key} END")
    return "".join(joins)


def _joined_columns(reading: Reading, made: tuple[Cell, ...], around: Surroundings) -> str:
    columns = [f", {_key_of(cell.name)} AS {identifier(f'j_{cell.name}')}" for cell in _referring(made)]
    if _resolves(reading, made, around):
        columns.append(", i.customer_id AS j_resolved")
    return "".join(columns)


def _final_columns(reading: Reading, made: tuple[Cell, ...], around: Surroundings) -> Iterator[str]:
    by_name = {cell.name: cell for cell in made}
    for column in reading.table:
        cell = by_name.get(column.name)
        value = f"NULL::{cells.SQL_TYPE[column.kind]}" if cell is None else identifier(f"v_{column.name}")
        if column.name == "amount_base_minor":
            value = cells.base_amount(reading.bank, "v_amount_minor", "v_currency")
        elif cell is not None and column.references and not column.required and reading.enabled("empty_orphan"):
            value = identifier(f"j_{column.name}")
        if column.name == "customer_id" and _resolves(reading, made, around):
            value = f"coalesce({value if cell is None else 'j_customer_id'}, j_resolved)"
        yield f"{value} AS {identifier(column.name)}"


def _bucket(reading: Reading) -> str:
    time = identifier(f"v_{reading.table.time_column}")
    good = f"year({time}) * 100 + month({time})" if reading.table.month_partitioned else str(WHOLE)
    return f"CASE WHEN _fault <> 0 THEN {BAD} ELSE {good} END::INTEGER"


def _mask(conditions: Iterable[str]) -> str:
    bits = [f"CASE WHEN {condition} THEN {1 << bit} ELSE 0 END" for bit, condition in enumerate(conditions)]
    return f"({' | '.join(bits)})::BIGINT" if bits else "0::BIGINT"
