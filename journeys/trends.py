"""How a funnel went, day by day, week by week or month by month, by when customers entered.

A customer counts once in every period in which there was an entry, with the attempt of that period that gets
deepest: so the periods may add up to more customers than the funnel as a whole, which counts each one once. A period
whose attempts may still go on is marked incomplete, not shown as a fall.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa

from engine.domain.errors import SettingsFault
from engine.numerics.ratios import or_none, ratio
from journeys import attempts, histories, instants, slices
from journeys.calendar import Calendar, microseconds
from journeys.histories import Coded, Histories, Ints
from journeys.outcomes import longest_us
from journeys.spec import Funnel, Order, Reentry

SCHEMA: Final = pa.schema([("period", pa.int64()), ("step", pa.int64()), ("count", pa.int64())])
"""Additive counts of a block: attempts of a period (numbered by its calendar) that reached a step (from 1)."""

MOST_PERIODS: Final = 10_000

_ENTRY: Final = "\0entry"
_YES: Final = "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """One period: how many entered in it, and how many of these reached each step, whenever that was.

    share : of those who entered, how many reached the last step; None when nobody entered.
    complete : false while an attempt that began in it could still go on.
    """

    period: str
    starts_at: datetime
    counts: tuple[int, ...]
    share: float | None
    complete: bool


def rows(block: pa.Table, *, funnel: Funnel, calendar: Calendar) -> pa.Table:
    """Return the counts of a block of events as `EventLog.events` selects them; blocks add up."""
    people = histories.of(block)
    split = funnel.reentry is Reentry.ANY and funnel.order is not Order.ANY
    pieces = _by_period(people, funnel, calendar) if split else _by_entry(people, funnel, calendar)
    parts = [SCHEMA.empty_table(), *(_counted(periods, at) for periods, at in pieces)]
    return (
        pa.concat_tables(parts)
        .group_by(["period", "step"])
        .aggregate([("count", "sum")])
        .rename_columns(["period", "step", "count"])
        .cast(SCHEMA)
    )


def of(table: pa.Table, funnel: Funnel, calendar: Calendar, as_of: datetime) -> tuple[Period, ...]:
    """Put the rows of all blocks together, in order of time, those without an entry between two others included.

    Raises
    ------
    SettingsFault
        More than ten thousand periods lie between the first entry and the last.
    """
    if not table.num_rows:
        return ()
    period, step, count = (table[name].to_numpy() for name in SCHEMA.names)
    first, last = int(period.min()), int(period.max())
    if last - first >= MOST_PERIODS:
        raise SettingsFault("trend", [f"{last - first + 1:,} periods of a {calendar.unit}: take a longer one"])
    counted = np.zeros((last - first + 1, len(funnel.steps)), dtype=np.int64)
    np.add.at(counted, (period - first, step - 1), count)
    longest = timedelta(microseconds=longest_us(funnel))
    return tuple(
        Period(
            period=calendar.label(first + place),
            starts_at=calendar.start(first + place),
            counts=tuple(int(number) for number in steps),
            share=or_none(ratio(float(steps[-1]), float(steps[0]))),
            complete=_over(calendar, first + place, longest, as_of),
        )
        for place, steps in enumerate(counted)
    )


def _over(calendar: Calendar, period: int, longest: timedelta, as_of: datetime) -> bool:
    """Whether every attempt that began in a period has had its whole time."""
    last_day = datetime(9990, 1, 1, tzinfo=UTC)
    end = calendar.start(period + 1)
    return end < last_day and longest < last_day - end and end + longest <= as_of


def _counted(periods: Ints, at: Ints) -> pa.Table:
    """Count the attempts of each period that reached each step."""
    parts = []
    for place in range(at.shape[1]):
        names, counts = np.unique(periods[at[:, place] != attempts.MISSING], return_counts=True)
        parts.append(pa.table([names, np.full(len(names), place + 1), counts], schema=SCHEMA))
    return pa.concat_tables(parts)


def _by_entry(people: Histories, funnel: Funnel, calendar: Calendar) -> Iterator[tuple[Ints, Ints]]:
    """Yield the attempts that count and the period of their entry; of one customer's in a period, the deepest."""
    found = attempts.find(people, funnel)
    periods = calendar.index(found.at[:, 0])
    order = np.lexsort((found.at[:, 0], -found.depth, periods, found.customer))
    customer, period = found.customer[order], periods[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (customer[1:] != customer[:-1]) | (period[1:] != period[:-1])
    yield periods[order[first]], found.at[order[first]]


def _by_period(people: Histories, funnel: Funnel, calendar: Calendar) -> Iterator[tuple[Ints, Ints]]:
    """Yield the deepest attempt of every customer and period with an entry.

    Each customer is copied once for every such period, with the events from its first entry on, and can enter with
    the events of that period only.
    """
    entries = instants.of(people, [instants.kind_of(funnel.steps[0])]).rows
    owners, of_entry = people.owners()[entries], calendar.index(people.at[entries])
    begins = np.ones(len(entries), dtype=np.bool_)
    begins[1:] = (owners[1:] != owners[:-1]) | (of_entry[1:] != of_entry[:-1])
    first_rows, customers, periods = entries[begins], owners[begins], of_entry[begins]
    ends = slices.ends(people, customers, _latest(calendar, periods, funnel))
    narrowed = _narrowed(funnel)
    for piece in slices.pieces(ends - first_rows):
        copies, _ = slices.copied(people, customers[piece], first_rows[piece], ends[piece])
        within = calendar.index(copies.at) == np.repeat(periods[piece], np.diff(copies.starts))
        marked = replace(
            copies,
            attributes={**copies.attributes, _ENTRY: Coded(codes=within.astype(np.int32), values=("no", _YES))},
        )
        found = attempts.find(marked, narrowed)
        yield periods[piece][found.customer], found.at


def _narrowed(funnel: Funnel) -> Funnel:
    first, *rest = funnel.steps
    return replace(funnel, steps=(replace(first, where={**first.where, _ENTRY: (_YES,)}), *rest))


def _latest(calendar: Calendar, periods: Ints, funnel: Funnel) -> Ints:
    """Return the last instant that can matter to an attempt that begins in each period, in microseconds."""
    names, place = np.unique(periods, return_inverse=True)
    ends = np.array([microseconds(calendar.start(int(name) + 1)) for name in names], dtype=np.int64)
    return ends[place] + longest_us(funnel)
