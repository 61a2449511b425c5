"""From columns to files: Arrow tables in the contracts' types, written as Parquet or CSV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from engine.domain.schema import Column, Kind, Table
from engine.intake.simulation.world import NEVER

FileFormat = Literal["parquet", "csv"]
ROW_GROUP: Final = 122_880  # rows: what DuckDB likes to read at a time

_TYPES: Final = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.SHARE: pa.float64(),
    Kind.MONEY: pa.int64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.INSTANT: pa.timestamp("us", tz="UTC"),
}


def source_schema(table: Table) -> pa.Schema:
    """Return the types of a source file: those of the contract, with instants that say that they are UTC."""
    return pa.schema([(column.name, _TYPES[column.kind]) for column in table.source_columns])


def table_of(contract: Table, columns: Mapping[str, Any]) -> pa.Table:
    """Return the source columns of a contract; NEVER and NaN become null.

    Raises
    ------
    KeyError
        A source column of the contract was not made.
    """
    arrays = [_array(column, columns[column.name]) for column in contract.source_columns]
    return pa.table(arrays, schema=source_schema(contract))


def _array(column: Column, values: Any) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    kind = _TYPES[column.kind]
    if values.dtype.kind == "f":
        return pa.array(values.astype(np.float64), kind, from_pandas=True)
    missing = values == NEVER if values.dtype.kind == "i" else None
    mask = missing if missing is not None and missing.any() else None
    if column.kind is Kind.INSTANT:
        values = np.where(values == NEVER, 0, values) * 1_000_000
    elif column.kind is Kind.DATE:
        return pa.array(np.where(values == NEVER, 0, values).astype(np.int32), pa.int32(), mask=mask).cast(kind)
    return pa.array(values, kind, mask=mask)


def write(contract: Table, rows: pa.Table, folder: Path, part: int, file_format: FileFormat) -> None:
    """Write one part of a source table: `<table>/part-NNNNN`, or for CSV the rows alone (the header comes last)."""
    if file_format == "parquet":
        path = folder / contract.name / f"part-{part:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        unique = set(contract.key) if len(contract.key) == 1 else set()
        repeated = [name for name in rows.column_names if name not in unique]
        pq.write_table(rows, path, compression="zstd", row_group_size=ROW_GROUP, use_dictionary=repeated)
        return
    # whole seconds: a template that people read
    seconds = [(f.name, pa.timestamp("s", tz="UTC") if pa.types.is_timestamp(f.type) else f.type) for f in rows.schema]
    path = folder / f"{contract.name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    header = csv.WriteOptions(include_header=not path.exists(), quoting_style="needed")
    with path.open("ab") as sink:
        csv.write_csv(rows.cast(pa.schema(seconds)), sink, header)


def file_name(contract: Table, part: int, file_format: FileFormat) -> str:
    """Return the path of a part inside the bank's folder, as the truth about planted faults names it."""
    return f"source/{contract.name}/part-{part:05d}.parquet" if file_format == "parquet" else f"{contract.name}.csv"
