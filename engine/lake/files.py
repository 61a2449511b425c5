"""Files that must be what they say they are: checksums, and writes that have reached the disk."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


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
