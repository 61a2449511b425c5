"""What receivers say of pulls: the same again is the same answer, another one is a contradiction."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from engine.domain.pulls import Contradicted
from engine.store import journal, trail
from engine.store.api_tables import AcknowledgementRow
from engine.store.base import Base
from engine.store.records import AcknowledgementRecord


class Acknowledgements:
    """The acknowledgements of a store."""

    def __init__(self, store: Base) -> None:
        self._store = store

    def enter(self, said: AcknowledgementRecord, actor: str) -> AcknowledgementRecord:
        """Keep what a receiver says, with its audit entry and its event; what is on record already is returned.

        Raises
        ------
        Contradicted
            The key said something else of the same snapshot before.
        """
        with self._store.writing() as session:
            place = (said.key_name, said.subject, said.channel, said.snapshot)
            before = session.get(AcknowledgementRow, place)
            if before is not None:
                if before.body_sha256 != said.body_sha256:
                    raise Contradicted(
                        "This key acknowledged the snapshot before, with another body. What was said first stands.",
                        "body",
                    )
                return _record(before)
            row = AcknowledgementRow(**{name: getattr(said, name) for name in AcknowledgementRow.model_fields})
            session.add(row)
            self._tell(session, said, actor)
            return _record(row)

    def listed(self, subject: str | None = None) -> list[AcknowledgementRecord]:
        """Return acknowledgements, of one subject or of all, the newest first."""
        query = select(AcknowledgementRow).order_by(
            col(AcknowledgementRow.acknowledged_at).desc(), col(AcknowledgementRow.key_name)
        )
        if subject is not None:
            query = query.where(AcknowledgementRow.subject == subject)
        with self._store.reading() as session:
            return [_record(row) for row in session.exec(query)]

    def _tell(self, session: Session, said: AcknowledgementRecord, actor: str) -> None:
        at: datetime = said.acknowledged_at
        names = ("channel", "snapshot", "received_rows", "loaded", "rejected", "content_sha256")
        facts = {name: getattr(said, name) for name in names}
        trail.append(
            session, at, trail.Entry(actor=actor, action="api.acknowledged", subject=said.subject, details=facts)
        )
        journal.append(session, "delivery_acknowledged", said.subject, {**facts, "key": said.key_name}, at=at)


def _record(row: AcknowledgementRow) -> AcknowledgementRecord:
    return AcknowledgementRecord(**row.model_dump())
