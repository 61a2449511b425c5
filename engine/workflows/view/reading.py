"""How the pages read: SQL over the few tables that a question needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from engine.lake.engine import DuckDBEngine, identifier, parquet_scan
from engine.lake.runs import Run

Parameters = Sequence[object] | Mapping[str, object]
"""Values of a statement: in the order of their numbers, or by name."""


@cache
def _engine() -> DuckDBEngine:
    """One engine for the process: opening one costs more than most questions, and one memory limit holds for all."""
    return DuckDBEngine(memory_limit="1GB")


def sql(sources: Mapping[str, Path], text: str, parameters: Parameters = ()) -> pd.DataFrame:
    """Return the rows of a SELECT over Parquet files or folders, each under its name.

    A cursor of its own and names that last for one statement: sessions ask at the same time, about several runs.
    """
    frame: pd.DataFrame = arrow(sources, text, parameters).to_pandas()
    return frame


def joined(
    sources: Mapping[str, Path], given: Mapping[str, pa.Table], text: str, parameters: Parameters = ()
) -> pd.DataFrame:
    """Return the rows of a SELECT over Parquet files or folders and over small tables in memory, by their names."""
    frame: pd.DataFrame = arrow(sources, text, parameters, given).to_pandas()
    return frame


def arrow(
    sources: Mapping[str, Path],
    text: str,
    parameters: Parameters = (),
    given: Mapping[str, pa.Table] | None = None,
) -> pa.Table:
    """Return the same rows as an Arrow table: what a list of a million ids needs."""
    named = ", ".join(f"{identifier(name)} AS (SELECT * FROM {parquet_scan(path)})" for name, path in sources.items())
    asked = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
    opening = f"WITH {named} " if named else ""
    with _engine().connection.cursor() as cursor:
        for name, rows in (given or {}).items():
            cursor.register(name, rows)
        return cursor.sql(f"{opening}{text}", params=asked).to_arrow_table()


def marts(run: Run, text: str, *marts: str, parameters: Sequence[object] = ()) -> pd.DataFrame:
    """Return the rows of SQL text over tables of the run; raises MartMissing when one of them is not there."""
    return sql({mart: run.require(mart) for mart in marts}, text, parameters)


def table(run: Run, mart: str, where: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Return a small table of the run, or the rows of it that match; raises MartMissing when it is not there."""
    frame: pd.DataFrame = run.read(mart, where=where).to_pandas()
    return frame


def count(run: Run, mart: str, expression: str, parameters: Sequence[object] = ()) -> int | None:
    """Return one whole number counted over a table of the run; None when the run does not have it."""
    if not run.has(mart):
        return None
    return int(marts(run, f"SELECT {expression} AS n FROM {mart}", mart, parameters=parameters)["n"].iloc[0])


def rows_of(run: Run, mart: str, customer_id: str) -> pd.DataFrame | None:
    """Return the rows of one customer; None when the run does not have the table."""
    return table(run, mart, {"customer_id": customer_id}) if run.has(mart) else None


def only(run: Run, mart: str, customer_id: str) -> Mapping[str, Any] | None:
    """Return the one row of a customer; None when there is none, or no such table."""
    if not run.has(mart):
        return None
    rows = run.read(mart, where={"customer_id": customer_id}).to_pylist()
    return rows[0] if rows else None


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a small table as mappings from column to value."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
