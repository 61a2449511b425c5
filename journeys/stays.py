"""Stays at a step: from reaching a step of a journey until going on to the next one, dropping off, or today.

Two views of the same customers are kept apart, since they answer different questions:

- COUNTED: the attempts that the funnel counts. Their drop-offs are those of the funnel, to the customer.
- FORWARD: every attempt as it unfolded, the next beginning after the one before has ended; the first alone where the
  window runs from the previous step. Whether and when one begins follows from the past alone, so that what is learned
  from it can be asked of the future. The attempt that a funnel counts is chosen with hindsight: an entry repeated in
  time makes a later attempt of whoever goes on, and stays a repetition with whoever does not.
- LIVE: of customers whose journey is open, the step at which they stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from journeys import attempts, coding, histories, signals
from journeys.attempts import MISSING, Attempts
from journeys.histories import NOTHING, Coded, Codes, Histories, Ints
from journeys.spec import Funnel, Order, Reentry, WindowFrom

Bools = NDArray[np.bool_]

COUNTED, FORWARD, LIVE = 0, 1, 2
WENT_ON, DROPPED, IN_PROGRESS = 0, 1, 2

MICROSECONDS: Final = 1_000_000
CHANNEL: Final = "channel"
UNKNOWN: Final = "unknown"


def schema(breakdowns: Sequence[str] = ()) -> pa.Schema:
    """Return the columns of a table of stays: one row per journey, view, attempt and step but the last.

    step : its place among all steps, 1-based; next_step likewise.
    entered_at, reached_at : when the attempt and when the stay began.
    closes_at : when the window closes; ended_at: when the next step was reached, else closes_at or today.
    outcome : WENT_ON, DROPPED or IN_PROGRESS; settled: the window had closed by today, whatever came of it.
    channel : of the event that reached the step. next_*: of the first later event, next_channel of the first that has a
        channel, looked for up to the first event after the window; last_at: the last event within the window. Null, but
        for drop-offs of the view COUNTED.
    product : what the event that reached the step is about, null where nothing says it.
    met : for each signal, when the stay first met it before it ended, null where it did not; empty in the view COUNTED.
    by_... : the customer's group: the value of that attribute at the attempt's first event.
    """
    whole = [(name, pa.int64()) for name in ("entered_at", "reached_at", "ended_at", "closes_at", "last_at", "next_at")]
    small = [(name, pa.int32()) for name in ("view", "attempt", "step", "next_step", "outcome")]
    texts = [(name, pa.string()) for name in ("channel", "product", "next_channel", "next_event")]
    groups = [(f"by_{name}", pa.string()) for name in breakdowns]
    settled = [("settled", pa.bool_())]
    named = [("journey", pa.string()), ("customer", pa.string())]
    return pa.schema([*named, *small, *settled, *whole, *texts, ("met", pa.list_(pa.int64())), *groups])


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """What makes a table of the stays of one journey.

    as_of : microseconds. product: the attribute that names it, None where there is none; channel likewise.
    products : those that the journey is about, none named: all. Events about others are of no step, but still signs of
        life.
    breakdowns : further attributes whose value at the entry is kept.
    """

    journey: str
    funnel: Funnel
    as_of: int
    signals: tuple[signals.Signal, ...] = ()
    silence_seconds: float = 0.0
    channel: str | None = CHANNEL
    product: str | None = None
    products: tuple[str, ...] = ()
    breakdowns: tuple[str, ...] = ()

    def stays(self, read: Histories) -> pa.Table:
        """Return the stays of whole customers, none of whose events is later than as_of."""
        read = read.keep(_near(read, self.entries(read), self.longest))
        counted = self._found(read, self.funnel)
        # attempts whose window runs from the previous step have no common end, at which the next could begin
        onward = Reentry.FIRST if self.funnel.window_from is WindowFrom.PREVIOUS else Reentry.EVERY
        forward = self._found(read, replace(self.funnel, reentry=onward))
        parts = [
            self._table(read, _of(self.funnel, counted, self.as_of), COUNTED),
            self._table(read, _of(self.funnel, forward, self.as_of), FORWARD),
            self._table(read, self._live(read, counted), LIVE),
        ]
        return pa.concat_tables(parts)

    def entries(self, read: Histories) -> Bools:
        """Mark the events that can begin an attempt."""
        funnel = self._about_products()
        first = funnel.steps if funnel.order is Order.ANY else funnel.steps[:1]
        return np.asarray(np.logical_or.reduce([signals.reaches(read, step) for step in first]), dtype=np.bool_)

    @property
    def longest(self) -> int:
        """How long an attempt can last, in microseconds."""
        links = len(self.funnel.steps) if self.funnel.window_from is WindowFrom.PREVIOUS else 1
        return links * _window(self.funnel)

    def _found(self, read: Histories, funnel: Funnel, since: Ints | None = None) -> Attempts:
        """Return the attempts made by events about the journey's products, of each customer from some moment on."""
        kept = np.ones(read.n_events, dtype=np.bool_) if since is None else read.at >= since[read.owners()]
        if self.products and self.product is not None:
            kept &= signals.has_one_of(read.attributes[self.product], self.products)
        if kept.all():
            return attempts.find(read, funnel)
        found, rows = attempts.find(read.keep(kept), funnel), np.append(np.flatnonzero(kept), -1)
        return replace(found, row=rows[found.row])

    def _live(self, read: Histories, counted: Attempts) -> _Rows:
        """Return where open journeys stand: in the attempt that counts or, where that has run out, in an open one."""
        rows = _of(self.funnel, counted, self.as_of)
        here = rows.outcome == IN_PROGRESS
        open_ = rows.take(np.flatnonzero(here & (rows.closes_at >= self.as_of)))
        late = rows.take(np.flatnonzero(here & (rows.closes_at < self.as_of)))
        if self.funnel.window_from is WindowFrom.PREVIOUS:
            # a later arrival at a step keeps it open: until then the next one can be reached
            closes = counted.open_until[late.attempt]
            return open_.and_also(replace(late, closes_at=closes, ended_at=np.full(len(closes), self.as_of)))
        if not len(late.customer):
            return open_
        since = np.full(len(read), np.iinfo(np.int64).max)
        since[late.customer] = self.as_of - _window(self.funnel)
        later = _of(self.funnel, self._found(read, self.funnel, since), self.as_of)
        return open_.and_also(later.take(np.flatnonzero(later.outcome == IN_PROGRESS)))

    def _table(self, read: Histories, rows: _Rows, view: int) -> pa.Table:
        n = len(rows.customer)
        columns: dict[str, pa.Array] = {
            "journey": pa.array([self.journey]).take(pa.array(np.zeros(n, dtype=np.int8))),
            "customer": read.ids.take(pa.array(rows.customer)).cast(pa.string()),
            "view": pa.array(np.full(n, view, dtype=np.int32)),
            "settled": pa.array(rows.closes_at < self.as_of),
        }
        columns |= {name: pa.array(getattr(rows, name)) for name in _SHARED}
        columns |= self._what_came(read, rows, view)
        columns["met"] = self._met(read, rows, view)
        product = None if self.product is None else read.attributes[self.product]
        columns["channel"] = _texts(self._channel_of(read), rows.row, n)
        columns["product"] = _texts(product, rows.row, n)
        for name in self.breakdowns:
            columns[f"by_{name}"] = _texts(read.attributes[name], rows.entry_row, n)
        named = schema(self.breakdowns)
        return pa.table([columns[name].cast(named.field(name).type) for name in named.names], schema=named)

    def _about_products(self) -> Funnel:
        """Return the funnel with the condition of its products in every step."""
        if not self.products or self.product is None:
            return self.funnel
        about = {self.product: self.products}
        steps = tuple(replace(step, where={**step.where, **about}) for step in self.funnel.steps)
        return replace(self.funnel, steps=steps)

    def _channel_of(self, read: Histories) -> Coded | None:
        return None if self.channel is None else read.attributes[self.channel]

    def _what_came(self, read: Histories, rows: _Rows, view: int) -> dict[str, pa.Array]:
        """What the customers did after the step at which they dropped off."""
        n = len(rows.customer)
        dropped = (rows.outcome == DROPPED) if view == COUNTED else np.zeros(n, dtype=np.bool_)
        after = signals.later_instant(read)[rows.row]
        ends = read.starts[1:][rows.customer]
        row = np.where(dropped & (after < ends), after, -1)
        channel = self._channel_of(read)
        with_channel = row
        if channel is not None:
            with_channel = signals.next_marked(np.flatnonzero(channel.codes != NOTHING), after)
            with_channel = np.where(dropped & (with_channel >= 0) & (with_channel < ends), with_channel, -1)
        last = signals.last_until(read, rows.row, ends, rows.closes_at)
        return {
            "last_at": pa.array(read.at[last] if n else rows.reached_at, mask=~dropped),
            "next_at": pa.array(read.at[row] if n else rows.reached_at, mask=row < 0),
            "next_event": _texts(read.event, row, n),
            "next_channel": _texts(channel, with_channel, n),
        }

    def _met(self, read: Histories, rows: _Rows, view: int) -> pa.Array:
        n = len(rows.customer)
        if view == COUNTED or not self.signals:
            return pa.ListArray.from_arrays(pa.array(np.zeros(n + 1, np.int32)), pa.nulls(0, pa.int64()))
        asked = signals.Asked(step=rows.step, row=rows.row, until=rows.ended_at, ends=read.starts[1:][rows.customer])
        rules = signals.Rules(signals=self.signals, silence_seconds=self.silence_seconds, channel=self.channel)
        first = signals.first_met(read, self._about_products(), asked, rules).ravel()
        offsets = np.arange(n + 1, dtype=np.int32) * len(self.signals)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(first, mask=first == MISSING))


@dataclass(frozen=True, slots=True, kw_only=True)
class Observers:
    """What makes a table of stays of a block of events, of one journey or several; picklable."""

    observers: tuple[Observer, ...]

    def __call__(self, block: pa.Table) -> pa.Table:
        """Return the stays of a block of events of whole customers: the events are sorted once for all journeys."""
        read = histories.of(block)
        entries = np.logical_or.reduce([observer.entries(read) for observer in self.observers])
        near = read.keep(_near(read, entries, max(observer.longest for observer in self.observers)))
        return pa.concat_tables([observer.stays(near) for observer in self.observers])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stays:
    """One view of a table of stays as arrays, one element per stay; what each column holds, `schema` says.

    customer : place in `ids`. attempt: numbered over all customers. met: shape (stays, signals), MISSING where a signal
        was not met. The times of what came after a drop-off are MISSING where nothing came.
    """

    ids: pa.Array
    customer: Codes
    attempt: Codes
    step: Codes
    next_step: Codes
    outcome: Codes
    settled: Bools
    entered_at: Ints
    reached_at: Ints
    ended_at: Ints
    closes_at: Ints
    last_at: Ints
    next_at: Ints
    channel: Coded
    product: Coded
    next_channel: Coded
    next_event: Coded
    groups: Mapping[str, Coded]
    met: Ints

    def __len__(self) -> int:
        """Return the number of stays."""
        return len(self.customer)

    @property
    def went_on(self) -> Bools:
        """Which stays ended with the next step."""
        return np.equal(self.outcome, WENT_ON)

    def take(self, rows: Ints | Bools) -> Stays:
        """Return some of the stays."""
        places = np.asarray(np.flatnonzero(rows) if rows.dtype == np.bool_ else rows, dtype=np.int64)
        taken = {name: getattr(self, name)[places] for name in _ARRAYS}
        coded = {name: getattr(self, name).take(places) for name in _CODED}
        groups = {name: column.take(places) for name, column in self.groups.items()}
        return Stays(ids=self.ids, groups=groups, **taken, **coded)


_ARRAYS: Final = (
    "customer", "attempt", "step", "next_step", "outcome", "settled", "entered_at", "reached_at", "ended_at",
    "closes_at", "last_at", "next_at", "met",
)  # fmt: skip
_CODED: Final = ("channel", "product", "next_channel", "next_event")


def view(table: pa.Table, which: int) -> Stays:
    """Return one view of the stays of one journey, sorted by customer, attempt and step."""
    chosen = table.filter(pc.equal(table.column("view"), which))
    ids, who = _customers(chosen.column("customer"))
    numbers = {
        name: np.asarray(chosen.column(name).to_numpy(), dtype=np.int32)
        for name in ("attempt", "step", "next_step", "outcome")
    }
    order = np.lexsort((numbers["step"], numbers["attempt"], who))
    met = _times(pa.chunked_array(pc.list_flatten(chosen.column("met"))))
    times = ("entered_at", "reached_at", "ended_at", "closes_at", "last_at", "next_at")
    columns: dict[str, Any] = {name: column[order] for name, column in numbers.items()}
    columns |= {name: _times(chosen.column(name))[order] for name in times}
    columns |= {name: _coded(chosen.column(name)).take(order) for name in _CODED}
    customer = who[order]
    new = (np.diff(customer, prepend=-1) != 0) | (np.diff(columns["attempt"], prepend=-1) != 0)
    columns["attempt"] = np.asarray(np.cumsum(new) - 1, dtype=np.int32)
    return Stays(
        ids=ids,
        customer=customer,
        settled=np.asarray(chosen.column("settled").to_numpy(), dtype=np.bool_)[order],
        met=met.reshape(len(chosen), -1)[order] if len(chosen) else np.zeros((0, 0), dtype=np.int64),
        groups={name[3:]: _coded(chosen.column(name)).take(order) for name in chosen.column_names if name[:3] == "by_"},
        **columns,
    )


def _customers(column: pa.ChunkedArray) -> tuple[pa.Array, Codes]:
    """Return the different customers in order of their ids, and the place of each row's among them."""
    coded = coding.encoded(column)
    ids = coding.dictionary(coded)
    order = pc.array_sort_indices(ids)
    places = np.empty(len(ids), dtype=np.int32)
    places[np.asarray(order)] = np.arange(len(ids), dtype=np.int32)
    return ids.take(order), places[coding.filled(coded, np.int32, lambda chunk: np.asarray(chunk.indices))]


def _coded(column: pa.ChunkedArray) -> Coded:
    """Code a column of text by its sorted values."""
    text = coding.text(column)
    ranks, values = coding.ranked(coding.dictionary(text))
    return Coded(codes=coding.filled(text, np.int32, partial(coding.codes, ranks=ranks)), values=values)


def _times(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.fill_null(MISSING).to_numpy(), dtype=np.int64)


def _near(read: Histories, entries: Bools, longest: int) -> Bools:
    """Mark the instants that lie within some time after an entry, and the next one: nothing else is looked at."""
    begins, instant = signals.instants(read)
    at, owner = read.at[begins], read.owners()[begins]
    enters = np.zeros(len(begins), dtype=np.bool_)
    enters[instant[entries]] = True
    latest = np.maximum.accumulate(np.where(enters, np.arange(len(begins)), -1))
    near = (latest >= 0) & (owner[latest] == owner) & (at <= at[latest] + longest)
    near[1:] |= near[:-1] & (owner[1:] == owner[:-1])
    return np.asarray(near[instant], dtype=np.bool_)


_SHARED: Final = ("attempt", "step", "next_step", "outcome", "entered_at", "reached_at", "ended_at", "closes_at")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """Stays as arrays, one element per stay; `row` and `entry_row` are rows of the histories."""

    customer: Codes
    attempt: Codes
    step: Codes
    next_step: Codes
    outcome: Codes
    entered_at: Ints
    reached_at: Ints
    ended_at: Ints
    closes_at: Ints
    row: Ints
    entry_row: Ints

    def take(self, places: Ints) -> _Rows:
        return _Rows(**{name: getattr(self, name)[places] for name in _Rows.__slots__})

    def and_also(self, other: _Rows) -> _Rows:
        parts = {name: (getattr(self, name), getattr(other, name)) for name in _Rows.__slots__}
        return _Rows(**{name: np.concatenate(pair) for name, pair in parts.items()})


def levels(funnel: Funnel) -> list[int]:
    """Return the places of the steps that must be reached, 0-based; in any order, the j-th step to come is place j."""
    return [place for place, step in enumerate(funnel.steps) if not step.optional]


def transitions(funnel: Funnel) -> list[tuple[int, int]]:
    """Return each step that can be left with the one after it that must be reached, as places from 1."""
    return [(place + 1, following + 1) for place, following in pairwise(levels(funnel))]


def names(funnel: Funnel) -> list[str]:
    """Return what each place of a funnel is called, also those of optional steps."""
    if funnel.order is Order.ANY:
        return [f"{place} of {len(funnel.steps)}" for place in range(1, len(funnel.steps) + 1)]
    return [step.name for step in funnel.steps]


def _window(funnel: Funnel) -> int:
    return round(funnel.window_seconds * MICROSECONDS)


def _of(funnel: Funnel, found: Attempts, as_of: int) -> _Rows:
    """Return a stay for every required step that an attempt reached, but the last."""
    required = levels(funnel)
    complete = required[-1] + 1
    # of several attempts of a customer only the last can be under way
    last = np.append(np.diff(found.customer) != 0, [True])
    parts = []
    for place, following in pairwise(required):
        who = np.flatnonzero(found.depth > place)
        went_on = found.depth[who] > following
        entered, reached = found.at[who, 0], found.at[who, place]
        closes = (reached if funnel.window_from is WindowFrom.PREVIOUS else entered) + _window(funnel)
        waiting = (found.open_until[who] >= as_of) & (found.depth[who] < complete) & last[who]
        outcome = np.where(went_on, WENT_ON, np.where(waiting, IN_PROGRESS, DROPPED))
        parts.append(
            _Rows(
                customer=found.customer[who],
                attempt=who.astype(np.int32),
                step=np.full(len(who), place + 1, dtype=np.int32),
                next_step=np.full(len(who), following + 1, dtype=np.int32),
                outcome=outcome.astype(np.int32),
                entered_at=entered,
                reached_at=reached,
                ended_at=np.where(went_on, found.at[who, following], np.minimum(closes, as_of)),
                closes_at=closes,
                row=found.row[who, place],
                entry_row=found.row[who, 0],
            )
        )
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.and_also(part)
    return whole


def _texts(column: Coded | None, rows: Ints, n: int) -> pa.Array:
    return pa.nulls(n, pa.string()) if column is None or not n else column.texts(rows)
