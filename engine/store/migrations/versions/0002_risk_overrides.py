"""Overrides of lending decisions.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

from engine.store.types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "risk_overrides",
        sa.Column("override_id", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("limit_minor", LONG, nullable=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("second", sa.String(), nullable=True),
        sa.Column("agreed_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_by", sa.String(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("kind IN ('approve', 'decline', 'limit', 'hold')", name=op.f("ck_risk_overrides_kind")),
        sa.CheckConstraint("second IS NULL OR second <> owner", name=op.f("ck_risk_overrides_two_persons")),
        sa.PrimaryKeyConstraint("override_id", name=op.f("pk_risk_overrides")),
    )
    op.create_index(op.f("ix_risk_overrides_customer_id"), "risk_overrides", ["customer_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_risk_overrides_customer_id"), table_name="risk_overrides")
    op.drop_table("risk_overrides")
