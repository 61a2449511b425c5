"""Arrow columns to arrays of numbers and truth values, with what stands for null said each time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]


def plain(column: Any) -> pa.Array:
    """Return a column as one array."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def places(wanted: pa.Array, among: Any) -> Integers:
    """Return for each wanted id its row among others, -1 where it is missing."""
    return np.asarray(pc.fill_null(pc.index_in(wanted, value_set=plain(among)), -1).to_numpy(zero_copy_only=False))


def aligned(rows: pa.Table, ids: pa.Array) -> pa.Table:
    """Return the rows of the customers named, in their order; a customer without a row has nulls."""
    own = plain(rows["customer_id"])
    if own.equals(ids):  # as marts come, which are sorted by customer
        return rows.combine_chunks()
    found = places(ids, own)
    return rows.take(pa.array(found, mask=found < 0)).combine_chunks()


def naive(moment: datetime) -> np.datetime64:
    """Return an aware instant as stored: without a zone, in UTC."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def values(column: Any, missing: float) -> Floats:
    """Return numbers; `missing` stands for null."""
    filled = pc.fill_null(pc.cast(column, pa.float64()), missing)
    return np.asarray(filled.to_numpy(), dtype=np.float64)


def flags(column: Any) -> Flags:
    """Return truth values; null is false."""
    return np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False), dtype=bool)


def any_of(marks: Flags) -> Flags:
    """Say which rows have any mark, shape (n,); for a handful of columns, which are read one after the other."""
    found = np.zeros(len(marks), dtype=bool)
    for column in range(marks.shape[1]):
        found |= marks[:, column]
    return found


def one_of(codes: Integers, wanted: Iterable[int]) -> Flags:
    """Say which codes are among a handful, shape (n,); for one row many times faster than sorting them."""
    found = np.zeros(len(codes), dtype=bool)
    for one in wanted:
        found |= codes == one
    return found


def first_of(marks: Sequence[Flags], none: int) -> Integers:
    """Return for each row the place of the first that marks it, shape (n,); `none` where no one does."""
    found = np.full(len(marks[0]), none, dtype=np.int64)
    for place in range(len(marks) - 1, -1, -1):
        found[marks[place]] = place
    return found


def integers(column: Any) -> Integers:
    """Return whole numbers; null is 0."""
    return np.asarray(pc.fill_null(column, 0).to_numpy(), dtype=np.int64)


def known(column: Any) -> Flags:
    """Say which values are not null."""
    return np.asarray(pc.is_valid(plain(column)).to_numpy(zero_copy_only=False), dtype=bool)


def days_before(as_of: datetime, moments: Any) -> Any:
    """Return how many days each instant lies before another; null is null."""
    micros = pc.cast(pc.cast(moments, pa.timestamp("us")), pa.int64())
    now = int(naive(as_of).astype(np.int64))
    return pc.divide(pc.cast(pc.subtract(pa.scalar(now), micros), pa.float64()), 86_400_000_000.0)
