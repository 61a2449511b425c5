"""From columns of Arrow to arrays: an empty value is NaN in numbers, NaT in instants, false in flags."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]
Instants = NDArray[np.datetime64]


def plain(column: Any) -> pa.Array:
    """Return a column as one piece."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def numbers(column: Any) -> Floats:
    """Return numbers or truth values as floats, NaN where empty."""
    whole = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
    return np.asarray(pc.fill_null(whole.cast(pa.float64()), np.nan).to_numpy(), dtype=np.float64)


def flags(column: Any) -> Flags:
    """Return truth values, false where empty."""
    return np.asarray(plain(pc.fill_null(column, False)).to_numpy(zero_copy_only=False), dtype=bool)


def instants(column: Any) -> Instants:
    """Return instants in microseconds of UTC, NaT where empty."""
    values: Instants = plain(column.cast(pa.timestamp("us"))).to_numpy(zero_copy_only=False).astype("datetime64[us]")
    return values


def never(size: int) -> Instants:
    """Return instants that never come."""
    return np.full(size, np.datetime64("NaT"), dtype="datetime64[us]")


def places(wanted: Any, among: Any) -> Integers:
    """Return for each wanted id its row among others, -1 where it is missing."""
    found = pc.fill_null(pc.index_in(plain(wanted), value_set=plain(among)), -1)
    return np.asarray(plain(found).to_numpy(zero_copy_only=False), dtype=np.int64)


def aligned(rows: pa.Table, ids: Any, key: str = "customer_id") -> pa.Table:
    """Return the rows in the order of the ids, each id at most once among them; a missing one gives an empty row."""
    where = places(ids, rows[key])
    return rows.take(pa.array(where, mask=where < 0)).combine_chunks()
