"""Compare two groups or two periods of a log of events, wherever it lies."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from engine.config.bank import BankSettings
from engine.config.journeys import JourneySettings
from engine.domain.errors import NotEnoughData, SettingsFault
from engine.workflows import session
from engine.workflows.event_logs import LogSource, OpenLog, opened
from engine.workflows.journey_types import narrowed
from journeys import comparison, histories
from journeys.event_log import EventLog
from journeys.sides import Groups, Periods, Sides, Starts
from journeys.spec import Funnel

_COPY: Final = "attribute: "
_DAY: Final = 86_400_000_000  # microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which two sides to compare, and what beside their paths and durations.

    by, groups : a column, and one of its values against all others, or two of them, the base first.
    before : events before this instant against those from it on. began_before : journeys by when they began, each
        followed for `follow_seconds`. Both as written: a date is the begin of that day in the log's time zone.
    days : how long each period lasts; None: as long as both can.
    """

    by: str | None = None
    groups: tuple[str, ...] = ()
    before: str | None = None
    began_before: str | None = None
    follow_seconds: float = 30 * 86_400.0
    days: float | None = None
    journey: JourneySettings | None = None
    funnel: Funnel | None = None
    with_types: bool = False
    seed: int = 0


def study(source: LogSource, question: Question) -> dict[str, Any]:
    """Return the comparison as a mapping, its keys those of `comparison.Comparison`.

    Raises
    ------
    SettingsFault
        Not exactly one of --by, --before and --began-before is asked for, or what is asked makes no two sides.
    NotEnoughData, UnknownName
        A side is empty, or a group is not there.
    """
    _check(question)
    with opened(source) as open_log:
        journey = None if question.journey is None else question.journey.journey
        log = narrowed(open_log.log, source, journey)
        sides = _sides(open_log, log, source, question)
        if isinstance(sides, Groups) and sides.column in histories.ROLES:
            copy = _COPY + sides.column
            log, sides = (
                replace(log, table=log.table.mutate(**{copy: log.table[sides.column]})),
                replace(sides, column=copy),
            )
        found = comparison.compare(
            open_log.engine,
            log,
            open_log.as_of,
            sides,
            funnel=question.funnel,
            with_types=question.with_types,
            seed=question.seed,
        )
    return asdict(found)


def _check(question: Question) -> None:
    asked = [name for name in ("by", "before", "began_before") if getattr(question, name) is not None]
    if len(asked) != 1:
        raise SettingsFault("compare", ["name exactly one of --by COLUMN --groups A,B, --before and --began-before"])
    if question.by is not None and len(question.groups) not in (1, 2):
        raise SettingsFault("--groups", [f"{len(question.groups)} groups: expected two, or one against all others"])
    if question.by is not None and len(set(question.groups)) < len(question.groups):
        raise SettingsFault("--groups", ["a group cannot be compared with itself; name two different ones"])
    if question.days is not None and not question.days > 0:
        raise SettingsFault("--days", [f"{question.days:g} days: expected more than 0"])


def _sides(open_log: OpenLog, log: EventLog, source: LogSource, question: Question) -> Sides:
    if question.by is not None:
        log.require(question.by)
        other = question.groups[1] if len(question.groups) > 1 else None
        return Groups(column=question.by, base=question.groups[0], other=other)
    written = question.before or question.began_before or ""
    cut = _microseconds(_instant(written, source))
    first = _first(open_log, log)
    last = _microseconds(open_log.as_of)
    if question.before is not None:
        begin, end = _bounds(cut, first, last, question.days)
        return Periods(begin=begin, cut=cut, end=end, names=(f"before {written}", f"from {written}"))
    follow = round(min(question.follow_seconds, 1e11) * 1_000_000)
    begin, end = _bounds(cut, first, last - follow, question.days)
    names = (f"began before {written}", f"began from {written}")
    return Starts(begin=begin, cut=cut, end=end, follow=follow, names=names)


def _bounds(cut: int, first: int, last: int, days: float | None) -> tuple[int, int]:
    """Return the begin and end of two periods of one length; events of the last instant are in the second."""
    spans = cut - first, last + 1 - cut
    if min(spans) <= 0:
        at = [datetime.fromtimestamp(one / 1e6, UTC).strftime("%Y-%m-%d %H:%M") for one in (first, cut, last)]
        raise NotEnoughData(
            "comparison",
            f"the log runs from {at[0]} to {at[2]} UTC, the date to compare at is {at[1]}",
            "a date between",
        )
    span = min(spans) if days is None else round(days * _DAY)
    return cut - span, cut + min(span, spans[1])


def _instant(written: str, source: LogSource) -> datetime:
    """Return the instant that was written; a date is its first moment in the zone of the log, or of the bank."""
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        fault = f'"{written}" is no date. Write 2026-06-30, or 2026-06-30T16:00:00+08:00.'
        raise SettingsFault("--before", [fault]) from None
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    zone = source.zone or "UTC"
    if source.path is None and source.zone is None:
        zone = session.settings(session.workspace_at(source.home), BankSettings, "bank").time_zone
    day: date = moment.date()
    at: time = moment.time()
    return datetime.combine(day, at, ZoneInfo(zone)).astimezone(UTC)


def _first(open_log: OpenLog, log: EventLog) -> int:
    events = log.events(open_log.as_of, ordered=False)
    first = open_log.engine.arrow(events.aggregate(at=events.at.min())).column("at")[0].as_py()
    if first is None:
        raise NotEnoughData("comparison", "the log has no event", "a log of at least one event")
    return _microseconds(first.replace(tzinfo=UTC))


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
