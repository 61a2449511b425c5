"""The audit log in its table: appended one writer at a time, read page by page or as a chain."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import String, type_coerce
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
