"""From a table's contract to the types of Ibis and Arrow, and from an instant to a literal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import ibis
import pyarrow as pa

from engine.domain.schema import Kind, Table

_IBIS: Final = {
    Kind.TEXT: "string",
    Kind.INTEGER: "int64",
    Kind.NUMBER: "float64",
    Kind.SHARE: "float64",
    Kind.MONEY: "int64",
    Kind.BOOLEAN: "boolean",
    Kind.DATE: "date",
    Kind.INSTANT: "timestamp(6)",
}
_ARROW: Final = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.SHARE: pa.float64(),
    Kind.MONEY: pa.int64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.INSTANT: pa.timestamp("us"),
}
_IBIS_OF_ARROW: Final = {
    "bool": "boolean",
    "float": "float32",
    "double": "float64",
    "date32[day]": "date",
    "timestamp[us]": "timestamp(6)",
}


def ibis_schema(table: Table) -> Any:
    """Return the Ibis schema of a table; instants are naive UTC microseconds."""
    return ibis.schema({column.name: _IBIS[column.kind] for column in table})


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema in which a table lies on disk."""
    return pa.schema([(column.name, _ARROW[column.kind]) for column in table])


def unbound(table: Table) -> Any:
    """Return the table as an Ibis expression bound to no engine, under its own name."""
    return ibis.table(ibis_schema(table), name=table.name)


def empty(table: Table) -> pa.Table:
    """Return a table of no rows with the columns of the contract."""
    return arrow_schema(table).empty_table()


def of_arrow(schema: pa.Schema) -> Any:
    """Return the Ibis schema of an Arrow table; what is coded counts as its values, what has no type here as text."""
    kinds = {}
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        whole = pa.types.is_integer(kind)
        kinds[field.name] = str(kind) if whole else _IBIS_OF_ARROW.get(str(kind), "string")
    return ibis.schema(kinds)


def to_contract(table: Table, rows: pa.Table) -> pa.Table:
    """Return the rows with exactly the contract's columns, order and types, sorted by its key.

    Raises
    ------
    KeyError
        A column of the contract is missing from the rows.
    """
    schema = arrow_schema(table)
    ordered = rows.select(schema.names).cast(schema)
    return ordered.sort_by([(name, "ascending") for name in table.key])


def naive_utc(moment: datetime) -> datetime:
    """Return an aware instant as the naive UTC value that lies on disk; raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; write it with one, such as 2026-06-30T23:59:59Z")
    return moment.astimezone(UTC).replace(tzinfo=None)


def instant(moment: datetime) -> Any:
    """Return an aware instant as an Ibis literal to compare stored instants with."""
    return ibis.timestamp(naive_utc(moment))
