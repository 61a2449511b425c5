"""Files that must be what they say they are: checksums, and writes that have reached the disk."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

ROW_GROUP_ROWS: Final = 30_720
"""Rows of a table that are read together: who asks for one customer of a million unpacks so many, not all of them.

A multiple of DuckDB's vector of 2,048 rows."""


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as it lies there, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_synced(path: Path, content: bytes) -> None:
    """Write a file and return only when it has reached the disk: what is written after it cannot be there before it."""
    with path.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def replace_folder(building: Path, destination: Path) -> None:
    """Give a whole folder its name; an older one of that name goes out of the way first, and is then removed."""
    if not destination.exists():
        building.rename(destination)
        return
    replaced = destination.with_name(f"_building-replaced-{destination.name}")
    if replaced.exists():
        shutil.rmtree(replaced)
    destination.rename(replaced)
    building.rename(destination)
    shutil.rmtree(replaced)
