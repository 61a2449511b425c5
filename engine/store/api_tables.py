"""The tables of the API: keys, the journal, what receivers acknowledged, and webhooks with what they are to be told.

They are tables of the same database as those of `tables.py`, whose rules hold here too.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Text
from sqlmodel import Field

from engine.store.tables import LONG, Stored
from engine.store.types import UtcDateTime

__all__ = [
    "AcknowledgementRow",
    "ApiKeyRow",
    "JournalRow",
    "Stored",
    "WebhookDeliveryRow",
    "WebhookRow",
]


class ApiKeyRow(Stored, table=True):
    """One row is one key of the API; its secret is not here, only the hash of it.

    `rows_left_on` is the UTC day of which `rows_that_day` have left.
    """

    __tablename__ = "api_keys"

    key_id: str = Field(primary_key=True)
    name: str = Field(index=True)
    secret_sha256: str
    scopes: str = Field(sa_type=Text)
    audiences: str | None = Field(default=None, sa_type=Text)
    destination: str
    channel: str | None = Field(default=None)
    row_cap: int | None = Field(default=None, sa_type=LONG)
    requests_per_minute: int | None = Field(default=None)
    created_by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    replaced_by: str | None = Field(default=None)
    revoked_by: str | None = Field(default=None)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    rows_left_on: str | None = Field(default=None)
    rows_that_day: int = Field(default=0, sa_type=LONG)


class JournalRow(Stored, table=True):
    """One row is one thing that happened which a campaign tool may want to know; triggers refuse to change it.

    Offsets begin at 1 and have no gaps, and none becomes visible before a smaller one. `subject` is what it is about,
    such as an audience; `details` hold ids of runs, counts and hashes, never who.
    """

    __tablename__ = "journal"

    offset: int = Field(primary_key=True, sa_type=LONG, sa_column_kwargs={"autoincrement": False})
    at: datetime = Field(sa_type=UtcDateTime)
    event: str = Field(index=True)
    subject: str = Field(index=True)
    details: str = Field(sa_type=Text)


class AcknowledgementRow(Stored, table=True):
    """One row is one pull that a receiver said it has loaded: what a key says of a snapshot, it says once.

    `subject` is an audience, or `_recommendations` for the offers of all customers. Whom it rejected is not kept here,
    only how many.
    """

    __tablename__ = "acknowledgements"

    key_name: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    snapshot: str = Field(primary_key=True)
    content_sha256: str
    received_rows: int = Field(sa_type=LONG)
    loaded: int = Field(sa_type=LONG)
    rejected: int
    body_sha256: str
    acknowledged_at: datetime = Field(sa_type=UtcDateTime)


class WebhookRow(Stored, table=True):
    """One row is one address that is told of events. `secrets` sign, the newest first, each with its end."""

    __tablename__ = "webhooks"

    name: str = Field(primary_key=True)
    url: str = Field(sa_type=Text)
    events: str = Field(sa_type=Text)
    secrets: str = Field(sa_type=Text)
    added_by: str
    added_at: datetime = Field(sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class WebhookDeliveryRow(Stored, table=True):
    """One row is one event that one address is to be told of, written in the transaction of the event itself.

    `due_at` is when it is tried next; whoever tries it moves that on first, so that no two do.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'delivered', 'dead')", name="status"),
        Index("ix_webhook_deliveries_status_due_at", "status", "due_at"),
    )

    message_id: str = Field(primary_key=True)
    webhook: str = Field(foreign_key="webhooks.name", index=True)
    payload: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    status: str
    attempts: int
    due_at: datetime = Field(sa_type=UtcDateTime)
    last_outcome: str | None = Field(default=None)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
