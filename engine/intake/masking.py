"""Personal data in the free text of a table: found in its spool and masked on the way to the curated table.

Only distinct texts that may hold some come to Python. What was found is counted by kind and never told.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from engine.domain.schema import Table
from engine.intake.report import MaskReport
from engine.intake.sql import number
from engine.lake.engine import DuckDBEngine, identifier, quoted
from engine.texts import masking
from engine.texts.patterns import WORTH_A_LOOK

_AT_ONCE: Final = 200_000
"""Distinct texts in Python at a time."""


def columns_of(table: Table) -> tuple[str, ...]:
    """Return the columns of free text of a table."""
    return tuple(column.name for column in table if column.free_text)


def masked_table(table: Table, column: str) -> str:
    """Return the name of the temporary table that holds texts as they were (`raw`) and as they are kept (`masked`)."""
    return identifier(f"_masked_{table.name}_{column}")


def find(engine: DuckDBEngine, table: Table, rows_sql: str, limit_characters: int) -> tuple[MaskReport, ...]:
    """Make one small table of texts that change per column of free text, and return what was masked in its rows."""
    return tuple(_find(engine, table, column, rows_sql, limit_characters) for column in columns_of(table))


def kept_sql(table: Table, column: str) -> tuple[str, str]:
    """Return SQL of a column as it is kept, of rows `s`, and the join that it needs; emptied text is NULL."""
    alias = identifier(f"m_{column}")
    raw = f"s.{identifier(column)}"
    kept = f"CASE WHEN {alias}.raw IS NULL THEN {raw} ELSE nullif({alias}.masked, '') END AS {identifier(column)}"
    return kept, f" LEFT JOIN {masked_table(table, column)} {alias} ON {alias}.raw = {raw}"


def drop(engine: DuckDBEngine, table: Table) -> None:
    """Forget the texts of a table."""
    for column in columns_of(table):
        engine.connection.execute(f"DROP TABLE IF EXISTS {masked_table(table, column)}")


def _find(engine: DuckDBEngine, table: Table, column: str, rows_sql: str, limit: int) -> MaskReport:
    text, target = identifier(column), masked_table(table, column)
    engine.connection.execute(f"CREATE OR REPLACE TEMP TABLE {target} (raw VARCHAR, masked VARCHAR)")
    engine.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _said AS SELECT {text} AS raw, count(*) AS n FROM ({rows_sql}) "
        f"WHERE length({text}) > {int(limit)} OR regexp_matches({text}, {quoted(WORTH_A_LOOK)}) GROUP BY 1"
    )
    kinds: dict[str, int] = {}
    rows = cut = 0
    for begin in range(0, number(engine, "SELECT count(*) FROM _said"), _AT_ONCE):
        said = engine.query(f"SELECT raw, n FROM _said WHERE rowid >= {begin} AND rowid < {begin + _AT_ONCE}")
        raw, counts = said.column("raw").combine_chunks(), said.column("n").to_numpy().astype(np.int64)
        found = masking.mask(raw, limit)
        for kind, more in masking.kinds_counted(found, counts).items():
            kinds[kind] = kinds.get(kind, 0) + more
        rows += int(counts[found.counts.sum(axis=1) > 0].sum())
        cut += int(counts[found.cut].sum())
        engine.connection.register("_found", pa.table({"raw": raw, "masked": found.texts}))
        engine.connection.execute(f"INSERT INTO {target} SELECT raw, masked FROM _found WHERE raw <> masked")
        engine.connection.unregister("_found")
    engine.connection.execute("DROP TABLE _said")
    return MaskReport(column=column, rows=rows, kinds=dict(sorted(kinds.items())), cut_rows=cut)
