"""The rows that were refused, where a person can look at them: file, row number, code, column, what was expected.

`raw_row` is the whole row as JSON and so may hold personal data: it stays in this file and appears in no message.
"""

from __future__ import annotations

from pathlib import Path

from engine.intake import contracts
from engine.intake.codes import Code
from engine.intake.staging import Staged
from engine.lake.engine import DuckDBEngine, quoted


def write(engine: DuckDBEngine, staged: Staged, folder: Path) -> None:
    """Write the refused rows of one table, ordered by file and row; no file when there are none.

    `code`, `column`, `source_column` and `expected` are of the first check that failed, in the order of `Code`;
    `faults` lists all as code:column. Of a duplicate, `raw_row` is the row as it was cleaned.
    """
    parts = [_failed(staged)] if staged.faults else []
    if staged.later:
        parts.append(_later(staged))
    if not parts:
        return
    folder.mkdir(parents=True)
    target = folder / "part-00000.parquet"
    engine.connection.execute(
        f"COPY (SELECT * FROM ({' UNION ALL '.join(parts)}) ORDER BY source_file, row_number) "
        f"TO {quoted(str(target))} (FORMAT parquet, COMPRESSION zstd)"
    )


def _failed(staged: Staged) -> str:
    checks = list(enumerate(staged.plan.checks))
    first = ", ".join(
        f"CASE {' '.join(f'WHEN _fault & {1 << bit} <> 0 THEN {_said(check, field)}' for bit, check in checks)} END "
        f'AS "{field}"'
        for field in ("code", "column", "expected")
    )
    every = ", ".join(
        f"CASE WHEN _fault & {1 << bit} <> 0 THEN {quoted(f'{check.code}:{check.column}')} END" for bit, check in checks
    )
    named = staged.reading.mapping.columns
    cases = " ".join(f"WHEN _fault & {1 << bit} <> 0 THEN {quoted(named.get(c.column, c.column))}" for bit, c in checks)
    source = f"CASE {cases} END"
    return (
        f"SELECT _file AS source_file, _row AS row_number, {first}, concat_ws(' ', {every}) AS faults, "
        f"_json AS raw_row, {source} AS source_column FROM ({staged.bucket_sql(contracts.BAD)})"
    )


def _said(check: contracts.Check, field: str) -> str:
    if check.code is Code.BROKEN_ROW and field == "expected":
        return "_broken"
    return quoted(str(getattr(check, field)))


def _later(staged: Staged) -> str:
    key = ", ".join(staged.table.key)
    return (
        f'SELECT _file AS source_file, _row AS row_number, code, {quoted(key)} AS "column", '
        f"'a key that no earlier row has' AS expected, code || ':' || {quoted(key)} AS faults, _json AS raw_row, "
        f"'' AS source_column FROM {staged.later_table}"
    )
