"""Events of the bank that a condition asks for: by name, channel and value, in its stretch of time."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

import ibis

from engine.config.audiences import Period, Step
from engine.lake.schema import instant

_MICROSECONDS_A_DAY: Final = 86_400_000_000


def within(events: Any, period: Period, as_of: datetime) -> Any:
    """Return the events of known customers in the period; `in_last_days` counts back from `as_of`."""
    return events.filter(events.customer_id.notnull(), is_within(events, period, as_of))


def is_empty(period: Period, as_of: datetime) -> bool:
    """Return whether no instant lies in the period as of a date: it begins later than it ends, or than `as_of`."""
    begins, end = _begins(period, as_of), as_of
    if period.until is not None:
        end = min(end, datetime.combine(period.until + timedelta(days=1), time(), UTC) - timedelta(microseconds=1))
    return bool(begins) and max(begins) > end


def _begins(period: Period, as_of: datetime) -> list[datetime]:
    begins = [as_of - timedelta(days=period.in_last_days)] if period.in_last_days is not None else []
    if period.since is not None:
        begins.append(datetime.combine(period.since, time(), UTC))
    return begins


def is_within(events: Any, period: Period, as_of: datetime) -> Any:
    """Return whether each event lies in the period, and not after `as_of`."""
    inside = events.occurred_at <= instant(as_of)
    begins = _begins(period, as_of)
    if begins:
        inside &= events.occurred_at >= instant(max(begins))
    if period.until is not None:
        inside &= events.occurred_at < instant(datetime.combine(period.until + timedelta(days=1), time(), UTC))
    return inside


def matches(events: Any, step: Step) -> Any:
    """Return whether each event is one that the step means; a value that the event does not carry fulfils no limit."""
    parts = [events.event_name.isin(step.event)]
    if step.channel is not None:
        parts.append(events.channel.isin(step.channel).fill_null(False))
    if step.value_at_least is not None:
        parts.append((events["value"] >= step.value_at_least).fill_null(False))
    if step.value_at_most is not None:
        parts.append((events["value"] <= step.value_at_most).fill_null(False))
    return ibis.and_(*parts)


def days(number: float) -> Any:
    """Return a length of time to the microsecond."""
    return ibis.interval(microseconds=round(number * _MICROSECONDS_A_DAY))
