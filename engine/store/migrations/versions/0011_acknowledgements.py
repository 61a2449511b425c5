"""What receivers say of pulls: how many rows of which snapshot came and were loaded.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

from engine.store.types import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "acknowledgements",
        sa.Column("key_name", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.Column("content_sha256", sa.String(), nullable=False),
        sa.Column("received_rows", LONG, nullable=False),
        sa.Column("loaded", LONG, nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("body_sha256", sa.String(), nullable=False),
        sa.Column("acknowledged_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key_name", "subject", "channel", "snapshot", name=op.f("pk_acknowledgements")),
    )


def downgrade() -> None:
    op.drop_table("acknowledgements")
