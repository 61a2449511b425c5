"""Addresses that are told of events, and what they are still to be told: leased, tried again, given up, revived."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.store import trail
from engine.store.api_tables import WebhookDeliveryRow, WebhookRow
from engine.store.base import Base, now
from engine.store.records import DeliveryRecord, WebhookRecord

_MOST_AT_ONCE: Final = 4  # as many as surely are tried within the lease


@dataclass(frozen=True, slots=True, kw_only=True)
class DueDelivery:
    """A delivery that is to be tried now: to where, with which secrets, the newest first."""

    delivery: DeliveryRecord
    url: str
    secrets: tuple[str, ...]


class Webhooks:
    """The webhooks of a store; who adds or removes one is the store's actor."""

    def __init__(self, store: Base) -> None:
        self._store = store

    def add(self, name: str, url: str, events: Sequence[str], secret: str, overlap: timedelta) -> WebhookRecord:
        """Add an address, or give one that is there another secret; the one before still signs until the overlap ends.

        Raises
        ------
        RefusedByPolicy
            The name is that of another address.
        """
        moment = now()
        with self._store.writing() as session:
            row = session.get(WebhookRow, name)
            if row is not None and row.removed_at is None and row.url != url:
                raise RefusedByPolicy(f'The webhook "{name}" is for another address. Remove it first, or name another.')
            before = [] if row is None or row.removed_at is not None else json.loads(row.secrets)
            until = (moment + overlap).isoformat()
            kept = [[one, min(ends or until, until)] for one, ends in before if (ends or until) > moment.isoformat()]
            made = WebhookRow(
                name=name,
                url=url,
                events=json.dumps(sorted(events)),
                secrets=json.dumps([[secret, None], *kept]),
                added_by=self._store.actor,
                added_at=moment,
            )
            row = session.merge(made)
            details = {"url": url, "events": sorted(events), "secrets": 1 + len(kept)}
            self._note(session, moment, "webhook.added", name, details)
            return _webhook(row)

    def remove(self, name: str) -> WebhookRecord:
        """Tell an address nothing more, also not what is pending; raises UnknownName."""
        moment = now()
        with self._store.writing() as session:
            row = _in_use(session, name)
            row.removed_at = moment
            session.add(row)
            for one in session.exec(_deliveries(name, "pending")):
                one.status, one.ended_at, one.last_outcome = "dead", moment, "the webhook was removed"
                session.add(one)
            self._note(session, moment, "webhook.removed", name, {})
            return _webhook(row)

    def every(self) -> list[WebhookRecord]:
        """Return all webhooks in use, by name."""
        with self._store.reading() as session:
            query = select(WebhookRow).where(col(WebhookRow.removed_at).is_(None)).order_by(col(WebhookRow.name))
            return [_webhook(row) for row in session.exec(query)]

    def enqueue_test(self, name: str) -> DeliveryRecord:
        """Enter a delivery that only tries the address; raises UnknownName."""
        moment = now()
        with self._store.writing() as session:
            _in_use(session, name)
            payload = {"type": "test", "timestamp": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "data": {}}
            row = WebhookDeliveryRow(
                message_id=f"msg_test{moment:%Y%m%d%H%M%S%f}_{name}",
                webhook=name,
                payload=json.dumps(payload),
                created_at=moment,
                status="pending",
                attempts=0,
                due_at=moment,
            )
            session.add(row)
            session.flush()
            return _delivery(row)

    def is_any_due(self, until: datetime) -> bool:
        """Whether anything was due by an instant; asks without keeping anybody from writing."""
        query = select(WebhookDeliveryRow.message_id).where(
            WebhookDeliveryRow.status == "pending", col(WebhookDeliveryRow.due_at) <= until
        )
        with self._store.reading() as session:
            return session.exec(query.limit(1)).first() is not None

    def take(self, until: datetime, lease: timedelta, message_id: str | None = None) -> list[DueDelivery]:
        """Return some deliveries due by an instant, or one of them, and hold them: nobody else tries them meanwhile."""
        moment = now()
        with self._store.writing() as session:
            query = select(WebhookDeliveryRow, WebhookRow).join(
                WebhookRow, col(WebhookDeliveryRow.webhook) == col(WebhookRow.name)
            )
            query = query.where(WebhookDeliveryRow.status == "pending", col(WebhookDeliveryRow.due_at) <= until)
            if message_id is not None:
                query = query.where(WebhookDeliveryRow.message_id == message_id)
            order = (col(WebhookDeliveryRow.due_at), col(WebhookDeliveryRow.message_id))
            found = []
            for row, webhook in session.exec(query.order_by(*order).limit(_MOST_AT_ONCE)):
                row.due_at, row.attempts = moment + lease, row.attempts + 1
                session.add(row)
                kept = [secret for secret, ends in json.loads(webhook.secrets) if not ends or ends > moment.isoformat()]
                found.append(DueDelivery(delivery=_delivery(row), url=webhook.url, secrets=tuple(kept)))
            return found

    def settle(self, delivery: DeliveryRecord, outcome: str, *, delivered: bool, again_at: datetime | None) -> None:
        """Enter how an attempt went: delivered, to be tried again at an instant, or (None) a dead letter."""
        moment = now()
        with self._store.writing() as session:
            row = session.get(WebhookDeliveryRow, delivery.message_id)
            if row is None or row.status != "pending":
                return  # the webhook was removed meanwhile
            row.last_outcome = outcome
            if delivered or again_at is None:
                row.status, row.ended_at = "delivered" if delivered else "dead", moment
            else:
                row.due_at = again_at
            session.add(row)

    def revive(self, name: str) -> int:
        """Make the dead letters of an address pending again and return how many; raises UnknownName."""
        moment = now()
        with self._store.writing() as session:
            _in_use(session, name)
            rows = list(session.exec(_deliveries(name, "dead")))
            for row in rows:
                row.status, row.attempts, row.due_at, row.ended_at = "pending", 0, moment, None
                session.add(row)
            self._note(session, moment, "webhook.retried", name, {"deliveries": len(rows)})
            return len(rows)

    def deliveries(self, limit: int, status: str | None = None) -> list[DeliveryRecord]:
        """Return deliveries, the newest first, of one status or of all."""
        query = select(WebhookDeliveryRow).order_by(
            col(WebhookDeliveryRow.created_at).desc(), col(WebhookDeliveryRow.message_id)
        )
        if status is not None:
            query = query.where(WebhookDeliveryRow.status == status)
        with self._store.reading() as session:
            return [_delivery(row) for row in session.exec(query.limit(limit))]

    def _note(self, session: Session, at: datetime, action: str, name: str, details: dict[str, object]) -> None:
        entry = trail.Entry(actor=self._store.actor, action=action, subject=f"webhook/{name}", details=details)
        trail.append(session, at, entry)


def _deliveries(name: str, status: str) -> SelectOfScalar[WebhookDeliveryRow]:
    return select(WebhookDeliveryRow).where(WebhookDeliveryRow.webhook == name, WebhookDeliveryRow.status == status)


def _in_use(session: Session, name: str) -> WebhookRow:
    row = session.get(WebhookRow, name)
    if row is None or row.removed_at is not None:
        known = session.exec(select(WebhookRow.name).where(col(WebhookRow.removed_at).is_(None)))
        raise UnknownName("webhook", name, sorted(known))
    return row


def _webhook(row: WebhookRow) -> WebhookRecord:
    told = row.model_dump(exclude={"secrets"})
    return WebhookRecord(**told | {"events": tuple(json.loads(row.events))})


def _delivery(row: WebhookDeliveryRow) -> DeliveryRecord:
    return DeliveryRecord(**row.model_dump())
