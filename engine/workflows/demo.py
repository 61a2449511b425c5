"""From nothing to a bank on the screen: simulate, load, run, and let colleagues have worked on it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from engine.domain.errors import RefusedByPolicy
from engine.workflows import demo_colleagues, load, run, session, simulate

Progress = Callable[[str, int, int], None]

SOURCE: Final = "simulated"
"""Folder of the workspace in which the simulated bank lies."""

MARK: Final = "demo.json"
"""File that says which simulated bank is loaded; whatever else is loaded is not a demo's to replace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """A demo workspace that is ready to be looked at."""

    home: Path
    run_id: str
    results: Path
    timings: dict[str, float]


def prepare(
    home: Path, customers: int, seed: int | None = None, progress: Progress | None = None, *, colleagues: bool = False
) -> DemoResult:
    """Simulate a bank into the workspace, load it and run everything; what is there already is not done again.

    With `colleagues`, two of them have kept audiences, handed one over and taken up cases, as anybody could.

    Raises
    ------
    RefusedByPolicy
        The workspace holds a bank's own data, which a demo must not replace.
    """
    workspace = session.workspace_at(home)
    source, mark = workspace.home / SOURCE, workspace.home / MARK
    if workspace.curated_tables() and not mark.exists():
        raise RefusedByPolicy(
            f"The workspace {workspace.home.name} holds data that is not a demo's. Name another with --home."
        )
    timings: dict[str, float] = {}
    wanted = {"customers": customers, "seed": seed, "version": version("wayline")}
    if not _is_loaded(mark, wanted):
        with _timed(timings, "simulate"):
            shutil.rmtree(source, ignore_errors=True)
            simulate.simulate(customers, seed, source, workers=min(2, os.cpu_count() or 1), progress=_part(progress))
        # before the load: a workspace in which it was killed is still the demo's
        workspace.home.mkdir(parents=True, exist_ok=True)
        mark.write_text("{}", encoding="utf-8")
        with _timed(timings, "load"):
            load.load(home, source / "mapping.toml", progress=progress)
        mark.write_text(json.dumps(wanted), encoding="utf-8")
    with _timed(timings, "run"):
        made = run.run(home, seed=seed, progress=progress)
    if colleagues:
        with _timed(timings, "colleagues"):
            demo_colleagues.furnish(home)
    return DemoResult(home=workspace.home, run_id=made.run_id, results=made.results, timings=timings)


def _is_loaded(mark: Path, wanted: dict[str, Any]) -> bool:
    return mark.exists() and bool(json.loads(mark.read_text(encoding="utf-8")) == wanted)


def _part(progress: Progress | None) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress("simulate", done, total)


@contextmanager
def _timed(timings: dict[str, float], step: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    timings[step] = round(time.perf_counter() - began, 3)
