"""Days, weeks and months as the bank's clock shows them: instants in UTC go in, numbered local periods come out.

A day is from local midnight to local midnight, so with daylight saving it may last 23 or 25 hours; a week begins on
the bank's first day of the week. Elapsed time is another matter: windows of funnels and rolling periods of retention
count seconds and need no calendar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import ibis
import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import SettingsFault, UnknownName

Ints = NDArray[np.int64]
Unit = Literal["day", "week", "month"]
WeekStart = Literal["monday", "sunday"]

UNITS: Final[tuple[Unit, ...]] = ("day", "week", "month")
WEEK_STARTS: Final[tuple[WeekStart, ...]] = ("monday", "sunday")
SECOND: Final = 1_000_000
"""Microseconds."""
DAY: Final = 86_400 * SECOND

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TO_WEEK: Final = {"monday": 3, "sunday": 4}
"""Days from the start of the week to 1970-01-01, a Thursday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Numbers the days, weeks or months of a time zone from that of 1970-01-01, which is 0.

    Raises
    ------
    UnknownName
        No such unit or first day of the week.
    SettingsFault
        No such time zone.
    """

    unit: Unit
    zone: str = "UTC"
    week_start: WeekStart = "monday"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise UnknownName("period", self.unit, UNITS)
        if self.week_start not in WEEK_STARTS:
            raise UnknownName("first day of the week", self.week_start, WEEK_STARTS)
        _zone(self.zone)

    def index(self, at_us: Ints) -> Ints:
        """Return the number of the local period of each instant, given in microseconds since 1970 in UTC."""
        if not len(at_us):
            return np.zeros(0, dtype=np.int64)
        moments, offsets = shifts(self.zone, int(at_us.min()), int(at_us.max()))
        local = at_us + (offsets[np.searchsorted(moments, at_us, side="right")] if len(moments) else offsets[0])
        if self.unit == "week":
            weeks: Ints = (local + _TO_WEEK[self.week_start] * DAY) // (7 * DAY)
            return weeks
        days: Ints = local // DAY
        if self.unit == "day":
            return days
        return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)

    def index_of(self, moment: datetime) -> int:
        """Return the number of the local period of one aware instant."""
        return int(self.index(np.array([microseconds(moment)]))[0])

    def first_day(self, index: int) -> date:
        """Return the first local day of a period; of one that no date can say, the first or last day there is."""
        try:
            if self.unit == "month":
                return date(1970 + index // 12, index % 12 + 1, 1)
            days = index if self.unit == "day" else index * 7 - _TO_WEEK[self.week_start]
            return date(1970, 1, 1) + timedelta(days=days)
        except (OverflowError, ValueError):
            return date.max if index > 0 else date.min

    def start(self, index: int) -> datetime:
        """Return the instant at which a period begins, in UTC: local midnight, or what follows a skipped one."""
        day = self.first_day(index)
        try:
            return datetime(day.year, day.month, day.day, tzinfo=_zone(self.zone)).astimezone(UTC)
        except OverflowError:
            return (datetime.max if index > 0 else datetime.min).replace(tzinfo=UTC)

    def label(self, index: int) -> str:
        """Return a period as tables show it: the first day of a day or week, 2026-03 of a month."""
        shown = self.first_day(index).isoformat()
        return shown[:7] if self.unit == "month" else shown

    def ended(self, index: int, as_of: datetime) -> bool:
        """Return whether a period is over as of an instant.

        An as_of of 23:59:59 means the whole day, so that the last second may be missing.
        """
        return self.start(index + 1) - timedelta(seconds=1) <= as_of

    def last_ended(self, as_of: datetime) -> int:
        """Return the number of the last period that is over as of an instant."""
        index = self.index_of(as_of)
        return index if self.ended(index, as_of) else index - 1


def index_column(calendar: Calendar, at: Any, first: datetime, last: datetime) -> Any:
    """Return `Calendar.index` as an expression over naive UTC instants, none of them outside first to last."""
    moments, offsets = shifts(calendar.zone, microseconds(first), microseconds(last))
    days = _local_days(at, int(offsets[-1]))
    for moment, offset in zip(moments[::-1].tolist(), offsets[-2::-1].tolist(), strict=True):
        change = ibis.timestamp((_EPOCH + timedelta(microseconds=moment)).replace(tzinfo=None))
        days = ibis.ifelse(at < change, _local_days(at, offset), days)
    if calendar.unit == "day":
        return days
    if calendar.unit == "week":
        return ((days + _TO_WEEK[calendar.week_start]) // 7).cast("int64")
    day = ibis.date(1970, 1, 1) + days.as_interval("D")
    return ((day.year() - 1970) * 12 + day.month() - 1).cast("int64")


def _local_days(at: Any, offset_us: int) -> Any:
    local = at + ibis.interval(seconds=offset_us // SECOND) if offset_us else at
    return local.date().delta(ibis.date(1970, 1, 1), unit="day")


def buckets(at_us: Ints, unit: Unit, zone: str, week_start: WeekStart = "monday") -> tuple[Ints, Callable[[int], str]]:
    """Return the number of each instant's local period, and what turns such a number into its label."""
    calendar = Calendar(unit=unit, zone=zone, week_start=week_start)
    return calendar.index(at_us), calendar.label


def microseconds(moment: datetime) -> int:
    """Return an aware instant as microseconds since 1970 in UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def shifts(zone: str, first_us: int, last_us: int) -> tuple[Ints, Ints]:
    """Return when the zone's offset from UTC changes between two instants, and the offsets before and after.

    Returns
    -------
    moments, offsets
        Microseconds, shapes (k,) and (k + 1,): offsets[j] holds until moments[j].
    """
    # datetime knows the years 1 to 9999; at their edges the offset is that of the nearest year looked at
    years = [min(max(1970 + int(us // (365.2425 * DAY)), 3), 9997) for us in (first_us, last_us)]
    changes = [change for year in range(years[0] - 1, years[1] + 2) for change in _changes(zone, year)]
    inside = [change for change in changes if first_us < change[0] <= last_us]
    before = [offset for moment, offset in changes if moment <= first_us]
    initial = before[-1] if before else _offset(_zone(zone), datetime(years[0] - 1, 1, 2, tzinfo=UTC))
    return (
        np.array([moment for moment, _ in inside], dtype=np.int64),
        np.array([initial, *(offset for _, offset in inside)], dtype=np.int64),
    )


@lru_cache(maxsize=4096)
def _changes(zone: str, year: int) -> tuple[tuple[int, int], ...]:
    """Return the instants within a year of UTC at which the zone's offset changes, and the new offsets."""
    place, found = _zone(zone), []
    if place.utcoffset(None) is not None:
        return ()  # a zone whose clock never changes
    day = datetime(year, 1, 1, tzinfo=UTC)
    end = datetime(year + 1, 1, 1, tzinfo=UTC)
    offset = _offset(place, day)
    while day < end:
        # no clock changes twice within three days: the shortest time between is a week, in Brazil in 2000
        after = min(day + timedelta(days=3), end)
        if _offset(place, after) != offset:
            moment = _bisect(place, day, after)
            offset = _offset(place, after)
            found.append((microseconds(moment), offset))
        day = after
    return tuple(found)


def _bisect(place: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the whole second from which the later offset holds."""
    old = _offset(place, before)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        before, after = (middle, after) if _offset(place, middle) == old else (before, middle)
    return after


def _offset(place: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(place).utcoffset()
    return (offset or timedelta()) // timedelta(microseconds=1)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fault = f'time zone "{name}" is not known: expected a name of the IANA list, such as Asia/Shanghai'
        raise SettingsFault("time zone", [fault]) from None
