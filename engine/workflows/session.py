"""What every workflow begins with: the workspace, its settings, an engine over its tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from engine.config.load import Values, load
from engine.config.runtime import RuntimeSettings
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


def workspace_at(home: Path) -> Workspace:
    """Return the workspace at a path, made absolute so that a change of directory does not move it."""
    return Workspace(home.expanduser().resolve())


def database_url(workspace: Workspace) -> str:
    """Return the address of the operational database: WAYLINE_DATABASE_URL, else SQLite in the workspace."""
    return os.environ.get("WAYLINE_DATABASE_URL") or f"sqlite:///{workspace.home / 'wayline.db'}"
