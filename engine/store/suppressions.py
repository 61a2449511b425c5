"""Whom not to contact, and why: entered by feedback or by a person, lifted by a person alone, never deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, insert
from sqlmodel import Session, col, select

from engine.domain.errors import RefusedByPolicy
from engine.numerics.chain import digest
from engine.store import persons
from engine.store.records import SuppressionRecord
from engine.store.tables import SuppressionRow

MANUAL: Final = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A person's word on a customer and a channel (None: every channel), with the reason and the instant."""

    customer_id: str
    channel: str | None
    by: str
    note: str
    at: datetime


def reason_of(kind: str, bounce: str | None) -> str | None:
    """Return why an event of feedback suppresses, None when it does not."""
    if kind in ("unsubscribed", "complained"):
        return kind
    return "hard_bounce" if kind == "bounced" and bounce == "hard" else None


def of_feedback(session: Session, rows: Sequence[Mapping[str, Any]], by: str, now: datetime) -> int:
    """Enter what new events of feedback suppress, and return how many causes that are."""
    causes = [
        {
            "customer_id": row["customer_id"],
            "channel": row["channel"],
            "reason": reason,
            "since": row["occurred_at"],
            "event_id": row["event_id"],
            "added_by": by,
            "added_at": now,
        }
        for row in rows
        if (reason := reason_of(row["type"], row["bounce"]))
    ]
    if causes:
        session.execute(insert(SuppressionRow), causes)
    return len(causes)


def suppress(session: Session, act: Act) -> int:
    """Enter a person's own cause and return its number; raises RefusedByPolicy without a person or a reason."""
    _check(act)
    row = SuppressionRow(
        customer_id=act.customer_id,
        channel=act.channel,
        reason=MANUAL,
        since=act.at,
        note=act.note,
        added_by=persons.name(act.by),
        added_at=act.at,
    )
    session.add(row)
    session.flush()
    return row.number or 0


def lift(session: Session, act: Act) -> list[int]:
    """Lift all causes of one customer on exactly that channel (None: those on every channel); return their numbers.

    Raises
    ------
    RefusedByPolicy
        No person or reason is given, or there is nothing to lift.
    """
    _check(act)
    query = select(SuppressionRow).where(
        SuppressionRow.customer_id == act.customer_id, col(SuppressionRow.lifted_at).is_(None)
    )
    held = col(SuppressionRow.channel)
    query = query.where(held.is_(None) if act.channel is None else held == act.channel)
    rows = list(session.exec(query.order_by(col(SuppressionRow.number))))
    if not rows:
        where = "on every channel" if act.channel is None else f"on the channel {act.channel}"
        raise RefusedByPolicy(f"This customer is not suppressed {where}: there is nothing to lift.")
    for row in rows:
        row.lifted_by, row.lifted_at, row.lift_note = persons.name(act.by), act.at, act.note
        session.add(row)
    return [row.number or 0 for row in rows]


def standing(session: Session, since: datetime | None, customer_id: str | None) -> list[SuppressionRecord]:
    """Return who is suppressed on what now: one record per customer and channel, of the cause that is oldest.

    since : only those whose oldest cause was entered at that instant or later. Sorted by customer and channel, those
    on every channel first.
    """
    first = func.row_number().over(
        partition_by=(col(SuppressionRow.customer_id), col(SuppressionRow.channel)),
        # by what was reported, not by the order of receipt, so that any order of the same events says the same
        order_by=(col(SuppressionRow.since), col(SuppressionRow.reason), col(SuppressionRow.event_id)),
    )
    held = select(SuppressionRow, first.label("place")).where(col(SuppressionRow.lifted_at).is_(None))
    if customer_id is not None:
        held = held.where(SuppressionRow.customer_id == customer_id)
    ranked = held.subquery()
    query = select(*(ranked.c[name] for name in _SHOWN)).where(ranked.c.place == 1)
    if since is not None:
        query = query.where(ranked.c.added_at >= since)
    query = query.order_by(ranked.c.customer_id, func.coalesce(ranked.c.channel, ""))
    return [SuppressionRecord(*row) for row in session.execute(query)]


def audited(act: Act, numbers: Sequence[int]) -> Mapping[str, Any]:
    """Return what the audit log keeps: the customer's id and the numbers of the causes, a hash in place of the note."""
    return {
        "customer_id": act.customer_id,
        "channel": act.channel,
        "numbers": list(numbers),
        "note_sha256": digest(act.note),
    }


def _check(act: Act) -> None:
    if not act.by.strip() or not act.note.strip():
        raise RefusedByPolicy("A suppression is entered or lifted by a person with a reason. Give both.")


_SHOWN: Final = ("customer_id", "channel", "since", "reason", "event_id", "added_at")
