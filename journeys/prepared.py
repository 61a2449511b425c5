"""A prepared log: the events of whole customers, sorted and coded once, which every method then reads as they lie.

A block is a table of customer (numbers into ids), event and attributes (numbers into sorted values), at and seq, its
rows in order of customer, time and sequence: the form that `histories.of` takes without a copy.

Late events need no rule of their own: a batch is sorted in among the events of the customers whom it is about,
wherever it falls, and no other customer is touched. Events of a batch count as coming after those of the same instant
that were there, unless both have a sequence that says otherwise. Where events have ids, one that was there is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.lake.schema import naive_utc
from journeys import histories
from journeys.histories import AT, CUSTOMER, EVENT, SEQ, SORTED, Coded, Codes, Ints

EVENT_ID: Final = "event id"
"""Column of a block for the ids of events, where they have any; no attribute."""

EVENTS_PER_BLOCK: Final = 4_000_000
"""What is handed to a method at once. The allocator uses arrays of up to 32 MB again; larger ones are fresh pages each
time, which costs more than the arithmetic on them.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A log as sorted, coded blocks, at least one, each of whole customers; all have the same columns."""

    blocks: tuple[pa.Table, ...]

    @property
    def n_events(self) -> int:
        """The number of events."""
        return sum(len(block) for block in self.blocks)

    @property
    def n_customers(self) -> int:
        """The number of customers."""
        return sum(len(_ids(block)) for block in self.blocks if len(block))

    @property
    def tied(self) -> int:
        """How many events share their customer and instant with another: only the sequence tells which came first."""
        return sum(_tied(block) for block in self.blocks)

    @property
    def ids_are_numbers(self) -> bool:
        """Whether customers are known by whole numbers, not by text."""
        return bool(self.blocks) and pa.types.is_integer(_ids(self.blocks[0]).type)

    @property
    def last_seq(self) -> int:
        """The largest number that orders events of one instant; -1 without events."""
        return max((pc.max(block.column(SEQ)).as_py() for block in self.blocks if len(block)), default=-1)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the columns that are no roles."""
        names = self.blocks[0].column_names if self.blocks else []
        return tuple(name for name in names if name not in (*histories.ROLES, EVENT_ID))

    def rows(self) -> pa.Table:
        """Return the events as one table, in no order between blocks, without their ids; nothing is copied."""
        return pa.concat_tables(
            block.drop_columns([EVENT_ID] if EVENT_ID in block.column_names else []).replace_schema_metadata(None)
            for block in self.blocks
        )

    def count(self, as_of: datetime) -> int:
        """Return how many events there are at as_of."""
        return sum(len(select(block, as_of)) for block in self.blocks)

    def customers(self, as_of: datetime) -> int:
        """Return how many customers have an event at as_of."""
        return sum(
            int(np.count_nonzero(np.diff(_codes(select(one, as_of), CUSTOMER), prepend=-1))) for one in self.blocks
        )

    def event_names(self, as_of: datetime) -> set[str]:
        """Return the names of the events at as_of."""
        return {name for block in self.blocks for name in _present(select(block, as_of))}

    def map_blocks(
        self,
        function: Callable[[pa.Table], pa.Table],
        as_of: datetime | None = None,
        *,
        names: Sequence[str] | None = None,
        attributes: Sequence[str] = (),
    ) -> pa.Table:
        """Hand the events to a function block by block, later ones and those of other names left out."""
        made = [function(select(block, as_of, names=names, attributes=attributes)) for block in self.blocks]
        return pa.concat_tables(made)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Appended:
    """A prepared log with a batch in it, and what the batch has changed.

    before, after : all events of the customers whom the batch is about, as blocks, without it and with it. What adds
        up over customers is brought up to date by taking off the result of `before` and adding that of `after`.
    dropped : events of the batch that were there already.
    """

    log: Prepared
    before: Prepared
    after: Prepared
    dropped: int


def prepare(blocks: Sequence[pa.Table]) -> Prepared:
    """Sort and code blocks of events; each holds all events of its customers, as `histories.of` reads them with seq.

    A column called `EVENT_ID` is kept as it is.
    """
    return Prepared(blocks=tuple(piece for block in blocks for piece in _split(arranged(block))))


def arranged(events: pa.Table) -> pa.Table:
    """Return a table of events as one sorted, coded block."""
    ids = [name for name in events.column_names if name == EVENT_ID]
    people, order = histories.arranged(events.drop_columns(ids))
    columns = {
        CUSTOMER: pa.DictionaryArray.from_arrays(pa.array(people.owners()), people.ids),
        EVENT: _array(people.event),
        AT: pa.array(people.at).view(pa.timestamp("us")),
    }
    for name in (SEQ, *ids):
        column = _whole(events.column(name))
        columns[name] = column if order is None else column.take(pa.array(order))
    columns |= {name: _array(column) for name, column in people.attributes.items()}
    return pa.table(columns).replace_schema_metadata(SORTED)


def select(
    block: pa.Table, as_of: datetime | None, *, names: Sequence[str] | None = None, attributes: Sequence[str] = ()
) -> pa.Table:
    """Return the events of a block that are asked for, with the columns that are asked for, as a block."""
    part = block.select([CUSTOMER, EVENT, AT, *attributes])
    kept = _asked(part, as_of, names) if len(part) else None
    if kept is None:
        return part
    return _rows(part, np.flatnonzero(kept))


def _rows(block: pa.Table, rows: Ints) -> pa.Table:
    """Return some rows of a block, picked from the arrays: Arrow's own filter takes several times as long."""
    return pa.table([_picked(_whole(column), rows) for column in block.columns], schema=block.schema)


def _asked(part: pa.Table, as_of: datetime | None, names: Sequence[str] | None) -> NDArray[np.bool_] | None:
    """Mark the events that are asked for; None when all are."""
    kept = None
    if as_of is not None:
        limit = int(np.datetime64(naive_utc(as_of), "us").astype(np.int64))
        at = np.asarray(_whole(part.column(AT)).view(pa.int64()))
        kept = at <= limit if at.max() > limit else None
    if names is not None:
        events = _coded(part, EVENT)
        wanted = np.isin(np.array(events.values, dtype=object), list(names))
        named = wanted[events.codes]
        kept = named if kept is None else kept & named
    return kept


def _picked(column: pa.Array, rows: Ints) -> pa.Array:
    if column.null_count or pa.types.is_string(column.type):
        return column.take(pa.array(rows))
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(pa.array(np.asarray(column.indices)[rows]), column.dictionary)
    return pa.array(np.asarray(column.view(pa.int64()))[rows]).view(column.type)


def append(log: Prepared, batch: pa.Table) -> Appended:
    """Sort a batch of events in among those of its customers; new customers join the smallest block.

    Parameters
    ----------
    batch : events with the columns of the log, each as `histories.of` reads it, and `EVENT_ID` where the log has it.

    Raises
    ------
    ValueError
        The customers' ids are of another type than those of the log.
    """
    blocks, left = list(log.blocks), batch
    home = min(range(len(blocks)), key=lambda place: len(blocks[place]), default=0)
    of_new, dropped = left.schema.empty_table(), 0
    before: list[pa.Table] = []
    after: list[pa.Table] = []
    if blocks:
        known = _ids(blocks[0]).type
        if left.schema.field(CUSTOMER).type != known:
            raise ValueError(f"customers are {left.schema.field(CUSTOMER).type}, those of the log {known}")
        found = [pc.index_in(left.column(CUSTOMER), _ids(block)) for block in blocks]
        of_new = left.filter(_all([pc.is_null(places) for places in found]))
    for place, block in enumerate(blocks):
        rows = left.filter(pc.is_valid(found[place]))
        rows = pa.concat_tables([rows, of_new]) if place == home else rows
        if not len(rows):
            continue
        blocks[place], old, new, twice = _merged(block, rows)
        before.append(old)
        after.append(new)
        dropped += twice
    if not blocks and len(batch):
        whole = prepare([batch])
        return Appended(log=whole, before=Prepared(blocks=(whole.blocks[0].slice(0, 0),)), after=whole, dropped=0)
    # a block of no rows where nobody has changed, so that a method still has its columns to answer with
    nobody = [block.slice(0, 0) for block in blocks[:1]]
    return Appended(
        log=Prepared(blocks=tuple(blocks)),
        before=Prepared(blocks=tuple(before or nobody)),
        after=Prepared(blocks=tuple(after or nobody)),
        dropped=dropped,
    )


def _merged(block: pa.Table, rows: pa.Table) -> tuple[pa.Table, pa.Table, pa.Table, int]:
    """Return a block with rows sorted in; the changed customers' events without them and with them; rows dropped."""
    places = pc.index_in(rows.column(CUSTOMER), _ids(block))
    changed = np.zeros(len(_ids(block)), dtype=np.bool_)
    changed[np.asarray(places.drop_null(), dtype=np.int64)] = True
    moved = changed[_codes(block, CUSTOMER)]
    before = _only_its_customers(_rows(block, np.flatnonzero(moved)))
    fresh = _without_repeats(rows, before)
    after = arranged(pa.concat_tables([before.replace_schema_metadata(None), _alike(fresh, before)]))
    return _joined(block, np.flatnonzero(~moved), changed, after), before, after, len(rows) - len(fresh)


def _only_its_customers(block: pa.Table) -> pa.Table:
    """Return a block without the ids of customers of whom it has no event."""
    owner = _codes(block, CUSTOMER)
    begins = np.ones(len(owner), dtype=np.bool_)
    np.not_equal(owner[1:], owner[:-1], out=begins[1:])
    numbers = np.cumsum(begins, dtype=np.int32) - np.int32(1)
    customer = pa.DictionaryArray.from_arrays(pa.array(numbers), _ids(block).take(pa.array(owner[begins])))
    return block.set_column(0, block.schema.field(CUSTOMER), customer)


def _without_repeats(rows: pa.Table, before: pa.Table) -> pa.Table:
    if EVENT_ID not in before.column_names:
        return rows
    known = pc.is_in(rows.column(EVENT_ID), _whole(before.column(EVENT_ID)))
    return rows.filter(pc.invert(known))


def _alike(rows: pa.Table, block: pa.Table) -> pa.Table:
    """Return rows with the columns and types of a block."""
    columns = []
    for field in block.schema:
        column = rows.column(field.name)
        columns.append(_as_type(column, field.type))
    return pa.table(columns, schema=block.schema.remove_metadata())


def _as_type(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(kind):
        return column.cast(kind)
    if pa.types.is_dictionary(column.type):
        return column.cast(kind)
    return column.cast(kind.value_type).dictionary_encode().cast(kind)


def _joined(block: pa.Table, stay: Ints, changed: NDArray[np.bool_], after: pa.Table) -> pa.Table:
    """Return some rows of a block, those of its customers who have not changed, and all of another as one block."""
    places = (np.cumsum(~changed) - 1).astype(np.int32)
    ids = pa.concat_arrays([_ids(block).take(pa.array(np.flatnonzero(~changed))), _ids(after)])
    behind = _codes(after, CUSTOMER) + np.int32(len(changed) - changed.sum())
    owner = _followed(_codes(block, CUSTOMER), stay, behind)
    owner[: len(stay)] = places[owner[: len(stay)]]
    columns: dict[str, Any] = {CUSTOMER: pa.DictionaryArray.from_arrays(pa.array(owner), ids)}
    for name in after.column_names:
        kind = after.schema.field(name).type
        if name == CUSTOMER:
            continue
        if pa.types.is_dictionary(kind):
            columns[name] = _array(_joined_codes(_coded(block, name), stay, _coded(after, name)))
        elif name == EVENT_ID:
            kept = _whole(block.column(name)).take(pa.array(stay))
            columns[name] = pa.concat_arrays([kept, _whole(after.column(name))])
        else:
            columns[name] = pa.array(_followed(_numbers(block, name), stay, _numbers(after, name))).view(kind)
    return pa.table(columns).replace_schema_metadata(SORTED)


def _numbers(block: pa.Table, name: str) -> Ints:
    return np.asarray(_whole(block.column(name)).view(pa.int64()))


def _joined_codes(first: Coded, rows: Ints, second: Coded) -> Coded:
    """Return some rows of a coded column and all of another behind them, as codes into the values of both."""
    if first.values == second.values:
        return Coded(codes=_followed(first.codes, rows, second.codes), values=first.values)
    values = tuple(sorted({*first.values, *second.values}))
    place = {value: number for number, value in enumerate(values)}
    # the last entry is for a missing value, whose code is -1
    ranked = [np.array([*(place[value] for value in one.values), -1], dtype=np.int32) for one in (first, second)]
    return Coded(codes=np.concatenate([ranked[0][first.codes[rows]], ranked[1][second.codes]]), values=values)


def _followed(first: NDArray[Any], rows: Ints, second: NDArray[Any]) -> NDArray[Any]:
    """Return some rows of an array and all of another behind them, each copied once."""
    made = np.empty(len(rows) + len(second), dtype=first.dtype)
    first.take(rows, out=made[: len(rows)], mode="clip")
    made[len(rows) :] = second
    return made


def _split(block: pa.Table) -> list[pa.Table]:
    """Cut a block between customers into blocks of about `EVENTS_PER_BLOCK` events, each with ids of its own."""
    pieces = 1 + (len(block) - 1) // EVENTS_PER_BLOCK
    if pieces <= 1:
        return [block]
    owner = _codes(block, CUSTOMER)
    even = np.arange(1, pieces) * len(block) // pieces
    cuts = np.unique(np.concatenate([[0], np.searchsorted(owner, owner[even]), [len(block)]]))
    made = []
    for begin, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        numbers, ids = owner[begin:end] - owner[begin], _ids(block)
        own = ids.slice(int(owner[begin]), int(numbers[-1]) + 1)
        customer = pa.DictionaryArray.from_arrays(pa.array(numbers), own)
        made.append(block.slice(begin, end - begin).set_column(0, CUSTOMER, customer))
    return made


def _all(masks: Sequence[Any]) -> Any:
    whole = masks[0]
    for mask in masks[1:]:
        whole = pc.and_(whole, mask)
    return whole


def _tied(block: pa.Table) -> int:
    at, owner = _numbers(block, AT), _codes(block, CUSTOMER)
    like_next = np.zeros(len(at) + 1, dtype=np.bool_)
    like_next[1:-1] = (at[1:] == at[:-1]) & (owner[1:] == owner[:-1])
    return int((like_next[1:] | like_next[:-1]).sum())


def _present(block: pa.Table) -> list[str]:
    events = _coded(block, EVENT)
    there = np.bincount(events.codes, minlength=len(events.values)) > 0
    return [name for name, present in zip(events.values, there.tolist(), strict=True) if present]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; of one chunk, as it lies."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _ids(block: pa.Table) -> pa.Array:
    column = block.column(CUSTOMER)
    return column.chunk(0).dictionary if column.num_chunks else pa.array([], column.type.value_type)


def _codes(block: pa.Table, name: str) -> Codes:
    column = block.column(name)
    if not column.num_chunks:
        return np.zeros(0, dtype=np.int32)
    indices = _whole(column).indices
    return np.asarray(indices.fill_null(histories.NOTHING) if indices.null_count else indices, dtype=np.int32)


def _coded(block: pa.Table, name: str) -> Coded:
    column = block.column(name)
    values = tuple(column.chunk(0).dictionary.to_pylist()) if column.num_chunks else ()
    return Coded(codes=_codes(block, name), values=values)


def _array(column: Coded) -> pa.Array:
    missing = column.codes < 0
    indices = pa.array(column.codes, mask=missing) if missing.any() else pa.array(column.codes)
    return pa.DictionaryArray.from_arrays(indices, pa.array(column.values, pa.string()))
