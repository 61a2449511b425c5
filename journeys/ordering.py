"""Put the events of a block in order of customer, time and what breaks ties, by sorting whole numbers.

Looking rows up one by one while sorting is what takes the time of a sort by several columns; a number that holds all
that matters is sorted without.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from journeys import coding
from journeys.coding import Codes, Ints, pieces

# of time, in microseconds: a log of whole seconds or days needs fewer bits
_UNITS: Final = (1, 1_000, 1_000_000, 60_000_000, 86_400_000_000)


class Sorted(NamedTuple):
    """Events in order: the customers' ids, where each one's events start, their times, and coded columns."""

    ids: pa.Array
    starts: Ints
    at: Ints
    columns: list[tuple[Codes, tuple[str, ...]]]


class _Customers(NamedTuple):
    """Customers as numbers: their ids less the least of them, where ids lie close together; else a dictionary's."""

    column: pa.ChunkedArray
    least: int | None
    n: int

    def numbers(self, chunk: pa.Array, out: Ints) -> None:
        """Write the numbers of a chunk's customers."""
        if self.least is None:
            out[:] = np.asarray(chunk.indices)
        else:
            np.subtract(np.asarray(chunk), self.least, out=out, casting="unsafe")

    def ids(self, numbers: Ints) -> pa.Array:
        """Return the ids of numbered customers."""
        if self.least is None:
            return coding.dictionary(self.column).take(pa.array(numbers))
        return pa.array(numbers + self.least, self.column.type)


def _customers(column: pa.ChunkedArray) -> _Customers:
    near = coding.dense(column)
    if near is not None:
        return _Customers(column, *near)
    coded = coding.encoded(column)
    return _Customers(coded, None, len(coding.dictionary(coded)))


def packed(customer: pa.ChunkedArray, at: pa.ChunkedArray, event: pa.ChunkedArray) -> Sorted | None:
    """Sort events that are nothing but customer, microseconds and name: one whole number holds each.

    Nothing is looked up after, and little more memory is used than the answer takes. None where the three do not
    fit 63 bits, and for no events.
    """
    if not len(at):
        return None
    who, named = _customers(customer), coding.text(event)
    ranks, names = coding.ranked(coding.dictionary(named))
    bounds = pc.min_max(at)
    since, until = bounds["min"].as_py(), bounds["max"].as_py()
    event_bits = (len(names) - 1).bit_length()
    room = 63 - event_bits - (who.n - 1).bit_length()
    unit = next((unit for unit in _UNITS if _measures(unit, at, since, until, room)), None)
    if unit is None:
        return None
    time_bits = ((until - since) // unit).bit_length()
    key, end = np.empty(len(at), dtype=np.int64), 0
    for batch in pa.table([who.column, at, named], names=["customer", "at", "event"]).to_batches():
        piece = key[end : end + len(batch)]
        who.numbers(batch.column(0), piece)
        piece <<= time_bits
        piece |= (np.asarray(batch.column(1)) - since) // unit if unit > 1 else np.asarray(batch.column(1)) - since
        piece <<= event_bits
        piece |= coding.codes(batch.column(2), ranks)
        end += len(batch)
    del named, batch, piece
    key.sort()
    codes = np.empty(len(key), dtype=np.int32)
    for rows in pieces(len(key)):
        codes[rows] = key[rows] & ((1 << event_bits) - 1)
        key[rows] >>= event_bits
    owners, starts = _split(key, time_bits)
    for rows in pieces(len(key)):
        key[rows] *= unit
        key[rows] += since
    return Sorted(who.ids(owners), starts, key, [(codes, names)])


def filed(customer: pa.ChunkedArray, at: pa.ChunkedArray, columns: Sequence[pa.ChunkedArray]) -> Sorted | None:
    """Sort events that lie in order of time, and of whatever breaks ties: each customer's have only to come together.

    One column after the other is brought into the order, so that no more than one is in memory twice. None for no
    events.
    """
    if not len(at):
        return None
    who = _customers(customer)
    row_bits = (len(at) - 1).bit_length()
    key, end = np.empty(len(at), dtype=np.int64), 0
    for chunk in who.column.chunks:
        piece = key[end : end + len(chunk)]
        who.numbers(chunk, piece)
        piece <<= row_bits
        piece |= np.arange(end, end + len(chunk))
        end += len(chunk)
    key.sort()
    owners, starts = _split(key, row_bits)
    made = []
    for column in columns:
        named = coding.text(column)
        ranks, names = coding.ranked(coding.dictionary(named))
        codes = coding.filled(named, np.int32, partial(coding.codes, ranks=ranks))
        del named
        taken = np.empty(len(key), dtype=np.int32)
        for rows in pieces(len(key)):
            taken[rows] = codes.take(key[rows])
        made.append((taken, names))
        del codes
    times = coding.numbers(at)
    for rows in pieces(len(key)):
        key[rows] = times.take(key[rows])
    return Sorted(who.ids(owners), starts, key, made)


def _split(key: Ints, bits: int) -> tuple[Ints, Ints]:
    """Return the customers above the lowest bits of sorted keys and where each one's start; leaves the lowest bits."""
    owners, begins, last = [], [], -1
    for rows in pieces(len(key)):
        piece = key[rows]
        owner = piece >> bits
        first = np.flatnonzero(np.diff(owner, prepend=last))
        owners.append(owner[first])
        begins.append(first + rows.start)
        last = owner[-1]
        piece &= (1 << bits) - 1
    return np.concatenate(owners), np.append(np.concatenate(begins), len(key))


def _measures(unit: int, at: pa.ChunkedArray, since: int, until: int, room: int) -> bool:
    """Whether times are whole multiples of a unit after the first, and fit into some bits so."""
    if ((until - since) // unit).bit_length() > room:
        return False
    return unit == 1 or not any(((np.asarray(chunk) - since) % unit).any() for chunk in at.chunks)


def in_order(owner: Codes, starts: Ints, at: Ints, ties: Sequence[NDArray[np.integer]]) -> tuple[Ints | None, Ints]:
    """Return the rows in order of customer, time and what breaks ties, None where they lie so; and their times.

    One sort of whole numbers: the customer above, as much of the time as there is room for, the row below. A log in
    order of time, as most lie on disk, needs none of the time. What the number cannot tell apart, and only that, is
    put in order after it.
    """
    if not len(at):
        return None, at
    in_time = bool((at[1:] >= at[:-1]).all())
    if (owner[1:] >= owner[:-1]).all() and (in_time or not _falls_within(owner, at)):
        wrong = _out_of_order(None, at, starts, at, ties)
        order = None if wrong is None else np.arange(len(at), dtype=np.int64)
        times = at
    else:
        coarse = 0 if in_time else _spare_bits(at, len(starts) - 1)
        order = _by_customer(owner, at, coarse, in_time)
        times = at.take(order)
        wrong = _out_of_order(order, times >> coarse if coarse else times, starts, at, ties)
    if order is None or wrong is None:
        return order, times
    places, group = wrong
    rows = order[places]
    order[places] = rows[np.lexsort((*(tie[rows] for tie in reversed(ties)), at[rows], group))]
    return order, at.take(order)


def _falls_within(owner: Codes, at: Ints) -> bool:
    """Whether some customer's rows do not lie in order of time, the customers' rows lying together."""
    return bool(((at[1:] < at[:-1]) & (owner[1:] == owner[:-1])).any())


def _spare_bits(at: Ints, n_customers: int) -> int:
    """Return how many of the lowest bits of the time do not fit into 63 beside the customer and the row."""
    room = 63 - (len(at) - 1).bit_length() - (n_customers - 1).bit_length()
    least, most = int(at.min()), int(at.max())
    return next(bits for bits in range(64) if ((most >> bits) - (least >> bits)).bit_length() <= room)


def _by_customer(owner: Codes, at: Ints, coarse: int, in_time: bool) -> Ints:
    """Return the rows by customer, time without its lowest `coarse` bits, and row."""
    row_bits = (len(at) - 1).bit_length()
    key = owner.astype(np.int64)
    if not in_time:
        since = at >> coarse
        since -= since.min()
        key <<= int(since.max()).bit_length()
        key |= since
        del since
    key <<= row_bits
    for piece in pieces(len(key)):
        key[piece] |= np.arange(piece.start, piece.stop)
    key.sort()
    key &= (1 << row_bits) - 1
    return key


def _out_of_order(
    order: Ints | None, moments: Ints, starts: Ints, at: Ints, ties: Sequence[NDArray[np.integer]]
) -> tuple[Ints, Ints] | None:
    """Find the places of the order where rows of one customer and moment do not follow time and ties.

    Returns the places of all rows of such a moment, ascending, and a number of the moment for each; None when every
    row follows.
    """
    alike = moments[1:] == moments[:-1]
    ends = starts[1:-1]
    alike[ends[(ends > 0) & (ends < len(at))] - 1] = False
    pairs = np.flatnonzero(alike)
    first, second = (pairs, pairs + 1) if order is None else (order[pairs], order[pairs + 1])
    wrong, undecided = at[first] > at[second], at[first] == at[second]
    for tie in ties:
        wrong |= undecided & (tie[first] > tie[second])
        undecided &= tie[first] == tie[second]
    if not wrong.any():
        return None
    moment = np.cumsum(np.diff(pairs, prepend=-2) != 1)
    mixed = np.zeros(moment[-1] + 1, dtype=np.bool_)
    mixed[moment[wrong]] = True
    pairs = pairs[mixed[moment]]
    places = np.union1d(pairs, pairs + 1)
    return places, np.cumsum(~alike[places - 1] | (places == 0))
