"""An event log: any table of events, with the roles that its columns play.

One rule for each kind of event that is unclear, the same for curated events, files, prepared logs and tables in memory:

* without a customer, a name or a time (an empty text is none), or with a time that cannot be read: left out, counted
  for the first of these reasons, never lumped together under a common nobody;
* delivered twice, which is to say under the same id: the first one counts, the others are left out and counted;
* later than the instant that is looked from: left out and counted; exactly at it: counts;
* several of one customer at one instant: in the order of the sequence, which for a file without one is the order of its
  rows, and events without a sequence number before those with one. Funnels let them count in the order of the steps.

Read is kept plus every count of `LogReport`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import ibis
import pyarrow as pa

from engine.domain.errors import UnknownName
from engine.lake.engine import Engine
from engine.lake.schema import instant
from journeys import histories
from journeys.prepared import Prepared

EVENTS_PER_BLOCK: Final = 16_000_000
"""Events that are held at once: about 2 GB while they are sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport:
    """What became of the rows of a log: read = kept + every other count, each row counted for its first reason.

    `first_unreadable_row` counts from 1. `later` events lie after as_of; None where nobody has asked from when.
    """

    read: int
    kept: int
    broken: int = 0
    no_customer: int = 0
    no_event: int = 0
    no_time: int = 0
    unreadable_time: int = 0
    first_unreadable_row: int | None = None
    duplicates: int = 0
    later: int = 0

    def sentences(self) -> tuple[str, ...]:
        """Return a sentence for every reason that left rows out; never a value."""
        where = f", the first in row {self.first_unreadable_row:,}" if self.first_unreadable_row else ""
        reasons = (
            (self.broken, "lines that have another number of fields than the header"),
            (self.no_customer, "events without a customer"),
            (self.no_event, "events without a name"),
            (self.no_time, "events without a time"),
            (self.unreadable_time, f"events whose time cannot be read{where}"),
            (self.duplicates, "events that were there before, under the same id"),
            (self.later, "events after the date that is looked from"),
        )
        return tuple(f"Left out: {count:,} {what}." for count, what in reasons if count)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """An Ibis table of events and the names of its columns, by default those of the curated table `events`.

    `time` is a naive UTC timestamp. A role that the table lacks is None: then nothing is narrowed by it.
    `seq` orders events of one instant; the ordered funnel lets ties count in step order and does not read it.
    `prepared` holds the same events sorted and coded, where that was done; `map_blocks` then takes them from there.
    """

    table: Any
    customer: str = "customer_id"
    event: str = "event_name"
    time: str = "occurred_at"
    seq: str | None = "seq"
    channel: str | None = "channel"
    product: str | None = "product_id"
    lifecycle: str | None = "lifecycle"
    event_id: str | None = None
    prepared: Prepared | None = None

    def require(self, column: str) -> None:
        """Raise UnknownName when the table lacks a column."""
        if column not in self.table.columns:
            raise UnknownName("column of the event log", column, self.table.columns[:50])

    def events(
        self,
        as_of: datetime | None = None,
        *,
        names: Sequence[str] | None = None,
        attributes: Sequence[str] = (),
        ordered: bool = True,
    ) -> Any:
        """Return the events as `histories.of` reads them: customer, event, at, perhaps seq, then the attributes.

        Events after as_of, of nobody, without a name or a time are left out, and those of other names when
        `names` are given. `ordered=False` leaves the sequence out where no method needs the order of ties.

        Raises
        ------
        UnknownName
            An attribute is no column of the table.
        ValueError
            An attribute is called as a role is; copy the column under another name first.
        """
        table = self.table
        for name in attributes:
            self.require(name)
            if name in histories.ROLES:
                raise ValueError(f'an attribute called "{name}" would take the place of that role')
        kept = [table[role].notnull() for role in (self.customer, self.event, self.time)]
        if as_of is not None:
            kept.append(table[self.time] <= instant(as_of))
        if names is not None:
            kept.append(table[self.event].isin(list(names)))
        columns = {
            histories.CUSTOMER: table[self.customer],
            histories.EVENT: table[self.event],
            histories.AT: table[self.time],
        }
        if ordered and self.seq is not None and self.seq in table.columns:
            # events without a number come first
            columns[histories.SEQ] = table[self.seq].cast("int64").fill_null(-1)
        columns.update({name: table[name].cast("string") for name in attributes})
        return table.filter(*kept).select(**columns)

    def map_blocks(
        self,
        engine: Engine,
        function: Callable[[pa.Table], pa.Table],
        as_of: datetime | None = None,
        *,
        names: Sequence[str] | None = None,
        attributes: Sequence[str] = (),
        ordered: bool = True,
    ) -> pa.Table:
        """Hand the events to a function in blocks of whole customers and return all that it makes of them, in no order.

        The function is as `Engine.map_blocks` says and gets the columns of `events`, of which `histories.of` makes
        histories; a prepared log hands them over sorted and coded, so that nothing is read or sorted again.
        """
        if self.prepared is not None and self._as_prepared(attributes):
            return self.prepared.map_blocks(function, as_of, names=names, attributes=attributes)
        rows = self.events(as_of, names=names, attributes=attributes, ordered=ordered)
        known = None if names is None else sorted({*names})
        blocks, coded = self.blocks(engine), {histories.EVENT: known}
        return engine.map_blocks(rows, histories.CUSTOMER, function, blocks=blocks, coded=coded)

    def _as_prepared(self, attributes: Sequence[str]) -> bool:
        """Whether the table is as it was prepared: one that was narrowed or got columns since is read by the engine."""
        untouched = isinstance(self.table.op(), ibis.expr.operations.UnboundTable)
        return untouched and self.prepared is not None and {*attributes} <= {*self.prepared.attributes}

    def blocks(self, engine: Engine) -> int:
        """Return into how many blocks to cut the log, so that one of them fits into memory."""
        rows = engine.arrow(self.table.aggregate(n=self.table.count())).column("n")[0].as_py()
        return 1 + int(rows) // EVENTS_PER_BLOCK

    def count_customers(self, engine: Engine, as_of: datetime) -> int:
        """Return how many customers have an event at as_of."""
        if self.prepared is not None and self._as_prepared(()):
            return self.prepared.customers(as_of)
        events = self.events(as_of, ordered=False)
        return int(engine.arrow(events.aggregate(n=events[histories.CUSTOMER].nunique())).column("n")[0].as_py())

    def event_names(self, engine: Engine, as_of: datetime) -> tuple[str, ...]:
        """Return the names of the events at as_of, sorted."""
        if self.prepared is not None and self._as_prepared(()):
            return tuple(sorted(self.prepared.event_names(as_of)))
        events = self.events(as_of, ordered=False)
        named = engine.arrow(events.select(histories.EVENT).distinct())
        return tuple(sorted(named.column(histories.EVENT).to_pylist()))
