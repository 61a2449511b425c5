"""Prepared logs on disk: a folder of Arrow files that are mapped into memory, and a manifest that is written last.

A folder is written aside and renamed, so that it is there whole or not at all. The manifest says what the log was
prepared from; where that has changed since, the log is refused rather than answering for yesterday's file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
from pydantic import AwareDatetime, ValidationError

from engine.config.load import Settings
from engine.domain.errors import RefusedByPolicy, UnreadableSource
from engine.lake.files import file_digest, write_synced
from journeys.prepared import Prepared

MANIFEST: Final = "manifest.json"
FORMAT: Final = "wayline prepared log 1"
_REMEDY: Final = "Prepare it again with `wayline journey prepare FILE --into DIR`."


class SourceFile(Settings):
    """One file that a log was prepared from: where it lay and what tells it from another."""

    path: str
    size_bytes: int
    modified: float
    sha256: str


class BlockFile(Settings):
    """One file of a prepared log."""

    path: str
    size_bytes: int
    events: int
    customers: int


class Manifest(Settings):
    """What a prepared log holds and what it was prepared from.

    `roles` are the names that the columns had. `left_out` counts, by reason, the rows that did not come in.
    """

    format: Literal["wayline prepared log 1"] = FORMAT
    sources: tuple[SourceFile, ...]
    roles: dict[str, str]
    zone: str | None
    as_of: AwareDatetime
    rows_read: int
    left_out: dict[str, int]
    blocks: tuple[BlockFile, ...]

    @property
    def events(self) -> int:
        """How many events the log holds."""
        return sum(block.events for block in self.blocks)

    @property
    def customers(self) -> int:
        """How many customers the log holds."""
        return sum(block.customers for block in self.blocks)


def is_prepared(path: Path) -> bool:
    """Say whether a path is a folder that calls itself a prepared log, or the half of one."""
    return path.is_dir() and ((path / MANIFEST).is_file() or any(path.glob("block-*.arrow")))


def sources(path: Path) -> tuple[SourceFile, ...]:
    """Return what tells the files of a source from others, or from themselves once they have changed."""
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    return tuple(
        SourceFile(
            path=str(file.resolve()),
            size_bytes=file.stat().st_size,
            modified=file.stat().st_mtime,
            sha256=file_digest(file),
        )
        for file in files
    )


def read(folder: Path) -> tuple[Prepared, Manifest]:
    """Map a prepared log into memory.

    Raises
    ------
    UnreadableSource
        Half written, damaged, of another version, or older than the files that it was prepared from.
    """
    manifest = manifest_of(folder)
    for source in manifest.sources:
        _refuse_changed(folder, source)
    blocks = []
    for block in manifest.blocks:
        path = folder / block.path
        if not path.is_file() or path.stat().st_size != block.size_bytes:
            raise UnreadableSource(folder.name, f"{block.path} is missing or was cut", _REMEDY)
        try:
            blocks.append(pa.ipc.open_file(pa.memory_map(str(path))).read_all())
        except (pa.ArrowInvalid, OSError):
            raise UnreadableSource(folder.name, f"{block.path} is damaged", _REMEDY) from None
    prepared = Prepared(blocks=tuple(blocks))
    if prepared.n_events != manifest.events:
        raise UnreadableSource(folder.name, "it does not hold what its manifest says", _REMEDY)
    return prepared, manifest


def manifest_of(folder: Path) -> Manifest:
    """Return the manifest of a prepared log; raises UnreadableSource where it is none, or half of one."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UnreadableSource(folder.name, "has no manifest, so it was not written to the end", _REMEDY)
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError:
        raise UnreadableSource(
            folder.name, f"its manifest is not that of a {FORMAT}", "It was made by something else. " + _REMEDY
        ) from None


def _refuse_changed(folder: Path, source: SourceFile) -> None:
    """Raise when a source lies there with another content; one that was moved away since says nothing."""
    path = Path(source.path)
    if not path.is_file():
        return
    now = path.stat()
    if now.st_size == source.size_bytes and (now.st_mtime == source.modified or file_digest(path) == source.sha256):
        return
    problem = f"was prepared from {path.name} as it was before: that file has changed since"
    raise UnreadableSource(folder.name, problem, _REMEDY)


def write(folder: Path, blocks: Iterable[pa.Table], told: dict[str, Any]) -> Manifest:
    """Write a prepared log block by block and return its manifest; `told` is what that says beside the blocks.

    Raises
    ------
    RefusedByPolicy
        The folder is there and is no prepared log: nothing of anybody else's is replaced.
    """
    if folder.exists() and not is_prepared(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise RefusedByPolicy(f"{folder} is there and is no prepared log. Name a new folder with --into.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    aside.mkdir()
    try:
        written = tuple(_written(aside, place, block) for place, block in enumerate(blocks))
        manifest = Manifest(**told, blocks=written)
        write_synced(aside / MANIFEST, manifest.model_dump_json(indent=2).encode())
        _replaced(folder, aside)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return manifest


def _written(aside: Path, place: int, block: pa.Table) -> BlockFile:
    path = aside / f"block-{place:05d}.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, block.schema) as writer:
        writer.write_table(block)
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
    customers = Prepared(blocks=(block,)).n_customers
    return BlockFile(path=path.name, size_bytes=path.stat().st_size, events=len(block), customers=customers)


def _replaced(folder: Path, aside: Path) -> None:
    old = aside.with_suffix(".old")
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
