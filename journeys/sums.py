"""Add up what blocks of customers were counted to: rows of one key become one row, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from journeys.coding import Ints, counted, pieces

NUMBERS: Final = pa.list_(pa.int64())
"""The type of a column that keeps every number of a row, such as all waits of a transition, in ascending order.

Of one block: where blocks come together the offsets are of 64 bits, which Spark does not hand over.
"""

SECONDS: Final = 1e-6
"""Seconds in a microsecond."""

_ROW: Final = "row"


def added(rows: pa.Table, keys: Sequence[str], sums: Sequence[str], lists: Sequence[str] = ()) -> pa.Table:
    """Return one row per key, in order of the keys with missing ones first.

    keys : columns of text or whole numbers; a missing value is a key of its own.
    sums : columns of whole numbers, which are added.
    lists : columns of `NUMBERS`, none null or below 0, which are joined and sorted.

    Every number of the lists is in memory twice meanwhile: 16 bytes for each.
    """
    numbered = rows.append_column(_ROW, pa.array(np.arange(len(rows), dtype=np.int64)))
    grouped = numbered.group_by(list(keys), use_threads=False).aggregate(
        [*((name, "sum") for name in sums), (_ROW, "list")]
    )
    order = pc.sort_indices(grouped, [(name, "ascending", "at_start") for name in keys])
    grouped = grouped.take(order)
    columns = {name: grouped.column(name) for name in keys}
    columns |= {name: grouped.column(f"{name}_sum").cast(pa.int64()) for name in sums}
    members = whole(grouped.column(f"{_ROW}_list"))
    columns |= {name: _joined(whole(rows.column(name)), members) for name in lists}
    return pa.table(columns)


def quantiles(lists: pa.LargeListArray, shares: Sequence[float]) -> NDArray[np.float64]:
    """Return quantiles of sorted lists, between two values in proportion; nan for an empty list.

    Returns
    -------
    array, shape (n_lists, n_shares)

    References
    ----------
    Hyndman and Fan (1996), definition 7: what NumPy and SQL's percentile_cont give.
    """
    bounds, values = laid(lists)
    counts = np.diff(bounds)
    found = np.full((len(counts), len(shares)), np.nan)
    filled = counts > 0
    for column, share in enumerate(shares):
        place = share * (counts[filled] - 1)
        below = np.floor(place).astype(np.int64)
        low = values[bounds[:-1][filled] + below]
        high = values[bounds[:-1][filled] + np.minimum(below + 1, counts[filled] - 1)]
        found[filled, column] = low + (high - low) * (place - below)
    return found


def sorted_within(groups: NDArray[np.integer], values: Ints) -> Ints:
    """Return values in order of their groups, which need not be sorted, and ascending within each; none below 0.

    The array of values is used up, to save the memory of another.
    """
    if not len(values):
        return values
    bits = int(values.max()).bit_length()
    if bits + int(groups.max()).bit_length() > 63:
        return values[np.lexsort((values, groups))]
    for piece in pieces(len(values)):
        values[piece] |= groups[piece].astype(np.int64) << bits
    values.sort()
    for piece in pieces(len(values)):
        values[piece] &= (1 << bits) - 1
    return values


def distinct(groups: NDArray[np.integer], members: NDArray[np.integer], n_groups: int) -> Ints:
    """Return how many different members each group has, shape (n_groups,)."""
    if not len(groups):
        return np.zeros(n_groups, dtype=np.int64)
    bits = int(members.max()).bit_length()
    # half the width sorts in half the time
    kind: type[np.integer] = np.int32 if bits + n_groups.bit_length() <= 31 else np.int64
    key: Ints = np.empty(len(groups), dtype=kind)
    for piece in pieces(len(key)):
        key[piece] = groups[piece]
        key[piece] <<= bits
        key[piece] |= members[piece]
    key.sort()
    first = np.ones(len(key), dtype=np.bool_)
    np.not_equal(key[1:], key[:-1], out=first[1:])
    found = key[first]
    found >>= bits
    return counted(found, n_groups)


def lists_of(values: NDArray[np.integer], counts: Ints) -> pa.ListArray:
    """Return the values of a block as lists of so many each."""
    return pa.ListArray.from_arrays(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32), pa.array(values))


def laid(lists: pa.LargeListArray) -> tuple[Ints, NDArray[Any]]:
    """Return where each list begins, with the end of the last, and the values of all, one after the other."""
    offsets = np.asarray(lists.offsets, dtype=np.int64)
    return offsets - offsets[0], np.asarray(lists.values)[offsets[0] : offsets[-1]]


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; lists with offsets of 64 bits."""
    if pa.types.is_list(column.type):
        column = column.cast(pa.large_list(column.type.value_type))
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _joined(lists: pa.LargeListArray, members: pa.LargeListArray) -> pa.LargeListArray:
    """Return the lists of each group's members as one sorted list."""
    rows = np.asarray(members.flatten())
    begins, values = laid(lists)
    lengths = np.diff(begins)
    group = np.empty(len(rows), dtype=np.int32)
    group[rows] = np.repeat(np.arange(len(members), dtype=np.int32), np.diff(np.asarray(members.offsets)))
    counts = np.bincount(group, weights=lengths, minlength=len(members)).astype(np.int64)
    if len(members) < len(rows) or not (group[1:] >= group[:-1]).all():
        # a copy of its own: the blocks' are not to be used up
        values = sorted_within(np.repeat(group, lengths), values.copy())
    return pa.LargeListArray.from_arrays(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), pa.array(values))
