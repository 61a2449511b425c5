"""What campaign tools report: each event once, the deliveries it came in, and whom it says not to contact.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

from engine.store.types import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TYPES = (
    "type IN ('sent', 'delivered', 'opened', 'clicked', 'converted', 'bounced', 'unsubscribed', 'complained', "
    "'dropped', 'failed')"
)
REASONS = "reason IN ('unsubscribed', 'complained', 'hard_bounce', 'manual')"
# all of a suppression but its lifting
FIXED = "customer_id, channel, reason, since, event_id, note, added_by, added_at"


def upgrade() -> None:
    _events()
    _suppressions()
    _batches()
    if op.get_bind().dialect.name == "postgresql":
        _refuse_on_postgresql()
    else:
        _refuse_on_sqlite()


def downgrade() -> None:
    # a table takes its indexes and triggers along
    for table in ("feedback_batches", "suppressions", "feedback_events"):
        op.drop_table(table)


def _events() -> None:
    op.create_table(
        "feedback_events",
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("number", LONG, nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("recommendation_id", sa.String(), nullable=True),
        sa.Column("decision_id", sa.String(), nullable=True),
        sa.Column("product_id", sa.String(), nullable=True),
        sa.Column("audience_id", sa.String(), nullable=True),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("occurred_at", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("value_minor", LONG, nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("message_id", sa.String(), nullable=True),
        sa.Column("machine_open", sa.Boolean(), nullable=False),
        sa.Column("bounce", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("received_by", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.CheckConstraint("bounce IS NULL OR bounce IN ('hard', 'soft')", name=op.f("ck_feedback_events_bounce")),
        sa.CheckConstraint(TYPES, name=op.f("ck_feedback_events_type")),
        sa.CheckConstraint(
            "(value_minor IS NULL) = (currency IS NULL)", name=op.f("ck_feedback_events_value_with_currency")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_feedback_events")),
        sa.UniqueConstraint("number", name=op.f("uq_feedback_events_number")),
    )
    for column in ("customer_id", "run_id", "recommendation_id", "decision_id"):
        op.create_index(op.f(f"ix_feedback_events_{column}"), "feedback_events", [column])


def _suppressions() -> None:
    op.create_table(
        "suppressions",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.Column("lifted_at", UtcDateTime(), nullable=True),
        sa.Column("lift_note", sa.Text(), nullable=True),
        sa.CheckConstraint(REASONS, name=op.f("ck_suppressions_reason")),
        sa.CheckConstraint(
            "(lifted_at IS NULL) = (lifted_by IS NULL)", name=op.f("ck_suppressions_lifted_by_somebody")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_suppressions")),
        sa.UniqueConstraint("event_id", name=op.f("uq_suppressions_event_id")),
    )
    for column in ("customer_id", "added_at"):
        op.create_index(op.f(f"ix_suppressions_{column}"), "suppressions", [column])


def _batches() -> None:
    op.create_table(
        "feedback_batches",
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("body_sha256", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("held_until", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.CheckConstraint("status IN ('running', 'done', 'failed')", name=op.f("ck_feedback_batches_status")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_feedback_batches")),
        sa.UniqueConstraint("sender", "idempotency_key", name=op.f("uq_feedback_batches_sender_idempotency_key")),
    )
    op.create_index(op.f("ix_feedback_batches_started_at"), "feedback_batches", ["started_at"])


def _refuse_on_sqlite() -> None:
    for table, change, name in (
        ("feedback_events", "UPDATE", "no_update"),
        ("feedback_events", "DELETE", "no_delete"),
        ("suppressions", f"UPDATE OF {FIXED}", "no_update"),
        ("suppressions", "DELETE", "no_delete"),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_{name} BEFORE {change} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _refuse_on_postgresql() -> None:
    # the function is that of the first tables
    for table, change in (("feedback_events", "UPDATE"), ("suppressions", f"UPDATE OF {FIXED}")):
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE {change} OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION wayline_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION wayline_append_only()"
        )
