"""The tables of the operational database. Bulk results stay in Parquet; here is what happened, and who did it.

Columns that hold JSON are text in the canonical form of `engine.numerics.chain`, so that a hash over them is the same
on every database. Table models check nothing when they are made: the facade in `facade.py` does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, MetaData, Text, UniqueConstraint, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from engine.domain.words import FEEDBACK_TYPES
from engine.store.types import UtcDateTime

# Names that do not depend on the database, so that a migration can speak of a constraint
NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
EXPORT_MODES: Final = ("full", "delta", "mirror")
RUN_STATUSES: Final = ("running", "done", "failed")
OVERRIDE_KINDS: Final = ("approve", "decline", "limit", "hold")
MODEL_PURPOSES: Final = ("runs", "files")
MODEL_STATUSES: Final = ("challenger", "champion", "retired")
BOUNCES: Final = ("hard", "soft")
SUPPRESSION_REASONS: Final = ("unsubscribed", "complained", "hard_bounce", "manual")
TURN_STATUSES: Final = ("running", "done", "failed", "retrying")
BATCH_STATUSES: Final = ("running", "done", "failed")
# only a plain INTEGER key is SQLite's row number; it holds 64 bits there all the same
LONG: Final = BigInteger().with_variant(Integer(), "sqlite")


class Stored(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMING))):
    """Base of every table."""


class RunRow(Stored, table=True):
    """One row is one run, however often it was tried; what it wrote is in its manifest."""

    __tablename__ = "runs"
    __table_args__ = (CheckConstraint(f"status IN {RUN_STATUSES!r}", name="status"),)

    run_id: str = Field(primary_key=True)
    as_of: datetime = Field(sa_type=UtcDateTime)
    seed: int = Field(sa_type=LONG)
    status: str
    attempts: int
    started_at: datetime = Field(sa_type=UtcDateTime, index=True)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reason: str | None = Field(default=None, sa_type=Text)
    facts: str = Field(sa_type=Text)


class ExportRow(Stored, table=True):
    """One row is one bundle that left the engine."""

    __tablename__ = "exports"

    export_id: str = Field(primary_key=True)
    run_id: str = Field(foreign_key="runs.run_id", index=True)
    audience: str
    file_format: str
    destination: str = Field(sa_type=Text)
    rows: int = Field(sa_type=LONG)
    sha256: str
    exported_by: str
    exported_at: datetime = Field(sa_type=UtcDateTime, index=True)


class ExportBundleRow(Stored, table=True):
    """One row is one content handed to one destination for one audience and run; triggers refuse to change it."""

    __tablename__ = "export_bundles"
    __table_args__ = (
        CheckConstraint(f"mode IN {EXPORT_MODES!r}", name="mode"),
        UniqueConstraint("audience", "destination", "run_id", "content_sha256"),
    )

    number: int | None = Field(default=None, primary_key=True)
    audience: str = Field(index=True)
    destination: str
    run_id: str = Field(foreign_key="runs.run_id", index=True)
    mode: str
    prev_run_id: str | None = Field(default=None)
    content_sha256: str
    members: int = Field(sa_type=LONG)
    rows: int = Field(sa_type=LONG)
    approved_by: str | None = Field(default=None)
    exported_by: str
    exported_at: datetime = Field(sa_type=UtcDateTime)


class ExportAckRow(Stored, table=True):
    """One row is one bundle that a destination said to have loaded; triggers refuse to change it."""

    __tablename__ = "export_acks"

    number: int = Field(
        primary_key=True, foreign_key="export_bundles.number", sa_column_kwargs={"autoincrement": False}
    )
    received_rows: int = Field(sa_type=LONG)
    rejected: str = Field(sa_type=Text)
    acked_by: str
    acked_at: datetime = Field(sa_type=UtcDateTime)


class ExportRevocationRow(Stored, table=True):
    """One row is one run of an audience that was taken back at one destination; triggers refuse to change it.

    What was only pulled, and never exported, need not be on the register of runs.
    """

    __tablename__ = "export_revocations"
    __table_args__ = (UniqueConstraint("audience", "destination", "run_id"),)

    number: int | None = Field(default=None, primary_key=True)
    audience: str
    destination: str
    run_id: str
    note: str = Field(sa_type=Text)
    revoked_by: str
    revoked_at: datetime = Field(sa_type=UtcDateTime)


class Version(Stored):
    """A definition under a name; what changes becomes the next version beside it."""

    number: int | None = Field(default=None, primary_key=True)
    name: str
    version: int
    content: str = Field(sa_type=Text)
    content_hash: str
    saved_by: str
    saved_at: datetime = Field(sa_type=UtcDateTime)


class ExperimentRow(Version, table=True):
    """One row is one version of an experiment's design as it was registered; triggers refuse to change it."""

    __tablename__ = "experiments"
    __table_args__ = (UniqueConstraint("name", "version"),)


class ExperimentDecisionRow(Version, table=True):
    """One row is one decision that a person took on an experiment; triggers refuse to change it."""

    __tablename__ = "experiment_decisions"
    __table_args__ = (UniqueConstraint("name", "version"),)


class AudienceRow(Version, table=True):
    """One row is one version of an audience's definition."""

    __tablename__ = "audiences"
    __table_args__ = (UniqueConstraint("name", "version"),)


class AudienceActRow(Version, table=True):
    """One row is one thing that a person did with an audience: verified, retired; triggers refuse to change it."""

    __tablename__ = "audience_acts"
    __table_args__ = (UniqueConstraint("name", "version"),)


class ExportApprovalRow(Version, table=True):
    """One row is one person's approval of one export of one run; triggers refuse to change it."""

    __tablename__ = "export_approvals"
    __table_args__ = (UniqueConstraint("name", "version"),)


class CatalogueRow(Version, table=True):
    """One row is one version of the catalogue and its policies, with the day from which it holds; never changed."""

    __tablename__ = "catalogues"
    __table_args__ = (UniqueConstraint("name", "version"),)


class OverrideRow(Stored, table=True):
    """One row is one person's departure from a lending decision, who agreed to it, and whether it was taken back."""

    __tablename__ = "risk_overrides"
    __table_args__ = (
        CheckConstraint(f"kind IN {OVERRIDE_KINDS!r}", name="kind"),
        CheckConstraint("second IS NULL OR second <> owner", name="two_persons"),
    )

    override_id: int | None = Field(default=None, primary_key=True)
    customer_id: str = Field(index=True)
    family: str | None = Field(default=None)
    kind: str
    limit_minor: int | None = Field(default=None, sa_type=LONG)
    owner: str
    note: str = Field(sa_type=Text)
    made_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    second: str | None = Field(default=None)
    agreed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_by: str | None = Field(default=None)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


def _unique_where(name: str, column: str, condition: str) -> Index:
    where = text(condition)
    return Index(name, column, unique=True, sqlite_where=where, postgresql_where=where)


class ModelRow(Stored, table=True):
    """One row is one default model that was proposed: whose it is, who approved it, whether it was retired.

    The database itself lets each purpose have one champion, and the same model be proposed once.
    """

    __tablename__ = "risk_models"
    __table_args__ = (
        CheckConstraint(f"purpose IN {MODEL_PURPOSES!r}", name="purpose"),
        CheckConstraint(f"status IN {MODEL_STATUSES!r}", name="status"),
        CheckConstraint("approver IS NULL OR approver <> owner", name="two_persons"),
        CheckConstraint("status <> 'champion' OR approver IS NOT NULL", name="approved"),
        _unique_where("ix_risk_models_one_champion", "purpose", "status = 'champion'"),
        _unique_where("ix_risk_models_proposed_once", "content_hash", "status <> 'retired'"),
    )

    model_id: int | None = Field(default=None, primary_key=True)
    purpose: str
    model: str
    source: str
    learned_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    content: str = Field(sa_type=Text)
    content_hash: str
    card: str | None = Field(default=None, sa_type=Text)
    figures: str = Field(sa_type=Text)
    owner: str
    note: str = Field(sa_type=Text)
    proposed_at: datetime = Field(sa_type=UtcDateTime)
    status: str
    approver: str | None = Field(default=None)
    approval_note: str | None = Field(default=None, sa_type=Text)
    approved_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    retired_by: str | None = Field(default=None)
    retirement_note: str | None = Field(default=None, sa_type=Text)
    retired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class FeedbackRow(Stored, table=True):
    """One row is one thing that a campaign tool reported; triggers refuse to change or delete it.

    `number` is the order in which rows were committed, without gaps: a journal reads on from it. `content_hash` is of
    what was reported, whoever delivered it.
    """

    __tablename__ = "feedback_events"
    __table_args__ = (
        CheckConstraint(f"type IN {FEEDBACK_TYPES!r}", name="type"),
        CheckConstraint(f"bounce IS NULL OR bounce IN {BOUNCES!r}", name="bounce"),
        CheckConstraint("(value_minor IS NULL) = (currency IS NULL)", name="value_with_currency"),
        UniqueConstraint("number"),
    )

    event_id: str = Field(primary_key=True)
    number: int = Field(sa_type=LONG)
    type: str
    customer_id: str = Field(index=True)
    run_id: str | None = Field(default=None, index=True)
    recommendation_id: str | None = Field(default=None, index=True)
    decision_id: str | None = Field(default=None, index=True)
    product_id: str | None = Field(default=None)
    audience_id: str | None = Field(default=None)
    channel: str | None = Field(default=None)
    occurred_at: datetime = Field(sa_type=UtcDateTime)
    received_at: datetime = Field(sa_type=UtcDateTime)
    value_minor: int | None = Field(default=None, sa_type=LONG)
    currency: str | None = Field(default=None)
    message_id: str | None = Field(default=None)
    machine_open: bool
    bounce: str | None = Field(default=None)
    source: str
    received_by: str
    content_hash: str


class SuppressionRow(Stored, table=True):
    """One row is one cause not to contact one customer on a channel, or on every channel where it is null.

    A cause stays until a person lifts it; triggers refuse to delete it, or to change anything but its lifting.
    """

    __tablename__ = "suppressions"
    __table_args__ = (
        CheckConstraint(f"reason IN {SUPPRESSION_REASONS!r}", name="reason"),
        CheckConstraint("(lifted_at IS NULL) = (lifted_by IS NULL)", name="lifted_by_somebody"),
        UniqueConstraint("event_id"),
    )

    number: int | None = Field(default=None, primary_key=True)
    customer_id: str = Field(index=True)
    channel: str | None = Field(default=None)
    reason: str
    since: datetime = Field(sa_type=UtcDateTime)
    event_id: str | None = Field(default=None)
    note: str | None = Field(default=None, sa_type=Text)
    added_by: str
    added_at: datetime = Field(sa_type=UtcDateTime, index=True)
    lifted_by: str | None = Field(default=None)
    lifted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    lift_note: str | None = Field(default=None, sa_type=Text)


class FeedbackBatchRow(Stored, table=True):
    """One row is one delivery of feedback: a request with its idempotency key, or a file that is being read.

    While it runs, whoever works on it holds it until `held_until`: one that died lets go by itself. `worker` is its
    process.
    """

    __tablename__ = "feedback_batches"
    __table_args__ = (
        CheckConstraint(f"status IN {BATCH_STATUSES!r}", name="status"),
        UniqueConstraint("sender", "idempotency_key"),
    )

    batch_id: str = Field(primary_key=True)
    sender: str
    idempotency_key: str | None = Field(default=None)
    body_sha256: str
    source: str
    status: str
    started_at: datetime = Field(sa_type=UtcDateTime, index=True)
    held_until: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    answer: str | None = Field(default=None, sa_type=Text)
    worker: str | None = Field(default=None)


class LiveDecisionRow(Stored, table=True):
    """One row is one decision that was made while the customer was there; triggers refuse to change or delete it.

    `request_key` is made of who asked and the id that the request carries, empty where it carries none; `request_hash`
    is of all that was asked, by whom `asked_by` says. `customer_id` is empty where the bank knows no such customer, so
    that what was typed by mistake is not kept. `code` says how it ended; `asked`, `seen` and `outcome` are JSON, all
    that a replay needs beside the run; `answer` is what was told, to the byte.
    """

    __tablename__ = "live_decisions"
    __table_args__ = (UniqueConstraint("decision_id"), UniqueConstraint("request_key"))

    number: int | None = Field(default=None, primary_key=True, sa_type=LONG)
    decision_id: str
    request_key: str | None = Field(default=None)
    request_hash: str
    asked_by: str
    customer_id: str | None = Field(default=None, index=True)
    run_id: str | None = Field(default=None)
    bundle: str | None = Field(default=None)
    inputs_sha256: str | None = Field(default=None)
    decided_at: datetime = Field(sa_type=UtcDateTime)
    code: str
    counted: bool
    asked: str = Field(sa_type=Text)
    seen: str | None = Field(default=None, sa_type=Text)
    outcome: str | None = Field(default=None, sa_type=Text)
    answer: str = Field(sa_type=Text)


class LiveContactRow(Stored, table=True):
    """One row is one contact that a live decision made, counted from the moment of the decision; never changed."""

    __tablename__ = "live_contacts"
    __table_args__ = (Index("ix_live_contacts_customer_id_at", "customer_id", "at"),)

    decision_id: str = Field(primary_key=True)
    customer_id: str
    channel: str | None = Field(default=None)
    at: datetime = Field(sa_type=UtcDateTime)


class ScheduleRow(Stored, table=True):
    """One row is one job that is made at set times; one that was removed stays, with who removed it."""

    __tablename__ = "schedules"

    number: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True)
    job: str
    cron: str
    arguments: str = Field(sa_type=Text)
    added_by: str
    added_at: datetime = Field(sa_type=UtcDateTime)
    removed_by: str | None = Field(default=None)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ScheduleTurnRow(Stored, table=True):
    """One row is one time at which a schedule was due and what came of it; each time has one, whoever makes it."""

    __tablename__ = "schedule_turns"
    __table_args__ = (
        CheckConstraint(f"status IN {TURN_STATUSES!r}", name="status"),
        UniqueConstraint("schedule", "due_at"),
    )

    number: int | None = Field(default=None, primary_key=True)
    schedule: int = Field(foreign_key="schedules.number")
    due_at: datetime = Field(sa_type=UtcDateTime)
    missed: int
    status: str = Field(index=True)
    attempts: int
    worker: str
    held_until: datetime = Field(sa_type=UtcDateTime)
    started_at: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    result: str | None = Field(default=None, sa_type=Text)


class AlertRow(Stored, table=True):
    """One row is one failure that somebody should look at, until somebody says that it was looked at."""

    __tablename__ = "alerts"

    number: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    subject: str
    sentence: str = Field(sa_type=Text)
    told: str | None = Field(default=None, sa_type=Text)
    seen_by: str | None = Field(default=None)
    seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class AuditRow(Stored, table=True):
    """One row is one thing somebody did; triggers refuse to change or delete it.

    `previous` is unique, so that two writers cannot both follow the same entry.
    """

    __tablename__ = "audit_log"
    __table_args__ = (UniqueConstraint("previous"), UniqueConstraint("hash"))

    seq: int = Field(primary_key=True, sa_type=LONG, sa_column_kwargs={"autoincrement": False})
    at: datetime = Field(sa_type=UtcDateTime)
    actor: str = Field(index=True)
    action: str = Field(index=True)
    subject: str = Field(index=True)
    details: str = Field(sa_type=Text)
    previous: str
    hash: str
