"""Open an event log: a file as it lies, or the curated events of the workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import ibis

from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.intake import event_files, event_roles
from engine.intake.event_roles import LOG, Roles
from engine.lake.engine import DuckDBEngine, identifier
from engine.lake.schema import of_arrow
from engine.workflows import prepared_logs, session
from journeys.event_log import EventLog, LogReport
from journeys.histories import AT, CUSTOMER, EVENT, SEQ
from journeys.prepared import LIVE, Prepared

_ROWS: Final = f"rows of {LOG}"


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
    """A log that can be read: the engine that knows its table, its roles, from when to look, what was left out.

    `numbered` says that its `seq` is no column of the source but the place of each row.
    """

    engine: DuckDBEngine
    log: EventLog
    as_of: datetime
    report: LogReport
    numbered: bool = False


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
        way = _curated(source)
    elif prepared_logs.is_prepared(source.path):
        way = _prepared(source, source.path)
    else:
        way = _file(source, source.path)
    with way as log:
        yield log


@contextmanager
def _file(source: LogSource, path: Path) -> Iterator[OpenLog]:
    with session.files_aside(source.home) as aside:
        engine = aside.engine
        file = event_files.read(path, engine, aside.folder("log"), aside.rules, encoding=source.encoding)
        zone = _checked_zone(source.zone)
        typed = event_roles.attach(
            file, source.roles(), engine, aside.scratch, zone=zone, time_format=source.time_format
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
            event_id=roles.event_id,
        )
        moment = source.as_of or _latest(engine, log, typed.report)
        if source.as_of is None:
            source.say(f"Looked from the latest event, {moment:%Y-%m-%d %H:%M:%S} UTC; --as-of names another instant.")
        ready = _ready(source, engine, log, moment, typed.report)
        yield replace(ready, numbered=roles.seq == file.row)


@contextmanager
def _prepared(source: LogSource, path: Path) -> Iterator[OpenLog]:
    blocks, manifest = prepared_logs.read(path)
    roles = manifest.roles
    for role in Roles.__slots__:
        named = getattr(source, role)
        if named is not None and named != roles.get(role):
            had = f'"{roles[role]}"' if role in roles else "none"
            fault = f'--{role} "{named}": the log was prepared with {had}; prepare it again with the column'
            raise SettingsFault(path.name, [fault])
    with session.files_aside(source.home) as aside:
        log = EventLog(
            table=_attached(aside.engine, blocks),
            customer=CUSTOMER,
            event=EVENT,
            time=AT,
            seq=SEQ,
            channel=roles.get("channel"),
            product=None,
            lifecycle=roles.get("lifecycle"),
            prepared=blocks,
        )
        report = LogReport(read=manifest.rows_read, kept=manifest.events, **manifest.left_out)
        yield _ready(source, aside.engine, log, source.as_of or manifest.as_of, report)


def _attached(engine: DuckDBEngine, blocks: Prepared) -> Any:
    """Make the events of a prepared log readable as the table `LOG`; rows that count no more are passed over."""
    rows = blocks.rows()
    if LIVE not in rows.column_names:
        engine.attach(LOG, rows)
        return ibis.table(of_arrow(rows.schema), name=LOG)
    engine.attach(_ROWS, rows)
    live = f"SELECT * EXCLUDE ({identifier(LIVE)}) FROM {identifier(_ROWS)} WHERE {identifier(LIVE)}"
    engine.connection.execute(f"CREATE OR REPLACE VIEW {identifier(LOG)} AS {live}")
    return ibis.table(of_arrow(rows.drop_columns([LIVE]).schema), name=LOG)


@contextmanager
def _curated(source: LogSource) -> Iterator[OpenLog]:
    workspace = session.workspace_at(source.home)
    loaded = workspace.report()
    with session.duckdb(workspace) as engine:
        tables = workspace.attach(engine)
        if "events" not in tables:
            raise NotEnoughData("journeys", "the workspace has no events", "a table of events in the mapping file")
        log = _with_roles(EventLog(table=tables["events"], event_id="event_id"), source)
        moment = source.as_of or session.end_of_extract(loaded)
        yield _ready(source, engine, log, moment, _counted(engine, log))


def _counted(engine: DuckDBEngine, log: EventLog) -> LogReport:
    """Count the curated events, whose names, times and ids intake has checked; some may be of nobody."""
    rows, kept = _count(engine, log.table), _count(engine, log.events(ordered=False))
    return LogReport(read=rows, kept=kept, no_customer=rows - kept)


def _with_roles(log: EventLog, source: LogSource) -> EventLog:
    """Return the log with the columns that were named instead of its own."""
    named = {"customer": source.case, "event": source.event, "time": source.time, "seq": source.seq}
    named |= {"channel": source.channel, "lifecycle": source.lifecycle, "event_id": source.event_id}
    chosen: dict[str, Any] = {role: column for role, column in named.items() if column is not None}
    for column in chosen.values():
        if column not in log.table.columns:
            raise UnknownName("column of the events", column, log.table.columns)
    return replace(log, **chosen)


def _ready(source: LogSource, engine: DuckDBEngine, log: EventLog, moment: datetime, report: LogReport) -> OpenLog:
    """Tell what was left out and hand the log over; looking from its own latest event leaves nothing later out."""
    later = 0
    if source.as_of is not None or source.path is None:
        till = log.prepared.count(moment) if log.prepared else _count(engine, log.events(moment, ordered=False))
        later = report.kept - till
    told = replace(report, kept=report.kept - later, later=later)
    for sentence in told.sentences():
        source.say(sentence)
    return OpenLog(engine=engine, log=log, as_of=moment, report=told)


def _count(engine: DuckDBEngine, rows: Any) -> int:
    return int(engine.arrow(rows.aggregate(n=rows.count())).column("n")[0].as_py())


def _latest(engine: DuckDBEngine, log: EventLog, report: LogReport) -> datetime:
    # a log without gaps is asked as a whole, which its file's statistics answer
    events = log.table if report.kept == report.read else log.events(ordered=False).rename({log.time: AT})
    latest = engine.arrow(events.aggregate(at=events[log.time].max())).column("at")[0].as_py()
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
