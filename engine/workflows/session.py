"""What every workflow begins with: the workspace, its settings, an engine over its tables."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from engine.config.intake import IntakeSettings
from engine.config.load import Values, load
from engine.config.runtime import RuntimeSettings
from engine.domain.access import Role, Viewer
from engine.domain.errors import NotEnoughData
from engine.intake import report as intake_report
from engine.lake.engine import DuckDBEngine
from engine.lake.workspace import Workspace

Model = TypeVar("Model", bound=BaseModel)


def settings(workspace: Workspace, model: type[Model], section: str, flags: Values | None = None) -> Model:
    """Return a section's settings: shipped defaults, overridden by the workspace's wayline.toml, then by flags."""
    return load(model, section, workspace.settings_file, flags)


@contextmanager
def duckdb(workspace: Workspace) -> Iterator[DuckDBEngine]:
    """Open the embedded engine within the workspace's limits and close it again; its spill folder is emptied."""
    runtime = settings(workspace, RuntimeSettings, "runtime")
    spill = workspace.spill / "duckdb"
    with DuckDBEngine(runtime.memory_limit, runtime.threads, spill) as engine:
        yield engine


@contextmanager
def engine_aside(home: Path, spill: Path) -> Iterator[DuckDBEngine]:
    """Open the embedded engine with the workspace's limits, spilling elsewhere: the workspace is not touched."""
    runtime = settings(workspace_at(home), RuntimeSettings, "runtime")
    with DuckDBEngine(runtime.memory_limit, runtime.threads, spill) as engine:
        yield engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """What plain files are read with: an engine, the rules of intake, and a scratch folder that is removed after."""

    engine: DuckDBEngine
    rules: IntakeSettings
    scratch: Path

    def folder(self, name: str) -> Path:
        """Return a new folder in the scratch folder."""
        made = self.scratch / name
        made.mkdir()
        return made


@contextmanager
def files_aside(home: Path) -> Iterator[Aside]:
    """Open what plain files are read with, under the workspace's settings: the workspace is not touched."""
    with (
        tempfile.TemporaryDirectory(prefix="wayline-files-") as scratch,
        engine_aside(home, Path(scratch) / "engine") as engine,
    ):
        rules = settings(workspace_at(home), IntakeSettings, "intake")
        yield Aside(engine=engine, rules=rules, scratch=Path(scratch))


def workspace_at(home: Path) -> Workspace:
    """Return the workspace at a path, made absolute so that a change of directory does not move it."""
    return Workspace(home.expanduser().resolve())


def database_url(workspace: Workspace) -> str:
    """Return the address of the operational database: WAYLINE_DATABASE_URL, else SQLite in the workspace."""
    return os.environ.get("WAYLINE_DATABASE_URL") or f"sqlite:///{workspace.home / 'wayline.db'}"


def this_person() -> Viewer:
    """Return who uses the command line: it reads the files themselves, so whoever may use it may see everything."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a machine without a list of persons
        name = Role.OWNER.value
    return Viewer(name=name, role=Role.OWNER)


def has_register(workspace: Workspace) -> bool:
    """Whether there is an operational database to read; looking for one must not make one."""
    return bool(os.environ.get("WAYLINE_DATABASE_URL")) or (workspace.home / "wayline.db").is_file()


def end_of_extract(report: dict[str, Any]) -> datetime:
    """Return the instant up to which the tables that were loaded are complete, by the report of their intake.

    Raises
    ------
    NotEnoughData
        Nothing says which date to look from.
    """
    told = intake_report.IntakeReport.model_validate(report)
    if told.until is not None:
        return told.until
    latest = [table.last_at for table in told.tables if table.last_at is not None]
    if not latest:
        raise NotEnoughData("date to look from", "no table has a time", "--as-of, such as --as-of 2026-06-30")
    return max(latest)
