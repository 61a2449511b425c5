"""The engines that run compiled expressions: DuckDB here, Spark beside it in `spark.py`, one protocol for both.

Ibis only compiles; our own connection runs the text. Its own back ends break on current DuckDB and sqlglot.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import duckdb
import ibis
import pyarrow as pa

from engine.lake.files import ROW_GROUP_ROWS

if TYPE_CHECKING:  # it takes a quarter of a second to import, and most commands need none of it
    import pandas as pd

Values = Mapping[str, Sequence[str] | None]
"""Columns and all the values that they have; None where nobody knows them yet."""

_MOST_CODES: Final = 1_000


class Engine(Protocol):
    """What runs an expression over the tables attached to it."""

    name: str

    def attach(self, name: str, source: Path | pa.Table) -> None:
        """Make a Parquet file or folder, or an Arrow table, readable under a name; replaces an earlier one."""

    def compile(self, expression: Any) -> str:
        """Return the SQL of an expression in the engine's dialect."""

    def arrow(self, expression: Any) -> pa.Table:
        """Run an expression and return its rows; in no particular order unless it orders them."""

    def map_blocks(
        self,
        expression: Any,
        key: str,
        function: Callable[[pa.Table], pa.Table],
        *,
        blocks: int = 1,
        coded: Values | None = None,
    ) -> pa.Table:
        """Hand the rows of an expression to a function in blocks and return all that it makes of them, in no order.

        All rows of one key are in one block, in no order. The function must be pure, importable by other processes
        (a function of a module, or `functools.partial` of one), and return the same columns for every block, also
        for one of no rows. `blocks` is how many pieces to cut the rows into, where this process runs them. `coded`
        names columns of text, none of it null, that may come as codes into a dictionary, with their values where the
        caller knows all of them.
        """

    def frame(self, expression: Any) -> pd.DataFrame:
        """Run an expression and return its rows as a data frame; for small results."""

    def write(self, expression: Any, folder: Path, *, order_by: Sequence[str]) -> int:
        """Write the rows of an expression as sorted Parquet into a new folder and return how many there are.

        `order_by` must name a unique key: the same rows then give the same bytes.
        """


class DuckDBEngine:
    """DuckDB in memory over Parquet, with a memory limit and a folder to spill to.

    In memory, since a DuckDB file shuts every other process out.
    """

    name = "duckdb"

    def __init__(self, memory_limit: str = "4GB", threads: int | None = None, spill: Path | None = None) -> None:
        self.connection = duckdb.connect(":memory:")
        self._set("memory_limit", memory_limit)
        self._set("threads", str(threads or os.cpu_count() or 1))
        self._set("TimeZone", "UTC")
        self._set("enable_progress_bar", "false")
        # nothing from outside: extensions are never fetched
        self._set("autoinstall_known_extensions", "false")
        if spill is not None:
            spill.mkdir(parents=True, exist_ok=True)
            self._set("temp_directory", str(spill))

    def _set(self, setting: str, value: str) -> None:
        self.connection.execute(f"SET {setting} = {quoted(value)}")

    def __enter__(self) -> DuckDBEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and free its memory."""
        self.connection.close()

    def attach(self, name: str, source: Path | pa.Table) -> None:
        """Make a Parquet file or folder, or an Arrow table, readable under a name."""
        self.connection.execute(f"DROP VIEW IF EXISTS {identifier(name)}")
        if isinstance(source, Path):
            self.connection.execute(f"CREATE VIEW {identifier(name)} AS SELECT * FROM {parquet_scan(source)}")
        else:
            self.connection.register(name, source)

    def compile(self, expression: Any) -> str:
        """Return the DuckDB SQL of an expression."""
        return str(ibis.to_sql(expression, dialect="duckdb"))

    def arrow(self, expression: Any) -> pa.Table:
        """Run an expression and return its rows."""
        return _as_declared(self.query(self.compile(expression)), expression)

    def map_blocks(
        self,
        expression: Any,
        key: str,
        function: Callable[[pa.Table], pa.Table],
        *,
        blocks: int = 1,
        coded: Values | None = None,
    ) -> pa.Table:
        """Hand the rows of an expression to a function, whole keys at a time; one block is in memory at once."""
        return pa.concat_tables(function(block) for block in self.blocks(expression, key, blocks, coded))

    def blocks(self, expression: Any, key: str, count: int, coded: Values | None = None) -> Iterator[pa.Table]:
        """Yield the rows of an expression in blocks, all of one key in one, each read when it is asked for."""
        rows = self._with_codes(self.compile(expression), coded or {})
        if count == 1:
            yield _as_declared(self.query(rows), expression)
            return
        cut = f"hash({identifier(key)}) % {int(count)}"
        for block in range(count):
            yield _as_declared(self.query(f"SELECT * FROM ({rows}) WHERE {cut} = {block}"), expression)

    def _with_codes(self, rows: str, coded: Values) -> str:
        """Return SQL of the rows with columns as enumerations, which leave as codes: a tenth of the text's memory."""
        cast = []
        for name, known in coded.items():
            column = identifier(name)
            sample = f"SELECT DISTINCT {column} FROM ({rows}) LIMIT {_MOST_CODES + 1}"
            values = known if known is not None else [row[0] for row in self.connection.execute(sample).fetchall()]
            if 0 < len(values) <= _MOST_CODES:
                cast.append(f"{column}::ENUM({', '.join(map(quoted, values))}) AS {column}")
        return f"SELECT * REPLACE ({', '.join(cast)}) FROM ({rows})" if cast else rows

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """Run SQL text and return its rows; for the lake, intake and the pages' look-ups only."""
        self.connection.complete()  # an earlier statement's result, of which only the first row was fetched
        return self.connection.sql(sql, params=list(parameters)).to_arrow_table()

    def frame(self, expression: Any) -> pd.DataFrame:
        """Run an expression and return its rows as a data frame."""
        frame: pd.DataFrame = self.arrow(expression).to_pandas()
        return frame

    def write(self, expression: Any, folder: Path, *, order_by: Sequence[str]) -> int:
        """Write the rows of an expression as one sorted Parquet file in a new folder and return how many."""
        folder.mkdir(parents=True)
        target = folder / "part-00000.parquet"
        order = ", ".join(identifier(name) for name in order_by)
        self.connection.execute(
            f"COPY (SELECT {_declared(expression)} FROM ({self.compile(expression)}) ORDER BY {order}) "
            f"TO {quoted(str(target))} "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
        )
        counted = self.connection.execute(f"SELECT count(*) FROM {parquet_scan(target)}").fetchone()
        return int(counted[0]) if counted else 0


def _whole_numbers(expression: Any) -> tuple[str, ...]:
    """Return the columns that an expression declares as int64.

    DuckDB sums them into 128 bits, which would leave as a decimal; the declared type holds on every engine.
    """
    return tuple(name for name, kind in expression.as_table().schema().items() if kind.is_int64())


def _declared(expression: Any) -> str:
    casts = ", ".join(f"{identifier(name)}::BIGINT AS {identifier(name)}" for name in _whole_numbers(expression))
    return f"* REPLACE ({casts})" if casts else "*"


def _as_declared(rows: pa.Table, expression: Any) -> pa.Table:
    for name in _whole_numbers(expression):
        index = rows.schema.get_field_index(name)
        if rows.schema.types[index] != pa.int64():
            rows = rows.set_column(index, name, rows.column(index).cast(pa.int64()))
    return rows


def parquet_scan(source: Path) -> str:
    """Return the table function that reads a Parquet file, or all Parquet files below a folder."""
    if source.is_file():
        return f"read_parquet({quoted(str(source))}, hive_partitioning = false)"
    return f"read_parquet({quoted(str(source / '**' / '*.parquet'))}, hive_partitioning = false)"


def quoted(text: str) -> str:
    """Return text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
