"""What webhooks are still to be told: written with the event, in its transaction, so that none is lost or made up."""

from __future__ import annotations

import json

from sqlmodel import Session, col, select

from engine.numerics.chain import canonical
from engine.store.api_tables import JournalRow, WebhookDeliveryRow, WebhookRow


def enqueue(session: Session, event: JournalRow) -> None:
    """Enter a delivery of an event for every address that is told of such; the caller's transaction is the event's."""
    for webhook in session.exec(select(WebhookRow).where(col(WebhookRow.removed_at).is_(None))):
        wanted = json.loads(webhook.events)
        if wanted and event.event not in wanted:
            continue
        # thin: where to read on, and nothing that would be news to who may not read it
        payload = {"type": event.event, "timestamp": f"{event.at:%Y-%m-%dT%H:%M:%SZ}", "data": {"offset": event.offset}}
        session.add(
            WebhookDeliveryRow(
                message_id=f"msg_{event.offset}_{webhook.name}",
                webhook=webhook.name,
                payload=canonical(payload),
                created_at=event.at,
                status="pending",
                attempts=0,
                due_at=event.at,
            )
        )
    session.flush()
