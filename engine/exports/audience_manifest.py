"""The manifest of an audience's bundle: what is in it, from which run, who approved it, and what proves it whole."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.config.exports import ExportFormat, Mode
from engine.exports.envelopes import Envelope
from engine.exports.members import Pii
from engine.exports.signed import Signed

Op = Literal["suppress", "remove", "add"]

CONTRACT: Final = "audience-export"
SCHEMA_VERSION: Final = "1.0.0"
OPS: Final[tuple[Op, ...]] = ("suppress", "remove", "add")
"""In the order in which they are to be loaded: who withdrew is out before anybody comes in."""
EXCLUSIONS: Final = ("holdout", "suppressed", "complaint", "no_consent", "risk_gate", "contact_cap", "not_decided")
"""Why a member does not leave, each member counted at the first that applies."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AudienceFacts(_Strict):
    """Whom the bundle is about; `verified_by` is the second person who found the rule right, if there is one."""

    id: str
    name: str
    name_zh: str | None
    owner: str
    version: int
    definition_sha256: str
    verified_by: str | None


class Counts(_Strict):
    """Members: selected = every exclusion + exported + rejected. Rows: exported = added + updated + unchanged.

    `removed` and `to_suppress` are rows of their files.
    """

    selected: int
    holdout: int
    suppressed: int
    complaint: int
    no_consent: int
    risk_gate: int
    contact_cap: int
    not_decided: int
    exported: int
    rejected: int
    added: int
    updated: int
    unchanged: int
    removed: int
    to_suppress: int

    def faults(self) -> list[str]:
        """Return what does not add up, in words; nothing where all does."""
        excluded = sum(getattr(self, name) for name in EXCLUSIONS)
        laws = {
            "selected = exclusions + exported + rejected": (
                self.selected,
                excluded + self.exported + self.rejected,
            ),
            "exported = added + updated + unchanged": (self.exported, self.added + self.updated + self.unchanged),
        }
        return [f"{law}: {left} is not {right}" for law, (left, right) in laws.items() if left != right]


class ColumnFacts(_Strict):
    """One column of a file; `type` is text, integer, boolean or decimal(7,6), `pii` none, id or contact."""

    name: str
    type: Literal["text", "integer", "boolean", "decimal(7,6)"]
    nullable: bool
    pii: Pii
    meaning: str


class FileFacts(_Strict):
    """One file: rows of an op, or a note without rows; `format` says how it is read."""

    path: str = Field(pattern=r"^(?:[A-Za-z0-9_\-]+/)?[A-Za-z0-9_][A-Za-z0-9_.\-]*$")
    op: Literal["suppress", "remove", "add", "errors", "note"]
    format: Literal["csv", "csv_spreadsheet", "jsonl", "parquet", "api", "text"]
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str


class Cut(_Strict):
    """Texts that were longer than the vendor takes, and were cut."""

    op: Op
    column: str
    rows: int
    most_bytes: int


class Manifest(Signed):
    """Everything that a receiver must know to load a bundle, or to refuse it.

    prev_run_id : the run whose rows the destination must hold for a delta; None for a full one or a mirror.
    resync : why a delta was asked for and a full one was made, in a sentence; the receiver drops what it holds first.
    content_sha256 : over the rows as canonical JSON lines, of suppress, remove and add: the same for every format.
    members_sha256 : over the ids of all members after loading, one a line in their order.
    """

    contract: Literal["audience-export"] = CONTRACT
    schema_version: Literal["1.0.0"] = SCHEMA_VERSION
    run_id: str
    prev_run_id: str | None
    audience: AudienceFacts
    mode: Mode
    resync: str | None
    destination: str
    file_format: ExportFormat
    delimiter: str
    as_of: str
    created_at: str
    expires_at: str
    purpose: str
    channel: str
    experiment: dict[str, str] | None
    counts: Counts
    reasons: dict[str, int]
    columns: dict[Op, tuple[ColumnFacts, ...]]
    envelope: Envelope | None
    files: tuple[FileFacts, ...]
    cut: tuple[Cut, ...]
    content_sha256: str
    members_sha256: str
    policy_version: str
    model_version: str
    approved_by: str | None
