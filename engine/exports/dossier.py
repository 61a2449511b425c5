"""Papers that are handed over: a few files with a manifest of their checksums, signed with the bank's key."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.domain.errors import CheckFailed, UnreadableSource
from engine.exports.signed import Signed
from engine.exports.signing import SigningKey
from engine.lake.files import write_synced

MANIFEST: Final = "manifest.json"
_MOST_BYTES: Final = 2 * 1024**3  # of a packed file that is looked into; more is none of ours
Kind = Literal["audit_report", "subject_access"]
Files = Mapping[str, bytes]


class Paper(BaseModel):
    """One file of a dossier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    bytes: int
    sha256: str


class Dossier(Signed):
    """What a dossier is, who had it made and why, and its files."""

    schema_version: Literal[1] = 1
    kind: Kind
    made_at: datetime
    made_by: str
    reason: str
    audit_entries: int
    audit_head: str
    files: tuple[Paper, ...]


def bound(files: Files, dossier: Dossier, key: SigningKey | None) -> Files:
    """Return the files with their manifest; `dossier` says all of it but which files there are."""
    papers = tuple(
        Paper(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in sorted(files.items())
    )
    whole = dossier.model_copy(update={"files": papers}).signed(key)
    return {**files, MANIFEST: whole.text().encode()}


def packed(files: Files) -> bytes:
    """Return the files as one ZIP; the same files give the same bytes."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return held.getvalue()


def written(files: Files, folder: Path) -> None:
    """Write the files into a new folder that nobody but its owner can read, the manifest last."""
    folder.mkdir(parents=True, mode=0o700)
    for name in sorted(files, key=lambda one: one == MANIFEST):
        write_synced(folder / name, files[name])
        (folder / name).chmod(0o600)


def verified(place: Path, public_key: str | None = None) -> Dossier:
    """Return the manifest of a folder or ZIP after checking every file of it and the signature.

    Raises
    ------
    CheckFailed
        It is not whole, not what was made, or not signed by that key; the sentence names the first difference.
    UnreadableSource
        It is no dossier.
    """
    files = _read(place)
    try:
        found = Dossier.model_validate_json(files.pop(MANIFEST))
    except (KeyError, ValidationError):
        remedy = "Give the folder or ZIP that `wayline audit report` or `wayline audit subject` made."
        raise UnreadableSource(place.name, "has no manifest of a report", remedy) from None
    found.signed_by(public_key)
    listed = {one.name: one for one in found.files}
    for name in sorted({*listed, *files}):
        if name not in files or name not in listed:
            raise CheckFailed(f"{name}: it is {'missing' if name not in files else 'none of the files listed'}.")
        if hashlib.sha256(files[name]).hexdigest() != listed[name].sha256:
            raise CheckFailed(f"{name}: it is not what was written. Ask for it again.")
    return found


def _read(place: Path) -> dict[str, bytes]:
    if place.is_dir():
        return {one.name: one.read_bytes() for one in place.iterdir() if one.is_file()}
    try:
        with zipfile.ZipFile(place) as archive:
            if sum(one.file_size for one in archive.infolist()) > _MOST_BYTES:
                raise zipfile.BadZipFile
            return {one.filename: archive.read(one) for one in archive.infolist()}
    except (OSError, zipfile.BadZipFile):
        raise UnreadableSource(place.name, "is neither a folder nor a ZIP", "Check the path.") from None
