"""Curated rows written by hand, and the features of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pyarrow as pa

from engine.config.bank import BankSettings
from engine.domain.curated import CURATED
from engine.features import table as feature_table
from engine.features.feature import Moment, Theme
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import arrow_schema, unbound

AS_OF = datetime(2026, 6, 30, 12, 0, 0, tzinfo=UTC)
BANK = BankSettings(
    name="Test Bank", base_currency="CNY", rates={"CNY": 1.0, "USD": 7.0}, time_zone="Asia/Shanghai", seed=1
)
Row = dict[str, Any]


def at(text: str) -> datetime:
    """An instant as it lies on disk, such as at("2026-06-30 12:00")."""
    return datetime.fromisoformat(text)


def curated(name: str, rows: Sequence[Row]) -> pa.Table:
    """A curated table of these rows; columns that are not given are empty."""
    schema = arrow_schema(CURATED[name])
    unknown = {column for row in rows for column in row} - set(schema.names)
    assert not unknown, f"{name} has no {unknown}"
    return pa.Table.from_pylist([{column: row.get(column) for column in schema.names} for row in rows], schema=schema)


def of_theme(engine: DuckDBEngine, theme: Theme, as_of: datetime = AS_OF, **tables: Sequence[Row]) -> dict[str, Row]:
    """The features of one theme by customer."""
    bound = _attach(engine, tables)
    return _by_customer(engine.arrow(theme.build(bound, Moment(as_of=as_of), BANK)))


def of_table(engine: DuckDBEngine, as_of: datetime = AS_OF, **tables: Sequence[Row]) -> dict[str, Row]:
    """The whole feature table by customer."""
    _attach(engine, tables)
    return _by_customer(engine.query(_sql(tuple(sorted(tables)), as_of)))


@cache
def _sql(tables: tuple[str, ...], as_of: datetime) -> str:
    expression = feature_table.build({name: unbound(CURATED[name]) for name in tables}, as_of, BANK)
    with DuckDBEngine(threads=1) as engine:
        return engine.compile(expression)


def _attach(engine: DuckDBEngine, tables: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    for name, rows in tables.items():
        engine.attach(name, curated(name, rows))
    return {name: unbound(CURATED[name]) for name in tables}


def _by_customer(rows: pa.Table) -> dict[str, Row]:
    listed = rows.to_pylist()
    found = {row["customer_id"]: row for row in listed}
    assert len(found) == len(listed), "a customer has more than one row"
    return found
