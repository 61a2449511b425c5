"""The one row that a counting query gives."""

from __future__ import annotations

from typing import Any

from engine.lake.engine import DuckDBEngine


def first_row(engine: DuckDBEngine, sql: str) -> tuple[Any, ...]:
    """Return the first row of a query that always has one; fetched whole, so that the connection is free again."""
    row: tuple[Any, ...] = engine.connection.execute(sql).fetchall()[0]
    return row


def number(engine: DuckDBEngine, sql: str) -> int:
    """Return the single whole number that a query gives."""
    return int(first_row(engine, sql)[0])
