"""When a schedule is due: cron expressions in the bank's own time zone, forwards and backwards.

Read as cron reads them: Sunday is 0 and 7, and where both the day of the month and the day of the week are named either
will do. The scheduler library counts from Monday and wants both, so an expression is translated first. Where a clock is
put forward, a time that does not exist is made at the next one; where it is put back, a time is made once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from engine.domain.errors import SettingsFault

_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMED: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_LOOK_BACK: Final = (timedelta(hours=1), timedelta(days=1), timedelta(days=8), timedelta(days=32), timedelta(days=367))


def trigger(cron: str, time_zone: str) -> BaseTrigger:
    """Return what says when a cron expression is due.

    Raises
    ------
    SettingsFault
        It is no cron expression.
    """
    fields = _NAMED.get(cron.strip(), cron).split()
    if len(fields) != 5:
        raise _fault(cron, f"it has {len(fields)} fields, expected minute, hour, day, month and day of the week")
    minute, hour, day, month, week_day = fields
    zone = ZoneInfo(time_zone)
    try:
        days = week_day if week_day == "*" else ",".join(_week_days(week_day))
        of_week = CronTrigger(minute=minute, hour=hour, month=month, day_of_week=days, timezone=zone)
        of_month = CronTrigger(minute=minute, hour=hour, day=day, month=month, timezone=zone)
    except ValueError:
        raise _fault(cron, "a field is not what cron knows") from None
    if week_day == "*":
        made: BaseTrigger = of_month
    elif day == "*":
        made = of_week
    else:
        made = OrTrigger([of_month, of_week])
    if not hour.startswith("*"):
        made = _Once(made, zone)
    if next_due(made, datetime.now(UTC)) is None:
        raise _fault(cron, "it is never due")
    return made


class _Once(BaseTrigger):  # type: ignore[misc]  # the library has no types
    """Leaves out the second of two equal times on a clock that is put back, as cron does for jobs of set hours."""

    def __init__(self, trigger: BaseTrigger, zone: ZoneInfo) -> None:
        self._trigger, self._zone = trigger, zone

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return the next time that is no repetition."""
        found: datetime | None = self._trigger.get_next_fire_time(previous_fire_time, now)
        while found is not None and found.astimezone(self._zone).fold:
            found = self._trigger.get_next_fire_time(None, found.astimezone(UTC) + timedelta(microseconds=1))
        return found


def next_due(when: BaseTrigger, after: datetime) -> datetime | None:
    """Return the first time that is due after an instant, in UTC; None where there is none any more."""
    found = when.get_next_fire_time(None, after + timedelta(microseconds=1))
    return None if found is None else found.astimezone(UTC)


def last_due(when: BaseTrigger, since: datetime, now: datetime) -> tuple[datetime, int] | None:
    """Return the newest time that was due after one instant and until another, and how many of its hour came before.

    None where nothing was due. The count is of the times that were looked through, at least those of the last hour: it
    says that some were missed, and how many where they are few.
    """
    for back in _LOOK_BACK:
        start = max(since, now - back)
        due = next_due(when, start)
        if due is not None and due <= now:
            before = 0
            while (following := next_due(when, due)) is not None and following <= now:
                due, before = following, before + 1
            return due, before
        if start == since:
            return None
    return None


def _week_days(field: str) -> list[str]:
    """Return the names of the days that a field means, in the order of the week; raises ValueError."""
    found: set[int] = set()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = 0 if first == "*" else _day(first)
        end = _day(last) if last else (6 if first == "*" or step else begin)
        # Sunday at the end of a span is the seventh day, and a span may pass it
        end = end + 7 if end < begin else end
        found |= {day % 7 for day in range(begin, end + 1, _step(step))}
    return [_DAYS[day] for day in sorted(found)]


def _step(text: str) -> int:
    step = int(text) if text else 1
    if step < 1:
        raise ValueError(text)
    return step


def _day(text: str) -> int:
    if text in _DAYS:
        return _DAYS.index(text)
    day = int(text)
    if not 0 <= day <= 7:
        raise ValueError(text)
    return day % 7 if day == 7 else day


def _fault(cron: str, why: str) -> SettingsFault:
    return SettingsFault(
        "schedule",
        [f'"{cron}" is no cron expression: {why}. Write one such as "30 2 * * 1-5" (02:30, Monday to Friday).'],
    )
