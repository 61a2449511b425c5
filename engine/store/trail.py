"""The audit log in its table: appended one writer at a time, read page by page or as a chain."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, String, func, or_, type_coerce
from sqlmodel import Session, col, select

from engine.numerics.chain import Head, Link, canonical, link
from engine.store.connection import lock
from engine.store.records import AuditRecord
from engine.store.tables import AuditRow

_AUDIT_LOCK: Final = 0x7761796C_02  # the advisory lock of the audit chain
_CHUNK: Final = 10_000  # entries held in memory at a time while the chain is checked


def take_turn(session: Session) -> None:
    """Wait until no other transaction appends: two that follow the same entry would fork the chain."""
    lock(session.connection(), _AUDIT_LOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who did what to what; `details` hold ids, counts and hashes, never personal data."""

    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]

    def hashed(self, seq: int, at: datetime) -> dict[str, Any]:
        """Return what is hashed of the entry; changing it would break every chain ever written."""
        moment = at.astimezone(UTC).isoformat(timespec="microseconds")
        facts = {"actor": self.actor, "action": self.action, "subject": self.subject, "details": self.details}
        return {"seq": seq, "at": moment, **facts}


def append(session: Session, at: datetime, entry: Entry) -> AuditRecord:
    """Add the next entry; the caller's transaction holds the turn."""
    last = head(session)
    row = AuditRow(
        seq=last.seq + 1,
        at=at,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        details=canonical(entry.details),
        previous=last.hash,
        hash=link(last.hash, entry.hashed(last.seq + 1, at)),
    )
    session.add(row)
    session.flush()
    return _record(row)


def head(session: Session) -> Head:
    """Return the newest entry's number and hash."""
    newest = select(AuditRow.seq, AuditRow.hash).order_by(col(AuditRow.seq).desc()).limit(1)
    row = session.exec(newest).first()
    return Head(seq=row[0], hash=row[1]) if row else Head()


def newest(
    session: Session, limit: int, before: int | None, subject: str | None, action: str | None
) -> list[AuditRecord]:
    """Return a page of entries, the newest first."""
    query = select(AuditRow).order_by(col(AuditRow.seq).desc()).limit(limit)
    if before is not None:
        query = query.where(AuditRow.seq < before)
    if subject is not None:
        query = query.where(AuditRow.subject == subject)
    if action is not None:
        query = query.where(AuditRow.action == action)
    return [_record(row) for row in session.exec(query)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which entries of the log are asked for; None and an empty text ask for all.

    since, until : instants, the first one included, the last one not. action, subject : what it begins with.
    customer_id : entries about that customer, by their subject or by what their details hold.
    """

    since: datetime | None = None
    until: datetime | None = None
    actor: str = ""
    action: str = ""
    subject: str = ""
    customer_id: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what an entry must meet."""
        found: list[ColumnElement[bool]] = []
        if self.since is not None:
            found.append(col(AuditRow.at) >= self.since)
        if self.until is not None:
            found.append(col(AuditRow.at) < self.until)
        if self.actor:
            found.append(col(AuditRow.actor) == self.actor)
        if self.action:
            found.append(col(AuditRow.action).startswith(self.action, autoescape=True))
        if self.subject:
            found.append(col(AuditRow.subject).startswith(self.subject, autoescape=True))
        if self.customer_id:
            named = json.dumps(self.customer_id, ensure_ascii=False)
            found.append(
                or_(
                    col(AuditRow.subject).in_([self.customer_id, f"customer:{self.customer_id}"]),
                    col(AuditRow.details).contains(named, autoescape=True),
                )
            )
        return found


def sought(session: Session, what: Sought, limit: int, offset: int) -> list[AuditRecord]:
    """Return a page of the entries asked for, the newest first."""
    query = select(AuditRow).where(*what.conditions()).order_by(col(AuditRow.seq).desc()).limit(limit).offset(offset)
    return [_record(row) for row in session.exec(query)]


def count(session: Session, what: Sought) -> int:
    """Return how many entries are asked for."""
    return session.exec(select(func.count()).select_from(AuditRow).where(*what.conditions())).one()


def named(session: Session) -> tuple[list[str], list[str]]:
    """Return who did anything, and what was done, each by name."""
    actors = session.exec(select(AuditRow.actor).distinct().order_by(AuditRow.actor)).all()
    actions = session.exec(select(AuditRow.action).distinct().order_by(AuditRow.action)).all()
    return list(actors), list(actions)


def before(session: Session, seq: int) -> AuditRecord | None:
    """Return the last entry on the same subject before an entry; None where there is none, or no such entry."""
    one = session.get(AuditRow, seq)
    if one is None:
        return None
    same = select(AuditRow).where(AuditRow.subject == one.subject, AuditRow.seq < seq)
    row = session.exec(same.order_by(col(AuditRow.seq).desc()).limit(1)).first()
    return _record(row) if row else None


def links(session: Session) -> Iterator[Link]:
    """Return the whole chain in the order of its numbers, a chunk at a time.

    Whatever somebody else wrote into a column, it is a link that does not hold, not an exception.
    """
    table = AuditRow.__table__  # type: ignore[attr-defined]
    # SQLite's text is read as it is, since its own reading of a spoilt instant would raise
    moment = type_coerce(table.c.at, String).label("at")
    columns = [moment, *(column for column in table.c if column.name != "at")]
    query = select(*columns).order_by(table.c.seq)
    for row in session.connection().execution_options(yield_per=_CHUNK).execute(query):
        yield Link(seq=row.seq, previous=row.previous, hash=row.hash, text=_hashed_text(row))


def _hashed_text(row: Any) -> str | None:
    try:
        at = row.at if isinstance(row.at, datetime) else datetime.fromisoformat(f"{row.at}+00:00")
        details = json.loads(row.details)
        # text that says the same in another form was not written by us
        if canonical(details) != row.details:
            return None
        entry = Entry(actor=row.actor, action=row.action, subject=row.subject, details=details)
        return canonical(entry.hashed(row.seq, at))
    except (ValueError, TypeError):
        return None


def _record(row: AuditRow) -> AuditRecord:
    return AuditRecord(**{**row.model_dump(), "details": json.loads(row.details)})
