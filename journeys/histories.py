"""Histories: the events of whole customers as sorted arrays, which every method of this package reads.

Order within one customer: by time; events of one instant in the order of the log's `seq`, without one in the order of
their names. Funnels let events of one instant count in the order of the steps and do not depend on it; paths,
variants and conformance do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

CUSTOMER: Final = "customer"
EVENT: Final = "event"
AT: Final = "at"
SEQ: Final = "seq"
ROLES: Final = (CUSTOMER, EVENT, AT, SEQ)
"""Columns of a block of events, as `EventLog.events` selects them; every other column of it is an attribute."""

NOTHING: Final = -1
"""The code of a missing value."""


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
        return Coded(codes=self.codes[rows], values=self.values)

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
        marks[self.starts[:-1]] = True
        return marks

    def keep(self, rows: NDArray[np.bool_]) -> Histories:
        """Return the marked events only; a customer without any stays, with none."""
        counted = np.concatenate([[0], np.cumsum(rows)])
        kept = np.flatnonzero(rows)
        return Histories(
            ids=self.ids,
            starts=counted[self.starts].astype(np.int64),
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
    owner, ids = _coded_customers(block.column(CUSTOMER))
    event = _coded(block.column(EVENT))
    at = _numbers(block.column(AT).cast(pa.timestamp("us")).cast(pa.int64()))
    seq = _numbers(block.column(SEQ).cast(pa.int64())) if SEQ in block.column_names else event.codes
    order = _order(owner, at, seq, len(ids))
    counts = np.bincount(owner, minlength=len(ids))
    return Histories(
        ids=ids,
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        at=at[order],
        event=event.take(order),
        attributes={name: _coded(block.column(name)).take(order) for name in block.column_names if name not in ROLES},
    )


def _numbers(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False), dtype=np.int64)


def _coded_customers(column: pa.ChunkedArray) -> tuple[Codes, pa.Array]:
    encoded = _encoded(column)
    return np.asarray(encoded.indices, dtype=np.int32), encoded.dictionary


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    whole = column.combine_chunks()
    whole = whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)
    return whole if pa.types.is_dictionary(whole.type) else pc.dictionary_encode(whole)


def _coded(column: pa.ChunkedArray) -> Coded:
    """Code a column by its sorted values, so that the codes do not depend on the order of the rows."""
    if not (pa.types.is_dictionary(column.type) or pa.types.is_string(column.type)):
        column = column.cast(pa.string())
    encoded = _encoded(column)
    values = encoded.dictionary.cast(pa.string()).to_pylist()
    places = {value: place for place, value in enumerate(sorted({value for value in values if value is not None}))}
    ranked = np.array([places.get(value, NOTHING) for value in values] + [NOTHING], dtype=np.int32)
    indices = encoded.indices.fill_null(len(values)) if encoded.indices.null_count else encoded.indices
    return Coded(codes=ranked[np.asarray(indices, dtype=np.int64)], values=tuple(places))


def _order(owner: Codes, at: Ints, seq: NDArray[np.integer], n_customers: int) -> Ints:
    """Return the rows in order of customer, time and sequence.

    A log in order of time, as most lie on disk, only has to be counted into its customers.
    """
    if not len(at):
        return np.zeros(0, dtype=np.int64)
    if (np.diff(at) >= 0).all():
        order = _counted(owner, n_customers)
    else:
        order = _sorted(owner, at)
    return _ties_in_sequence(order, owner, at, seq)


def _counted(owner: Codes, n_customers: int) -> Ints:
    """Return the rows by customer, each customer's in the order in which they stand: a counting sort."""
    place = np.arange(len(owner), dtype=np.int32 if len(owner) < 2**31 else np.int64)
    marks = np.ones(len(owner), dtype=np.int8)
    by_customer = sparse.coo_array((marks, (owner, place)), shape=(n_customers, len(owner))).tocsr()
    return np.asarray(by_customer.indices, dtype=np.int64)


def _sorted(owner: Codes, at: Ints) -> Ints:
    since = at - at.min()
    bits = int(since.max()).bit_length()
    if bits + int(owner.max()).bit_length() > 63:
        return np.lexsort((at, owner))
    # one sort of whole numbers: the customer above, the time below
    return np.argsort((owner.astype(np.int64) << bits) | since)


def _ties_in_sequence(order: Ints, owner: Codes, at: Ints, seq: NDArray[np.integer]) -> Ints:
    """Put the events of one customer and instant in the order of their sequence."""
    times, owners = at[order], owner[order]
    same = (times[1:] == times[:-1]) & (owners[1:] == owners[:-1])
    if not same.any():
        return order
    tied = np.concatenate([same, [False]]) | np.concatenate([[False], same])
    places = np.flatnonzero(tied)
    rows = order[places]
    order[places] = rows[np.lexsort((rows, seq[rows], at[rows], owner[rows]))]
    return order
