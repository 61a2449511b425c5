"""Histories: the events of whole customers as sorted arrays, which every method of this package reads.

Order within one customer: by time; events of one instant in the order of the log's `seq`, without one in the order of
their names, then of their attributes. Funnels let events of one instant count in the order of the steps and do not
depend on it; paths, variants and conformance do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from journeys import coding, ordering
from journeys.coding import NOTHING, Codes, Ints

__all__ = [
    "AT",
    "CUSTOMER",
    "EVENT",
    "NOTHING",
    "ROLES",
    "SEQ",
    "SORTED",
    "Coded",
    "Codes",
    "Histories",
    "Ints",
    "arranged",
    "of",
]

CUSTOMER: Final = "customer"
EVENT: Final = "event"
AT: Final = "at"
SEQ: Final = "seq"
ROLES: Final = (CUSTOMER, EVENT, AT, SEQ)
"""Columns of a block of events, as `EventLog.events` selects them; every other column of it is an attribute."""

SORTED: Final = {b"wayline": b"sorted"}
"""Schema metadata of a block whose rows lie in order of customer, time and sequence, the values of whose coded columns
are sorted, and whose customers are numbered in the order in which they come: it is taken as it lies."""


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
    made = None if _lies_sorted(block) else _at_once(block)
    if made is None:
        return arranged(block)[0]
    columns = [Coded(codes=codes, values=values) for codes, values in made.columns]
    names = [name for name in block.column_names if name not in ROLES]
    attributes = dict(zip(names, columns[1:], strict=True))
    return Histories(ids=made.ids, starts=made.starts, at=made.at, event=columns[0], attributes=attributes)


def _at_once(block: pa.Table) -> ordering.Sorted | None:
    """Sort a block with little memory, where it is nothing but customer, event and time, or lies in order of time."""
    names = [name for name in block.column_names if name not in ROLES]
    customer, event, at = block.column(CUSTOMER), block.column(EVENT), coding.microseconds(block.column(AT))
    if SEQ in block.column_names:
        in_order = coding.ascending(at) and coding.ascending(block.column(SEQ).cast(pa.int64()), strictly=True)
        return ordering.filed(customer, at, [event, *map(block.column, names)]) if in_order else None
    return None if names else ordering.packed(customer, at, event)


def arranged(block: pa.Table) -> tuple[Histories, Ints | None]:
    """Sort a block as `of` does and tell which row of it each event was, None where they lay in order."""
    if _lies_sorted(block):
        return _as_it_lies(block), None
    owner, ids = coding.customers(block.column(CUSTOMER))
    at = coding.numbers(coding.microseconds(block.column(AT)))
    event = _coded(block.column(EVENT))
    attributes = {name: _coded(block.column(name)) for name in block.column_names if name not in ROLES}
    # rows alike in all of these are alike in everything: any order of them is the same
    ties: list[NDArray[np.integer]] = [event.codes, *(column.codes for column in attributes.values())]
    if SEQ in block.column_names:
        ties.insert(0, coding.numbers(block.column(SEQ).cast(pa.int64())))
    starts = np.concatenate([[0], np.cumsum(coding.counted(owner, len(ids)))]).astype(np.int64)
    order, at = ordering.in_order(owner, starts, at, ties)
    if order is not None:
        event = event.take(order)
        attributes = {name: column.take(order) for name, column in attributes.items()}
    return Histories(ids=ids, starts=starts, at=at, event=event, attributes=attributes), order


def _coded(column: pa.ChunkedArray) -> Coded:
    """Code a column by its sorted values, so that the codes do not depend on the order of the rows."""
    text = coding.text(column)
    ranks, values = coding.ranked(coding.dictionary(text))
    return Coded(codes=coding.filled(text, np.int32, lambda chunk: coding.codes(chunk, ranks)), values=values)


def _lies_sorted(block: pa.Table) -> bool:
    return (block.schema.metadata or {}).get(b"wayline") == SORTED[b"wayline"]


def _as_it_lies(block: pa.Table) -> Histories:
    """Return the histories of a block that is sorted and coded, without a copy where it is of one piece."""
    owner = _as_coded(block.column(CUSTOMER)).codes
    first = np.ones(len(owner), dtype=np.bool_)
    np.not_equal(owner[1:], owner[:-1], out=first[1:])
    begins = np.flatnonzero(first)
    return Histories(
        ids=coding.dictionary(block.column(CUSTOMER)).take(pa.array(owner[begins])),
        starts=np.append(begins, len(owner)),
        at=coding.numbers(block.column(AT).cast(pa.int64())),
        event=_as_coded(block.column(EVENT)),
        attributes={name: _as_coded(block.column(name)) for name in block.column_names if name not in ROLES},
    )


def _as_coded(column: pa.ChunkedArray) -> Coded:
    values = tuple(coding.dictionary(column).to_pylist())
    if column.num_chunks == 1 and not column.null_count:
        return Coded(codes=np.asarray(column.chunk(0).indices, dtype=np.int32), values=values)
    codes = coding.filled(column, np.int32, lambda chunk: np.asarray(chunk.indices.fill_null(NOTHING)))
    return Coded(codes=codes, values=values)
