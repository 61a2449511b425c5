"""Lifecycle: who is new, returning, resurrecting or dormant in each day, week or month.

- *new*: active, and created in the period. A customer who was created earlier and is seen for the first time now is
  not new but resurrecting.
- *returning*: active, and in the period before too. *resurrecting*: active, but not in the period before.
- *dormant*: not active, but in the period before; so once, when it falls silent. Counted as a negative number.

Created is the customer's first event of any name, or what `created` says where the bank knows better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from journeys.activity import Activity, Marks
from journeys.calendar import Calendar
from journeys.histories import CUSTOMER, Ints


class Status(StrEnum):
    """What a customer is in a period."""

    NEW = "new"
    RETURNING = "returning"
    RESURRECTING = "resurrecting"
    DORMANT = "dormant"


COUNTS: Final = pa.schema([("period", pa.int64()), ("status", pa.string()), ("customers", pa.int64())])
"""What a block gives: customers of a status in a period, dormant ones too as a positive number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """One period; `dormant` is 0 or less, and None while the period is not over: silence can still end.

    `complete` is False for the period in progress, of which the other counts are those so far.
    """

    period: int
    label: str
    new: int
    returning: int
    resurrecting: int
    dormant: int | None
    complete: bool

    @property
    def active(self) -> int:
        """How many customers were active."""
        return self.new + self.returning + self.resurrecting


def of_activity(seen: Activity, *, first: int, last: int, created: pa.Table | None = None) -> pa.Table:
    """Count a block of activity whose start events are any; counts of blocks add up.

    Parameters
    ----------
    first, last : the periods to count, both included.
    created : columns customer (text) and period, for customers of whom it is known; else the first event tells.
    """
    since = _created(seen, created)
    occupied = {period + after for period in seen.active.each() for after in (0, 1)}
    rows = []
    for period in sorted(period for period in occupied if first <= period <= last):
        for status, marks in _statuses(seen, since, period).items():
            rows.append({"period": period, "status": status.value, "customers": int(marks.sum())})
    return pa.Table.from_pylist(rows, schema=COUNTS)


def customers_behind(seen: Activity, *, period: int, status: Status, created: pa.Table | None = None) -> pa.Table:
    """Return the customers of a status in a period, of activity as for `of_activity`."""
    marks = _statuses(seen, _created(seen, created), period)[status]
    return pa.table({CUSTOMER: seen.ids.filter(pa.array(marks)).cast(pa.string())})


def _created(seen: Activity, created: pa.Table | None) -> Ints:
    """Return the period in which each customer was created; all are active in some period, so all have a first."""
    _, first = seen.started.first()
    if created is None:
        return first
    place = pc.index_in(seen.ids.cast(pa.string()), created.column(CUSTOMER).combine_chunks())
    known = created.column("period").take(place)
    return np.where(known.is_null().to_numpy(), first, known.fill_null(0).to_numpy())


def _statuses(seen: Activity, created: Ints, period: int) -> Mapping[Status, Marks]:
    now, before = seen.active.column(period), seen.active.column(period - 1)
    new = now & (created == period)
    return {
        Status.NEW: new,
        Status.RETURNING: now & ~new & before,
        Status.RESURRECTING: now & ~new & ~before,
        Status.DORMANT: before & ~now,
    }


def table(counts: pa.Table, calendar: Calendar, first: int, last: int, as_of: datetime) -> tuple[Period, ...]:
    """Put together the counts of all blocks: a row per period from first to last, none after as_of."""
    found: dict[tuple[int, str], int] = {}
    for one in counts.group_by(["period", "status"]).aggregate([("customers", "sum")]).to_pylist():
        found[one["period"], one["status"]] = one["customers_sum"]
    periods = []
    for period in range(first, min(last, calendar.index_of(as_of)) + 1):
        complete = calendar.ended(period, as_of)
        periods.append(
            Period(
                period=period,
                label=calendar.label(period),
                new=found.get((period, Status.NEW), 0),
                returning=found.get((period, Status.RETURNING), 0),
                resurrecting=found.get((period, Status.RESURRECTING), 0),
                dormant=-found.get((period, Status.DORMANT), 0) if complete else None,
                complete=complete,
            )
        )
    return tuple(periods)
