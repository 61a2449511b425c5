"""Comments of persons on an audience, an experiment, a policy change, an export or a case; withdrawn, never erased."""

from __future__ import annotations

from sqlmodel import col, select

from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.numerics.chain import digest
from engine.store import persons, trail
from engine.store.base import Base, now
from engine.store.work_records import CommentRecord
from engine.store.work_tables import COMMENTED, CommentRow

_LONGEST = 4_000  # characters


class Comments:
    """The comments of a store; who writes or withdraws one is the store's actor."""

    def __init__(self, store: Base) -> None:
        self._store = store

    def add(self, kind: str, subject: str, text: str) -> CommentRecord:
        """Write a comment on a thing.

        Raises
        ------
        UnknownName
            Nothing of that kind is commented on.
        RefusedByPolicy
            It says nothing, or is too long.
        """
        written = text.strip()
        if kind not in COMMENTED:
            raise UnknownName("kind of thing to comment on", kind, COMMENTED)
        if not written:
            raise RefusedByPolicy("The comment is empty. Write what the next reader should know.")
        if len(written) > _LONGEST:
            raise RefusedByPolicy(f"The comment has {len(written)} characters, more than {_LONGEST}. Shorten it.")
        by, moment = persons.name(self._store.actor), now()
        with self._store.writing() as session:
            row = CommentRow(kind=kind, subject=subject, text=written, written_by=by, written_at=moment)
            session.add(row)
            session.flush()
            details = {"comment": row.number, "text_sha256": digest(written)}
            entry = trail.Entry(actor=by, action="comment.added", subject=f"{kind}/{subject}", details=details)
            trail.append(session, moment, entry)
            return _record(row)

    def withdraw(self, number: int) -> CommentRecord:
        """Withdraw one's own comment: its text is shown to nobody any more, and that it was there stays.

        Raises
        ------
        UnknownName
        RefusedByPolicy
            It is another person's, or withdrawn already.
        """
        by, moment = persons.name(self._store.actor), now()
        with self._store.writing() as session:
            row = session.get(CommentRow, number)
            if row is None:
                raise UnknownName("comment", str(number), [])
            if not persons.same(row.written_by, by):
                raise RefusedByPolicy(f"Comment {number} is {row.written_by}'s: only its author withdraws it.")
            if row.withdrawn_at is not None:
                raise RefusedByPolicy(f"Comment {number} is withdrawn already.")
            row.withdrawn_at = moment
            session.add(row)
            details = {"comment": number}
            subject = f"{row.kind}/{row.subject}"
            trail.append(
                session, moment, trail.Entry(actor=by, action="comment.withdrawn", subject=subject, details=details)
            )
            return _record(row)

    def on(self, kind: str, subject: str) -> list[CommentRecord]:
        """Return the comments on a thing, the oldest first."""
        query = select(CommentRow).where(CommentRow.kind == kind, CommentRow.subject == subject)
        with self._store.reading() as session:
            return [_record(row) for row in session.exec(query.order_by(col(CommentRow.number)))]

    def one(self, number: int) -> CommentRecord:
        """Return a comment; raises UnknownName."""
        with self._store.reading() as session:
            row = session.get(CommentRow, number)
            if row is None:
                raise UnknownName("comment", str(number), [])
            return _record(row)


def _record(row: CommentRow) -> CommentRecord:
    told = row.model_dump()
    return CommentRecord(**{**told, "text": None if row.withdrawn_at is not None else row.text})
