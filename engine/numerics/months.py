"""Calendar months counted from an instant."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime


def months_before(moment: datetime, months: int) -> datetime:
    """Return the instant that many months earlier, the hour unchanged; the last day of a month stays the last day."""
    place = moment.year * 12 + moment.month - 1 - months
    year, month = place // 12, place % 12 + 1
    was_last, last = moment.day == monthrange(moment.year, moment.month)[1], monthrange(year, month)[1]
    return moment.replace(year=year, month=month, day=last if was_last else min(moment.day, last))
