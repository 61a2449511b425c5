"""Open an event log: a file as it lies, or the curated events of the workspace."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from engine.config.intake import IntakeSettings
from engine.domain.errors import NotEnoughData, SettingsFault
from engine.intake import event_files, event_roles
from engine.intake.event_roles import Roles
from engine.lake.engine import DuckDBEngine
from engine.workflows import session
from journeys.event_log import EventLog, LogReport


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """Where the events are and which column plays which role; no path: the curated events of the workspace.

    A role that is None is found by the column's name. `as_of` None is the latest event of a file, and the end of the
    extract for curated events. `zone` is that of times without an offset, UTC where it is None. `say` is told every
    guess that was made and what was left out, a sentence at a time.
    """

    path: Path | None = None
    home: Path = Path("workspace")
    case: str | None = None
    event: str | None = None
    time: str | None = None
    seq: str | None = None
    channel: str | None = None
    lifecycle: str | None = None
    event_id: str | None = None
    as_of: datetime | None = None
    zone: str | None = None
    time_format: str | None = None
    encoding: str | None = None
    say: Callable[[str], None] = field(default=_silent, compare=False)

    def roles(self) -> Roles:
        """Return the columns that were named."""
        return Roles(**{name: getattr(self, name) for name in Roles.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLog:
    """A log that can be read: the engine that knows its table, its roles, from when to look, what was left out."""

    engine: DuckDBEngine
    log: EventLog
    as_of: datetime
    report: LogReport


@contextmanager
def opened(source: LogSource) -> Iterator[OpenLog]:
    """Open a log for as long as it is read.

    Raises
    ------
    UnreadableSource, NotEnoughData, UnknownName, SettingsFault
        The file, its columns or its times cannot be used; one sentence says why.
    WorkspaceMissing
        No file was named and nothing has been loaded.
    """
    if source.path is None:
        with _curated(source) as log:
            yield log
    else:
        with _file(source, source.path) as log:
            yield log


@contextmanager
def _file(source: LogSource, path: Path) -> Iterator[OpenLog]:
    workspace = session.workspace_at(source.home)
    with (
        tempfile.TemporaryDirectory(prefix="wayline-log-") as scratch,
        session.engine_aside(source.home, Path(scratch) / "engine") as engine,
    ):
        rules = session.settings(workspace, IntakeSettings, "intake")
        spool = Path(scratch) / "log"
        spool.mkdir()
        file = event_files.read(path, engine, spool, rules, encoding=source.encoding)
        zone = _checked_zone(source.zone)
        typed = event_roles.attach(
            file, source.roles(), engine, Path(scratch), zone=zone, time_format=source.time_format
        )
        for note in typed.notes:
            source.say(note)
        roles = typed.roles
        log = EventLog(
            table=typed.table,
            customer=str(roles.case),
            event=str(roles.event),
            time=str(roles.time),
            seq=roles.seq,
            channel=roles.channel,
            product=None,
            lifecycle=roles.lifecycle,
        )
        moment = source.as_of or _latest(engine, log)
        if source.as_of is None:
            source.say(f"Looked from the latest event, {moment:%Y-%m-%d %H:%M:%S} UTC; --as-of names another instant.")
        yield _ready(source, engine, log, moment, typed.report)


@contextmanager
def _curated(source: LogSource) -> Iterator[OpenLog]:
    workspace = session.workspace_at(source.home)
    report = workspace.report()
    with session.duckdb(workspace) as engine:
        tables = workspace.attach(engine)
        if "events" not in tables:
            raise NotEnoughData("journeys", "the workspace has no events", "a table of events in the mapping file")
        log = _with_roles(EventLog(table=tables["events"]), source)
        moment = source.as_of or session.end_of_extract(report)
        rows = _count(engine, log.table)
        kept = _count(engine, log.events())
        yield _ready(source, engine, log, moment, LogReport(read=rows, kept=kept, no_customer=rows - kept))


def _with_roles(log: EventLog, source: LogSource) -> EventLog:
    """Return the log with the columns that were named instead of its own."""
    named = {"customer": source.case, "event": source.event, "time": source.time, "seq": source.seq}
    named |= {"channel": source.channel, "lifecycle": source.lifecycle}
    chosen = {role: column for role, column in named.items() if column is not None}
    for column in chosen.values():
        log.require(column)
    return replace(log, **chosen)


def _ready(source: LogSource, engine: DuckDBEngine, log: EventLog, moment: datetime, report: LogReport) -> OpenLog:
    later = report.kept - _count(engine, log.events(moment)) if source.as_of is not None else 0
    told = replace(report, kept=report.kept - later, later=later)
    for sentence in told.sentences():
        source.say(sentence)
    return OpenLog(engine=engine, log=log, as_of=moment, report=told)


def _count(engine: DuckDBEngine, rows: Any) -> int:
    return int(engine.arrow(rows.aggregate(n=rows.count())).column("n")[0].as_py())


def _latest(engine: DuckDBEngine, log: EventLog) -> datetime:
    events = log.events(ordered=False)
    latest = engine.arrow(events.aggregate(at=events.at.max())).column("at")[0].as_py()
    if latest is None:
        raise NotEnoughData(
            "journeys", "no event has a customer, a name and a time", "a log of at least one whole event"
        )
    moment: datetime = latest.replace(tzinfo=UTC)
    return moment


def _checked_zone(zone: str | None) -> str | None:
    if zone is None:
        return None
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise SettingsFault("--zone", [f'"{zone}" is no time zone; write one such as Asia/Shanghai or UTC']) from None
    return zone
