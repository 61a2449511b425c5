"""What becomes of an audience's exports: contents handed over, acknowledgements, approvals; never changed.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

from engine.store.types import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("export_bundles", "export_acks", "export_approvals")


def upgrade() -> None:
    _bundles()
    _acks()
    _approvals()
    for table in TABLES:
        if op.get_bind().dialect.name == "postgresql":
            _refuse_on_postgresql(table)
        else:
            _refuse_on_sqlite(table)


def downgrade() -> None:
    for table in ("export_approvals", "export_acks", "export_bundles"):
        op.drop_table(table)


def _bundles() -> None:
    op.create_table(
        "export_bundles",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("prev_run_id", sa.String(), nullable=True),
        sa.Column("content_sha256", sa.String(), nullable=False),
        sa.Column("members", LONG, nullable=False),
        sa.Column("rows", LONG, nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("exported_by", sa.String(), nullable=False),
        sa.Column("exported_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("mode IN ('full', 'delta', 'mirror')", name=op.f("ck_export_bundles_mode")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_export_bundles_run_id_runs")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_export_bundles")),
        sa.UniqueConstraint(
            "audience",
            "destination",
            "run_id",
            "content_sha256",
            name=op.f("uq_export_bundles_audience_destination_run_id_content_sha256"),
        ),
    )
    op.create_index(op.f("ix_export_bundles_audience"), "export_bundles", ["audience"])
    op.create_index(op.f("ix_export_bundles_run_id"), "export_bundles", ["run_id"])


def _acks() -> None:
    op.create_table(
        "export_acks",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("received_rows", LONG, nullable=False),
        sa.Column("rejected", sa.Text(), nullable=False),
        sa.Column("acked_by", sa.String(), nullable=False),
        sa.Column("acked_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["number"], ["export_bundles.number"], name=op.f("fk_export_acks_number_export_bundles")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_export_acks")),
    )


def _approvals() -> None:
    op.create_table(
        "export_approvals",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("saved_by", sa.String(), nullable=False),
        sa.Column("saved_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_export_approvals")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_export_approvals_name_version")),
    )


def _refuse_on_sqlite(table: str) -> None:
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    op.execute(
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE number = NEW.number) "
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
