"""What the store hands out: frozen records, free of the database they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run and how it ended; `reason` says why it failed."""

    run_id: str
    as_of: datetime
    seed: int
    status: str
    attempts: int
    started_at: datetime
    finished_at: datetime | None
    reason: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecord:
    """A bundle that left the engine; `sha256` is that of its manifest."""

    export_id: str
    run_id: str
    audience: str
    file_format: str
    destination: str
    rows: int
    sha256: str
    exported_by: str
    exported_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRecord:
    """A content that was handed to a destination, such as `generic/email`; numbers grow in the order of first export.

    members : who belongs at the destination once it is loaded. rows : of all its files of members.
    """

    number: int
    audience: str
    destination: str
    run_id: str
    mode: str
    prev_run_id: str | None
    content_sha256: str
    members: int
    rows: int
    approved_by: str | None
    exported_by: str
    exported_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AckRecord:
    """A bundle that a destination has loaded, without the members whose ids it rejected."""

    bundle: BundleRecord
    received_rows: int
    rejected: tuple[str, ...]
    acked_by: str
    acked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationRecord:
    """An audience's run that was taken back at a destination, such as `generic/email`: it must not be used any more."""

    audience: str
    destination: str
    run_id: str
    revoked_by: str
    revoked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRecord:
    """A person's approval of an export; `name` is audience, destination and run, `definition_sha256` what was meant."""

    name: str
    definition_sha256: str
    members: int
    approved_by: str
    approved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRecord:
    """An experiment's design as it was registered; a changed design is a new version beside the old one."""

    experiment_id: str
    version: int
    spec: Mapping[str, Any]
    spec_hash: str
    registered_by: str
    registered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentDecisionRecord:
    """What a person decided on an experiment, looking at one run: in place of `instead_of`, the action of the rules."""

    experiment_id: str
    version: int
    run_id: str
    action: str
    instead_of: str
    owner: str
    note: str
    spec_hash: str | None
    decided_by: str
    decided_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceRecord:
    """An audience's definition; a changed definition is a new version."""

    name: str
    version: int
    definition: Mapping[str, Any]
    definition_hash: str
    saved_by: str
    saved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceActRecord:
    """What a person did with an audience at a version of it: act is "verified" (of the rule by its hash) or "retired".

    The note is free text of the bank's own people and stands in no run, log or audit entry.
    """

    name: str
    act: str
    audience_version: int
    rule_hash: str | None
    note: str | None
    done_by: str
    done_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueRecord:
    """One version of the catalogue and its policies; it holds from the beginning of a day in UTC.

    `definition` has products (rows of the curated table), offers and levers (`catalogue`) and policies
    (`recommendations`).
    """

    version: int
    effective_from: date
    owner: str
    note: str
    definition: Mapping[str, Any]
    content_hash: str
    saved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideRecord:
    """A person's departure from a lending decision; `family` None is every family, `second` who agreed to it.

    The note is free text of the bank's own people: it is shown to them and stands in no run, log or audit entry.
    """

    override_id: int
    customer_id: str
    family: str | None
    kind: str
    limit_minor: int | None
    owner: str
    note: str
    made_at: datetime
    expires_at: datetime
    second: str | None
    agreed_at: datetime | None
    revoked_by: str | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """A default model on record, without its content: what it is for, how it did, and who answers for it.

    purpose : "runs" or "files". status : "challenger", "champion" or "retired".
    """

    model_id: int
    purpose: str
    model: str
    source: str
    learned_until: datetime | None
    content_hash: str
    figures: Mapping[str, Any]
    owner: str
    note: str
    proposed_at: datetime
    status: str
    approver: str | None
    approval_note: str | None
    approved_at: datetime | None
    retired_by: str | None
    retirement_note: str | None
    retired_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRecord:
    """One thing that a campaign tool reported; `number` is its place in the order of receipt, without gaps."""

    event_id: str
    number: int
    type: str
    customer_id: str
    run_id: str | None
    recommendation_id: str | None
    decision_id: str | None
    product_id: str | None
    audience_id: str | None
    channel: str | None
    occurred_at: datetime
    received_at: datetime
    value_minor: int | None
    currency: str | None
    message_id: str | None
    machine_open: bool
    bounce: str | None
    source: str
    received_by: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class SuppressionRecord:
    """A customer who may not be contacted on a channel, or on any where it is None, with the oldest cause that stands.

    since : when it was said, `added_at` when it was entered here.
    """

    customer_id: str
    channel: str | None
    since: datetime
    reason: str
    event_id: str | None
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackBatchRecord:
    """One delivery of feedback and the answer that was given; status is "running", "done" or "failed"."""

    batch_id: str
    sender: str
    idempotency_key: str | None
    body_sha256: str
    source: str
    status: str
    started_at: datetime
    held_until: datetime
    finished_at: datetime | None
    answer: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRecord:
    """A key of the API without its secret: what it allows, whose it is, and when it ends or was ended."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    audiences: tuple[str, ...] | None
    destination: str
    channel: str | None
    row_cap: int | None
    requests_per_minute: int | None
    created_by: str
    created_at: datetime
    expires_at: datetime
    replaced_by: str | None
    revoked_by: str | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRecord:
    """One event of the journal, at its offset; `details` hold counts, ids of runs and hashes, never who."""

    offset: int
    at: datetime
    event: str
    subject: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgementRecord:
    """A pull that a receiver said it has loaded: which key of which snapshot, how many rows came and were loaded."""

    key_name: str
    subject: str
    channel: str
    snapshot: str
    content_sha256: str
    received_rows: int
    loaded: int
    rejected: int
    body_sha256: str
    acknowledged_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecord:
    """A job that is made at set times; `cron` in the bank's time zone."""

    number: int
    name: str
    job: str
    cron: str
    arguments: Mapping[str, Any]
    added_by: str
    added_at: datetime
    removed_by: str | None
    removed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """One time at which a schedule was due; `missed` times before it were made with it, as one.

    status : "running", "done", "failed" for good, or "retrying" from `held_until` on.
    """

    number: int
    schedule: int
    due_at: datetime
    missed: int
    status: str
    attempts: int
    worker: str
    held_until: datetime
    started_at: datetime
    finished_at: datetime | None
    result: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    """A failure that somebody should look at; `told` is how telling outside went, None where nobody is told."""

    number: int
    at: datetime
    subject: str
    sentence: str
    told: str | None
    seen_by: str | None
    seen_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRecord:
    """An address that is told of events (none named: of all), without its secrets."""

    name: str
    url: str
    events: tuple[str, ...]
    added_by: str
    added_at: datetime
    removed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """One event for one address: "pending", "delivered" or "dead", how often it was tried, and how that went last."""

    message_id: str
    webhook: str
    payload: str
    created_at: datetime
    status: str
    attempts: int
    due_at: datetime
    last_outcome: str | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One thing somebody did: who, what, to what, when, and its place in the chain."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]
    previous: str
    hash: str
