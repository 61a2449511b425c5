"""A whole bank, from simulation to offers: time and peak memory of every step, beside the scan of the same columns.

Every step runs in a process of its own, as on the command line, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from engine.domain.curated import CURATED
from engine.lake.engine import DuckDBEngine, identifier, parquet_scan
from engine.lake.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: seconds of wall, how many scans that is, peak memory of its process and its children in MiB."""

    step: str
    seconds: float
    scans: float | None
    peak_memory_mb: int | None


def run(customers: int, folder: Path) -> list[Step]:
    """Simulate, load and run a bank of that many customers under the folder, and return a row for each step."""
    home, source = folder / "workspace", folder / "simulated"
    simulated = _command(
        "simulate", "--customers", str(customers), "--seed", "1", "--workers", "2", "--out", str(source)
    )
    loaded = _command("init", "--from", str(source / "mapping.toml"), "--home", str(home))
    made = _command("run", "--home", str(home))
    exported = _command("export", "recommendations", "--home", str(home), "--format", "parquet")
    scan = scan_seconds(Workspace(home))
    rows = [
        Step(step="scan of every curated column", seconds=scan, scans=1.0, peak_memory_mb=None),
        _step("simulate", simulated, scan),
        _step("load", loaded, scan),
        _step("run", made, scan),
    ]
    rows += [
        Step(
            step=f"run: {stage['stage']}",
            seconds=stage["seconds"],
            scans=round(stage["seconds"] / scan, 1),
            peak_memory_mb=stage["peak_memory_mb"],
        )
        for stage in made.answer["stages"]
        if stage["status"] == "done"
    ]
    return [*rows, _step("export", exported, scan)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command took and what it answered."""

    seconds: float
    peak_memory_mb: int
    answer: dict


def _step(name: str, outcome: Outcome, scan: float) -> Step:
    return Step(
        step=name,
        seconds=outcome.seconds,
        scans=round(outcome.seconds / scan, 1),
        peak_memory_mb=outcome.peak_memory_mb,
    )


def scan_seconds(workspace: Workspace) -> float:
    """Return how long the engine takes to read every column of every curated table once, the better of two."""
    with DuckDBEngine(memory_limit="4GB") as engine:
        best = min(_scan(engine, workspace) for _ in range(2))
    return round(best, 3)


def _scan(engine: DuckDBEngine, workspace: Workspace) -> float:
    began = time.perf_counter()
    for name in workspace.curated_tables():
        # the largest value needs every value, and sums of text do not exist
        columns = ", ".join(f"max({identifier(column)})" for column in CURATED[name].names)
        engine.query(f"SELECT {columns} FROM {parquet_scan(workspace.curated(name))}")
    return time.perf_counter() - began


def _command(*arguments: str) -> Outcome:
    """Run a command and measure it, with the memory that it and its children hold together at their peak."""
    began, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as messages:
        running = subprocess.Popen(
            [sys.executable, "-m", "engine.cli.main", *arguments, "--json"],
            stdout=output,
            stderr=messages,
            env={**os.environ, "NO_COLOR": "1"},
        )
        while running.poll() is None:
            peak = max(peak, _resident_kb(running.pid))
            time.sleep(0.1)
        seconds = round(time.perf_counter() - began, 2)
        output.seek(0)
        messages.seek(0)
        if running.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)}: {messages.read()}")
        return Outcome(seconds=seconds, peak_memory_mb=peak // 1024, answer=json.load(output))


def _resident_kb(process: int) -> int:
    """Return the memory that a process and all below it hold now, as Linux tells it; 0 once it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
        children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    except OSError:
        return 0
    own = sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return own + sum(_resident_kb(int(child)) for child in children)
