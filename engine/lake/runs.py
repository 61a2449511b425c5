"""Runs: immutable, complete or not there at all.

A run is built under `runs/_building-<run_id>`, its manifest is written, then `_SUCCESS`, then the folder is renamed.
Whatever a killed run leaves behind still has the building name, so that nothing reads it, and the next run sweeps it.
"""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from engine.domain.errors import MartMissing, RunMissing
from engine.lake.engine import Engine
from engine.lake.files import ROW_GROUP_ROWS, file_digest, write_synced
from engine.lake.workspace import Workspace

SUCCESS = "_SUCCESS"
MANIFEST = "manifest.json"
CURRENT = "CURRENT"
_BUILDING = "_building-"


class _InGroups(pq.ParquetWriter):  # type: ignore[misc]  # pyarrow has no types
    """Writes groups of ROW_GROUP_ROWS; Arrow's own are of a million rows, each unpacked whole for one of them."""

    def write_table(self, table: pa.Table, row_group_size: int | None = ROW_GROUP_ROWS) -> None:
        super().write_table(table, row_group_size)


@dataclass(frozen=True, slots=True)
class Run:
    """A completed run: its manifest and the tables it wrote."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def run_id(self) -> str:
        """The run's id: the date it looks from and a hash of all that went in."""
        return str(self.manifest["run_id"])

    @property
    def as_of(self) -> datetime:
        """The instant the run looks from, aware."""
        return datetime.fromisoformat(self.manifest["as_of"])

    def has(self, mart: str) -> bool:
        """Whether the run wrote that table."""
        return mart in self.manifest["marts"]

    def path(self, mart: str) -> Path:
        """The folder of a table of the run."""
        return self.folder / mart

    def text(self, name: str) -> str:
        """Return a text that the run kept beside its tables; raises FileNotFoundError when it kept none."""
        return (self.folder / name).read_text(encoding="utf-8")

    def require(self, mart: str) -> Path:
        """Return the folder of a table; raises MartMissing with the reason why its stage was skipped."""
        if self.has(mart):
            return self.path(mart)
        for stage in self.manifest["stages"]:
            if stage["status"] == "skipped" and mart in stage["marts"]:
                raise MartMissing(self.run_id, mart, stage["reason"])
            if mart in stage.get("absent", {}):
                raise MartMissing(self.run_id, mart, stage["absent"][mart])
        raise MartMissing(self.run_id, mart, "this version of Wayline did not make it; run `wayline run` again.")

    def read(
        self,
        mart: str,
        columns: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        limit: int | None = None,
        order_by: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return rows of a table of the run.

        `where` keeps rows whose column equals the value, or is one of the values of a list; row groups that cannot
        match are not read. Without `order_by` the rows come in the order of the table's key.

        Raises
        ------
        MartMissing
            The run has no such table.
        """
        condition = None
        for name, value in (where or {}).items():
            many = isinstance(value, (list, tuple, set, frozenset))
            one = ds.field(name).isin(sorted(value)) if many else ds.field(name) == value
            condition = one if condition is None else condition & one
        dataset = ds.dataset(self.require(mart), format="parquet", exclude_invalid_files=False)
        names = list(columns) if columns is not None else None
        if order_by is None:
            return (
                dataset.head(limit, columns=names, filter=condition)
                if limit is not None
                else dataset.to_table(columns=names, filter=condition)
            )
        rows = dataset.to_table(columns=names, filter=condition).sort_by([(name, "ascending") for name in order_by])
        return rows.slice(0, limit) if limit is not None else rows

    def stretch(self, mart: str, key: str, first: Any, last: Any, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of a table whose key lies between two values, both included, in the order of the table.

        Row groups that cannot match are not read. Raises MartMissing as `read` does.
        """
        dataset = ds.dataset(self.require(mart), format="parquet", exclude_invalid_files=False)
        within = (ds.field(key) >= first) & (ds.field(key) <= last)
        return dataset.to_table(columns=None if columns is None else list(columns), filter=within)


def list_runs(workspace: Workspace) -> list[Run]:
    """Return all completed runs, the newest made last."""
    if not workspace.runs.is_dir():
        return []
    folders = [folder for folder in workspace.runs.iterdir() if _is_complete(folder)]
    runs = [_read(folder) for folder in folders]
    return sorted(runs, key=lambda run: (run.manifest["finished_at"], run.run_id))


def latest_run(workspace: Workspace) -> Run:
    """Return the run that the workspace points at, else the newest; raises RunMissing when there is none."""
    pointer = workspace.runs / CURRENT
    if pointer.is_file():
        folder = workspace.runs / pointer.read_text(encoding="utf-8").strip()
        if _is_complete(folder):
            return _read(folder)
    runs = list_runs(workspace)
    if not runs:
        raise RunMissing(str(workspace.home))
    return runs[-1]


def open_run(workspace: Workspace, run_id: str | None = None) -> Run:
    """Return one run by its id, or the current one; raises RunMissing when it is not complete or not there."""
    if run_id is None:
        return latest_run(workspace)
    folder = workspace.runs / run_id
    if "/" in run_id or not _is_complete(folder):
        raise RunMissing(str(workspace.home), run_id)
    return _read(folder)


def _is_complete(folder: Path) -> bool:
    return not folder.name.startswith(_BUILDING) and (folder / SUCCESS).is_file()


def _read(folder: Path) -> Run:
    return Run(folder, json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


@dataclass(slots=True)
class RunBuilder:
    """A run in the making: stages are timed, tables written, and nothing is readable before `publish`."""

    workspace: Workspace
    run_id: str
    as_of: datetime
    facts: Mapping[str, Any]
    folder: Path = field(init=False)
    stages: list[dict[str, Any]] = field(default_factory=list)
    marts: dict[str, dict[str, Any]] = field(default_factory=dict)
    texts: dict[str, dict[str, Any]] = field(default_factory=dict)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.workspace.runs.mkdir(parents=True, exist_ok=True)
        for left in self.workspace.runs.glob(f"{_BUILDING}*"):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()
        self.folder = self.workspace.runs / f"{_BUILDING}{self.run_id}"
        self.folder.mkdir()

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Time one stage; the mapping yielded takes further facts such as notes for the manifest."""
        facts: dict[str, Any] = {"stage": name, "status": "done"}
        before, began = set(self.marts), time.perf_counter()
        yield facts
        facts["seconds"] = round(time.perf_counter() - began, 3)
        facts["peak_memory_mb"] = peak_memory_mb()
        facts["rows"] = {mart: self.marts[mart]["rows"] for mart in self.marts if mart not in before}
        self.stages.append(facts)

    def skip(self, name: str, marts: Sequence[str], reason: str) -> None:
        """Record that a stage could not be run, which tables are missing for it, and why."""
        self.stages.append({"stage": name, "status": "skipped", "marts": list(marts), "reason": reason})

    def write(self, mart: str, engine: Engine, expression: Any, *, order_by: Sequence[str]) -> None:
        """Write the rows of an expression as a table of the run."""
        self._note(mart, engine.write(expression, self.folder / mart, order_by=order_by))

    def write_rows(self, mart: str, rows: pa.Table) -> None:
        """Write rows, already in the order of the key, as a table of the run."""
        self.write_blocks(mart, rows.schema, [rows])

    def write_blocks(self, mart: str, schema: pa.Schema, blocks: Iterable[pa.Table]) -> None:
        """Write blocks of rows, one after the other in the order of the key, as a table of the run."""
        with self.writer(mart, schema) as writer:
            for block in blocks:
                writer.write_table(block)

    @contextmanager
    def writer(self, mart: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
        """Open a table of the run for blocks that come one at a time, several tables side by side."""
        folder = self.folder / mart
        folder.mkdir()
        path = folder / "part-00000.parquet"
        with _InGroups(path, schema, compression="zstd") as writer:
            yield writer
        self._note(mart, pq.read_metadata(path).num_rows)

    def write_text(self, name: str, text: str) -> None:
        """Keep a text beside the tables, such as a fitted model as JSON; `Run.text` returns it."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        self.texts[name] = _file_facts(self.folder, path)

    def _note(self, mart: str, rows: int) -> None:
        files = sorted((self.folder / mart).rglob("*.parquet"))
        self.marts[mart] = {"rows": rows, "files": [_file_facts(self.folder, path) for path in files]}

    def publish(self) -> Run:
        """Make the run readable at once; an older one of the same id gives way."""
        manifest = {
            "run_id": self.run_id,
            "as_of": self.as_of.isoformat(),
            "started_at": self.started_at.isoformat(),
            "finished_at": datetime.now(UTC).isoformat(),
            "peak_memory_mb": peak_memory_mb(),
            **self.facts,
            "stages": self.stages,
            "marts": self.marts,
            "texts": self.texts,
        }
        write_synced(self.folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode())
        write_synced(self.folder / SUCCESS, b"")
        final = self.workspace.runs / self.run_id
        if final.exists():
            # out of the way first, under a name that nothing reads: a kill in between leaves the older runs alone
            stale = self.workspace.runs / f"{_BUILDING}replaced-{self.run_id}"
            final.rename(stale)
            self.folder.rename(final)
            shutil.rmtree(stale)
        else:
            self.folder.rename(final)
        self._point_at(self.run_id)
        return Run(final, manifest)

    def _point_at(self, run_id: str) -> None:
        pointer = self.workspace.runs / f"{_BUILDING}pointer"
        write_synced(pointer, run_id.encode())
        pointer.replace(self.workspace.runs / CURRENT)

    def abandon(self) -> None:
        """Remove what was written; after a fault nothing of the run is left."""
        shutil.rmtree(self.folder, ignore_errors=True)


def run_id_of(as_of: datetime, facts: Mapping[str, Any]) -> str:
    """Return the id of a run: the date it looks from and the first 10 hex digits of the hash of all that goes in."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
    return f"{as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest[:10]}"


def folder_digest(folder: Path) -> str:
    """Return the sha256 over the names and contents of all files below a folder, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode())
            digest.update(file_digest(path).encode())
    return digest.hexdigest()


def peak_memory_mb() -> int:
    """Return the largest memory this process has held so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _file_facts(root: Path, path: Path) -> dict[str, Any]:
    return {"path": str(path.relative_to(root)), "bytes": path.stat().st_size, "sha256": file_digest(path)}
