"""People's work: cases and their events, comments, proposed policies, reviews of experiments, what was put off.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

from engine.store.types import UtcDateTime

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None

FIXED = "number, kind, subject, text, written_by, written_at"
"""Columns of a comment that nobody changes."""


def upgrade() -> None:
    op.create_table('cases',
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('alert_id', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('severity', sa.String(), nullable=False),
    sa.Column('customer_id', sa.String(), nullable=True),
    sa.Column('text_en', sa.Text(), nullable=False),
    sa.Column('text_zh', sa.Text(), nullable=False),
    sa.Column('run_id', sa.String(), nullable=True),
    sa.Column('raised_at', UtcDateTime(), nullable=False),
    sa.Column('opened_by', sa.String(), nullable=False),
    sa.Column('opened_at', UtcDateTime(), nullable=False),
    sa.Column('due_at', UtcDateTime(), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('assignee', sa.String(), nullable=True),
    sa.Column('tags', sa.Text(), nullable=False),
    sa.Column('level', sa.String(), nullable=True),
    sa.Column('snoozed_until', UtcDateTime(), nullable=True),
    sa.Column('outcome', sa.String(), nullable=True),
    sa.Column('closed_by', sa.String(), nullable=True),
    sa.Column('closed_at', UtcDateTime(), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint("(status = 'resolved') = (outcome IS NOT NULL)", name=op.f('ck_cases_resolved_with_outcome')),
    sa.CheckConstraint("(status = 'snoozed') = (snoozed_until IS NOT NULL)", name=op.f('ck_cases_snoozed_until_when')),
    sa.CheckConstraint("level IS NULL OR level IN ('probable_false_positive', 'investigate', 'escalate')", name=op.f('ck_cases_level')),
    sa.CheckConstraint("outcome IS NULL OR outcome IN ('confirmed_risk', 'valuable_alert', 'false_positive')", name=op.f('ck_cases_outcome')),
    sa.CheckConstraint("severity IN ('low', 'medium', 'high')", name=op.f('ck_cases_severity')),
    sa.CheckConstraint("status IN ('pending', 'investigating', 'waiting_for_action', 'snoozed', 'resolved')", name=op.f('ck_cases_status')),
    sa.PrimaryKeyConstraint('case_id', name=op.f('pk_cases')),
    sa.UniqueConstraint('alert_id', name=op.f('uq_cases_alert_id'))
    )
    with op.batch_alter_table('cases', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_cases_customer_id'), ['customer_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_cases_status'), ['status'], unique=False)

    op.create_table('comments',
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('subject', sa.String(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('written_by', sa.String(), nullable=False),
    sa.Column('written_at', UtcDateTime(), nullable=False),
    sa.Column('withdrawn_at', UtcDateTime(), nullable=True),
    sa.CheckConstraint("kind IN ('audience', 'experiment', 'policy_change', 'export', 'case')", name=op.f('ck_comments_kind')),
    sa.PrimaryKeyConstraint('number', name=op.f('pk_comments'))
    )
    with op.batch_alter_table('comments', schema=None) as batch_op:
        batch_op.create_index('ix_comments_kind_subject', ['kind', 'subject'], unique=False)

    op.create_table('dismissals',
    sa.Column('number', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('person', sa.String(), nullable=False),
    sa.Column('run_id', sa.String(), nullable=False),
    sa.Column('item', sa.String(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('at', UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('number', name=op.f('pk_dismissals')),
    sa.UniqueConstraint('person', 'run_id', 'item', name=op.f('uq_dismissals_person_run_id_item'))
    )
    op.create_table('experiment_reviews',
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('experiment_id', sa.String(), nullable=False),
    sa.Column('run_id', sa.String(), nullable=False),
    sa.Column('action', sa.String(), nullable=False),
    sa.Column('instead_of', sa.String(), nullable=False),
    sa.Column('spec_hash', sa.String(), nullable=False),
    sa.Column('asked_by', sa.String(), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('asked_at', UtcDateTime(), nullable=False),
    sa.Column('reviewer', sa.String(), nullable=True),
    sa.Column('agreed', sa.Boolean(), nullable=True),
    sa.Column('review_note', sa.Text(), nullable=True),
    sa.Column('reviewed_at', UtcDateTime(), nullable=True),
    sa.CheckConstraint('(reviewer IS NULL) = (agreed IS NULL)', name=op.f('ck_experiment_reviews_reviewed_with_answer')),
    sa.CheckConstraint('reviewer IS NULL OR reviewer <> asked_by', name=op.f('ck_experiment_reviews_two_persons')),
    sa.PrimaryKeyConstraint('number', name=op.f('pk_experiment_reviews'))
    )
    with op.batch_alter_table('experiment_reviews', schema=None) as batch_op:
        batch_op.create_index('ix_experiment_reviews_experiment_id_run_id', ['experiment_id', 'run_id'], unique=False)

    op.create_table('policy_changes',
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('run_id', sa.String(), nullable=False),
    sa.Column('policy', sa.Text(), nullable=False),
    sa.Column('changes', sa.Text(), nullable=False),
    sa.Column('effect', sa.Text(), nullable=False),
    sa.Column('base_hash', sa.String(), nullable=False),
    sa.Column('author', sa.String(), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('proposed_at', UtcDateTime(), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('decided_by', sa.String(), nullable=True),
    sa.Column('decided_at', UtcDateTime(), nullable=True),
    sa.Column('decision_note', sa.Text(), nullable=True),
    sa.Column('effective_from', sa.Date(), nullable=True),
    sa.Column('catalogue_version', sa.Integer(), nullable=True),
    sa.Column('revoked_by', sa.String(), nullable=True),
    sa.Column('revoked_at', UtcDateTime(), nullable=True),
    sa.Column('revoke_note', sa.Text(), nullable=True),
    sa.CheckConstraint("status IN ('waiting', 'approved', 'refused', 'withdrawn', 'revoked')", name=op.f('ck_policy_changes_status')),
    sa.CheckConstraint("status NOT IN ('approved', 'revoked') OR decided_by <> author", name=op.f('ck_policy_changes_two_persons')),
    sa.CheckConstraint("status NOT IN ('approved', 'revoked') OR effective_from IS NOT NULL", name=op.f('ck_policy_changes_approved_from_when')),
    sa.PrimaryKeyConstraint('number', name=op.f('pk_policy_changes'))
    )
    with op.batch_alter_table('policy_changes', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_policy_changes_status'), ['status'], unique=False)

    op.create_table('case_events',
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.Integer(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('act', sa.String(), nullable=False),
    sa.Column('details', sa.Text(), nullable=False),
    sa.Column('note', sa.Text(), nullable=True),
    sa.Column('by', sa.String(), nullable=False),
    sa.Column('at', UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['cases.case_id'], name=op.f('fk_case_events_case_id_cases')),
    sa.PrimaryKeyConstraint('number', name=op.f('pk_case_events')),
    sa.UniqueConstraint('case_id', 'version', name=op.f('uq_case_events_case_id_version'))
    )
    if op.get_bind().dialect.name == "postgresql":
        _refuse_on_postgresql()
    else:
        _refuse_on_sqlite()


def downgrade() -> None:
    for table in ("dismissals", "experiment_reviews", "policy_changes", "comments", "case_events", "cases"):
        op.drop_table(table)


def _refuse_on_sqlite() -> None:
    for table, change, name in (
        ("case_events", "UPDATE", "no_update"),
        ("case_events", "DELETE", "no_delete"),
        ("comments", f"UPDATE OF {FIXED}", "no_update"),
        ("comments", "DELETE", "no_delete"),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_{name} BEFORE {change} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    op.execute(
        "CREATE TRIGGER case_events_no_replace BEFORE INSERT ON case_events "
        "WHEN EXISTS (SELECT 1 FROM case_events WHERE number = NEW.number) "
        "BEGIN SELECT RAISE(ABORT, 'case_events is append-only'); END"
    )


def _refuse_on_postgresql() -> None:
    # the function is that of the first tables
    for table, change in (("case_events", "UPDATE"), ("comments", f"UPDATE OF {FIXED}")):
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE {change} OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION wayline_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION wayline_append_only()"
        )
