"""Whether an audience is due on a date: days, weeks (from Monday) and months are those of UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from engine.config.audiences import Schedule

_WORD: Final = {"daily": "day", "weekly": "week", "monthly": "month"}


def is_due(schedule: Schedule, as_of: datetime, last: datetime | None) -> bool:
    """Return whether an audience is built on a run of a date.

    Parameters
    ----------
    last : the date that it was last built for, not later than `as_of`; None for never. Of the same instant it is due
        again, since the same run must come out the same.
    """
    if schedule == "manual":
        return False
    if schedule == "every_run" or last is None or last == as_of:
        return True
    return _period(schedule, last) != _period(schedule, as_of)


def not_due(name: str, schedule: Schedule, last: datetime | None) -> str:
    """Say why an audience is not built on a run."""
    if schedule == "manual" or last is None:
        return f'The audience "{name}" is built by hand only: wayline audience build {name}.'
    return f'The audience "{name}" is not due: it was built for {last:%Y-%m-%d}, and is built once a {_WORD[schedule]}.'


def _period(schedule: Schedule, moment: datetime) -> tuple[int, ...]:
    day = moment.astimezone(UTC).date()
    if schedule == "daily":
        return (day.year, day.month, day.day)
    return (day.year, day.month) if schedule == "monthly" else tuple(day.isocalendar()[:2])
