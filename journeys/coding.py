"""Read columns of a block of events as arrays: numbers as they are, text as codes into its sorted values.

Everything goes chunk by chunk, so that what lies between stays small.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

NOTHING: Final = -1
"""The code of a missing value."""

PIECE: Final = 1 << 18
"""Rows that are worked on at once: what lies between then stays in the processor's cache."""

# ids are counted instead of hashed where their range is at most so many times the rows, and a few more
_DENSE, _FEW = 4, 1_024


def pieces(n: int, size: int = PIECE) -> list[slice]:
    """Cut n rows into pieces, in order."""
    return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]


def counted(codes: NDArray[np.integer], n: int) -> Ints:
    """Return how often each code from 0 to n - 1 occurs; as bincount, without a copy of the whole."""
    counts = np.zeros(n, dtype=np.int64)
    # each piece is counted into n places: pieces no shorter than that
    for piece in pieces(len(codes), max(n, PIECE)):
        counts += np.bincount(codes[piece], minlength=n)
    return counts


def numbers(column: pa.ChunkedArray) -> Ints:
    """Return a column of whole numbers as one array; of one chunk, as it lies."""
    if column.num_chunks == 1:
        return np.asarray(column.chunk(0), dtype=np.int64)
    return filled(column, np.int64, np.asarray)


def microseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of instants as whole microseconds since 1970."""
    return column.cast(pa.timestamp("us")).cast(pa.int64())


def ascending(column: pa.ChunkedArray, *, strictly: bool = False) -> bool:
    """Return whether the numbers of a column never fall from one row to the next, or rise at each."""
    last = None
    for chunk in column.chunks:
        values = np.asarray(chunk)
        if not len(values):
            continue
        steps = np.diff(values, prepend=values[:1] - 1 if last is None else last)
        if (steps <= 0 if strictly else steps < 0).any():
            return False
        last = values[-1]
    return True


def filled(
    column: pa.ChunkedArray, kind: type[np.integer], read: Callable[[pa.Array], NDArray[np.integer]]
) -> NDArray[Any]:
    """Read a column chunk by chunk into one array."""
    made, end = np.empty(len(column), dtype=kind), 0
    for chunk in column.chunks:
        made[end : end + len(chunk)] = read(chunk)
        end += len(chunk)
    return made


def dense(column: pa.ChunkedArray) -> tuple[int, int] | None:
    """Return the least of some ids and the length of their range, where they are numbers that lie close together."""
    if not len(column) or not pa.types.is_integer(column.type):
        return None
    bounds = pc.min_max(column)
    least, most = bounds["min"].as_py(), bounds["max"].as_py()
    return (least, most - least + 1) if most - least < _DENSE * len(column) + _FEW else None


def customers(column: pa.ChunkedArray) -> tuple[Codes, pa.Array]:
    """Number the customers from 0; returns the number of each row's, and their ids."""
    near = dense(column)
    if near is None:
        coded = encoded(column)
        return filled(coded, np.int32, lambda chunk: np.asarray(chunk.indices)), dictionary(coded)
    # counting instead of hashing; the numbers keep the order of the ids
    least, length = near
    owner = filled(column, np.int32, lambda chunk: np.asarray(chunk) - least)
    present = np.zeros(length, dtype=np.bool_)
    for piece in pieces(len(owner)):
        present[owner[piece]] = True
    ids = pa.array(np.flatnonzero(present) + least, column.type)
    if len(ids) < length:
        places = np.cumsum(present, dtype=np.int32) - 1
        for piece in pieces(len(owner)):
            owner[piece] = places[owner[piece]]
    return owner, ids


def encoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column coded into one dictionary that all its chunks share."""
    return column.unify_dictionaries() if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)


def text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as text, coded."""
    known = pa.types.is_dictionary(column.type) or pa.types.is_string(column.type)
    return encoded(column if known else column.cast(pa.string()))


def dictionary(coded: pa.ChunkedArray) -> pa.Array:
    """Return the dictionary of a coded column."""
    return coded.chunk(0).dictionary if coded.num_chunks else pa.array([], coded.type.value_type)


def ranked(values: pa.Array) -> tuple[Codes, tuple[str, ...]]:
    """Sort the values of a dictionary of text.

    Returns
    -------
    array, shape (n_values + 1,)
        The place of each value among the sorted ones, the last for a missing value.
    tuple
        The sorted values, each once.
    """
    found = values.cast(pa.string()).to_pylist()
    places = {value: place for place, value in enumerate(sorted({value for value in found if value is not None}))}
    codes = [NOTHING if value is None else places[value] for value in found]
    return np.array([*codes, NOTHING], dtype=np.int32), tuple(places)


def codes(chunk: pa.DictionaryArray, ranks: Codes) -> Codes:
    """Return the codes of a chunk of a coded column, by the ranks of its dictionary."""
    indices = chunk.indices.fill_null(len(ranks) - 1) if chunk.null_count else chunk.indices
    return ranks.take(np.asarray(indices))
