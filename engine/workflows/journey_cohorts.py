"""Answer what is asked of cohorts, on a log of events wherever it lies: who comes back, and who stays away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from engine.config.bank import BankSettings
from engine.config.journeys import ANY_EVENT
from engine.domain.errors import SettingsFault, UnknownName
from engine.workflows import event_names, session
from engine.workflows.event_logs import LogSource, OpenLog, opened
from journeys import activity, churn, histories, lifecycle, retention, stickiness
from journeys.activity import ANY
from journeys.calendar import Calendar, microseconds
from journeys.histories import AT, CUSTOMER
from journeys.lifecycle import Status
from journeys.retention import Clock, Cohort, Mode, Retention, Row, Table

MOST_PERIODS: Final = 400
"""How many periods lifecycle and stickiness show at most, the last ones, unless told since when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """Local periods: their unit, the zone (None: that of the bank in a workspace, else that of the log, else UTC),
    the first day of a week, and the days from which and until which they are shown.
    """

    unit: str
    zone: str | None = None
    week_start: str = "monday"
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionQuestion:
    """A retention table. `members` opens a cell: the label of a cohort, the place of a span, whether they came back."""

    periods: Periods
    start: tuple[str, ...] = ANY
    returns: tuple[str, ...] = ANY
    cohort: Cohort = Cohort.FIRST
    mode: Mode = Mode.EXACT
    clock: Clock = Clock.CALENDAR
    follow: int = retention.PERIODS
    brackets: tuple[tuple[int, int], ...] = ()
    by: str | None = None
    members: tuple[str, int, bool] | None = None


def retained(source: LogSource, question: RetentionQuestion) -> dict[str, Any]:
    """Return the retention of a log: cohorts, their sum, and both for each group where a column was named."""
    with opened(source) as whole_log:
        calendar = _calendar(source, question.periods)
        open_log = _copied(whole_log, question.by)
        asked = Retention(
            calendar=calendar,
            start=question.start,
            returns=question.returns,
            cohort=question.cohort,
            mode=question.mode,
            clock=question.clock,
            first=_number(calendar, question.periods.since),
            last=_number(calendar, question.periods.until),
            periods=question.follow,
            brackets=question.brackets,
            by=_column(question.by),
        )
        _tell_missing(open_log, source, (*question.start, *question.returns))
        counts = retention.counted(open_log.log, open_log.engine, asked, open_log.as_of)
        whole = retention.table(_whole(counts), asked, open_log.as_of)
        answer = _retention_facts(question, whole)
        if question.by is not None:
            answer["by"] = _by_group(retention.table(counts, asked, open_log.as_of))
        if question.members is not None:
            answer["members"] = _members(open_log, replace(asked, by=None), whole, question.members)
        return answer


def _whole(counts: pa.Table) -> pa.Table:
    """Return the counts without groups: every membership is in exactly one."""
    return counts.set_column(0, "group", pa.nulls(counts.num_rows, pa.string()))


def _retention_facts(question: RetentionQuestion, found: Table) -> dict[str, Any]:
    calendar = found.asked.calendar
    return {
        "period": calendar.unit,
        "clock": question.clock.value,
        "cohort": question.cohort.value,
        "mode": question.mode.value,
        "zone": calendar.zone,
        "week_start": calendar.week_start,
        "start": list(question.start),
        "return": list(question.returns),
        "as_of": found.as_of,
        "cohorts": [_row(row) for row in found.rows],
        "overall": _row(found.overall[0]),
        "by": None,
        "note": _REPEATED if question.cohort is Cohort.RECURRING else None,
    }


_REPEATED: Final = (
    "a customer is in every cohort of a period with a start; the interval of the sum over cohorts is too narrow"
)


def _row(row: Row) -> dict[str, Any]:
    return {
        "cohort": row.label,
        "customers": row.customers,
        "complete": row.complete,
        "cells": [
            {
                "from": cell.first,
                "to": cell.last,
                "customers": cell.customers,
                "returned": cell.returned,
                "share": cell.share,
                "low": cell.low,
                "high": cell.high,
            }
            for cell in row.cells
        ],
    }


def _by_group(found: Table) -> dict[str, Any]:
    grouped: dict[str, Any] = {}
    for one in found.overall:
        rows = [_row(row) for row in found.rows if row.group == one.group]
        grouped[_NO_VALUE if one.group is None else one.group] = {"cohorts": rows, "overall": _row(one)}
    return grouped if found.rows else {}


_NO_VALUE: Final = "(none)"


def _members(open_log: OpenLog, asked: Retention, found: Table, cell: tuple[str, int, bool]) -> dict[str, Any]:
    label, place, back = cell
    labels = {row.label: row for row in found.rows}
    if label not in labels:
        raise UnknownName("cohort", label, list(labels)[:_MOST_NAMES])
    row = labels[label]
    if place >= len(row.cells) or row.cells[place].returned is None:
        fault = f"cohort {label} cannot be seen through cell {place} as of {found.as_of:%Y-%m-%d}"
        raise SettingsFault("--members", [fault])
    assert row.cohort is not None  # only the sum over cohorts has none
    read = partial(retention.customers_behind, asked=asked, group=None, cohort=row.cohort, place=place, back=back)
    ids = open_log.log.map_blocks(
        open_log.engine, read, open_log.as_of, names=asked.names(), attributes=asked.attributes(), ordered=False
    )
    return {"cohort": label, "cell": place, "came_back": back, **_listed(ids)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleQuestion:
    """A lifecycle; `active` are the events that count. `members` opens a cell: label of a period and a status."""

    periods: Periods
    active: tuple[str, ...] = ANY
    members: tuple[str, Status] | None = None


def phases(source: LogSource, question: LifecycleQuestion) -> dict[str, Any]:
    """Return how many customers are new, returning, resurrecting and dormant in every period."""
    with opened(source) as open_log:
        calendar = _calendar(source, question.periods)
        _tell_missing(open_log, source, question.active)
        first, last = _shown(open_log, source, calendar, question.periods)
        created = _created(open_log, source, calendar)
        function = partial(lifecycle.of_activity, first=first, last=last, created=created)
        counts = _mapped(open_log, function, calendar, question.active)
        found = lifecycle.table(counts, calendar, first, last, open_log.as_of)
        answer: dict[str, Any] = {
            "period": calendar.unit,
            "zone": calendar.zone,
            "week_start": calendar.week_start,
            "active_by": list(question.active),
            "created_by": "first event" if created is None else "joined_at of the customer, else the first event",
            "as_of": open_log.as_of,
            "periods": [
                {
                    "period": one.label,
                    "active": one.active,
                    "new": one.new,
                    "returning": one.returning,
                    "resurrecting": one.resurrecting,
                    "dormant": one.dormant,
                    "complete": one.complete,
                }
                for one in found
            ],
        }
        if question.members is not None:
            label, status = question.members
            numbers = {one.label: one.period for one in found}
            if label not in numbers:
                raise UnknownName("period", label, list(numbers)[:_MOST_NAMES])
            behind = partial(lifecycle.customers_behind, period=numbers[label], status=status, created=created)
            ids = _mapped(open_log, behind, calendar, question.active)
            answer["members"] = {"period": label, "status": status.value, **_listed(ids)}
        return answer


def _created(open_log: OpenLog, source: LogSource, calendar: Calendar) -> pa.Table | None:
    """Return in which period each customer of the workspace became one; None where the log is a file."""
    if source.path is not None:
        return None
    customers = session.workspace_at(source.home).attach(open_log.engine).get("customers")
    if customers is None:
        return None
    known = customers.filter(customers.joined_at.notnull()).select("customer_id", "joined_at")
    rows = open_log.engine.arrow(known)
    at = rows.column("joined_at").cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
    return pa.table({CUSTOMER: rows.column("customer_id").cast(pa.string()), "period": calendar.index(at)})


@dataclass(frozen=True, slots=True, kw_only=True)
class StickinessQuestion:
    """Stickiness in buckets of `every` periods; `members` opens a bar: active in exactly so many buckets."""

    periods: Periods
    active: tuple[str, ...] = ANY
    every: int = 1
    members: int | None = None


def habits(source: LogSource, question: StickinessQuestion) -> dict[str, Any]:
    """Return in how many buckets customers are active, and how many of a month's customers come on a day."""
    with opened(source) as open_log:
        calendar = _calendar(source, question.periods)
        _tell_missing(open_log, source, question.active)
        first, last = _shown(open_log, source, calendar, question.periods)
        counts = _mapped(
            open_log,
            partial(stickiness.of_activity, first=first, last=last, every=question.every),
            calendar,
            question.active,
            question.active,
        )
        found = stickiness.table(counts, first, last, question.every)
        answer: dict[str, Any] = {
            "period": calendar.unit,
            "every": question.every,
            "zone": calendar.zone,
            "from": calendar.label(first),
            "to": calendar.label(last),
            "active_by": list(question.active),
            "as_of": open_log.as_of,
            "buckets": found.n_buckets,
            "customers": found.customers,
            "mean_buckets": found.mean_buckets,
            "exactly": list(found.exactly),
            "at_least": list(found.at_least),
            "rates": _rates(open_log, calendar, first, last, question.active),
        }
        if question.members is not None:
            behind = partial(
                stickiness.customers_behind, first=first, last=last, every=question.every, buckets=question.members
            )
            ids = _mapped(open_log, behind, calendar, question.active, question.active)
            answer["members"] = {"buckets": question.members, **_listed(ids)}
        return answer


def _rates(open_log: OpenLog, calendar: Calendar, first: int, last: int, active: tuple[str, ...]) -> dict[str, Any]:
    """Work out the rates over the days of the range, at most the last `MOST_PERIODS` of them."""
    days = replace(calendar, unit="day")
    until = min(days.index_of(calendar.start(last + 1)) - 1, days.index_of(open_log.as_of))
    since = max(days.index_of(calendar.start(first)), until - MOST_PERIODS + 1)
    function = partial(stickiness.days_of_activity, first=since, last=until)
    counts = _mapped(open_log, function, days, active, active)
    found = stickiness.rates(counts, days, days.index_of(_first_event(open_log) or open_log.as_of), open_log.as_of)
    return {
        "days": found.days,
        "dau_of_wau": found.daily_of_weekly,
        "dau_of_mau": found.daily_of_monthly,
        "wau_of_mau": found.weekly_of_monthly,
        "definition": "sum over days of those active on the day (DAU), in its last 7 (WAU) and 30 days (MAU)",
        "reason": found.reason,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ChurnQuestion:
    """Churn after a silence of `inactivity_days`, its hazard in `stretches` of `every_days` days."""

    inactivity_days: float
    active: tuple[str, ...] = ANY
    every_days: float = 30
    stretches: int = 12
    by: str | None = None


def lost(source: LogSource, question: ChurnQuestion) -> dict[str, Any]:
    """Return how customers churn: the curve, the hazard in stretches of time, and whether groups differ."""
    with opened(source) as whole_log:
        open_log = _copied(whole_log, question.by)
        _tell_missing(open_log, source, question.active)
        by = _column(question.by)
        read = partial(
            churn.of_block,
            inactivity_days=question.inactivity_days,
            as_of_us=microseconds(open_log.as_of),
            names=question.active,
            by=by,
        )
        names = None if ANY_EVENT in question.active else question.active
        people = open_log.log.map_blocks(
            open_log.engine, read, open_log.as_of, names=names, attributes=() if by is None else (by,), ordered=False
        )
        found = churn.table(
            people,
            question.inactivity_days,
            every_days=question.every_days,
            periods=question.stretches,
            by=by is not None,
        )
        return {
            "inactivity_days": found.inactivity_days,
            "active_by": list(question.active),
            "as_of": open_log.as_of,
            **_churn_facts(found.overall),
            "by": None
            if by is None
            else {_NO_VALUE if g.group is None else g.group: _churn_facts(g) for g in found.groups},
            "test": found.test,
            "pairs": found.pairs,
        }


_DAY_SECONDS: Final = 86_400


def _churn_facts(group: churn.Group) -> dict[str, Any]:
    median, (low, high) = group.curve.median(), group.curve.quantile_interval(0.5)
    reason = None
    if median is None:
        reason = "nobody could be watched" if not group.curve.n else "fewer than half churned within the time watched"
    return {
        "customers": group.customers,
        "watched": group.curve.n,
        "too_new": group.too_new,
        "churned": group.churned,
        "came_back": group.came_back,
        "median_days": _days(median),
        "median_low_days": _days(low),
        "median_high_days": _days(high),
        "median_reason": reason,
        "hazards": [
            {
                **{
                    name: getattr(one, name)
                    for name in ("from_days", "to_days", "n", "churned", "hazard", "low", "high")
                },
                "reason": one.reason,
                "still_customers": group.curve.at(one.to_days * _DAY_SECONDS),
            }
            for one in group.hazards
        ],
    }


def _days(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / _DAY_SECONDS


def _mapped(
    open_log: OpenLog,
    function: Callable[[activity.Activity], pa.Table],
    calendar: Calendar,
    active: tuple[str, ...],
    start: tuple[str, ...] = ANY,
) -> pa.Table:
    return activity.mapped(
        open_log.log, open_log.engine, function, open_log.as_of, calendar, start=start, active=active
    )


def _calendar(source: LogSource, periods: Periods) -> Calendar:
    zone = periods.zone
    if zone is None and source.path is None:
        zone = session.settings(session.workspace_at(source.home), BankSettings, "bank").time_zone
    zone = zone or source.zone or "UTC"
    return Calendar(unit=periods.unit, zone=zone, week_start=periods.week_start)  # type: ignore[arg-type]


def _number(calendar: Calendar, day: date | None) -> int | None:
    """Return the period of a local day."""
    if day is None:
        return None
    return calendar.index_of(datetime.combine(day, time(12), ZoneInfo(calendar.zone)))


def _shown(open_log: OpenLog, source: LogSource, calendar: Calendar, periods: Periods) -> tuple[int, int]:
    """Return the first and last period to show."""
    reach = calendar.index_of(open_log.as_of)
    asked = _number(calendar, periods.until)
    last = reach if asked is None else min(asked, reach)
    since = _number(calendar, periods.since)
    if since is not None and since > last:
        raise SettingsFault(
            "--since", [f"{calendar.label(since)} is later than the last period, {calendar.label(last)}"]
        )
    if since is not None:
        return since, last
    first_event = _first_event(open_log)
    first = last if first_event is None else min(calendar.index_of(first_event), last)
    if last - first >= MOST_PERIODS:
        first = last - MOST_PERIODS + 1
        source.say(f"Shown: the last {MOST_PERIODS} periods, from {calendar.label(first)}; --since names another day.")
    return first, last


def _first_event(open_log: OpenLog) -> datetime | None:
    events = open_log.log.events(open_log.as_of, ordered=False)
    first = open_log.engine.arrow(events.aggregate(at=events[AT].min())).column("at")[0].as_py()
    return None if first is None else first.replace(tzinfo=UTC)


_MOST_NAMES: Final = 100


def _tell_missing(open_log: OpenLog, source: LogSource, names: Sequence[str]) -> None:
    """Say which events that were named the log does not have: nobody then is right, but may be a slip."""
    for name in event_names.lacking(open_log, {*names} - {ANY_EVENT}):
        source.say(f'The log has no event "{name}".')


def _column(by: str | None) -> str | None:
    """Return the name under which a column is read: one with the name of a role is copied."""
    return f"attribute: {by}" if by in histories.ROLES else by


def _copied(open_log: OpenLog, by: str | None) -> OpenLog:
    if by is None:
        return open_log
    open_log.log.require(by)
    column = str(_column(by))
    if column == by:
        return open_log
    table = open_log.log.table
    return replace(open_log, log=replace(open_log.log, table=table.mutate(**{column: table[by]})))


def _listed(ids: pa.Table) -> dict[str, Any]:
    found = sorted(ids.column(CUSTOMER).to_pylist())
    return {"count": len(found), "customers": found}
