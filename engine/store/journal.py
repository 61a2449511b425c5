"""The journal: what happened, in the order in which it happened, for campaign tools that follow by its offsets.

An event is written in the transaction of what it tells of, and with it what webhooks are to be told: none is there
without the others.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import func
from sqlmodel import Session, col, or_, select

from engine.numerics.chain import canonical
from engine.store import outbox
from engine.store.api_tables import JournalRow
from engine.store.base import Base
from engine.store.records import JournalRecord

EVENTS: Final = {
    "run_published": "a run is complete and can be pulled; subject is the run",
    "audience_published": "an audience was built on a run; subject is the audience, with how many came and went",
    "suppression_added": "somebody must not be contacted any more; pull /v1/suppressions/changes to know who",
    "delivery_acknowledged": "a receiver said that it loaded a run; subject is the audience",
}
"""Every kind of event with what it says."""


def append(session: Session, event: str, subject: str, details: Mapping[str, Any], *, at: datetime) -> JournalRecord:
    """Add the next event; the caller's transaction is one of `Store.writing`, which holds the turn."""
    newest = session.exec(select(func.max(JournalRow.offset))).one()
    row = JournalRow(offset=(newest or 0) + 1, at=at, event=event, subject=subject, details=canonical(details))
    session.add(row)
    session.flush()
    outbox.enqueue(session, row)
    return _record(row)


class Journal:
    """The journal of a store."""

    def __init__(self, store: Base) -> None:
        self._store = store

    def append(self, event: str, subject: str, details: Mapping[str, Any] | None = None) -> JournalRecord:
        """Add an event of its own; what changes something else writes it in its own transaction with `append`."""
        with self._store.writing() as session:
            return append(session, event, subject, details or {}, at=datetime.now(UTC))

    def tell_once(
        self, event: str, subject: str, details: Mapping[str, Any], *, of: str | None = None
    ) -> JournalRecord | None:
        """Add an event unless it was told before, whatever its counts then; None where it was.

        of : the one of the details that tells which of a subject's events it is, such as "snapshot".
        """
        told = select(JournalRow.offset).where(JournalRow.event == event, JournalRow.subject == subject)
        if of is not None:
            # the canonical form of the one member, as it stands in that of all
            told = told.where(col(JournalRow.details).contains(canonical({of: details[of]})[1:-1], autoescape=True))
        with self._store.writing() as session:
            if session.exec(told.limit(1)).first() is not None:
                return None
            return append(session, event, subject, details, at=datetime.now(UTC))

    def after(
        self, offset: int, limit: int, *, audiences: Collection[str] | None = None
    ) -> tuple[list[JournalRecord], int]:
        """Return the events after an offset, the oldest first, and the newest offset there is (0 for none).

        `audiences` keeps events about those and about no audience at all; None keeps all.
        """
        query = select(JournalRow).where(col(JournalRow.offset) > offset)
        if audiences is not None:
            about_one = col(JournalRow.event).in_(_ABOUT_AUDIENCES)
            query = query.where(or_(~about_one, col(JournalRow.subject).in_(sorted(audiences))))
        with self._store.reading() as session:
            newest = session.exec(select(func.max(JournalRow.offset))).one() or 0
            rows = session.exec(query.order_by(col(JournalRow.offset)).limit(limit))
            return [_record(row) for row in rows], newest


_ABOUT_AUDIENCES: Final = ("audience_published", "delivery_acknowledged")


def _record(row: JournalRow) -> JournalRecord:
    return JournalRecord(**{**row.model_dump(), "details": json.loads(row.details)})
