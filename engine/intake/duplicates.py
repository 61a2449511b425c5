"""Rows whose key an earlier row already has, found without holding all keys in memory."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from engine.domain.schema import Table
from engine.intake.codes import Code
from engine.intake.sql import number
from engine.lake.engine import DuckDBEngine, identifier, quoted

_HASHES_AT_ONCE: Final = 1 << 27
"""64-bit hashes sorted at a time: 1 GiB."""
LATER: Final = "_later"


def find(engine: DuckDBEngine, table: Table, rows_sql: str, rows: int, extras: tuple[str, ...]) -> int:
    """Make the temporary table `_later` (_file, _row, code, _json) of rows whose key came before; return how many.

    First by file and row number is kept, whatever order the rows are read in. Keys are compared by a 64-bit hash
    first, sorted as plain numbers; only rows whose hash occurs twice are then compared by the key itself.
    """
    key = ", ".join(identifier(name) for name in table.key)
    suspects = _repeated(engine, f"hash({key})", rows_sql, rows)
    engine.connection.register("_suspects", pa.table({"h": suspects}))
    whole = ", ".join([*map(identifier, table.names), *(identifier(f"x_{name}") for name in extras)])
    fields = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in table.names)
    same = "first_value(_whole) OVER same_key"
    engine.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {LATER} AS SELECT _file, _row, _json, _note, CASE WHEN _whole = {same} "
        f"THEN {quoted(Code.DUPLICATE_ROW)} ELSE {quoted(Code.DUPLICATE_KEY)} END AS code FROM ("
        f"SELECT _file, _row, _note, {key}, hash({whole}) AS _whole, to_json(struct_pack({fields}))::VARCHAR AS _json "
        f"FROM ({rows_sql}) WHERE hash({key}) IN (SELECT h FROM _suspects)) "
        f"WINDOW same_key AS (PARTITION BY {key} ORDER BY _file, _row) "
        "QUALIFY row_number() OVER same_key > 1"
    )
    engine.connection.unregister("_suspects")
    return number(engine, f"SELECT count(*) FROM {LATER}")


def _repeated(
    engine: DuckDBEngine, hashed: str, rows_sql: str, rows: int
) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    parts = max(1, -(-rows // _HASHES_AT_ONCE))
    repeated = []
    for part in range(parts):
        only = f" WHERE h % {parts} = {part}" if parts > 1 else ""
        table = engine.query(f"SELECT h FROM (SELECT {hashed} AS h FROM ({rows_sql})){only}")
        hashes = table.column("h").to_numpy().copy()
        hashes.sort()
        repeated.append(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]))
    return np.concatenate(repeated)
