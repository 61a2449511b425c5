"""Addresses that are told of events, and what each is still to be told.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

from engine.store.types import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

DELIVERIES = "webhook_deliveries"


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("secrets", sa.Text(), nullable=False),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_webhooks")),
    )
    op.create_table(
        DELIVERIES,
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("webhook", sa.String(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("last_outcome", sa.String(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'dead')", name=op.f(f"ck_{DELIVERIES}_status")),
        sa.ForeignKeyConstraint(["webhook"], ["webhooks.name"], name=op.f(f"fk_{DELIVERIES}_webhook_webhooks")),
        sa.PrimaryKeyConstraint("message_id", name=op.f(f"pk_{DELIVERIES}")),
    )
    op.create_index(op.f(f"ix_{DELIVERIES}_webhook"), DELIVERIES, ["webhook"])
    op.create_index(f"ix_{DELIVERIES}_status_due_at", DELIVERIES, ["status", "due_at"])


def downgrade() -> None:
    op.drop_table(DELIVERIES)
    op.drop_table("webhooks")
