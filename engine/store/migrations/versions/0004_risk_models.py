"""Default models with their owner, who approved them, and when they were retired.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

from engine.store.types import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = "risk_models"
CHAMPION = "status = 'champion'"
OPEN = "status <> 'retired'"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("learned_until", UtcDateTime(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("card", sa.Text(), nullable=True),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("proposed_at", UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("approver", sa.String(), nullable=True),
        sa.Column("approval_note", sa.Text(), nullable=True),
        sa.Column("approved_at", UtcDateTime(), nullable=True),
        sa.Column("retired_by", sa.String(), nullable=True),
        sa.Column("retirement_note", sa.Text(), nullable=True),
        sa.Column("retired_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("purpose IN ('runs', 'files')", name=op.f("ck_risk_models_purpose")),
        sa.CheckConstraint("status IN ('challenger', 'champion', 'retired')", name=op.f("ck_risk_models_status")),
        sa.CheckConstraint("approver IS NULL OR approver <> owner", name=op.f("ck_risk_models_two_persons")),
        sa.CheckConstraint("status <> 'champion' OR approver IS NOT NULL", name=op.f("ck_risk_models_approved")),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_risk_models")),
    )
    _unique("ix_risk_models_one_champion", "purpose", CHAMPION)
    _unique("ix_risk_models_proposed_once", "content_hash", OPEN)


def downgrade() -> None:
    op.drop_index(op.f("ix_risk_models_proposed_once"), table_name=TABLE)
    op.drop_index(op.f("ix_risk_models_one_champion"), table_name=TABLE)
    op.drop_table(TABLE)


def _unique(name: str, column: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(op.f(name), TABLE, [column], unique=True, sqlite_where=condition, postgresql_where=condition)
