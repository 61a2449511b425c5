"""Reviews of decisions against the rules of an experiment, and what a person put off the list of the first page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.numerics.chain import digest
from engine.store import persons, trail
from engine.store.base import Base, now
from engine.store.work_records import ExperimentReviewRecord
from engine.store.work_tables import DismissalRow, ExperimentReviewRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReview:
    """What a person wants to decide against the rules, on which result, and why."""

    experiment_id: str
    run_id: str
    action: str
    instead_of: str
    spec_hash: str
    note: str


class ExperimentReviews:
    """The requests for a review of a store; who asks or answers is the store's actor."""

    def __init__(self, store: Base) -> None:
        self._store = store

    def ask(self, wanted: NewReview) -> ExperimentReviewRecord:
        """Enter a request of the actor's; the same one that still waits is not entered twice."""
        by, moment = persons.name(self._store.actor), now()
        with self._store.writing() as session:
            query = select(ExperimentReviewRow).where(
                ExperimentReviewRow.experiment_id == wanted.experiment_id,
                ExperimentReviewRow.run_id == wanted.run_id,
                ExperimentReviewRow.action == wanted.action,
                ExperimentReviewRow.spec_hash == wanted.spec_hash,
                ExperimentReviewRow.asked_by == by,
                col(ExperimentReviewRow.reviewer).is_(None),
            )
            row = session.exec(query).first()
            if row is not None:
                return _record(row)
            row = ExperimentReviewRow(
                experiment_id=wanted.experiment_id,
                run_id=wanted.run_id,
                action=wanted.action,
                instead_of=wanted.instead_of,
                spec_hash=wanted.spec_hash,
                asked_by=by,
                note=wanted.note,
                asked_at=moment,
            )
            session.add(row)
            session.flush()
            return self._told(session, "review_asked", row, moment)

    def answer(self, number: int, note: str, *, agreed: bool) -> ExperimentReviewRecord:
        """Enter the actor's answer.

        Raises
        ------
        UnknownName
        RefusedByPolicy
            It is who asked, or somebody answered already.
        """
        by, moment = persons.name(self._store.actor), now()
        with self._store.writing() as session:
            row = session.get(ExperimentReviewRow, number)
            if row is None:
                raise UnknownName("review", str(number), [])
            if row.reviewer is not None:
                raise RefusedByPolicy(f"{row.reviewer} has answered review {number} already.")
            if persons.same(by, row.asked_by):
                raise RefusedByPolicy(f"{row.asked_by} asked for review {number}: a second person must answer it.")
            row.reviewer, row.agreed, row.review_note, row.reviewed_at = by, agreed, note, moment
            session.add(row)
            return self._told(session, "review_agreed" if agreed else "review_refused", row, moment)

    def every(self, experiment_id: str | None = None) -> list[ExperimentReviewRecord]:
        """Return the requests, of one experiment or of all, the newest first."""
        query = select(ExperimentReviewRow).order_by(col(ExperimentReviewRow.number).desc())
        if experiment_id is not None:
            query = query.where(ExperimentReviewRow.experiment_id == experiment_id)
        with self._store.reading() as session:
            return [_record(row) for row in session.exec(query)]

    def _told(self, session: Session, act: str, row: ExperimentReviewRow, at: datetime) -> ExperimentReviewRecord:
        details = {"review": row.number, "run_id": row.run_id, "action": row.action, "instead_of": row.instead_of}
        details |= {"asked_by": row.asked_by, "note_sha256": digest(row.review_note or row.note)}
        entry = trail.Entry(
            actor=persons.name(self._store.actor),
            action=f"experiment.{act}",
            subject=row.experiment_id,
            details=details,
        )
        trail.append(session, at, entry)
        return _record(row)


class Dismissals:
    """What the store's actor put off; each person has a list of one's own, and a new run begins it anew."""

    def __init__(self, store: Base) -> None:
        self._store = store

    def add(self, run_id: str, item: str, reason: str) -> None:
        """Enter that the actor needs not look at something of a run again; raises RefusedByPolicy without a reason."""
        if not reason.strip():
            raise RefusedByPolicy("Say why this needs nobody: whoever looks later should know.")
        by, moment = persons.name(self._store.actor), now()
        with self._store.writing() as session:
            if self._row(session, by, run_id, item) is None:
                session.add(DismissalRow(person=by, run_id=run_id, item=item, reason=reason.strip(), at=moment))
                details = {"item": item, "reason_sha256": digest(reason.strip())}
                trail.append(
                    session, moment, trail.Entry(actor=by, action="today.dismissed", subject=run_id, details=details)
                )

    def take_back(self, run_id: str) -> None:
        """Show the actor everything of a run again."""
        by, moment = persons.name(self._store.actor), now()
        with self._store.writing() as session:
            query = select(DismissalRow).where(DismissalRow.person == by, DismissalRow.run_id == run_id)
            rows = session.exec(query).all()
            for row in rows:
                session.delete(row)
            details = {"items": len(rows)}
            trail.append(
                session, moment, trail.Entry(actor=by, action="today.shown_again", subject=run_id, details=details)
            )

    def of(self, person: str, run_id: str) -> dict[str, tuple[str, datetime]]:
        """Return what a person put off in a run: item -> reason and instant."""
        query = select(DismissalRow).where(DismissalRow.person == persons.name(person), DismissalRow.run_id == run_id)
        with self._store.reading() as session:
            return {row.item: (row.reason, row.at) for row in session.exec(query)}

    def _row(self, session: Session, person: str, run_id: str, item: str) -> DismissalRow | None:
        query = select(DismissalRow).where(
            DismissalRow.person == person, DismissalRow.run_id == run_id, DismissalRow.item == item
        )
        return session.exec(query).first()


def _record(row: ExperimentReviewRow) -> ExperimentReviewRecord:
    return ExperimentReviewRecord(**row.model_dump())
