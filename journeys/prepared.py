"""A prepared log: the events of whole customers, sorted and coded once, which every method then reads as they lie.

A block is a table of customer (numbers into ids), event and attributes (numbers into sorted values), at and seq, its
rows in order of customer, time and sequence: the form that `histories.of` takes without a copy.

Late events need no rule of their own: a batch is sorted in among the events of the customers whom it is about,
wherever it falls, and no other customer is touched. Their histories make a block of their own; the rows that they had
before stay where they are and count no more, until too many of a block are so and it is written anew. Events of a batch
count as coming after those of the same instant that were there, unless both have a sequence that says otherwise. Where
events have ids, one that was there is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.lake.schema import naive_utc
from journeys import histories
from journeys.coding import pieces
from journeys.histories import AT, CUSTOMER, EVENT, SEQ, SORTED, Coded, Codes, Ints

EVENT_ID: Final = "event id"
"""Column of a block for the ids of events, where they have any; no attribute."""

EVENTS_PER_BLOCK: Final = 4_000_000
"""What is handed to a method at once. The allocator uses arrays of up to 32 MB again; larger ones are fresh pages each
time, which costs more than the arithmetic on them.
"""


LIVE: Final = "live"
"""Column of `Prepared.rows` that is false where an event lies in another block since."""

_WORN: Final = 0.5
"""Where less than this part of a block's rows counts, it is written anew."""

_SMALL: Final = 1 / 8
"""A block of less than this part of `EVENTS_PER_BLOCK` is small."""

_MOST_SMALL: Final = 8
"""Of more small blocks than this, one is made."""

_NOBODY: Final[Codes] = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A log as sorted, coded blocks, at least one, each of whole customers; all have the same columns.

    moved : of each block, the numbers of the customers whose events lie in a later block, sorted: their rows in this
        one count no more. Empty where nobody has moved from any block.
    latest : microseconds since 1970 up to which the events of each block lie; empty where nobody has looked.
    """

    blocks: tuple[pa.Table, ...]
    moved: tuple[Codes, ...] = ()
    latest: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.moved and len(self.moved) != len(self.blocks):
            raise ValueError(f"{len(self.blocks)} blocks and {len(self.moved)} lists of who has moved")

    def live(self, place: int) -> NDArray[np.bool_] | None:
        """Mark the rows of a block that count; None when all do."""
        return _live(self.blocks[place], self.moved[place]) if self.moved and len(self.moved[place]) else None

    @property
    def _parts(self) -> Iterator[tuple[pa.Table, NDArray[np.bool_] | None]]:
        for place, block in enumerate(self.blocks):
            yield block, self.live(place)

    @property
    def n_events(self) -> int:
        """The number of events."""
        return sum(self.events_of(place) for place in range(len(self.blocks)))

    @property
    def n_customers(self) -> int:
        """The number of customers."""
        return sum(self.customers_of(place) for place in range(len(self.blocks)))

    def events_of(self, place: int) -> int:
        """Return how many events of a block count."""
        live = self.live(place)
        return len(self.blocks[place]) if live is None else int(np.count_nonzero(live))

    def customers_of(self, place: int) -> int:
        """Return how many customers have their events in a block."""
        moved = len(self.moved[place]) if self.moved else 0
        return len(_ids(self.blocks[place])) - moved if len(self.blocks[place]) else 0

    @property
    def tied(self) -> int:
        """How many events share their customer and instant with another: only the sequence tells which came first."""
        return sum(_tied(block, live) for block, live in self._parts)

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
        """Return the rows as one table, in no order between blocks, without the events' ids; nothing is copied.

        Where customers have moved it has the column `LIVE` too, and only the rows marked there are events.
        """
        return pa.concat_tables(_bare(block, live, marked=bool(self.moved)) for block, live in self._parts)

    def count(self, as_of: datetime) -> int:
        """Return how many events there are at as_of."""
        return sum(
            self.events_of(place) if self._is_whole(place, as_of) else len(self._asked(place, as_of))
            for place in range(len(self.blocks))
        )

    def customers(self, as_of: datetime) -> int:
        """Return how many customers have an event at as_of."""
        return sum(
            self.customers_of(place) if self._is_whole(place, as_of) else _count_customers(self._asked(place, as_of))
            for place in range(len(self.blocks))
        )

    def event_names(self, as_of: datetime) -> set[str]:
        """Return the names of the events at as_of."""
        return {name for place in range(len(self.blocks)) for name in _present(self._asked(place, as_of))}

    def _is_whole(self, place: int, as_of: datetime | None) -> bool:
        """Say whether all events of a block are known to lie at as_of or before."""
        return as_of is None or (bool(self.latest) and self.latest[place] <= _microseconds(as_of))

    def _asked(
        self, place: int, as_of: datetime | None, names: Sequence[str] | None = None, attributes: Sequence[str] = ()
    ) -> pa.Table:
        until = None if self._is_whole(place, as_of) else as_of
        return select(self.blocks[place], until, names=names, attributes=attributes, live=self.live(place))

    def map_blocks(
        self,
        function: Callable[[pa.Table], pa.Table],
        as_of: datetime | None = None,
        *,
        names: Sequence[str] | None = None,
        attributes: Sequence[str] = (),
    ) -> pa.Table:
        """Hand the events to a function block by block, later ones and those of other names left out."""
        return pa.concat_tables(
            function(self._asked(place, as_of, names, attributes)) for place in range(len(self.blocks))
        )


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
    block: pa.Table,
    as_of: datetime | None,
    *,
    names: Sequence[str] | None = None,
    attributes: Sequence[str] = (),
    live: NDArray[np.bool_] | None = None,
) -> pa.Table:
    """Return the events of a block that are asked for, with the columns that are asked for, as a block.

    live : which rows count; None: all.
    """
    part = block.select([CUSTOMER, EVENT, AT, *attributes])
    kept = _asked(part, as_of, names, live) if len(part) else None
    if kept is None:
        return part
    return _rows(part, np.flatnonzero(kept))


def _rows(block: pa.Table, rows: Ints) -> pa.Table:
    """Return some rows of a block, picked from the arrays: Arrow's own filter takes several times as long."""
    return pa.table([_picked(_whole(column), rows) for column in block.columns], schema=block.schema)


def _asked(
    part: pa.Table, as_of: datetime | None, names: Sequence[str] | None, live: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """Mark the events that are asked for; None when all are."""
    kept = live
    if as_of is not None:
        limit = _microseconds(as_of)
        at = np.asarray(_whole(part.column(AT)).view(pa.int64()))
        if at.max() > limit:
            kept = at <= limit if kept is None else kept & (at <= limit)
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
    """Sort a batch of events in among those of its customers, whose histories become blocks of their own.

    Parameters
    ----------
    batch : events with the columns of the log, each as `histories.of` reads it, and `EVENT_ID` where the log has it.

    Raises
    ------
    ValueError
        The customers' ids are of another type than those of the log.
    """
    if not log.blocks:
        whole = prepare([batch])
        return Appended(log=whole, before=Prepared(blocks=(whole.blocks[0].slice(0, 0),)), after=whole, dropped=0)
    known = _ids(log.blocks[0]).type
    if batch.schema.field(CUSTOMER).type != known:
        raise ValueError(f"customers are {batch.schema.field(CUSTOMER).type}, those of the log {known}")
    # a block of no rows where nobody has changed, so that a method still has its columns to answer with
    nobody = Prepared(blocks=(log.blocks[0].slice(0, 0),))
    if not len(batch):
        return Appended(log=log, before=nobody, after=nobody, dropped=0)
    who = pc.unique(batch.column(CUSTOMER))
    before, moved = [], []
    for place, block in enumerate(log.blocks):
        gone = np.zeros(len(_ids(block)), dtype=np.bool_)
        if log.moved:
            gone[log.moved[place]] = True
        changed = np.zeros(len(gone), dtype=np.bool_)
        changed[np.asarray(pc.index_in(who, _ids(block)).drop_null(), dtype=np.int64)] = True
        changed &= ~gone
        moved.append(np.flatnonzero(gone | changed).astype(np.int32))
        if changed.any():
            before.append(_only_its_customers(_rows(block, np.flatnonzero(changed[_codes(block, CUSTOMER)]))))
    fresh = _without_repeats(batch, before)
    parts = [*(part.replace_schema_metadata(None) for part in before), _alike(fresh, log.blocks[0])]
    after = _split(arranged(pa.concat_tables(parts)))
    blocks = (*log.blocks, *(block for block in after if len(block)))
    moved += [_NOBODY] * (len(blocks) - len(moved))
    return Appended(
        log=_tidied(Prepared(blocks=blocks, moved=tuple(moved))),
        before=Prepared(blocks=tuple(before)) if before else nobody,
        after=Prepared(blocks=tuple(after)),
        dropped=len(batch) - len(fresh),
    )


def _tidied(log: Prepared) -> Prepared:
    """Return a log whose worn blocks are made anew, and of whose small blocks one is made where there are many."""
    found: list[tuple[pa.Table, Codes]] = []
    for place, block in enumerate(log.blocks):
        live, count = log.live(place), log.events_of(place)
        if live is not None and count < _WORN * len(block):
            found.append(_without_moved(block, live))
        else:
            found.append((block, log.moved[place]))
    found = [(block, gone) for block, gone in found if len(block)]
    small = [one for one in found if len(one[0]) < _SMALL * EVENTS_PER_BLOCK]
    if len(small) > _MOST_SMALL:
        rows = [_without_moved(block, _live(block, gone))[0].replace_schema_metadata(None) for block, gone in small]
        joined = _split(arranged(pa.concat_tables(rows)))
        found = [one for one in found if len(one[0]) >= _SMALL * EVENTS_PER_BLOCK]
        found += [(block, _NOBODY) for block in joined]
    if not found:
        return Prepared(blocks=(log.blocks[0].slice(0, 0),))
    moved = tuple(gone for _, gone in found)
    return Prepared(blocks=tuple(block for block, _ in found), moved=moved if any(map(len, moved)) else ())


def _without_moved(block: pa.Table, live: NDArray[np.bool_]) -> tuple[pa.Table, Codes]:
    return _only_its_customers(_rows(block, np.flatnonzero(live))), _NOBODY


def _only_its_customers(block: pa.Table) -> pa.Table:
    """Return a block without the ids of customers of whom it has no event."""
    owner = _codes(block, CUSTOMER)
    begins = np.ones(len(owner), dtype=np.bool_)
    np.not_equal(owner[1:], owner[:-1], out=begins[1:])
    numbers = np.cumsum(begins, dtype=np.int32) - np.int32(1)
    customer = pa.DictionaryArray.from_arrays(pa.array(numbers), _ids(block).take(pa.array(owner[begins])))
    return block.set_column(0, block.schema.field(CUSTOMER), customer)


def _without_repeats(rows: pa.Table, before: Sequence[pa.Table]) -> pa.Table:
    if not before or EVENT_ID not in before[0].column_names:
        return rows
    ids = pa.concat_arrays([_whole(part.column(EVENT_ID)) for part in before])
    return rows.filter(pc.invert(pc.is_in(rows.column(EVENT_ID), ids)))


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


def _numbers(block: pa.Table, name: str) -> Ints:
    return np.asarray(_whole(block.column(name)).view(pa.int64()))


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


def _live(block: pa.Table, moved: Codes) -> NDArray[np.bool_]:
    stays = np.ones(len(_ids(block)), dtype=np.bool_)
    stays[moved] = False
    live: NDArray[np.bool_] = stays[_codes(block, CUSTOMER)]
    return live


def _bare(block: pa.Table, live: NDArray[np.bool_] | None, *, marked: bool) -> pa.Table:
    """Return a block without the ids of events, with the column `LIVE` where it is to be marked."""
    bare = block.drop_columns([EVENT_ID] if EVENT_ID in block.column_names else []).replace_schema_metadata(None)
    if not marked:
        return bare
    return bare.append_column(LIVE, pa.array(np.ones(len(block), dtype=np.bool_) if live is None else live))


def _tied(block: pa.Table, live: NDArray[np.bool_] | None) -> int:
    at, owner = _numbers(block, AT), _codes(block, CUSTOMER)
    like_next = np.zeros(len(at) + 1, dtype=np.bool_)
    like_next[1:-1] = (at[1:] == at[:-1]) & (owner[1:] == owner[:-1])
    tied = like_next[1:] | like_next[:-1]
    return int(np.count_nonzero(tied if live is None else tied & live))


def _microseconds(moment: datetime) -> int:
    return int(np.datetime64(naive_utc(moment), "us").astype(np.int64))


def _count_customers(block: pa.Table) -> int:
    return int(np.count_nonzero(np.diff(_codes(block, CUSTOMER), prepend=-1)))


def _present(block: pa.Table) -> list[str]:
    events = _coded(block, EVENT)
    there = np.zeros(len(events.values), dtype=np.bool_)
    for rows in pieces(len(events.codes)):
        there[events.codes[rows]] = True
        if there.all():  # as a rule after the first rows
            break
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
