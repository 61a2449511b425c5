"""Prove that a bundle is whole and unchanged, or name the first thing that is not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
from pydantic import ValidationError

from engine.domain.errors import CheckFailed
from engine.exports import csv_dialects as text
from engine.exports.manifest import CONTRACT, MANIFEST, SCHEMA_VERSION, SUCCESS, FileFacts, Manifest
from engine.exports.rows import COLUMNS
from engine.lake.files import file_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What was checked in a whole bundle; `content_checked` is false where the format cannot be read back exactly."""

    manifest: Manifest
    files: int
    rows: int
    content_checked: bool
    signed_by: str | None


def verify(folder: Path, public_key: str | None = None) -> VerifyReport:
    """Check every file and every row of a bundle against its manifest.

    public_key : the bank's key as manifests name it; the bundle must then be signed, and by that key.

    A spreadsheet CSV is checked by its checksums and row counts only: its apostrophes cannot be told from the text's.

    Raises
    ------
    CheckFailed
        The bundle is not complete or not what it was; the sentence names the first difference.
    """
    manifest = read_manifest(folder)
    signed_by = manifest.signed_by(public_key)
    _check_counts(manifest)
    _check_names(folder, manifest)
    for facts in manifest.files:
        _check_file(folder, facts)
    digest, rows = hashlib.sha256(), 0
    for facts in manifest.files:
        if facts.op == "add":
            rows += _check_part(folder, facts, manifest, digest)
    _equal("rows in all parts", rows, manifest.counts.exported)
    exact = manifest.file_format != "csv_spreadsheet"
    if exact:
        _equal("content_sha256", digest.hexdigest(), manifest.content_sha256)
    return VerifyReport(
        manifest=manifest, files=len(manifest.files), rows=rows, content_checked=exact, signed_by=signed_by
    )


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a finished bundle; raises CheckFailed when it is not finished or not of this contract."""
    success, path = folder / SUCCESS, folder / MANIFEST
    if not success.is_file() or not path.is_file():
        raise CheckFailed(f"{folder.name}: no {SUCCESS} or no {MANIFEST}: the bundle was never finished. Export again.")
    _equal(f"sha256 of {MANIFEST}", file_digest(path), success.read_text(encoding="utf-8"))
    try:
        manifest = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as fault:
        where = ".".join(str(part) for part in fault.errors()[0]["loc"])
        raise CheckFailed(f"{MANIFEST}: {where}: {fault.errors()[0]['msg']}. Export again.") from None
    _equal("contract", manifest.contract, CONTRACT)
    _equal("schema_version", manifest.schema_version, SCHEMA_VERSION)
    _equal("columns", tuple(manifest.columns), tuple(column.facts() for column in COLUMNS))
    return manifest


def _check_counts(manifest: Manifest) -> None:
    counts = manifest.counts
    _equal("counts.selected", counts.selected, counts.withheld + counts.exported + counts.rejected)
    listed = sum(facts.rows for facts in manifest.files if facts.op == "add")
    _equal("rows of the files listed", listed, counts.exported)


def _check_names(folder: Path, manifest: Manifest) -> None:
    listed = {facts.path for facts in manifest.files} | {MANIFEST, SUCCESS}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for name in sorted(listed - found):
        raise CheckFailed(f"{name}: listed in {MANIFEST} but not there. Export again.")
    for name in sorted(found - listed):
        raise CheckFailed(f"{name}: there but not listed in {MANIFEST}. Take it out, or export again.")


def _check_file(folder: Path, facts: FileFacts) -> None:
    path = folder / facts.path
    _equal(f"{facts.path}: bytes", path.stat().st_size, facts.bytes)
    _equal(f"{facts.path}: sha256", file_digest(path), facts.sha256)


def _check_part(folder: Path, facts: FileFacts, manifest: Manifest, digest: Any) -> int:
    path = folder / facts.path
    if manifest.file_format == "jsonl":
        content = path.read_bytes()
        digest.update(content)
        rows = content.count(b"\n")
    else:
        table = _READERS[manifest.file_format](path, manifest)
        digest.update(text.json_lines(table))
        rows = table.num_rows
    _equal(f"{facts.path}: rows", rows, facts.rows)
    return rows


def _read_parquet(path: Path, _: Manifest) -> pa.Table:
    return pq.read_table(path)


def _read_csv(path: Path, manifest: Manifest) -> pa.Table:
    return pv.read_csv(
        path,
        parse_options=pv.ParseOptions(delimiter=manifest.delimiter),
        convert_options=pv.ConvertOptions(
            column_types={column.name: column.kind for column in COLUMNS},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


_READERS: Final[dict[str, Callable[[Path, Manifest], pa.Table]]] = {
    "parquet": _read_parquet,
    "csv": _read_csv,
    "csv_spreadsheet": _read_csv,
}


def _equal(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise CheckFailed(f"{what}: found {found}, expected {expected}. The bundle is not what was exported.")
