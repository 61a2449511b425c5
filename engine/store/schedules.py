"""Schedules, the times at which they were due, and alerts: a time is made once, and no two at once.

Whoever makes one holds it for a while and shows signs of life; one that dies lets go, and the next takes over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.numerics.chain import canonical
from engine.store import persons
from engine.store.records import AlertRecord, ScheduleRecord, TurnRecord
from engine.store.tables import AlertRow, ScheduleRow, ScheduleTurnRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """What is to be made when: the name of the job, a cron expression, and what the job needs to know."""

    name: str
    job: str
    cron: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A time at which a schedule is due, how many before it were missed, who wants to make it, and for how long."""

    schedule: int
    due_at: datetime
    missed: int
    worker: str
    hold: timedelta


def add(session: Session, wanted: NewSchedule, by: str, now: datetime) -> ScheduleRecord:
    """Enter a schedule; raises RefusedByPolicy where one of that name is in force."""
    if any(one.name == wanted.name for one in in_force(session)):
        raise RefusedByPolicy(f'There is a schedule "{wanted.name}" already. Remove it first, or give another name.')
    row = ScheduleRow(
        name=wanted.name,
        job=wanted.job,
        cron=wanted.cron,
        arguments=canonical(wanted.arguments),
        added_by=persons.name(by),
        added_at=now,
    )
    session.add(row)
    session.flush()
    return record(row)


def remove(session: Session, name: str, by: str, now: datetime) -> ScheduleRecord:
    """Take a schedule out of force; what it made stays on record. Raises UnknownName."""
    row = session.exec(
        select(ScheduleRow).where(ScheduleRow.name == name, col(ScheduleRow.removed_at).is_(None))
    ).first()
    if row is None:
        raise UnknownName("schedule", name, [one.name for one in in_force(session)])
    row.removed_by, row.removed_at = persons.name(by), now
    session.add(row)
    return record(row)


def in_force(session: Session) -> list[ScheduleRecord]:
    """Return the schedules that are in force, by name."""
    query = select(ScheduleRow).where(col(ScheduleRow.removed_at).is_(None)).order_by(col(ScheduleRow.name))
    return [record(row) for row in session.exec(query)]


def claim(session: Session, due: Due, now: datetime) -> TurnRecord | None:
    """Take a time on: a new one, one to be tried again, or one whose process died; None where it is not to be made.

    None too while any other is being made, whichever schedule it is of.
    """
    busy = select(ScheduleTurnRow).where(ScheduleTurnRow.status == "running", col(ScheduleTurnRow.held_until) > now)
    if session.exec(busy).first() is not None:
        return None
    query = select(ScheduleTurnRow).where(
        ScheduleTurnRow.schedule == due.schedule, ScheduleTurnRow.due_at == due.due_at
    )
    row = session.exec(query).first()
    if row is None:
        row = ScheduleTurnRow(
            schedule=due.schedule,
            due_at=due.due_at,
            missed=due.missed,
            status="running",
            attempts=0,
            worker=due.worker,
            held_until=now + due.hold,
            started_at=now,
        )
    elif row.status not in ("running", "retrying") or row.held_until > now:
        return None
    row.status, row.worker, row.held_until, row.attempts = "running", due.worker, now + due.hold, row.attempts + 1
    session.add(row)
    session.flush()
    return turn(row)


def hold(session: Session, number: int, worker: str, until: datetime) -> bool:
    """Show a sign of life; False where somebody else has taken over."""
    row = session.get(ScheduleTurnRow, number)
    if row is None or row.worker != worker or row.status != "running":
        return False
    row.held_until = until
    session.add(row)
    return True


def finish(session: Session, number: int, status: str, result: Mapping[str, Any], until: datetime) -> TurnRecord:
    """Enter how a time ended; one to be tried again rests until then. Raises UnknownName."""
    row = session.get(ScheduleTurnRow, number)
    if row is None:
        raise UnknownName("scheduled time", str(number), [])
    row.status, row.result, row.held_until = status, canonical(result), until
    row.finished_at = until if status != "retrying" else None
    session.add(row)
    return turn(row)


def open_turns(session: Session) -> list[TurnRecord]:
    """Return the times that are being made, or that are to be tried again, the one due first first."""
    query = select(ScheduleTurnRow).where(col(ScheduleTurnRow.status).in_(("running", "retrying")))
    return [turn(row) for row in session.exec(query.order_by(col(ScheduleTurnRow.due_at)))]


def last_turns(session: Session) -> dict[int, TurnRecord]:
    """Return the newest time of each schedule."""
    newest = (
        select(ScheduleTurnRow.schedule, func.max(col(ScheduleTurnRow.due_at)).label("due_at"))
        .group_by(col(ScheduleTurnRow.schedule))
        .subquery()
    )
    query = select(ScheduleTurnRow).join(
        newest,
        (col(ScheduleTurnRow.schedule) == newest.c.schedule) & (col(ScheduleTurnRow.due_at) == newest.c.due_at),
    )
    return {row.schedule: turn(row) for row in session.exec(query)}


def turns(session: Session, limit: int) -> list[TurnRecord]:
    """Return times that were due, the newest first."""
    query = select(ScheduleTurnRow).order_by(col(ScheduleTurnRow.due_at).desc(), col(ScheduleTurnRow.number).desc())
    return [turn(row) for row in session.exec(query.limit(limit))]


def alert(session: Session, subject: str, sentence: str, now: datetime) -> AlertRecord:
    """Enter a failure."""
    row = AlertRow(at=now, subject=subject, sentence=sentence)
    session.add(row)
    session.flush()
    return AlertRecord(**row.model_dump())


def told(session: Session, number: int, how: str) -> None:
    """Enter how telling somebody outside of an alert went."""
    row = session.get(AlertRow, number)
    if row is not None:
        row.told = how
        session.add(row)


def alerts(session: Session) -> list[AlertRecord]:
    """Return the failures that nobody has looked at, the newest first."""
    query = select(AlertRow).where(col(AlertRow.seen_at).is_(None)).order_by(col(AlertRow.number).desc())
    return [AlertRecord(**row.model_dump()) for row in session.exec(query)]


def seen(session: Session, by: str, now: datetime) -> int:
    """Enter that a person has looked at all alerts, and return how many; raises RefusedByPolicy without a name."""
    if not by.strip():
        raise RefusedByPolicy("Somebody must have looked at the alerts. Give a name with --by.")
    rows = list(session.exec(select(AlertRow).where(col(AlertRow.seen_at).is_(None))))
    for row in rows:
        row.seen_by, row.seen_at = persons.name(by), now
        session.add(row)
    return len(rows)


def record(row: ScheduleRow) -> ScheduleRecord:
    """Return a schedule as it is handed out."""
    return ScheduleRecord(**{**row.model_dump(), "arguments": json.loads(row.arguments)})


def turn(row: ScheduleTurnRow) -> TurnRecord:
    """Return a time as it is handed out."""
    return TurnRecord(**{**row.model_dump(), "result": json.loads(row.result) if row.result else None})
