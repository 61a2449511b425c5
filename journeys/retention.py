"""Retention: of the customers who started in a period, who came back how many periods later.

A *membership* is a customer in a cohort: once, by the first start, or in every period with a start. Period 0 is the
cohort itself. A cell that could not be seen in full as of the date is None, not 0.

- *exact*: came back in that period. *unbounded*: in that period or any later one, up to as_of; such a cell can still
  grow. *brackets*: came back in any of some periods, such as days 1 to 7.
- the *calendar* clock counts local days, weeks or months: 23:45 and 00:01 are a day apart. The *rolling* clock counts
  from each customer's own start in stretches of 24 hours, 7 or 30 times 24 hours: they are in the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa

from engine.domain.errors import SettingsFault
from engine.lake.engine import Engine
from engine.numerics.intervals import wilson
from journeys import activity, histories
from journeys.activity import ANY, Activity, Bits, Marks, Periods, packed, size, unpacked
from journeys.calendar import DAY, Calendar, Unit
from journeys.event_log import EventLog
from journeys.histories import CUSTOMER, NOTHING, Codes, Histories, Ints

DAYS_OF: Final[dict[Unit, int]] = {"day": 1, "week": 7, "month": 30}
"""Length of a rolling period."""

PERIODS: Final = 60
"""How many periods after the start are followed unless told otherwise."""

COUNTS: Final = pa.schema(
    [("group", pa.string()), ("cohort", pa.int64()), ("place", pa.int64()), ("customers", pa.int64())]
)
"""What a block gives: memberships of a cohort that came back in a span; place 0 is the cohort, 1 the first span."""


class Cohort(StrEnum):
    """Which starts make a customer a member of a cohort."""

    FIRST = "first"
    """The first start ever: a customer who started before the range is in none of its cohorts."""

    FIRST_IN_RANGE = "first_in_range"
    """The first start within the range."""

    RECURRING = "recurring"
    """Every period with a start; a customer can be in many cohorts."""


class Mode(StrEnum):
    """Which returns count."""

    EXACT = "exact"
    UNBOUNDED = "unbounded"


class Clock(StrEnum):
    """How periods after the start are counted."""

    CALENDAR = "calendar"
    ROLLING = "rolling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What a retention table asks.

    start, returns : names of the events that start and of those that count as coming back; `*` is any.
    first, last : numbers of the first and the last period of the calendar that are cohorts; None: as the log has them.
    periods : how many periods after the start to follow, at most.
    brackets : spans of periods after the start, both ends included, instead of single periods.
    by : an attribute of the events; the value at the event that made the customer a member is the group.
    """

    calendar: Calendar
    start: tuple[str, ...] = ANY
    returns: tuple[str, ...] = ANY
    cohort: Cohort = Cohort.FIRST
    mode: Mode = Mode.EXACT
    clock: Clock = Clock.CALENDAR
    first: int | None = None
    last: int | None = None
    periods: int = PERIODS
    brackets: tuple[tuple[int, int], ...] = ()
    by: str | None = None

    def __post_init__(self) -> None:
        faults = []
        if self.brackets and self.mode is Mode.UNBOUNDED:
            faults.append("brackets already say until when a return counts; leave the mode exact")
        if self.periods < 0:
            faults.append(f"periods = {self.periods}: expected 0 or more")
        faults += [
            f"bracket {low}-{high}: expected two numbers of periods after the start, 1 or more, the smaller first"
            for low, high in self.brackets
            if not 1 <= low <= high
        ]
        if faults:
            raise SettingsFault("retention", faults)

    def names(self) -> tuple[str, ...] | None:
        """Return the event names that can matter, sorted; None when every event can."""
        named = {*self.start, *self.returns}
        return None if ANY[0] in named else tuple(sorted(named))

    def attributes(self) -> tuple[str, ...]:
        """Return the attributes of events that are read."""
        return () if self.by is None else (self.by,)

    def spans(self, reach: int) -> tuple[tuple[int, int], ...]:
        """Return the first and last period after the start of every cell but the first, as far as `reach`."""
        if self.brackets:
            return self.brackets
        return tuple((offset, offset) for offset in range(1, min(self.periods, reach) + 1))

    def observed(self, cohort: int, span: tuple[int, int], as_of: datetime) -> bool:
        """Return whether every member of a cohort could be seen through a span of periods after the start."""
        if self.clock is Clock.CALENDAR:
            return self.calendar.ended(cohort + span[1], as_of)
        stretch = timedelta(days=DAYS_OF[self.calendar.unit] * (span[1] + 1))
        # the last member may have started at the very end of the cohort's period
        return as_of - self.calendar.start(cohort + 1) >= stretch - timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Members:
    """Memberships of cohorts: place of the customer, the cohort's period, instant of the start, code of the group."""

    customer: Codes
    cohort: Ints
    at: Ints
    group: Codes
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Group:
    """The members of one cohort and group as a set of customers; their starts where the clock rolls."""

    group: str | None
    cohort: int
    inside: Bits
    customer: Codes | None = None
    at: Ints | None = None


def of_block(block: pa.Table, *, asked: Retention, reach: int) -> pa.Table:
    """Count a block of events, as `EventLog.events` selects them; `reach` is the last period that as_of allows.

    Returns
    -------
    COUNTS
        Counts of blocks add up.
    """
    return of_histories(histories.of(block), asked, reach)


def of_activity(seen: Activity, *, asked: Retention, reach: int) -> pa.Table:
    """Count a block of activity, which is enough for the calendar clock without groups."""
    return _counted(_cohorts_of(seen.started, asked), _Calendar(seen.active, asked, reach))


def of_histories(people: Histories, asked: Retention, reach: int) -> pa.Table:
    """Count the members of every group and cohort, and those of them who came back in every span."""
    return _counted(_cohorts_in(people, asked), _returns(people, asked, reach))


def counted(log: EventLog, engine: Engine, asked: Retention, as_of: datetime) -> pa.Table:
    """Count a whole log."""
    reach = asked.calendar.index_of(as_of)
    if asked.clock is Clock.CALENDAR and asked.by is None:
        count = partial(of_activity, asked=asked, reach=reach)
        return activity.mapped(log, engine, count, as_of, asked.calendar, start=asked.start, active=asked.returns)
    read = partial(of_block, asked=asked, reach=reach)
    return log.map_blocks(engine, read, as_of, names=asked.names(), attributes=asked.attributes(), ordered=False)


def customers_behind(
    block: pa.Table, *, asked: Retention, group: str | None, cohort: int, place: int, back: bool = True
) -> pa.Table:
    """Return the customers behind a cell: those of the cohort who came back in its span, or who did not.

    Parameters
    ----------
    block : as for `of_block`.
    place : 0 for the cohort itself, else the number of the span, from 1.
    """
    people = histories.of(block)
    returns = _returns(people, asked, cohort + max(place, 1))
    found = np.zeros(-(-len(people) // 64), dtype=np.uint64)
    for members in _cohorts_in(people, asked):
        if (members.group, members.cohort) == (group, cohort):
            found = members.inside
            if place > 0:
                hits = returns.among(members, asked.spans(place)[place - 1])
                found = hits if back else found & ~hits
    return pa.table({CUSTOMER: people.ids.filter(pa.array(unpacked(found, len(people)))).cast(pa.string())})


def members_in(people: Histories, asked: Retention) -> Members:
    """Return the memberships; the start is the customer's first start event in the cohort's period."""
    rows = np.flatnonzero(activity.matches(people, asked.start))
    owners, periods = people.owners()[rows], asked.calendar.index(people.at[rows])
    if asked.cohort is Cohort.FIRST_IN_RANGE:
        kept = _in_range(periods, asked)
        rows, owners, periods = rows[kept], owners[kept], periods[kept]
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = owners[1:] != owners[:-1]
    if asked.cohort is Cohort.RECURRING:
        # a clock that goes back over midnight shows a date twice: it is one membership, of its first start
        order = np.lexsort((rows, periods, owners))
        rows, owners, periods = rows[order], owners[order], periods[order]
        new[1:] = (owners[1:] != owners[:-1]) | (periods[1:] != periods[:-1])
    kept = new & _in_range(periods, asked)
    by = None if asked.by is None else people.attributes[asked.by]
    return Members(
        customer=owners[kept],
        cohort=periods[kept],
        at=people.at[rows[kept]],
        group=np.full(int(kept.sum()), NOTHING, dtype=np.int32) if by is None else by.codes[rows[kept]],
        groups=() if by is None else by.values,
    )


def _in_range(periods: Ints, asked: Retention) -> Marks:
    kept = np.ones(len(periods), dtype=np.bool_)
    if asked.first is not None:
        kept &= periods >= asked.first
    if asked.last is not None:
        kept &= periods <= asked.last
    return kept


def _cohorts_of(started: Periods, asked: Retention) -> Iterator[_Group]:
    if asked.cohort is Cohort.RECURRING:
        periods = np.array(started.each(), dtype=np.int64)
        for cohort in periods[_in_range(periods, asked)].tolist():
            yield _Group(group=None, cohort=cohort, inside=started.among(cohort))
        return
    found, first = started.first(asked.first if asked.cohort is Cohort.FIRST_IN_RANGE else None)
    periods = np.unique(first[found])
    for cohort in periods[_in_range(periods, asked)].tolist():
        yield _Group(group=None, cohort=cohort, inside=packed(found & (first == cohort)))


def _cohorts_in(people: Histories, asked: Retention) -> Iterator[_Group]:
    members = members_in(people, asked)
    names = (*members.groups, None)  # the code of a missing value is -1, the last
    order = np.lexsort((members.cohort, members.group))
    group, cohort = members.group[order], members.cohort[order]
    new = np.flatnonzero(np.diff(group, prepend=-2) | np.diff(cohort, prepend=0))
    for rows in np.split(order, new[1:]) if len(order) else ():
        inside = np.zeros(len(people), dtype=np.bool_)
        inside[members.customer[rows]] = True
        yield _Group(
            group=names[members.group[rows[0]]],
            cohort=int(members.cohort[rows[0]]),
            inside=packed(inside),
            customer=members.customer[rows],
            at=members.at[rows],
        )


class _Calendar:
    """Returns in local periods: the set of customers active in each, and sets of several joined."""

    def __init__(self, active: Periods, asked: Retention, reach: int) -> None:
        self.asked, self.reach = asked, reach
        self.by_period = {period: active.among(period) for period in active.each()}
        self.nobody = packed(np.zeros(active.words.shape[1], dtype=np.bool_))
        if asked.mode is Mode.UNBOUNDED:
            later = self.nobody
            for period in sorted(self.by_period, reverse=True):
                later = later | self.by_period[period]
                self.by_period[period] = later
            self.rising = np.array(sorted(self.by_period), dtype=np.int64)

    def among(self, members: _Group, span: tuple[int, int]) -> Bits:
        """Return the members who came back in a span of periods after the start."""
        low, high = members.cohort + span[0], min(members.cohort + span[1], self.reach)
        if self.asked.mode is Mode.UNBOUNDED:
            place = int(np.searchsorted(self.rising, low))
            back = self.by_period[int(self.rising[place])] if place < len(self.rising) else self.nobody
        else:
            back = self.nobody
            for period in range(low, high + 1):
                if period in self.by_period:
                    back = back | self.by_period[period]
        return members.inside & back


class _Rolling:
    """Returns in stretches of elapsed time from each member's own start."""

    def __init__(self, people: Histories, asked: Retention, reach: int) -> None:
        self.asked, self.reach, self.n = asked, reach, len(people)
        rows = np.flatnonzero(activity.matches(people, asked.returns))
        # ranks instead of instants, so that customer and instant fit one whole number
        self.distinct, ranks = np.unique(people.at[rows], return_inverse=True)
        self.width = len(self.distinct) + 1
        self.keys = people.owners()[rows].astype(np.int64) * self.width + ranks

    def among(self, members: _Group, span: tuple[int, int]) -> Bits:
        """Return the members who came back in a span of stretches after the start."""
        assert members.customer is not None and members.at is not None  # as `_cohorts_in` gives them
        stretch = DAYS_OF[self.asked.calendar.unit] * DAY
        before = self._before(members.customer, members.at + span[0] * stretch)
        unbounded = self.asked.mode is Mode.UNBOUNDED
        after = self._before(members.customer, None if unbounded else members.at + (span[1] + 1) * stretch)
        marks = np.zeros(self.n, dtype=np.bool_)
        marks[members.customer[after > before]] = True
        return packed(marks)

    def _before(self, owners: Codes, at: Ints | None) -> Ints:
        """Count the returns before each instant (all of the customer's for None), plus those of customers before."""
        ranks = len(self.distinct) if at is None else np.searchsorted(self.distinct, at)
        return np.searchsorted(self.keys, owners.astype(np.int64) * self.width + ranks)


def _returns(people: Histories, asked: Retention, reach: int) -> _Calendar | _Rolling:
    if asked.clock is Clock.ROLLING:
        return _Rolling(people, asked, reach)
    seen = activity.of(people, asked.calendar, start=asked.returns, active=asked.returns)
    return _Calendar(seen.active, asked, reach)


def _counted(cohorts: Iterable[_Group], returns: _Calendar | _Rolling) -> pa.Table:
    rows = []
    for members in cohorts:
        spans = returns.asked.spans(max(returns.reach - members.cohort, 0))
        counts = [size(members.inside), *(size(returns.among(members, span)) for span in spans)]
        rows += [
            {"group": members.group, "cohort": members.cohort, "place": place, "customers": count}
            for place, count in enumerate(counts)
            if count
        ]
    return pa.Table.from_pylist(rows, schema=COUNTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Who came back in a span of periods after the start, `first` to `last`; the last None: or later.

    `returned` is None where not all of the span could be seen as of the date; `share`, `low` and `high` too where
    there is nobody to divide by. The interval is Wilson's; where a customer is in many cohorts it is too narrow for
    the sum over cohorts, since the memberships of one customer are alike.
    """

    first: int
    last: int | None
    customers: int
    returned: int | None
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cohort of one group; `cohort` is None in the sum over all cohorts that could be seen, cell by cell.

    `complete` says that the cohort's own period is over, so that nobody can join any more.
    """

    group: str | None
    cohort: int | None
    label: str
    customers: int
    complete: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Retention as of a date: a row per group and cohort that has anyone, and one over all cohorts of each group."""

    asked: Retention
    as_of: datetime
    rows: tuple[Row, ...]
    overall: tuple[Row, ...]


def table(counts: pa.Table, asked: Retention, as_of: datetime) -> Table:
    """Put together the counts of all blocks.

    Every cohort from the first to the last that has anyone, or that was asked for, has a row, also with nobody.
    """
    by_cell: dict[tuple[str | None, int], dict[int, int]] = {}
    for one in counts.group_by(["group", "cohort", "place"]).aggregate([("customers", "sum")]).to_pylist():
        by_cell.setdefault((one["group"], one["cohort"]), {})[one["place"]] = one["customers_sum"]
    reach = asked.calendar.index_of(as_of)
    groups = sorted({group for group, _ in by_cell}, key=lambda name: (name is None, name or ""))
    rows: list[Row] = []
    overall: list[Row] = []
    for group in groups or [None]:
        found = [cohort for name, cohort in by_cell if name == group]
        own = [
            _row(group, cohort, by_cell.get((group, cohort), {}), asked, as_of)
            for cohort in _range(found, asked, reach)
        ]
        rows += own
        overall.append(_overall(group, own))
    return Table(asked=asked, as_of=as_of, rows=tuple(rows), overall=tuple(overall))


def _range(found: Sequence[int], asked: Retention, reach: int) -> Iterable[int]:
    """Return the cohorts to show: without a gap, unless stray dates would make the table endless."""
    first = asked.first if asked.first is not None else min(found, default=0)
    last = asked.last if asked.last is not None else max(found, default=-1)
    last = min(last, reach)
    return range(first, last + 1) if last - first < 10 * len(found) + 1_000 else sorted(found)


def _row(group: str | None, cohort: int, counts: dict[int, int], asked: Retention, as_of: datetime) -> Row:
    customers = counts.get(0, 0)
    reach = asked.calendar.index_of(as_of)
    unbounded = asked.mode is Mode.UNBOUNDED
    cells = [_cell((0, 0), customers, customers)]
    for place, span in enumerate(asked.spans(max(reach - cohort, 0)), start=1):
        seen = asked.observed(cohort, span, as_of)
        cells.append(_cell(span, customers, counts.get(place, 0) if seen else None, unbounded))
    return Row(
        group=group,
        cohort=cohort,
        label=asked.calendar.label(cohort),
        customers=customers,
        complete=asked.calendar.ended(cohort, as_of),
        cells=tuple(cells),
    )


def _cell(span: tuple[int, int], customers: int, returned: int | None, unbounded: bool = False) -> Cell:
    defined = returned is not None and customers > 0
    interval = wilson(returned, customers) if returned is not None and defined else None
    return Cell(
        first=span[0],
        last=None if unbounded else span[1],
        customers=customers,
        returned=returned,
        share=returned / customers if returned is not None and defined else None,
        low=interval.lower if interval else None,
        high=interval.upper if interval else None,
    )


def _overall(group: str | None, rows: Sequence[Row]) -> Row:
    """Sum every cell over the cohorts in which it could be seen."""
    cells = []
    for place in range(max((len(row.cells) for row in rows), default=0)):
        column = [row.cells[place] for row in rows if place < len(row.cells)]
        seen = [cell for cell in column if cell.returned is not None]
        shape = column[0]
        returned = sum(cell.returned or 0 for cell in seen) if seen else None
        span = (shape.first, shape.first if shape.last is None else shape.last)
        cells.append(_cell(span, sum(cell.customers for cell in seen), returned, shape.last is None))
    return Row(
        group=group,
        cohort=None,
        label="all",
        customers=sum(row.customers for row in rows),
        complete=all(row.complete for row in rows),
        cells=tuple(cells),
    )
