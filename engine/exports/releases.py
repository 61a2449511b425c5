"""What may be pulled of a run: rows in the order of their key, pinned, complete or not there at all.

A release is a folder with `rows.parquet`, `manifest.json` and, last, `_SUCCESS`. It never changes once it is there, so
that pages of it read days apart fit together. `content_sha256` is over the rows as JSON lines, as `json_lines` writes
them: whoever pulls all pages as lines, with all fields, can compute it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from engine.exports import csv_dialects as text
from engine.exports.manifest import MANIFEST, SUCCESS
from engine.lake.files import write_synced

ROWS: Final = "rows.parquet"
ID: Final = "external_id"
CHANNEL: Final = "channel"
GROUP_ROWS: Final = 10_000  # rows that are read together: a page is in one group or two
_BUILDING: Final = "_building-"
_GROUPS_KEPT: Final = 12  # groups of rows held in memory as text, some 5 MB each


@dataclass(frozen=True, slots=True)
class Release:
    """A release: its folder and what its manifest says."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the release is called among those of its kind."""
        return str(self.manifest["snapshot"])

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.manifest["rows"])

    @property
    def made_at(self) -> datetime:
        """When it was made, aware."""
        return datetime.fromisoformat(self.manifest["made_at"])

    @property
    def path(self) -> Path:
        """The file of the rows."""
        return self.folder / ROWS

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows, all of them."""
        return pq.read_table(self.path, columns=list(columns) if columns is not None else None)


def write(folder: Path, rows: pa.Table, facts: Mapping[str, Any]) -> Release:
    """Write rows, sorted by their key, as a release, and return it; one that is there already stays as it is.

    Every row has external_id and channel. `facts` join the manifest, which adds rows, columns and content_sha256.
    """
    if (found := read(folder)) is not None:
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = folder.with_name(f"{_BUILDING}{os.getpid()}-{threading.get_ident()}-{folder.name}")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        content, cleaned = hashlib.sha256(), text.clean(rows)
        with pq.ParquetWriter(building / ROWS, cleaned.schema, compression="zstd") as writer:
            for start in range(0, cleaned.num_rows, GROUP_ROWS):
                some = cleaned.slice(start, GROUP_ROWS)
                content.update(text.json_lines(some))
                writer.write_table(some, row_group_size=GROUP_ROWS)
        manifest = {**facts, "rows": rows.num_rows, "fields": rows.column_names, "content_sha256": content.hexdigest()}
        write_synced(building / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode())
        write_synced(building / SUCCESS, b"")
        try:
            building.rename(folder)
        except OSError:
            if (found := read(folder)) is not None:  # somebody else was first, with the same rows
                return found
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Release(folder, manifest)


def read(folder: Path) -> Release | None:
    """Return the release in a folder, None where there is none."""
    if folder.name.startswith(_BUILDING) or not (folder / SUCCESS).is_file():
        return None
    return Release(folder, json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


def every(home: Path) -> list[Release]:
    """Return the releases in a folder, the one made first first."""
    if not home.is_dir():
        return []
    found = [one for folder in home.iterdir() if (one := read(folder)) is not None]
    return sorted(found, key=lambda one: (one.made_at, one.name))


def tidy(home: Path, moment: datetime) -> None:
    """Remove the releases in a folder that were made before an instant, and what a killed maker left behind.

    The caller is the only one who makes releases in that folder meanwhile.
    """
    for left in home.glob(f"{_BUILDING}*"):
        shutil.rmtree(left, ignore_errors=True)
    for one in every(home):
        if one.made_at < moment:
            (one.folder / SUCCESS).unlink()  # nobody opens it from here on
            shutil.rmtree(one.folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Lines:
    """Some rows in their order: whom each is about, for which channel, and as a JSON object of the fields asked for."""

    ids: pa.Array
    channels: pa.Array
    objects: pa.Array

    def slice(self, start: int, count: int) -> Lines:
        """Return some of the rows."""
        return Lines(*(one.slice(start, count) for one in (self.ids, self.channels, self.objects)))

    @classmethod
    def joined(cls, parts: Sequence[Lines]) -> Lines:
        """Return the rows of all parts, one after the other."""
        if len(parts) == 1:
            return parts[0]
        nobody = pa.array([], pa.string())
        columns = ([one.ids for one in parts], [one.channels for one in parts], [one.objects for one in parts])
        return cls(*(pa.concat_arrays(column) if column else nobody for column in columns))


@dataclass(slots=True)
class Reader:
    """Reads pages of releases; groups of rows that were read last are kept, as the next page begins where one ended."""

    _groups: OrderedDict[tuple[Path, int, tuple[str, ...]], Lines] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lines(self, release: Release, fields: Sequence[str], start: int, count: int) -> Lines:
        """Return at most `count` rows from the place `start` on, fewer at the end."""
        end = min(start + count, release.rows)
        parts = []
        for group in range(start // GROUP_ROWS, -(-end // GROUP_ROWS)):
            first = max(start - group * GROUP_ROWS, 0)
            parts.append(self._group(release, group, tuple(fields)).slice(first, end - group * GROUP_ROWS - first))
        return Lines.joined(parts)

    def _group(self, release: Release, group: int, fields: tuple[str, ...]) -> Lines:
        place = (release.folder, group, fields)
        with self._lock:
            if place in self._groups:
                self._groups.move_to_end(place)
                return self._groups[place]
        with pq.ParquetFile(release.path) as file:
            rows = file.read_row_group(group, columns=sorted({ID, CHANNEL, *fields})).combine_chunks()
        objects = text.json_objects(rows.select(list(fields)))
        made = Lines(_plain(rows[ID]), _plain(rows[CHANNEL]), _plain(objects))
        with self._lock:
            self._groups[place] = made
            while len(self._groups) > _GROUPS_KEPT:
                self._groups.popitem(last=False)
        return made


def _plain(column: Any) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
