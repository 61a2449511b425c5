"""The manifest of a bundle: what is in it, from which run, and the checksums that prove it whole."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from engine.config.exports import FileFormat
from engine.exports.signed import Signed

CONTRACT: Final = "recommendations-export"
SCHEMA_VERSION: Final = "1.1.0"
MANIFEST: Final = "manifest.json"
SUCCESS: Final = "_SUCCESS"
ERRORS: Final = "errors.csv"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Audience(_Strict):
    """Whom the bundle is about."""

    id: str
    name: str


class ColumnFacts(_Strict):
    """One column of the rows; `type` is text, integer or decimal(7,6)."""

    name: str
    type: str
    nullable: bool
    meaning: str


class Counts(_Strict):
    """selected = withheld + exported + rejected, always; withheld are offers to who opted out since the run."""

    selected: int
    withheld: int
    exported: int
    rejected: int
    customers: int


class FileFacts(_Strict):
    """One file of the bundle."""

    path: str
    op: Literal["add", "errors"]
    rows: int
    bytes: int
    sha256: str


class Manifest(Signed):
    """Everything that a receiver must know to load a bundle, or to refuse it.

    `content_sha256` is over the exported rows as canonical JSON lines, in the order of their key: the same for every
    format, as long as the format rejects nothing.
    """

    contract: str
    schema_version: str
    run_id: str
    audience: Audience
    mode: Literal["full"]
    destination: Literal["generic"]
    file_format: FileFormat
    delimiter: str
    as_of: str
    created_at: str
    expires_at: str
    purpose: str
    counts: Counts
    columns: tuple[ColumnFacts, ...]
    files: tuple[FileFacts, ...]
    content_sha256: str
    policy_version: str
    model_version: str
