"""Sessions: the events of a customer with no pause longer than the time-out between them.

A pause of exactly the time-out does not end a session. Sessions know no midnight and no month: a customer's events are
read together, however the log is cut into files or blocks. A session whose time-out has not passed as of the date is
open: it can still grow, and its length is not known yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.domain.errors import SettingsFault
from engine.numerics import ratios
from engine.numerics.intervals import wilson
from journeys import histories
from journeys.calendar import SECOND
from journeys.histories import NOTHING, Coded, Histories, Ints

Marks = NDArray[np.bool_]

TIMEOUT_SECONDS: Final = 30 * 60

SESSIONS: Final = pa.schema(
    [
        ("customer", pa.string()),
        ("start", pa.timestamp("us")),
        ("end", pa.timestamp("us")),
        ("events", pa.int64()),
        ("first_event", pa.string()),
        ("last_event", pa.string()),
        ("channels", pa.int64()),
        ("first_channel", pa.string()),
        ("last_channel", pa.string()),
        ("switches", pa.int64()),
        ("open", pa.bool_()),
    ]
)
"""One row per session, instants in UTC: how many channels that are known, and how often one followed another."""

MEASURES: Final = pa.schema(
    [
        ("seconds", pa.float64()),
        ("events", pa.int64()),
        ("channels", pa.int64()),
        ("first_channel", pa.string()),
        ("open", pa.bool_()),
        ("first_of_customer", pa.bool_()),
    ]
)
"""One row per session: what the metrics need."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cut:
    """Events cut into n sessions.

    rows : rows of the histories, each customer's (and channel's, where sessions are of one channel) together.
    first, last : places in `rows` of the first and last event of each session, shape (n,).
    customer : place in the ids of the histories, shape (n,).
    """

    rows: Ints
    first: Ints
    last: Ints
    customer: Ints

    def __len__(self) -> int:
        """Return the number of sessions."""
        return len(self.first)

    def numbers(self) -> Ints:
        """Return the number of the session of every row of the histories."""
        numbers = np.empty(len(self.rows), dtype=np.int64)
        numbers[self.rows] = np.repeat(np.arange(len(self)), self.last - self.first + 1)
        return numbers


def cut(people: Histories, timeout_seconds: float = TIMEOUT_SECONDS, each: str | None = None) -> Cut:
    """Cut events into sessions.

    Parameters
    ----------
    timeout_seconds : the longest pause within a session; 0 keeps together only what happens at one instant.
    each : an attribute, such as the channel, of which every value has sessions of its own; None: sessions of all.

    Raises
    ------
    SettingsFault
        The time-out is negative or not a number.
    """
    if not 0 <= timeout_seconds < float("inf"):
        raise SettingsFault("sessions", [f"time-out of {timeout_seconds} seconds: expected a number of 0 or more"])
    owners = people.owners().astype(np.int64)
    if each is None:
        rows, apart = np.arange(people.n_events), owners
    else:
        values = people.attributes[each]
        apart = owners * (len(values.values) + 1) + values.codes
        rows = np.argsort(apart, kind="stable")
        apart = apart[rows]
    at = people.at[rows]
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = (apart[1:] != apart[:-1]) | (np.diff(at) > round(timeout_seconds * SECOND))
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(rows)) - 1 if len(first) else first
    return Cut(rows=rows, first=first, last=last, customer=owners[rows[first]])


def of_block(
    block: pa.Table,
    *,
    as_of_us: int,
    timeout_seconds: float = TIMEOUT_SECONDS,
    channel: str | None = None,
    per_channel: bool = False,
) -> pa.Table:
    """Return SESSIONS of a block of events, as `EventLog.events` selects them; `channel` is an attribute of it."""
    people = histories.of(block)
    found = cut(people, timeout_seconds, channel if per_channel else None)
    starts, ends = found.rows[found.first], found.rows[found.last]
    counted, switches, first_channel, last_channel = _channels(people, found, channel)
    columns = [
        people.ids.take(pa.array(found.customer)).cast(pa.string()),
        pa.array(people.at[starts]).cast(pa.timestamp("us")),
        pa.array(people.at[ends]).cast(pa.timestamp("us")),
        found.last - found.first + 1,
        people.event.texts(starts),
        people.event.texts(ends),
        counted,
        first_channel,
        last_channel,
        switches,
        _open(people, found, as_of_us, timeout_seconds),
    ]
    return pa.table(columns, schema=SESSIONS)


def measures_of_block(
    block: pa.Table,
    *,
    as_of_us: int,
    timeout_seconds: float = TIMEOUT_SECONDS,
    channel: str | None = None,
    per_channel: bool = False,
) -> pa.Table:
    """Return MEASURES of a block of events."""
    people = histories.of(block)
    found = cut(people, timeout_seconds, channel if per_channel else None)
    counted, _, first_channel, _ = _channels(people, found, channel)
    first_of_customer = np.diff(found.customer, prepend=-1) != 0
    columns = [
        (people.at[found.rows[found.last]] - people.at[found.rows[found.first]]) / SECOND,
        found.last - found.first + 1,
        counted,
        first_channel,
        _open(people, found, as_of_us, timeout_seconds),
        first_of_customer,
    ]
    return pa.table(columns, schema=MEASURES)


def _open(people: Histories, found: Cut, as_of_us: int, timeout_seconds: float) -> Marks:
    opened: Marks = as_of_us - people.at[found.rows[found.last]] <= round(timeout_seconds * SECOND)
    return opened


def _channels(people: Histories, found: Cut, channel: str | None) -> tuple[Ints, Ints, pa.Array, pa.Array]:
    """Return how many channels each session has, how often they change, and the first and last that is known."""
    nothing = np.zeros(len(found), dtype=np.int64)
    if channel is None or not len(found):
        return nothing, nothing, pa.nulls(len(found), pa.string()), pa.nulls(len(found), pa.string())
    column: Coded = people.attributes[channel]
    codes = column.codes[found.rows]
    counted = _different(codes, found.first, len(column.values))
    known = np.flatnonzero(codes != NOTHING)
    session = np.repeat(np.arange(len(found), dtype=np.int32), found.last - found.first + 1)[known]
    codes = codes[known]
    changed = (session[1:] == session[:-1]) & (codes[1:] != codes[:-1])
    switches = np.bincount(session[1:][changed], minlength=len(found))
    rows = found.rows[known]
    edges = np.concatenate([[0], np.cumsum(np.bincount(session, minlength=len(found)))])
    some = edges[1:] > edges[:-1]
    padded = np.append(rows, -1)
    first = np.where(some, padded[edges[:-1]], -1)
    last = np.where(some, padded[edges[1:] - 1], -1)
    return counted, switches, column.texts(first), column.texts(last)


def _different(codes: NDArray[np.int32], first: Ints, n_values: int) -> Ints:
    """Return how many different values each run of codes has, the runs beginning at `first`."""
    if n_values < _BITS:
        bits = np.where(codes == NOTHING, 0, np.int64(1) << np.maximum(codes, 0).astype(np.int64))
        return np.bitwise_count(np.bitwise_or.reduceat(bits, first)).astype(np.int64)
    # more values than a whole number has bits: sort each run's own together
    run = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(codes))))
    known = codes != NOTHING
    pairs = np.unique(run[known] * np.int64(n_values) + codes[known])
    return np.bincount(pairs // n_values, minlength=len(first))


_BITS: Final = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What sessions are like. Shares, lengths and events are of sessions that are over; `open` are left out of them.

    A number is None where no session is over.
    """

    sessions: int
    open: int
    customers: int
    sessions_per_customer: float | None
    events_per_session: float | None
    median_events: float | None
    median_seconds: float | None
    mean_seconds: float | None
    ninetieth_seconds: float | None
    single_event_share: float | None
    single_event_low: float | None
    single_event_high: float | None
    several_channels_share: float | None


def metrics(measures: pa.Table) -> Metrics:
    """Put together MEASURES of all blocks."""
    still = measures.column("open").to_numpy(zero_copy_only=False).astype(np.bool_)
    over = measures.filter(pa.array(~still))
    seconds, events = over.column("seconds").to_numpy(), over.column("events").to_numpy()
    n, customers = over.num_rows, int(pc.sum(measures.column("first_of_customer")).as_py() or 0)
    single = int((events == 1).sum())
    interval = wilson(single, n)
    several = int((over.column("channels").to_numpy() > 1).sum())
    return Metrics(
        sessions=measures.num_rows,
        open=int(still.sum()),
        customers=customers,
        sessions_per_customer=ratios.or_none(ratios.ratio(measures.num_rows, customers)),
        events_per_session=ratios.or_none(ratios.mean(float(events.sum()), n)),
        median_events=_quantile(events, 0.5),
        median_seconds=_quantile(seconds, 0.5),
        mean_seconds=ratios.or_none(ratios.mean(float(seconds.sum()), n)),
        ninetieth_seconds=_quantile(seconds, 0.9),
        single_event_share=ratios.or_none(ratios.ratio(single, n)),
        single_event_low=ratios.or_none(interval.lower),
        single_event_high=ratios.or_none(interval.upper),
        several_channels_share=ratios.or_none(ratios.ratio(several, n)),
    )


def by_first_channel(measures: pa.Table) -> tuple[tuple[str | None, Metrics], ...]:
    """Return the metrics of the sessions that begin in each channel, most sessions first; None: in none known.

    `customers` then are those whose very first session began there.
    """
    counted = measures.group_by("first_channel").aggregate([("events", "count")]).to_pylist()
    ranked = sorted(counted, key=lambda one: (-one["events_count"], one["first_channel"] or ""))
    column = measures.column("first_channel")
    names: Sequence[str | None] = [one["first_channel"] for one in ranked]
    return tuple(
        (name, metrics(measures.filter(pc.is_null(column) if name is None else pc.equal(column, name))))
        for name in names
    )


def _quantile(values: NDArray[np.number], share: float) -> float | None:
    return float(np.quantile(values, share)) if len(values) else None
