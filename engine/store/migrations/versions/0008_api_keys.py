"""Keys of the API, hashed, and the journal that campaign tools follow, which is never changed.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

from engine.store.types import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

JOURNAL = "journal"
LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.String(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("audiences", sa.Text(), nullable=True),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("row_cap", LONG, nullable=True),
        sa.Column("requests_per_minute", sa.Integer(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("replaced_by", sa.String(), nullable=True),
        sa.Column("revoked_by", sa.String(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.Column("rows_left_on", sa.String(), nullable=True),
        sa.Column("rows_that_day", LONG, nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
    )
    op.create_index(op.f("ix_api_keys_name"), "api_keys", ["name"])
    op.create_table(
        JOURNAL,
        sa.Column("offset", LONG, autoincrement=False, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("offset", name=op.f("pk_journal")),
    )
    op.create_index(op.f("ix_journal_event"), JOURNAL, ["event"])
    op.create_index(op.f("ix_journal_subject"), JOURNAL, ["subject"])
    if op.get_bind().dialect.name == "postgresql":
        _refuse_on_postgresql()
    else:
        _refuse_on_sqlite()


def downgrade() -> None:
    op.drop_table(JOURNAL)
    op.drop_table("api_keys")


def _refuse_on_sqlite() -> None:
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {JOURNAL}_no_{change.lower()} BEFORE {change} ON {JOURNAL} "
            f"BEGIN SELECT RAISE(ABORT, '{JOURNAL} is append-only'); END"
        )
    op.execute(
        f'CREATE TRIGGER {JOURNAL}_no_replace BEFORE INSERT ON {JOURNAL} '
        f'WHEN EXISTS (SELECT 1 FROM {JOURNAL} WHERE "offset" = NEW."offset") '
        f"BEGIN SELECT RAISE(ABORT, '{JOURNAL} is append-only'); END"
    )


def _refuse_on_postgresql() -> None:
    # the function is that of the first tables
    op.execute(
        f"CREATE TRIGGER {JOURNAL}_no_change BEFORE UPDATE OR DELETE ON {JOURNAL} "
        "FOR EACH ROW EXECUTE FUNCTION wayline_append_only()"
    )
    op.execute(
        f"CREATE TRIGGER {JOURNAL}_no_truncate BEFORE TRUNCATE ON {JOURNAL} "
        "FOR EACH STATEMENT EXECUTE FUNCTION wayline_append_only()"
    )
