"""What the store hands out of people's work: frozen records, free of the database they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecord:
    """A case: an alert that somebody works on. `version` is what whoever changes it must have seen."""

    case_id: int
    alert_id: str
    kind: str
    severity: str
    customer_id: str | None
    text_en: str
    text_zh: str
    run_id: str | None
    raised_at: datetime
    opened_by: str
    opened_at: datetime
    due_at: datetime
    status: str
    assignee: str | None
    tags: tuple[str, ...]
    level: str | None
    snoozed_until: datetime | None
    outcome: str | None
    closed_by: str | None
    closed_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEventRecord:
    """One thing that a person did with a case."""

    case_id: int
    version: int
    act: str
    details: Mapping[str, Any]
    note: str | None
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentRecord:
    """A comment; one that its author withdrew is kept, its text is handed out no more."""

    number: int
    kind: str
    subject: str
    text: str | None
    written_by: str
    written_at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChangeRecord:
    """A change of the policy that a person proposed, with its simulated effect, and what became of it."""

    number: int
    run_id: str
    policy: Mapping[str, Any]
    changes: tuple[Mapping[str, Any], ...]
    effect: Mapping[str, Any]
    base_hash: str
    author: str
    note: str
    proposed_at: datetime
    status: str
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str | None
    effective_from: date | None
    catalogue_version: int | None
    revoked_by: str | None
    revoked_at: datetime | None
    revoke_note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentReviewRecord:
    """A request to review a decision against the rules; `agreed` is None as long as nobody has answered."""

    number: int
    experiment_id: str
    run_id: str
    action: str
    instead_of: str
    spec_hash: str
    asked_by: str
    note: str
    asked_at: datetime
    reviewer: str | None
    agreed: bool | None
    review_note: str | None
    reviewed_at: datetime | None
