"""Prove that an audience's bundle is whole, adds up, is what was signed, or name the first thing that is not.

It needs the folder alone: no database, no workspace. With the bank's public key it also proves whose it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.json as pj
import pyarrow.parquet as pq
from pydantic import ValidationError

from engine.domain.errors import CheckFailed
from engine.exports import csv_dialects as text
from engine.exports.audience_bundle import SCHEMA, schema_text
from engine.exports.audience_files import KINDS, begin_op
from engine.exports.audience_manifest import CONTRACT, EXCLUSIONS, OPS, FileFacts, Manifest, Op
from engine.exports.manifest import MANIFEST, SUCCESS
from engine.lake.files import file_digest

REVOKED: Final = "_REVOKED"
"""The file in the folder of a bundle that was taken back; what it says is for people."""

_REMEDY: Final = "The bundle is not what was exported. Do not load it; ask for it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceReport:
    """What was checked in a whole bundle.

    content_checked is false for the spreadsheet CSV, whose apostrophes cannot be told from the text's. signed_by is the
    id of the key of a signature that holds, None for a bundle without one.
    """

    manifest: Manifest
    files: int
    rows: int
    content_checked: bool
    signed_by: str | None


def is_of_audience(folder: Path) -> bool:
    """Whether a folder says that it is an audience's bundle; whether it is a whole one is for `verify`."""
    try:
        told = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.get("contract") == CONTRACT


def verify(folder: Path, public_key: str | None = None) -> AudienceReport:
    """Check every file, row, count and the signature of a bundle against its manifest.

    public_key : the bank's key as manifests name it; the bundle must then be signed, and by that key.

    Raises
    ------
    CheckFailed
        The bundle is not complete, not what it was, or not signed by that key; the sentence names the first difference.
    """
    manifest = read_manifest(folder)
    signed_by = manifest.signed_by(public_key)
    _check_counts(manifest)
    _check_names(folder, manifest)
    for facts in manifest.files:
        _check_file(folder, facts)
    _equal(f"{SCHEMA}: content", (folder / SCHEMA).read_bytes(), schema_text(manifest))
    rows, digest = 0, hashlib.sha256()
    for op in OPS:
        begin_op(digest, op)
        for facts in manifest.files:
            if facts.op == op:
                rows += _check_part(folder, op, facts, manifest, digest)
    exact = manifest.file_format != "csv_spreadsheet"
    if exact:
        _equal("content_sha256", digest.hexdigest(), manifest.content_sha256)
    return AudienceReport(
        manifest=manifest, files=len(manifest.files), rows=rows, content_checked=exact, signed_by=signed_by
    )


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a finished bundle; raises CheckFailed when it is not finished or not of this contract."""
    success, path = folder / SUCCESS, folder / MANIFEST
    if (folder / REVOKED).is_file():
        raise CheckFailed(f"{folder.name}: the bundle was taken back. Load nothing of it; {REVOKED} says who did.")
    if not success.is_file() or not path.is_file():
        raise CheckFailed(f"{folder.name}: no {SUCCESS} or no {MANIFEST}: the bundle was never finished. Export again.")
    _equal(f"sha256 of {MANIFEST}", file_digest(path).encode(), success.read_bytes())
    manifest = manifest_of(folder)
    # one spelling only: what is signed is read from the values, so a second spelling would be signed as well
    _equal(f"{MANIFEST}: spelling", path.read_bytes(), manifest.text().encode())
    return manifest


def manifest_of(folder: Path) -> Manifest:
    """Return what a folder's manifest says, whether or not the bundle may be loaded; raises CheckFailed, OSError."""
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as fault:
        where = ".".join(str(part) for part in fault.errors()[0]["loc"])
        raise CheckFailed(f"{MANIFEST}: {where}: {fault.errors()[0]['msg']}. {_REMEDY}") from None
    return manifest


def _check_counts(manifest: Manifest) -> None:
    counts = manifest.counts
    for fault in counts.faults():
        raise CheckFailed(f"counts: {fault}. {_REMEDY}")
    excluded = sum(getattr(counts, name) for name in EXCLUSIONS)
    _equal("counts: reasons", sum(manifest.reasons.values()), excluded)
    if manifest.mode != "delta":
        _equal("counts.unchanged", counts.unchanged, 0)
    expected = {"suppress": counts.to_suppress, "remove": counts.removed, "add": counts.added + counts.updated}
    for op, rows in expected.items():
        listed = sum(facts.rows for facts in manifest.files if facts.op == op)
        _equal(f"rows of the files of {op}", listed, rows)


def _check_names(folder: Path, manifest: Manifest) -> None:
    listed = [facts.path for facts in manifest.files] + [MANIFEST, SUCCESS]
    _equal("files listed once", len(set(listed)), len(listed))
    there = list(folder.rglob("*"))
    links = sorted(path.relative_to(folder).as_posix() for path in there if path.is_symlink())
    if links:
        raise CheckFailed(f"{links[0]}: is a link. A bundle holds files alone. {_REMEDY}")
    found = {path.relative_to(folder).as_posix() for path in there if path.is_file()}
    for name in sorted(set(listed) - found):
        raise CheckFailed(f"{name}: listed in {MANIFEST} but not there. {_REMEDY}")
    for name in sorted(found - set(listed)):
        raise CheckFailed(f"{name}: there but not listed in {MANIFEST}. Take it out, or ask for the bundle again.")
    if SCHEMA not in found:
        raise CheckFailed(f"{SCHEMA}: missing. {_REMEDY}")


def _check_file(folder: Path, facts: FileFacts) -> None:
    path = folder / facts.path
    _equal(f"{facts.path}: bytes", path.stat().st_size, facts.bytes)
    _equal(f"{facts.path}: sha256", file_digest(path), facts.sha256)


def _check_part(folder: Path, op: Op, facts: FileFacts, manifest: Manifest, digest: Any) -> int:
    schema = pa.schema([pa.field(one.name, KINDS[one.type]) for one in manifest.columns[op]])
    try:
        rows = _READERS[facts.format](folder / facts.path, schema, manifest)
    except (pa.ArrowException, ValueError, KeyError, TypeError):
        raise CheckFailed(f"{facts.path}: its rows are not of the columns that {MANIFEST} names. {_REMEDY}") from None
    _equal(f"{facts.path}: rows", rows.num_rows, facts.rows)
    digest.update(text.json_lines(text.clean(rows)))
    return int(rows.num_rows)


def _csv(path: Path, schema: pa.Schema, manifest: Manifest) -> pa.Table:
    read = pv.read_csv(
        path,
        parse_options=pv.ParseOptions(delimiter=manifest.delimiter),
        convert_options=pv.ConvertOptions(
            column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    return _as(read, schema)


def _jsonl(path: Path, schema: pa.Schema, _: Manifest) -> pa.Table:
    options = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    read = pj.read_json(path, parse_options=options, read_options=pj.ReadOptions(block_size=64 << 20))
    return _as(read, schema)


def _parquet(path: Path, schema: pa.Schema, _: Manifest) -> pa.Table:
    return _as(pq.read_table(path), schema)


def _api(path: Path, schema: pa.Schema, manifest: Manifest) -> pa.Table:
    if manifest.envelope is None:
        raise ValueError("no envelope")
    return manifest.envelope.read(path.read_bytes(), schema)


def _as(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    if rows.column_names != schema.names:
        raise ValueError("other columns")
    return rows.cast(schema)


_READERS: Final[dict[str, Callable[[Path, pa.Schema, Manifest], pa.Table]]] = {
    "csv": _csv,
    "csv_spreadsheet": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "api": _api,
}


def _equal(what: str, found: object, expected: object) -> None:
    if found != expected:
        told = "" if isinstance(found, bytes) else f" found {found}, expected {expected}."
        raise CheckFailed(f"{what}:{told or ' differs.'} {_REMEDY}")
