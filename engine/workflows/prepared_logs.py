"""Prepared logs on disk: a folder of Arrow files that are mapped into memory, and a manifest that is written last.

A folder is written aside and renamed, so that it is there whole or not at all. The manifest says what the log was
prepared from; where that has changed since, the log is refused rather than answering for yesterday's file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AwareDatetime, ValidationError

from engine.config.load import Settings
from engine.domain.errors import RefusedByPolicy, UnreadableSource
from engine.lake.files import file_digest, write_synced
from journeys.histories import AT, Codes
from journeys.prepared import Prepared

MANIFEST: Final = "manifest.json"
FORMAT: Final = "wayline prepared log 2"
_BLOCK, _CUSTOMER = "block", "customer"
_REMEDY: Final = "Prepare it again with `wayline journey prepare FILE --into DIR`."


class SourceFile(Settings):
    """One file that a log was prepared from: where it lay and what tells it from another."""

    path: str
    size_bytes: int
    modified: float
    sha256: str


class BlockFile(Settings):
    """One file of a prepared log: what it holds, and how much of that counts; the rest lies in a later one since.

    `latest` is the time of its last event in microseconds since 1970.
    """

    path: str
    size_bytes: int
    rows: int
    latest: int
    events: int
    customers: int


class MovedFile(Settings):
    """The file that names the customers whose events lie in a later block: a row each, with block and number."""

    path: str
    size_bytes: int


class Manifest(Settings):
    """What a prepared log holds and what it was prepared from.

    `roles` are the names that the columns had. `left_out` counts, by reason, the rows that did not come in. `tied`
    events share customer and instant with another.
    """

    format: Literal["wayline prepared log 2"] = FORMAT
    sources: tuple[SourceFile, ...]
    roles: dict[str, str]
    zone: str | None
    as_of: AwareDatetime
    rows_read: int
    left_out: dict[str, int]
    tied: int
    blocks: tuple[BlockFile, ...]
    moved: MovedFile | None = None

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
    blocks = tuple(_mapped(folder, block) for block in manifest.blocks)
    latest = tuple(block.latest for block in manifest.blocks)
    prepared = Prepared(blocks=blocks, moved=_moved(folder, manifest), latest=latest)
    counted = tuple((len(block), prepared.events_of(place)) for place, block in enumerate(blocks))
    if counted != tuple((block.rows, block.events) for block in manifest.blocks):
        raise UnreadableSource(folder.name, "it does not hold what its manifest says", _REMEDY)
    return prepared, manifest


def _mapped(folder: Path, file: BlockFile | MovedFile) -> pa.Table:
    path = folder / file.path
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        raise UnreadableSource(folder.name, f"{file.path} is missing or was cut", _REMEDY)
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (pa.ArrowInvalid, OSError):
        raise UnreadableSource(folder.name, f"{file.path} is damaged", _REMEDY) from None


def _moved(folder: Path, manifest: Manifest) -> tuple[Codes, ...]:
    """Return of each block the numbers of the customers who have moved, nothing where nobody has from any."""
    if manifest.moved is None:
        return ()
    rows = _mapped(folder, manifest.moved)
    block, customer = (np.asarray(rows.column(name).combine_chunks()) for name in (_BLOCK, _CUSTOMER))
    bounds = np.searchsorted(block, np.arange(len(manifest.blocks) + 1))
    return tuple(customer[begin:end] for begin, end in pairwise(bounds.tolist()))


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
        written, tied = [], 0
        for place, block in enumerate(blocks):
            written.append(_written(aside, place, block))
            tied += Prepared(blocks=(block,)).tied
        manifest = Manifest(**told, tied=tied, blocks=tuple(written))
        write_synced(aside / MANIFEST, manifest.model_dump_json(indent=2).encode())
        _replaced(folder, aside)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return manifest


def extend(folder: Path, known: Prepared, log: Prepared, told: dict[str, Any]) -> Manifest:
    """Write what a batch has made of a prepared log beside it and return its new manifest; `told` as for `write`.

    Blocks of `log` that are blocks of `known`, as `read` returned it, stay as they lie. Until the last step, which
    replaces the manifest, the log is what it was; files that no manifest names are removed after.
    """
    before = manifest_of(folder)
    lies = {id(block): file for block, file in zip(known.blocks, before.blocks, strict=True)}
    number = 1 + max((_number(file.path) for file in before.blocks), default=-1)
    if before.moved is not None:
        number = max(number, 1 + _number(before.moved.path))
    written = []
    for place, block in enumerate(log.blocks):
        file = lies.get(id(block))
        if file is None:
            file, number = _written(folder, number, block), number + 1
        counts = {"events": log.events_of(place), "customers": log.customers_of(place)}
        written.append(file.model_copy(update=counts))
    moved = _written_moved(folder, number, log) if log.moved else None
    manifest = Manifest(**told, blocks=tuple(written), moved=moved)
    aside = folder / f".{MANIFEST}.new"
    write_synced(aside, manifest.model_dump_json(indent=2).encode())
    aside.replace(folder / MANIFEST)
    named = {file.path for file in manifest.blocks} | ({moved.path} if moved else set())
    for path in (*folder.glob("block-*.arrow"), *folder.glob("moved-*.arrow")):
        if path.name not in named:
            path.unlink()
    return manifest


def _number(name: str) -> int:
    return int(Path(name).stem.rpartition("-")[2])


def _written(folder: Path, number: int, block: pa.Table) -> BlockFile:
    path = folder / f"block-{number:05d}.arrow"
    latest = pc.max(block.column(AT).cast(pa.int64())).as_py()
    return BlockFile(
        path=path.name,
        size_bytes=_stored(path, block),
        rows=len(block),
        latest=0 if latest is None else latest,
        events=len(block),
        customers=Prepared(blocks=(block,)).n_customers,
    )


def _written_moved(folder: Path, number: int, log: Prepared) -> MovedFile:
    path = folder / f"moved-{number:05d}.arrow"
    place = np.repeat(np.arange(len(log.moved), dtype=np.int32), [len(moved) for moved in log.moved])
    size = _stored(path, pa.table({_BLOCK: place, _CUSTOMER: np.concatenate(log.moved)}))
    return MovedFile(path=path.name, size_bytes=size)


def _stored(path: Path, rows: pa.Table) -> int:
    """Write rows to a file, to the disk, and return its size in bytes."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
    return path.stat().st_size


def _replaced(folder: Path, aside: Path) -> None:
    old = aside.with_suffix(".old")
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
