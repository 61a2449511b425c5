"""The tables of people's work: cases and their events, comments, proposed policies, reviews, what was put off.

They are tables of the same database as those of `tables.py`, whose rules hold here too.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint
from sqlmodel import Field

from engine.store.api_tables import Stored
from engine.store.tables import LONG
from engine.store.types import UtcDateTime

__all__ = [
    "CaseEventRow",
    "CaseRow",
    "CommentRow",
    "DismissalRow",
    "ExperimentReviewRow",
    "PolicyChangeRow",
    "Stored",
]

CASE_STATUSES: Final = ("pending", "investigating", "waiting_for_action", "snoozed", "resolved")
CASE_OUTCOMES: Final = ("confirmed_risk", "valuable_alert", "false_positive")
REVIEW_LEVELS: Final = ("probable_false_positive", "investigate", "escalate")
SEVERITIES: Final = ("low", "medium", "high")
COMMENTED: Final = ("audience", "experiment", "policy_change", "export", "case")
CHANGE_STATUSES: Final = ("waiting", "approved", "refused", "withdrawn", "revoked")


class CaseRow(Stored, table=True):
    """One row is one case: an alert that somebody works on, and how far the work is.

    `version` counts what was done with it: who wants to do something says which version was seen.
    """

    __tablename__ = "cases"
    __table_args__ = (
        CheckConstraint(f"status IN {CASE_STATUSES!r}", name="status"),
        CheckConstraint(f"severity IN {SEVERITIES!r}", name="severity"),
        CheckConstraint(f"level IS NULL OR level IN {REVIEW_LEVELS!r}", name="level"),
        CheckConstraint(f"outcome IS NULL OR outcome IN {CASE_OUTCOMES!r}", name="outcome"),
        CheckConstraint("(status = 'resolved') = (outcome IS NOT NULL)", name="resolved_with_outcome"),
        CheckConstraint("(status = 'snoozed') = (snoozed_until IS NOT NULL)", name="snoozed_until_when"),
        UniqueConstraint("alert_id"),
    )

    case_id: int | None = Field(default=None, primary_key=True)
    alert_id: str
    kind: str
    severity: str
    customer_id: str | None = Field(default=None, index=True)
    text_en: str = Field(sa_type=Text)
    text_zh: str = Field(sa_type=Text)
    run_id: str | None = Field(default=None)
    raised_at: datetime = Field(sa_type=UtcDateTime)
    opened_by: str
    opened_at: datetime = Field(sa_type=UtcDateTime)
    due_at: datetime = Field(sa_type=UtcDateTime)
    status: str = Field(index=True)
    assignee: str | None = Field(default=None)
    tags: str = Field(sa_type=Text)
    level: str | None = Field(default=None)
    snoozed_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    outcome: str | None = Field(default=None)
    closed_by: str | None = Field(default=None)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    version: int


class CaseEventRow(Stored, table=True):
    """One row is one thing that a person did with a case; triggers refuse to change or delete it."""

    __tablename__ = "case_events"
    __table_args__ = (UniqueConstraint("case_id", "version"),)

    number: int | None = Field(default=None, primary_key=True)
    case_id: int = Field(foreign_key="cases.case_id")
    version: int
    act: str
    details: str = Field(sa_type=Text)
    note: str | None = Field(default=None, sa_type=Text)
    by: str
    at: datetime = Field(sa_type=UtcDateTime)


class CommentRow(Stored, table=True):
    """One row is one comment of a person on a thing; triggers refuse all changes but its withdrawal."""

    __tablename__ = "comments"
    __table_args__ = (
        CheckConstraint(f"kind IN {COMMENTED!r}", name="kind"),
        Index("ix_comments_kind_subject", "kind", "subject"),
    )

    number: int | None = Field(default=None, primary_key=True)
    kind: str
    subject: str
    text: str = Field(sa_type=Text)
    written_by: str
    written_at: datetime = Field(sa_type=UtcDateTime)
    withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class PolicyChangeRow(Stored, table=True):
    """One row is one change of the policy that a person proposed, with what it would do, and what became of it.

    `base_hash` is of the policy that it was tried against; the same must hold when it is approved.
    """

    __tablename__ = "policy_changes"
    __table_args__ = (
        CheckConstraint(f"status IN {CHANGE_STATUSES!r}", name="status"),
        CheckConstraint("status NOT IN ('approved', 'revoked') OR decided_by <> author", name="two_persons"),
        CheckConstraint(
            "status NOT IN ('approved', 'revoked') OR effective_from IS NOT NULL", name="approved_from_when"
        ),
    )

    number: int | None = Field(default=None, primary_key=True)
    run_id: str
    policy: str = Field(sa_type=Text)
    changes: str = Field(sa_type=Text)
    effect: str = Field(sa_type=Text)
    base_hash: str
    author: str
    note: str = Field(sa_type=Text)
    proposed_at: datetime = Field(sa_type=UtcDateTime)
    status: str = Field(index=True)
    decided_by: str | None = Field(default=None)
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    decision_note: str | None = Field(default=None, sa_type=Text)
    effective_from: date | None = Field(default=None)
    catalogue_version: int | None = Field(default=None)
    revoked_by: str | None = Field(default=None)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoke_note: str | None = Field(default=None, sa_type=Text)


class ExperimentReviewRow(Stored, table=True):
    """One row is one request to review a decision against the rules, and what a second person said."""

    __tablename__ = "experiment_reviews"
    __table_args__ = (
        CheckConstraint("reviewer IS NULL OR reviewer <> asked_by", name="two_persons"),
        CheckConstraint("(reviewer IS NULL) = (agreed IS NULL)", name="reviewed_with_answer"),
        Index("ix_experiment_reviews_experiment_id_run_id", "experiment_id", "run_id"),
    )

    number: int | None = Field(default=None, primary_key=True)
    experiment_id: str
    run_id: str
    action: str
    instead_of: str
    spec_hash: str
    asked_by: str
    note: str = Field(sa_type=Text)
    asked_at: datetime = Field(sa_type=UtcDateTime)
    reviewer: str | None = Field(default=None)
    agreed: bool | None = Field(default=None)
    review_note: str | None = Field(default=None, sa_type=Text)
    reviewed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class DismissalRow(Stored, table=True):
    """One row is one thing that a person put off their own list of the first page, and why; for one run only."""

    __tablename__ = "dismissals"
    __table_args__ = (UniqueConstraint("person", "run_id", "item"),)

    number: int | None = Field(default=None, primary_key=True, sa_type=LONG)
    person: str
    run_id: str
    item: str
    reason: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=UtcDateTime)
