"""Stickiness: on how many days, weeks or months of a range customers are active, and how often within a month.

- The histogram counts the customers who are active in exactly k of the range's buckets, however often in each. A
  bucket is one period or several, counted from the start of the range.
- Of a day, DAU are the customers active on it, WAU those active on it or the 6 days before, MAU on it or the 29
  before. DAU / MAU over a range is the sum of the DAU over the sum of the MAU, over days whose 30 days lie wholly
  within the log and before as_of: the share of a month's customers who come on a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa

from engine.domain.errors import SettingsFault
from engine.numerics import ratios
from journeys.activity import Activity
from journeys.calendar import Calendar
from journeys.histories import CUSTOMER, Ints

WEEK_DAYS: Final = 7
MONTH_DAYS: Final = 30

BUCKETS: Final = pa.schema([("buckets", pa.int64()), ("customers", pa.int64())])
"""What a block gives: how many customers were active in exactly so many buckets, 1 or more."""

DAYS: Final = pa.schema([("day", pa.int64()), ("daily", pa.int64()), ("weekly", pa.int64()), ("monthly", pa.int64())])
"""What a block of days gives: the customers of a day, of the 7 and of the 30 days that end with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stickiness:
    """How many customers were active in exactly 1, 2, ... of `n_buckets` buckets, and in that many or more."""

    n_buckets: int
    exactly: tuple[int, ...]
    at_least: tuple[int, ...]
    customers: int
    mean_buckets: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """DAU over WAU and MAU, and WAU over MAU, over `days` days; None with a reason where no day could be seen."""

    days: int
    daily_of_weekly: float | None
    daily_of_monthly: float | None
    weekly_of_monthly: float | None
    reason: str | None = None


def of_activity(seen: Activity, *, first: int, last: int, every: int = 1) -> pa.Table:
    """Count a block of activity; counts of blocks add up."""
    counted = np.bincount(buckets_of(seen, first, last, every))
    some = np.flatnonzero(counted[1:]) + 1
    return pa.table([some.astype(np.int64), counted[some].astype(np.int64)], schema=BUCKETS)


def buckets_of(seen: Activity, first: int, last: int, every: int = 1) -> Ints:
    """Return in how many buckets of `every` periods each customer was active, counted from the first, shape (n,)."""
    if every < 1:
        raise SettingsFault("stickiness", [f"every = {every}: expected 1 or more periods to a bucket"])
    counted = np.zeros(len(seen.ids), dtype=np.int64)
    occupied = np.array(seen.active.each(), dtype=np.int64)
    inside = occupied[(occupied >= first) & (occupied <= last)]
    for bucket in np.unique((inside - first) // every).tolist():
        marks = np.zeros(len(seen.ids), dtype=np.bool_)
        for period in inside[(inside - first) // every == bucket].tolist():
            marks |= seen.active.column(period)
        counted += marks
    return counted


def customers_behind(seen: Activity, *, first: int, last: int, every: int, buckets: int) -> pa.Table:
    """Return the customers who were active in exactly so many buckets."""
    marks = buckets_of(seen, first, last, every) == buckets
    return pa.table({CUSTOMER: seen.ids.filter(pa.array(marks)).cast(pa.string())})


def table(counts: pa.Table, first: int, last: int, every: int = 1) -> Stickiness:
    """Put together the counts of all blocks; a last bucket that the range cuts short counts as one."""
    n_buckets = -(-(last - first + 1) // every)
    exactly = np.zeros(n_buckets, dtype=np.int64)
    np.add.at(exactly, counts.column("buckets").to_numpy() - 1, counts.column("customers").to_numpy())
    at_least = np.cumsum(exactly[::-1])[::-1]
    customers = int(exactly.sum())
    mean = ratios.mean(float((exactly * np.arange(1, n_buckets + 1)).sum()), customers)
    return Stickiness(
        n_buckets=n_buckets,
        exactly=tuple(exactly.tolist()),
        at_least=tuple(at_least.tolist()),
        customers=customers,
        mean_buckets=ratios.or_none(mean),
    )


def days_of_activity(seen: Activity, *, first: int, last: int) -> pa.Table:
    """Count, for every day from first to last, the customers of the day, its week and its month.

    The periods of `seen` are days. Counts of blocks add up.
    """
    never = np.iinfo(np.int64).min // 2
    latest = np.full(len(seen.ids), never, dtype=np.int64)
    occupied = set(seen.active.each())
    rows = []
    for day in range(first - MONTH_DAYS + 1, last + 1):
        if day in occupied:
            latest[seen.active.column(day)] = day
        if day >= first:
            since = [int((latest > day - width).sum()) for width in (1, WEEK_DAYS, MONTH_DAYS)]
            rows.append({"day": day, "daily": since[0], "weekly": since[1], "monthly": since[2]})
    return pa.Table.from_pylist(rows, schema=DAYS)


def rates(days: pa.Table, calendar: Calendar, first_event: int, as_of: datetime) -> Rates:
    """Return how many of a week's or month's customers come on a day.

    Parameters
    ----------
    days : the counts of all blocks.
    calendar : that of the days.
    first_event : day of the log's first event.
    """
    summed = days.group_by("day").aggregate([(name, "sum") for name in ("daily", "weekly", "monthly")])
    seen: list[Sequence[int]] = [
        (one["daily_sum"], one["weekly_sum"], one["monthly_sum"])
        for one in summed.to_pylist()
        if one["day"] >= first_event + MONTH_DAYS - 1 and calendar.ended(one["day"], as_of)
    ]
    daily, weekly, monthly = (sum(one[place] for one in seen) for place in range(3))
    reason = None
    if not seen:
        reason = f"no day of the range is over and has {MONTH_DAYS} days of the log up to it"
    elif not monthly:
        reason = f"nobody was active in the {MONTH_DAYS} days up to any day of the range"
    return Rates(
        days=len(seen),
        daily_of_weekly=ratios.or_none(ratios.ratio(daily, weekly)),
        daily_of_monthly=ratios.or_none(ratios.ratio(daily, monthly)),
        weekly_of_monthly=ratios.or_none(ratios.ratio(weekly, monthly)),
        reason=reason,
    )
