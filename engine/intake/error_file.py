"""The rows that were refused, as a file to mend them by: row, column, code, what was expected, the value masked."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import duckdb

from engine.domain.curated import CURATED
from engine.domain.schema import Kind, Table
from engine.intake.codes import MEANINGS, Code

HEADER: Final = ("file", "table", "row_number", "column", "error_code", "message", "value_masked", "field")
"""`row_number` counts as a spreadsheet does: the header is row 1. `column` is the file's, `field` the table's."""
_PLAIN: Final = frozenset(
    {"product_id", "currency", "event_name", "category", "lifecycle", "variant", "experiment_id", "topic", "list_name"}
)
"""Texts of a bank's own making that name nobody."""
_SHOWN: Final = 40
_HIDDEN: Final = re.compile(r"@|\d{7,}")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_NUMBER: Final = re.compile(r"[-+]?\d[\d.,]*")


def write(quarantine: Path, target: Path) -> int:
    """Write all refused rows below a quarantine folder as CSV for a spreadsheet, and return how many there are."""
    rows = 0
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for row in _rows(quarantine, "ORDER BY source_file, row_number"):
            writer.writerow([_guarded(str(cell)) for cell in row])
            rows += 1
    return rows


def examples(quarantine: Path, each: int = 3) -> list[dict[str, Any]]:
    """Return the first refused rows of every table, code and column, masked as the file masks them."""
    picked = f'QUALIFY row_number() OVER (PARTITION BY code, "column" ORDER BY source_file, row_number) <= {int(each)}'
    return [dict(zip(HEADER, row, strict=True)) for row in _rows(quarantine, picked)]


def _rows(quarantine: Path, rest: str) -> Iterator[tuple[object, ...]]:
    for name, table in CURATED.items():
        parts = sorted((quarantine / name).glob("*.parquet"))
        if not parts:
            continue
        with duckdb.connect() as connection:
            result = connection.execute(f"SELECT * FROM read_parquet(?) {rest}", [[str(part) for part in parts]])
            names = [column[0] for column in result.description or ()]
            while chunk := result.fetchmany(2_000):
                for row in chunk:
                    yield _line(table, dict(zip(names, row, strict=True)))


def _line(table: Table, row: Mapping[str, Any]) -> tuple[object, ...]:
    column, code = row["column"] or "", row["code"]
    source = row.get("source_column") or column
    meaning = MEANINGS[Code(code)][0] if code in set(Code) else code
    message = f"{meaning}; expected {row['expected']}" if row["expected"] else meaning
    value = masked(table, column, _value(row["raw_row"], source, column))
    return row["source_file"], table.name, row["row_number"] + 2, source, code, message, value, column


def _value(raw_row: str | None, *names: str) -> str:
    try:
        content = json.loads(raw_row or "{}")
    except ValueError:
        return ""
    found = next((content[name] for name in names if isinstance(content, dict) and name in content), None)
    return "" if found is None else str(found)


def masked(table: Table, column: str, value: str) -> str:
    """Return a value as it may be shown: personal data, ids and long texts as their ends and their length.

    What a column of numbers, dates or known words holds is shown, unless it looks like an address or a number of a
    person: a column may be mapped to the wrong thing.
    """
    known = {one.name: one for one in table}.get(column)
    if not value:
        return ""
    shown = known is not None and not known.personal and not known.free_text
    shown = shown and known is not None and (known.kind is not Kind.TEXT or bool(known.choices) or column in _PLAIN)
    if shown and len(value) <= _SHOWN and not _HIDDEN.search(value):
        return value
    return veiled(value)


def veiled(value: str) -> str:
    """Return a value of which only the ends and the length are told."""
    if len(value) <= 2:
        return "*" * len(value)
    return f"{value[0]}{'*' * min(len(value) - 2, 6)}{value[-1]} ({len(value)})"


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
