"""Histories: the events of whole customers as sorted arrays, which every method of this package reads.

Order within one customer: by time; events of one instant in the order of the log's `seq`, without one in the order of
their names. Funnels let events of one instant count in the order of the steps and do not depend on it; paths,
variants and conformance do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

CUSTOMER: Final = "customer"
EVENT: Final = "event"
AT: Final = "at"
SEQ: Final = "seq"
ROLES: Final = (CUSTOMER, EVENT, AT, SEQ)
"""Columns of a block of events, as `EventLog.events` selects them; every other column of it is an attribute."""

SORTED: Final = {b"wayline": b"sorted"}
"""Schema metadata of a block whose rows lie in order of customer, time and sequence, the values of whose coded columns
are sorted, and whose customers are numbered in the order in which they come: it is taken as it lies."""

NOTHING: Final = -1
"""The code of a missing value."""

# ids are counted instead of hashed where their range is at most so many times the rows, and a few more
_DENSE, _FEW = 4, 1_024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coded:
    """A column of text as codes into its values, which are sorted; `NOTHING` where it is missing."""

    codes: Codes
    values: tuple[str, ...]

    def code_of(self, value: str) -> int:
        """Return the code of a value, or -2, which no row has, when it never occurs."""
        return self.values.index(value) if value in self.values else -2

    def take(self, rows: Ints) -> Coded:
        """Return the column at some rows."""
        return Coded(codes=self.codes.take(rows), values=self.values)

    def texts(self, rows: Ints | None = None) -> pa.Array:
        """Return the values as text, of some rows or of all; null where missing, and for a row below 0."""
        codes = self.codes if rows is None else np.where(rows >= 0, self.codes[rows], NOTHING)
        indices = pa.array(codes, mask=codes < 0)
        return pa.DictionaryArray.from_arrays(indices, pa.array(self.values, pa.string())).cast(pa.string())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Histories:
    """The events of n customers, sorted; customer i's are the rows starts[i] to starts[i + 1].

    ids : customer ids, shape (n,), in no particular order.
    starts : shape (n + 1,).
    at : microseconds since 1970 in UTC, shape (n_events,).
    event : event names.
    attributes : other columns by name, each of n_events codes.
    """

    ids: pa.Array
    starts: Ints
    at: Ints
    event: Coded
    attributes: Mapping[str, Coded] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.ids)

    @property
    def n_events(self) -> int:
        """The number of events."""
        return len(self.at)

    def owners(self) -> Codes:
        """Return the place of each event's customer in `ids`, shape (n_events,)."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.starts))

    def first_of_customer(self) -> NDArray[np.bool_]:
        """Mark the first event of every customer, shape (n_events,)."""
        marks = np.zeros(self.n_events, dtype=np.bool_)
        marks[self._begins()] = True
        return marks

    def _begins(self) -> Ints:
        """Return the row of the first event of every customer who has any."""
        return self.starts[:-1][np.diff(self.starts) > 0]

    def keep(self, rows: NDArray[np.bool_]) -> Histories:
        """Return the marked events only; a customer without any stays, with none."""
        kept = np.flatnonzero(rows)
        return Histories(
            ids=self.ids,
            starts=np.searchsorted(kept, self.starts).astype(np.int64),
            at=self.at[kept],
            event=self.event.take(kept),
            attributes={name: column.take(kept) for name, column in self.attributes.items()},
        )


def of(block: pa.Table) -> Histories:
    """Sort a block of events into histories.

    Parameters
    ----------
    block : columns customer (text or integer), event (text), at (timestamp in microseconds) and perhaps seq
        (integer), none of them null; every other column is an attribute and is taken as text. All events of a
        customer must be in the block, in any order.
    """
    return arranged(block)[0]


def arranged(block: pa.Table) -> tuple[Histories, Ints | None]:
    """Sort a block as `of` does and tell which row of it each event was, None where they lay in order."""
    if (block.schema.metadata or {}).get(b"wayline") == SORTED[b"wayline"]:
        return _as_it_lies(block), None
    owner, ids = _coded_customers(block.column(CUSTOMER))
    at = _numbers(block.column(AT).cast(pa.timestamp("us")).cast(pa.int64()))
    event = _coded(block.column(EVENT))
    attributes = {name: _coded(block.column(name)) for name in block.column_names if name not in ROLES}
    # rows alike in all of these are alike in everything: any order of them is the same
    ties: list[NDArray[np.integer]] = [event.codes, *(column.codes for column in attributes.values())]
    if SEQ in block.column_names:
        ties.insert(0, _numbers(block.column(SEQ).cast(pa.int64())))
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(ids)))]).astype(np.int64)
    order, at = _in_order(owner, starts, at, ties)
    if order is not None:
        event = event.take(order)
        attributes = {name: column.take(order) for name, column in attributes.items()}
    return Histories(ids=ids, starts=starts, at=at, event=event, attributes=attributes), order


def _as_it_lies(block: pa.Table) -> Histories:
    """Return the histories of a block that is sorted and coded, without a copy where it is of one piece."""
    owner = _filled(block.column(CUSTOMER), np.int32, lambda chunk: np.asarray(chunk.indices))
    begins = np.flatnonzero(np.diff(owner, prepend=-1)) if len(owner) else np.zeros(0, dtype=np.int64)
    return Histories(
        ids=_dictionary(block.column(CUSTOMER)).take(pa.array(owner[begins])),
        starts=np.append(begins, len(owner)),
        at=_numbers(block.column(AT).cast(pa.int64())),
        event=_as_coded(block.column(EVENT)),
        attributes={name: _as_coded(block.column(name)) for name in block.column_names if name not in ROLES},
    )


def _as_coded(column: pa.ChunkedArray) -> Coded:
    values = tuple(_dictionary(column).to_pylist())
    if column.num_chunks == 1 and not column.null_count:
        return Coded(codes=np.asarray(column.chunk(0).indices, dtype=np.int32), values=values)
    codes = _filled(column, np.int32, lambda chunk: np.asarray(chunk.indices.fill_null(NOTHING)))
    return Coded(codes=codes, values=values)


def _numbers(column: pa.ChunkedArray) -> Ints:
    """Return a column of whole numbers as one array; of one chunk, as it lies."""
    if column.num_chunks == 1:
        return np.asarray(column.chunk(0), dtype=np.int64)
    return _filled(column, np.int64, np.asarray)


def _filled(
    column: pa.ChunkedArray, kind: type[np.integer], read: Callable[[pa.Array], NDArray[np.integer]]
) -> NDArray[Any]:
    """Read a column chunk by chunk into one array: what lies between stays as small as a chunk."""
    made, end = np.empty(len(column), dtype=kind), 0
    for chunk in column.chunks:
        made[end : end + len(chunk)] = read(chunk)
        end += len(chunk)
    return made


def _coded_customers(column: pa.ChunkedArray) -> tuple[Codes, pa.Array]:
    """Number the customers from 0; returns the number of each row's, and their ids."""
    if len(column) and pa.types.is_integer(column.type):
        bounds = pc.min_max(column)
        least, range_ = bounds["min"].as_py(), bounds["max"].as_py() - bounds["min"].as_py() + 1
        if range_ <= _DENSE * len(column) + _FEW:
            return _counted_customers(column, least, range_)
    encoded = _encoded(column)
    return _filled(encoded, np.int32, lambda chunk: np.asarray(chunk.indices)), _dictionary(encoded)


def _counted_customers(column: pa.ChunkedArray, least: int, range_: int) -> tuple[Codes, pa.Array]:
    """Number ids that lie close together by counting: no hashing, and the numbers keep the order of the ids."""
    owner = _filled(column, np.int32, lambda chunk: np.asarray(chunk) - least)
    present = np.zeros(range_, dtype=np.bool_)
    present[owner] = True
    ids = pa.array(np.flatnonzero(present) + least, column.type)
    if len(ids) < range_:
        owner = (np.cumsum(present, dtype=np.int32) - 1)[owner]
    return owner, ids


def _encoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column coded into one dictionary that all its chunks share."""
    return column.unify_dictionaries() if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)


def _dictionary(encoded: pa.ChunkedArray) -> pa.Array:
    return encoded.chunk(0).dictionary if encoded.num_chunks else pa.array([], encoded.type.value_type)


def _coded(column: pa.ChunkedArray) -> Coded:
    """Code a column by its sorted values, so that the codes do not depend on the order of the rows."""
    if not (pa.types.is_dictionary(column.type) or pa.types.is_string(column.type)):
        column = column.cast(pa.string())
    encoded = _encoded(column)
    values = _dictionary(encoded).cast(pa.string()).to_pylist()
    places = {value: place for place, value in enumerate(sorted({value for value in values if value is not None}))}
    ranked = np.array([NOTHING if value is None else places[value] for value in values] + [NOTHING], dtype=np.int32)
    return Coded(
        codes=_filled(encoded, np.int32, lambda chunk: ranked[np.asarray(chunk.indices.fill_null(len(values)))]),
        values=tuple(places),
    )


def _in_order(owner: Codes, starts: Ints, at: Ints, ties: Sequence[NDArray[np.integer]]) -> tuple[Ints | None, Ints]:
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
    key |= np.arange(len(at), dtype=np.int32)
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
