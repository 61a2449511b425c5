"""Who did something in which day, week or month: what retention, lifecycle and stickiness count.

A customer's periods are the bits of a few whole numbers. They come from histories, or from an engine that has put
them together itself, so that a few bytes per customer leave it instead of every event. Both ways agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.journeys import ANY_EVENT
from engine.domain.errors import SettingsFault
from engine.lake.engine import Engine
from journeys import histories
from journeys.calendar import Calendar, index_column
from journeys.event_log import EventLog
from journeys.histories import AT, CUSTOMER, EVENT, Histories, Ints

Marks = NDArray[np.bool_]
Words = NDArray[np.int64]
Bits = NDArray[np.uint64]

ANY: Final = (ANY_EVENT,)
BITS: Final = 62
"""Periods per mask: what fits a signed whole number of every engine."""

BLOCKS_TOGETHER: Final = 16
"""How many blocks of a log's events give masks that fit into memory together."""

MOST_WORDS: Final = 30_000_000
"""A quarter of a gigabyte per set of periods: 500,000 customers for ten years of days."""

_TOO_WIDE: Final = (
    "the events lie in about {:,} periods: too many to keep for every customer. Check the dates, take a longer period, "
    "or cut the log to the years that matter"
)

CHUNK: Final = "chunk"
STARTED: Final = "started"
ACTIVE: Final = "active"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Periods:
    """A set of periods for each of n customers.

    chunks : which stretches of BITS periods occur at all, rising, shape (m,); chunk c begins with period c * BITS.
    words : shape (m, n): bit i of words[j, k] is set when customer k has period chunks[j] * BITS + i.
    """

    chunks: Ints
    words: Words

    def each(self) -> list[int]:
        """Return the periods that anyone has, rising."""
        found = []
        for chunk, words in self._rising():
            union = int(np.bitwise_or.reduce(words))
            found += [chunk * BITS + bit for bit in range(BITS) if union >> bit & 1]
        return found

    def column(self, period: int) -> Marks:
        """Mark the customers who have a period, shape (n,)."""
        place = int(np.searchsorted(self.chunks, period // BITS))
        if place == len(self.chunks) or self.chunks[place] != period // BITS:
            return np.zeros(self.words.shape[1], dtype=np.bool_)
        marks: Marks = (self.words[place] & np.int64(1 << period % BITS)) != 0
        return marks

    def among(self, period: int) -> Bits:
        """Return `column` as a set of customers."""
        return packed(self.column(period))

    def first(self, since: int | None = None) -> tuple[Marks, Ints]:
        """Return who has any period from `since` on, and the first one; 0 for those who have none."""
        n = self.words.shape[1]
        found, first = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.int64)
        for chunk, words in self._rising():
            kept = words if since is None else words & _from(since - chunk * BITS)
            new = ~found & (kept != 0)
            lowest = np.bitwise_count((kept & -kept) - 1).astype(np.int64)
            first[new] = chunk * BITS + lowest[new]
            found |= new
        return found, first

    def count(self, first: int, last: int) -> Ints:
        """Return how many periods from first to last each customer has."""
        counted = np.zeros(self.words.shape[1], dtype=np.int64)
        for chunk, words in self._rising():
            inside = _from(first - chunk * BITS) & ~_from(last + 1 - chunk * BITS)
            counted += np.bitwise_count(words & inside)
        return counted

    def _rising(self) -> Iterator[tuple[int, Words]]:
        return zip(self.chunks.tolist(), self.words, strict=True)


def packed(marks: Marks) -> Bits:
    """Return marks of customers as a set: one bit each, in whole numbers of 64, so that sets meet and join at once."""
    room = np.zeros(-(-len(marks) // 64) * 8, dtype=np.uint8)
    bits = np.packbits(marks, bitorder="little")
    room[: len(bits)] = bits
    return room.view(np.uint64)


def unpacked(bits: Bits, n: int) -> Marks:
    """Return a set of n customers as marks."""
    return np.unpackbits(bits.view(np.uint8), count=n, bitorder="little").astype(np.bool_)


def size(bits: Bits) -> int:
    """Return how many customers are in a set."""
    return int(np.bitwise_count(bits).sum(dtype=np.int64))


def _from(bit: int) -> int:
    """Return the mask of all bits of a chunk from one on."""
    return ((1 << BITS) - 1) & ~((1 << min(max(bit, 0), BITS)) - 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activity:
    """The periods in which n customers did one of the start events, and one of the events that count as active."""

    ids: pa.Array
    started: Periods
    active: Periods


def matches(people: Histories, names: Sequence[str]) -> Marks:
    """Mark the events that have one of some names, or all of them for `*`."""
    if ANY_EVENT in names:
        return np.ones(people.n_events, dtype=np.bool_)
    wanted = np.isin(np.array([*people.event.values, ""]), list(names))
    wanted[-1] = False  # where the code of a missing name points
    return np.asarray(wanted[people.event.codes])


def of(people: Histories, calendar: Calendar, *, start: Sequence[str] = ANY, active: Sequence[str] = ANY) -> Activity:
    """Read the activity from histories; `start` and `active` are names of events, `*` is any."""
    periods = calendar.index(people.at)
    started = _periods(people, periods, matches(people, start))
    same = tuple(start) == tuple(active)
    return Activity(
        ids=people.ids,
        started=started,
        active=started if same else _periods(people, periods, matches(people, active)),
    )


def _periods(people: Histories, periods: Ints, kept: Marks) -> Periods:
    if not kept.any():
        return Periods(chunks=np.zeros(0, dtype=np.int64), words=np.zeros((0, len(people)), dtype=np.int64))
    low, high = (int(edge) // BITS for edge in (periods.min(), periods.max()))
    # one chunk, the usual case, needs no division of every event's period
    chunk = np.full(1, low) if low == high else periods // BITS
    bits = np.int64(1) << (periods - chunk * BITS)
    if not kept.all():
        bits[~kept] = 0
    chunks = chunk if low == high else np.unique(chunk[kept])
    if len(chunks) * len(people) > MOST_WORDS:
        raise SettingsFault("period", [_TOO_WIDE.format(len(chunks) * BITS)])
    words = np.zeros((len(chunks), len(people)), dtype=np.int64)
    some = np.flatnonzero(np.diff(people.starts))
    for place, number in enumerate(chunks.tolist()):
        inside = bits if low == high else np.where(chunk == number, bits, 0)
        words[place, some] = np.bitwise_or.reduceat(inside, people.starts[some])
    return Periods(chunks=chunks, words=words)


def masks(
    events: Any,
    calendar: Calendar,
    first: datetime,
    last: datetime,
    *,
    start: Sequence[str] = ANY,
    active: Sequence[str] = ANY,
) -> Any:
    """Return the activity as an expression over `EventLog.events`, none of them outside first to last.

    Returns
    -------
    Ibis table
        customer, chunk, started, active: a row per customer and chunk that occurs, the last two the words of
        `Periods`, null where there is no such event.
    """
    period = index_column(calendar, events[AT], first, last)
    low, high = (calendar.index_of(moment) // BITS for moment in (first, last))
    # one chunk, the usual case, is a constant: to group by it would cost a quarter more
    chunk = ibis.literal(low, type="int64") if low == high else (period // BITS).cast("int64")
    # as text, since Ibis drops the cast of a number and Spark would shift 32 bits
    bit = ibis.literal("1").cast("int64") << (period - chunk * BITS).cast("int64")
    marked = {STARTED: _named(events, bit, start)}
    if tuple(start) != tuple(active):
        marked[ACTIVE] = _named(events, bit, active)
    keys = {CUSTOMER: events[CUSTOMER]} | ({} if low == high else {CHUNK: chunk})
    wide = events.select(**keys, **marked)
    rows = wide.group_by(list(keys)).aggregate(**{name: wide[name].bit_or() for name in marked})
    return rows.select(
        rows[CUSTOMER],
        (chunk if low == high else rows[CHUNK]).name(CHUNK),
        rows[STARTED],
        rows[ACTIVE if ACTIVE in marked else STARTED].name(ACTIVE),
    )


def _named(events: Any, bit: Any, names: Sequence[str]) -> Any:
    if ANY_EVENT in names:
        return bit
    return ibis.ifelse(events[EVENT].isin(list(names)), bit, ibis.null("int64"))


def from_masks(rows: pa.Table) -> Activity:
    """Read the activity from the rows of `masks`; all rows of a customer must be among them."""
    chunk = _numbers(rows.column(CHUNK))
    chunks = np.unique(chunk)
    column = rows.column(CUSTOMER).combine_chunks()
    column = column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
    if len(chunks) <= 1:
        customers, ids = np.arange(len(column)), column
    else:
        encoded = pc.dictionary_encode(column)
        customers, ids = np.asarray(encoded.indices, dtype=np.int64), encoded.dictionary

    if len(chunks) * len(ids) > MOST_WORDS:
        raise SettingsFault("period", [_TOO_WIDE.format(len(chunks) * BITS)])

    def gathered(name: str) -> Periods:
        words = np.zeros((len(chunks), len(ids)), dtype=np.int64)
        words[np.searchsorted(chunks, chunk), customers] = _numbers(rows.column(name))
        return Periods(chunks=chunks, words=words)

    return Activity(ids=ids, started=gathered(STARTED), active=gathered(ACTIVE))


def _numbers(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.cast(pa.int64()).fill_null(0).to_numpy(), dtype=np.int64)


def mapped(
    log: EventLog,
    engine: Engine,
    function: Callable[[Activity], pa.Table],
    as_of: datetime,
    calendar: Calendar,
    *,
    start: Sequence[str] = ANY,
    active: Sequence[str] = ANY,
) -> pa.Table:
    """Hand the activity of a log to a function, a block of customers at a time, and return all that it makes of it.

    `function` is as `Engine.map_blocks` says, but receives Activity. A prepared log is read as it is; of any other
    the engine puts the periods together.
    """
    names = None if ANY_EVENT in (*start, *active) else sorted({*start, *active})
    if log.prepared is not None:
        read = partial(_of_events, calendar=calendar, start=tuple(start), active=tuple(active), function=function)
        return log.map_blocks(engine, read, as_of, names=names, ordered=False)
    events = log.events(as_of, names=names, ordered=False)
    first = engine.arrow(events.aggregate(at=events[AT].min())).column("at")[0].as_py()
    first = as_of if first is None else first.replace(tzinfo=UTC)
    rows = masks(events, calendar, first, as_of, start=start, active=active)
    # a customer's masks are a few bytes, while every block reads the log again
    blocks = 1 + log.blocks(engine) // BLOCKS_TOGETHER
    return engine.map_blocks(rows, CUSTOMER, partial(_of_masks, function=function), blocks=blocks)


def _of_events(
    block: pa.Table,
    *,
    calendar: Calendar,
    start: Sequence[str],
    active: Sequence[str],
    function: Callable[[Activity], pa.Table],
) -> pa.Table:
    return function(of(histories.of(block), calendar, start=start, active=active))


def _of_masks(block: pa.Table, *, function: Callable[[Activity], pa.Table]) -> pa.Table:
    return function(from_masks(block))
