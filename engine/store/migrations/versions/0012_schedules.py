"""What is made at set times, the times at which it was due, and failures that somebody should look at.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

from engine.store.types import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("cron", sa.String(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("removed_by", sa.String(), nullable=True),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_schedules")),
    )
    op.create_index(op.f("ix_schedules_name"), "schedules", ["name"])
    op.create_table(
        "schedule_turns",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("schedule", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("held_until", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'done', 'failed', 'retrying')", name=op.f("ck_schedule_turns_status")
        ),
        sa.ForeignKeyConstraint(
            ["schedule"], ["schedules.number"], name=op.f("fk_schedule_turns_schedule_schedules")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_schedule_turns")),
        sa.UniqueConstraint("schedule", "due_at", name=op.f("uq_schedule_turns_schedule_due_at")),
    )
    op.create_index(op.f("ix_schedule_turns_status"), "schedule_turns", ["status"])
    op.create_table(
        "alerts",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("told", sa.Text(), nullable=True),
        sa.Column("seen_by", sa.String(), nullable=True),
        sa.Column("seen_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_alerts")),
    )


def downgrade() -> None:
    # a table takes its indexes along
    for table in ("alerts", "schedule_turns", "schedules"):
        op.drop_table(table)
