"""A default model as a folder: written beside its place and renamed, so that it is there whole or not at all.

`manifest.json` holds the checksum of every other file, and `_SUCCESS`, written last, that of the manifest. No file
holds a time or a place, so that the same model gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.domain.errors import CheckFailed, RefusedByPolicy, UnreadableSource
from engine.lake.files import replace_folder, write_synced

FORMAT: Final = "wayline risk model folder"
VERSION: Final = 1
MANIFEST: Final = "manifest.json"
SUCCESS: Final = "_SUCCESS"
MODEL: Final = "model.json"

_REMEDY: Final = "Take the folder as it was written, or fit the model again with `wayline risk fit FILE --out DIR`."
_MOST_BYTES: Final = 512 << 20


def write(destination: Path, files: Mapping[str, str]) -> None:
    """Write the files of a model as a folder; an older model of that name gives way once the new one is whole.

    Raises
    ------
    RefusedByPolicy
        There is something else of that name, which is not ours to remove.
    """
    refuse_taken(destination)
    building = destination.with_name(f"_building-{destination.name}")
    if building.exists():
        shutil.rmtree(building)
    building.mkdir(parents=True)
    try:
        sums = {}
        for name, text in files.items():
            content = text.encode()
            write_synced(building / name, content)
            sums[name] = hashlib.sha256(content).hexdigest()
        manifest = as_json({"format": FORMAT, "version": VERSION, "sha256": sums}).encode()
        write_synced(building / MANIFEST, manifest)
        write_synced(building / SUCCESS, hashlib.sha256(manifest).hexdigest().encode())
        replace_folder(building, destination)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def refuse_taken(destination: Path) -> None:
    """Raise RefusedByPolicy where something else than a model has the name that a model is to be written to."""
    if destination.exists() and not _may_replace(destination):
        raise RefusedByPolicy(
            f"{destination} holds something else than a model and is not replaced. Name a new folder, or an older "
            "model."
        )


def read(folder: Path) -> tuple[dict[str, Any], str]:
    """Return the content of a folder's model.json and its checksum, once every file is what the manifest says.

    Raises
    ------
    UnreadableSource
        No such folder, no model, half written, or of another version.
    CheckFailed
        A file was changed after it was written.
    """
    if not folder.is_dir():
        raise UnreadableSource(str(folder), "no such folder", "Name the folder that `wayline risk fit --out` wrote.")
    if not (folder / SUCCESS).is_file() or not (folder / MANIFEST).is_file():
        raise UnreadableSource(folder.name, "holds no model, or half of one", _REMEDY)
    manifest = (folder / MANIFEST).read_bytes()
    if hashlib.sha256(manifest).hexdigest() != (folder / SUCCESS).read_text(encoding="utf-8", errors="replace").strip():
        raise CheckFailed(f"{folder.name}/{MANIFEST} was changed after it was written. {_REMEDY}")
    told = _parsed(manifest, f"{folder.name}/{MANIFEST}")
    if told.get("format") != FORMAT:
        raise UnreadableSource(folder.name, "holds no default model", _REMEDY)
    if told.get("version") != VERSION:
        problem = f"its model is of version {told.get('version')!r}, and version {VERSION} can be read"
        raise UnreadableSource(folder.name, problem, "Read it with the Wayline that wrote it, or fit the model again.")
    for name, expected in told["sha256"].items():
        _check(folder, name, expected)
    return _parsed((folder / MODEL).read_bytes(), f"{folder.name}/{MODEL}"), str(told["sha256"][MODEL])


def as_json(value: Any) -> str:
    """Return a value as JSON text, the same text for the same value."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _may_replace(destination: Path) -> bool:
    if not destination.is_dir() or not any(destination.iterdir()):
        return destination.is_dir()
    try:
        return json.loads((destination / MANIFEST).read_bytes()).get("format") == FORMAT  # type: ignore[no-any-return]
    except (OSError, ValueError, AttributeError):
        return False


def _check(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if "/" in name or not path.is_file():
        raise CheckFailed(f"{folder.name}/{name} is missing from the model. {_REMEDY}")
    if path.stat().st_size > _MOST_BYTES or hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise CheckFailed(f"{folder.name}/{name} was changed after it was written. {_REMEDY}")


def _parsed(content: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        raise UnreadableSource(name, "is no JSON", _REMEDY) from None
    if not isinstance(found, dict):
        raise UnreadableSource(name, "holds no JSON object", _REMEDY)
    return found
