"""Who belonged to an audience as a run saw the bank: snapshots, complete or not there at all.

A snapshot lies under `audiences/<audience>/<run_id>-v<version>`: sorted Parquet, a manifest and, last, `_SUCCESS`.
The same run, definition and data give the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from engine.domain.errors import UnknownName
from engine.lake.engine import Engine
from engine.lake.files import file_digest, replace_folder, write_synced
from engine.lake.workspace import Workspace

_MANIFEST: Final = "manifest.json"
_SUCCESS: Final = "_SUCCESS"
_BUILDING: Final = "_building-"
_MEMBERS: Final = "members"


@dataclass(frozen=True, slots=True)
class Membership:
    """One snapshot: its folder and what its manifest says."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def run_id(self) -> str:
        """The run whose tables decided."""
        return str(self.manifest["run_id"])

    @property
    def as_of(self) -> datetime:
        """The instant as of which the members are known, aware."""
        return datetime.fromisoformat(self.manifest["as_of"])

    @property
    def version(self) -> int:
        """The version of the audience's definition."""
        return int(self.manifest["version"])

    @property
    def size(self) -> int:
        """How many belong."""
        return int(self.manifest["members"])

    @property
    def rows(self) -> Path:
        """The folder of the members: customer_id, sorted."""
        return self.folder / _MEMBERS


def write(
    workspace: Workspace,
    engine: Engine,
    members: Any,
    *,
    audience: str,
    version: int,
    run_id: str,
    facts: Mapping[str, Any],
) -> Membership:
    """Write the members of an audience, an expression of customer_id; a snapshot of the same name gives way."""
    home = workspace.audiences / audience
    home.mkdir(parents=True, exist_ok=True)
    name = f"{run_id}-v{version}"
    building = home / f"{_BUILDING}{name}"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        size = engine.write(members, building / _MEMBERS, order_by=("customer_id",))
        part = next((building / _MEMBERS).glob("*.parquet"))
        manifest = {
            "audience": audience, "version": version, "run_id": run_id, "members": size, **facts,
            "sha256": file_digest(part),
        }  # fmt: skip
        write_synced(building / _MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode())
        write_synced(building / _SUCCESS, b"")
        replace_folder(building, home / name)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Membership(home / name, manifest)


def every(workspace: Workspace, audience: str) -> list[Membership]:
    """Return the snapshots of an audience, the oldest date first and then the lower version."""
    home = workspace.audiences / audience
    if not home.is_dir():
        return []
    found = [
        Membership(folder, json.loads((folder / _MANIFEST).read_text(encoding="utf-8")))
        for folder in home.iterdir()
        if not folder.name.startswith(_BUILDING) and (folder / _SUCCESS).is_file()
    ]
    return sorted(found, key=lambda one: (one.as_of, one.version, one.run_id))


def of_run(workspace: Workspace, audience: str, run_id: str) -> Membership:
    """Return the newest version's snapshot of a run.

    Raises
    ------
    UnknownName
        The audience was not built on that run.
    """
    snapshots = every(workspace, audience)
    own = [one for one in snapshots if one.run_id == run_id]
    if not own:
        raise UnknownName(f'run on which "{audience}" was built', run_id, sorted({one.run_id for one in snapshots}))
    return max(own, key=lambda one: one.version)
