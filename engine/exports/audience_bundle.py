"""Write an audience as a bundle: what to suppress, remove and add, the manifest that proves it, `_SUCCESS` last.

It is built beside its place and then renamed, so that a killed export leaves no half bundle. No clock is read: the same
rows, settings and key give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, get_args

import pyarrow as pa

from engine.config.exports import ExportFormat, Mode
from engine.domain.errors import CheckFailed
from engine.exports import csv_dialects as text
from engine.exports import guide, members
from engine.exports.audience_files import Files, column_facts
from engine.exports.audience_manifest import EXCLUSIONS, OPS, AudienceFacts, Counts, Manifest, Op
from engine.exports.checking import Checked
from engine.exports.manifest import MANIFEST, SUCCESS
from engine.exports.members import Change
from engine.exports.presets.base import Context, Preset
from engine.exports.rows import moment
from engine.exports.signing import SigningKey
from engine.lake.files import file_digest, replace_folder, write_synced

SCHEMA: Final = "schema.json"
README: Final = "README.txt"
_JSON_TYPES: Final = {"text": "string", "integer": "integer", "boolean": "boolean", "decimal(7,6)": "number"}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a manifest says of a bundle, beside its rows."""

    audience: AudienceFacts
    as_of: datetime
    created_at: datetime
    expires_at: datetime
    purpose: str
    mode: Mode
    prev_run_id: str | None
    resync: str | None
    experiment: dict[str, str] | None
    policy_version: str
    model_version: str
    approved_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """The rows of a bundle: how the destination changes, whom to suppress, and who was left out for what.

    suppress : external_id, reason_code, since, and the contacts where the preset needs them.
    excluded : members by exclusion. reasons : the same members by the code of the first reason.
    """

    change: Change
    suppress: pa.Table
    checked: Checked
    excluded: dict[str, int]
    reasons: dict[str, int]

    def counts(self) -> Counts:
        """Return the counts of the manifest.

        Raises
        ------
        CheckFailed
            They do not add up, which would be a fault of ours: nothing may leave then.
        """
        excluded = {name: self.excluded.get(name, 0) for name in EXCLUSIONS}
        counts = Counts(
            selected=sum(excluded.values()) + self.checked.rows.num_rows + self.checked.rejected,
            **excluded,
            exported=self.change.now.num_rows,
            rejected=self.checked.rejected,
            added=self.change.add.num_rows,
            updated=self.change.update.num_rows,
            unchanged=self.change.unchanged,
            removed=self.change.remove.num_rows,
            to_suppress=self.suppress.num_rows,
        )
        faults = counts.faults()
        if sum(self.reasons.values()) != sum(excluded.values()):
            faults.append("the reasons do not add up to the exclusions")
        if faults:
            raise CheckFailed(f"The counts of the export do not add up: {'; '.join(faults)}. Nothing was written.")
        return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """In what form the rows are handed over."""

    preset: Preset
    context: Context
    file_format: ExportFormat


def write(
    destination: Path,
    outgoing: Outgoing,
    handover: Handover,
    *,
    about: About,
    key: SigningKey | None,
    ready: Callable[[Manifest], None] = lambda _: None,
) -> Manifest:
    """Write a bundle to a folder that is complete or not there, and return its manifest.

    An older bundle of that name gives way once the new one is whole.

    ready : called with the manifest when all is written, before the folder gets its name: what must be on record before
        anybody can load the bundle; where it raises, there is no bundle.

    Raises
    ------
    CheckFailed
        The counts do not add up.
    """
    counts, preset = outgoing.counts(), handover.preset
    destination.parent.mkdir(parents=True, exist_ok=True)
    building = destination.with_name(f"_building-{destination.name}")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        files = Files(folder=building, preset=preset, context=handover.context, file_format=handover.file_format)
        for op, rows in zip(OPS, _rows(outgoing), strict=True):
            files.write(op, rows)
        files.errors(outgoing.checked.errors)
        unsigned = _manifest(outgoing, counts, files, about)
        files.note(SCHEMA, schema_text(unsigned))
        for name, told in preset.notes(handover.context).items():
            files.note(name, told.encode())
        files.note(README, guide.text(unsigned, preset).encode())
        manifest = unsigned.model_copy(update={"files": tuple(files.written)}).signed(key)
        write_synced(building / MANIFEST, manifest.text().encode())
        write_synced(building / SUCCESS, file_digest(building / MANIFEST).encode())
        ready(manifest)
        replace_folder(building, destination)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return manifest


def _rows(outgoing: Outgoing) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Return canonical rows in the order of OPS; those that come in say whether they are new."""
    change = outgoing.change
    marked = [
        rows.append_column("op", pa.repeat(pa.scalar(op), rows.num_rows))
        for op, rows in (("add", change.add), ("update", change.update))
    ]
    coming = pa.concat_tables(marked).sort_by(members.ID).combine_chunks()
    return outgoing.suppress, change.remove, coming


def _manifest(outgoing: Outgoing, counts: Counts, files: Files, about: About) -> Manifest:
    context = files.context
    return Manifest(
        run_id=context.run_id,
        prev_run_id=about.prev_run_id,
        audience=about.audience,
        mode=about.mode,
        resync=about.resync,
        destination=files.preset.name,
        file_format=files.file_format,
        delimiter=files.delimiter,
        as_of=moment(about.as_of),
        created_at=moment(about.created_at),
        expires_at=moment(about.expires_at),
        purpose=about.purpose,
        channel=context.channel,
        experiment=about.experiment,
        counts=counts,
        reasons=dict(sorted(outgoing.reasons.items())),
        columns={op: column_facts(files.columns(op)) for op in get_args(Op)},
        envelope=files.envelope,
        files=(),
        cut=tuple(files.cut),
        content_sha256=files.content.hexdigest(),
        members_sha256=members_digest(outgoing.change.now),
        policy_version=about.policy_version,
        model_version=about.model_version,
        approved_by=about.approved_by,
    )


def members_digest(rows: pa.Table) -> str:
    """Return the SHA-256 over the ids of rows, one a line in their order."""
    return hashlib.sha256(text.joined(rows[members.ID], "\n")).hexdigest()


def schema_text(manifest: Manifest) -> bytes:
    """Return the JSON Schema (2020-12) of the rows of each op."""

    def row(columns: Any) -> dict[str, Any]:
        properties = {
            one.name: {
                "type": [_JSON_TYPES[one.type], "null"] if one.nullable else _JSON_TYPES[one.type],
                "description": one.meaning,
                "x-pii": one.pii,
            }
            for one in columns
        }
        return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}

    told = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{manifest.audience.id} for {manifest.destination}",
        "description": "One row of the files of each folder.",
        "$defs": {op: row(manifest.columns[op]) for op in OPS},
    }
    return (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode()
