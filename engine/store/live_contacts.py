"""Contacts that live decisions made, with the product offered first: for the counts of runs, and for feedback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import select
from sqlmodel import Session

from engine.store.tables import LiveContactRow, LiveDecisionRow

_DECISIONS: Final = LiveDecisionRow.__table__  # type: ignore[attr-defined]
_CONTACTS: Final = LiveContactRow.__table__  # type: ignore[attr-defined]
_CHUNK: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOffer:
    """One live decision that offered something, on which channel, and when."""

    decision_id: str
    customer_id: str
    run_id: str | None
    product_id: str
    channel: str | None
    at: datetime


def made(session: Session) -> Iterator[LiveOffer]:
    """Return every contact that a live decision made, by decision."""
    query = (
        select(*_columns(), _CONTACTS.c.channel.label("contact_channel"))
        .join(_CONTACTS, _CONTACTS.c.decision_id == _DECISIONS.c.decision_id)
        .order_by(_DECISIONS.c.decision_id)
    )
    for row in session.connection().execution_options(yield_per=10_000).execute(query):
        if (offer := _offer(row, row.contact_channel)) is not None:
            yield offer


def named(session: Session, decision_ids: Sequence[str]) -> dict[str, LiveOffer]:
    """Return the decisions of these ids that offered something."""
    found = {}
    for start in range(0, len(decision_ids), _CHUNK):
        query = select(*_columns()).where(_DECISIONS.c.decision_id.in_(decision_ids[start : start + _CHUNK]))
        for row in session.connection().execute(query):
            if (offer := _offer(row, None)) is not None:
                found[offer.decision_id] = offer
    return found


def _columns() -> list[Any]:
    names = ("decision_id", "customer_id", "run_id", "decided_at", "answer")
    return [_DECISIONS.c[name] for name in names]


def _offer(row: Any, channel: str | None) -> LiveOffer | None:
    action = orjson.loads(row.answer).get("action")
    if not action or row.customer_id is None:
        return None
    return LiveOffer(
        decision_id=row.decision_id,
        customer_id=row.customer_id,
        run_id=row.run_id,
        product_id=action["product_id"],
        channel=channel or action.get("channel"),
        at=row.decided_at,
    )
