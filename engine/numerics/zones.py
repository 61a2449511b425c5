"""How far local clocks are from UTC, as stretches of time in which they stay the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def offsets(zone: str, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
    """Return, in order, instants from which local clocks are so many minutes ahead of UTC; the first is `start`.

    Changes between two aware instants are found to the minute; a zone without summer time has one stretch. A clock
    that changes twice within a day and back is not seen.

    Raises
    ------
    ZoneInfoNotFoundError
        There is no such time zone.
    """
    place = ZoneInfo(zone)
    found = [(start.astimezone(UTC), _minutes(start, place))]
    before = start.astimezone(UTC)
    while before < end:
        after = min(before + timedelta(days=1), end.astimezone(UTC))
        if _minutes(after, place) != _minutes(before, place):
            found.append(_change(before, after, place))
        before = after
    return found


def _minutes(moment: datetime, zone: ZoneInfo) -> int:
    ahead = moment.astimezone(zone).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds() // 60)


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> tuple[datetime, int]:
    new = _minutes(after, zone)
    while after - before > timedelta(minutes=1):
        middle = before + timedelta(minutes=int((after - before).total_seconds() // 120))
        before, after = (before, middle) if _minutes(middle, zone) == new else (middle, after)
    return after, new
