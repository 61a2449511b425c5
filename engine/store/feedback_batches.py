"""Deliveries of feedback: one that is repeated under its key gets the answer of the first, and is done once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlmodel import Session, col, select

from engine.domain.errors import UnknownName
from engine.lake import processes
from engine.numerics.chain import canonical
from engine.store.records import FeedbackBatchRecord
from engine.store.tables import FeedbackBatchRow

HELD: Final = timedelta(seconds=60)  # how long a worker elsewhere that shows no sign of life keeps others out


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Whether a delivery may be worked on.

    state : "mine"; "done", with the answer that was given; "running" elsewhere; "other_body" when the key is taken.
    """

    state: Literal["mine", "done", "running", "other_body"]
    batch: FeedbackBatchRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A delivery: who sends it, the key under which it may be repeated, the hash of its body, the preset."""

    batch_id: str
    sender: str
    idempotency_key: str | None
    body_sha256: str
    source: str


def claim(session: Session, wanted: NewBatch, now: datetime) -> Claim:
    """Take a delivery on, or say what became of it; one whose worker died is taken over."""
    row = _earlier(session, wanted)
    if row is None:
        row = FeedbackBatchRow(
            batch_id=wanted.batch_id,
            sender=wanted.sender,
            idempotency_key=wanted.idempotency_key,
            body_sha256=wanted.body_sha256,
            source=wanted.source,
            status="running",
            started_at=now,
            held_until=now + HELD,
            worker=processes.this_process(),
        )
        session.add(row)
        session.flush()
        return Claim(state="mine", batch=record(row))
    if row.body_sha256 != wanted.body_sha256:
        return Claim(state="other_body", batch=record(row))
    if row.status == "done":
        return Claim(state="done", batch=record(row))
    if row.status == "running" and not _is_left(row, now):
        return Claim(state="running", batch=record(row))
    row.status, row.held_until, row.worker = "running", now + HELD, processes.this_process()
    session.add(row)
    return Claim(state="mine", batch=record(row))


def hold(session: Session, batch_id: str, now: datetime) -> None:
    """Show a sign of life; raises UnknownName."""
    row = _require(session, batch_id)
    row.held_until = now + HELD
    session.add(row)


def finish(session: Session, batch_id: str, status: str, answer: Mapping[str, Any], now: datetime) -> None:
    """Keep the answer to a delivery, done or failed; raises UnknownName."""
    row = _require(session, batch_id)
    row.status, row.finished_at, row.answer = status, now, canonical(answer)
    session.add(row)


def one(session: Session, batch_id: str) -> FeedbackBatchRecord:
    """Return a delivery; raises UnknownName."""
    return record(_require(session, batch_id))


def lapsed(session: Session, now: datetime) -> list[FeedbackBatchRecord]:
    """Return deliveries whose worker shows no sign of life any more, the oldest first."""
    query = select(FeedbackBatchRow).where(FeedbackBatchRow.status == "running")
    rows = session.exec(query.order_by(col(FeedbackBatchRow.started_at)))
    return [record(row) for row in rows if _is_left(row, now)]


def newest(session: Session, limit: int) -> list[FeedbackBatchRecord]:
    """Return deliveries, the newest first."""
    query = select(FeedbackBatchRow).order_by(col(FeedbackBatchRow.started_at).desc(), col(FeedbackBatchRow.batch_id))
    return [record(row) for row in session.exec(query.limit(limit))]


def _is_left(row: FeedbackBatchRow, now: datetime) -> bool:
    """Whether nobody works on a delivery any more: no sign of life for long, or a process of this machine that ended.

    A worker on another machine may be cut off and still at work: it is waited for.
    """
    return row.held_until <= now or (row.worker is not None and processes.is_dead(row.worker))


def record(row: FeedbackBatchRow) -> FeedbackBatchRecord:
    """Return a row as it is handed out."""
    return FeedbackBatchRecord(
        **{**row.model_dump(exclude={"worker"}), "answer": json.loads(row.answer) if row.answer else None}
    )


def _earlier(session: Session, wanted: NewBatch) -> FeedbackBatchRow | None:
    if wanted.idempotency_key is None:
        return session.get(FeedbackBatchRow, wanted.batch_id)
    query = select(FeedbackBatchRow).where(
        FeedbackBatchRow.sender == wanted.sender, FeedbackBatchRow.idempotency_key == wanted.idempotency_key
    )
    return session.exec(query).first()


def _require(session: Session, batch_id: str) -> FeedbackBatchRow:
    row = session.get(FeedbackBatchRow, batch_id)
    if row is None:
        raise UnknownName("delivery of feedback", batch_id, [])
    return row
