"""Decisions made while the customer is there, each with what it looked at, and the contacts that they make.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

from engine.store.types import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("live_decisions", "live_contacts")


def upgrade() -> None:
    op.create_table(
        "live_decisions",
        sa.Column("number", LONG, nullable=False),
        sa.Column("decision_id", sa.String(), nullable=False),
        sa.Column("request_key", sa.String(), nullable=True),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=True),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("bundle", sa.String(), nullable=True),
        sa.Column("inputs_sha256", sa.String(), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_live_decisions")),
        sa.UniqueConstraint("decision_id", name=op.f("uq_live_decisions_decision_id")),
        sa.UniqueConstraint("request_key", name=op.f("uq_live_decisions_request_key")),
    )
    op.create_index(op.f("ix_live_decisions_customer_id"), "live_decisions", ["customer_id"])
    op.create_table(
        "live_contacts",
        sa.Column("decision_id", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_live_contacts")),
    )
    op.create_index("ix_live_contacts_customer_id_at", "live_contacts", ["customer_id", "at"])
    refuse = _refuse_on_postgresql if op.get_bind().dialect.name == "postgresql" else _refuse_on_sqlite
    for table in TABLES:
        refuse(table)


def downgrade() -> None:
    # a table takes its indexes and triggers along
    for table in TABLES:
        op.drop_table(table)


def _refuse_on_sqlite(table: str) -> None:
    # INSERT OR REPLACE deletes, and asks the second trigger: connections turn recursive triggers on
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _refuse_on_postgresql(table: str) -> None:
    # the function is that of the first tables
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION wayline_append_only()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION wayline_append_only()"
    )
