"""Read the experiments of a run; numbers that a failed check withholds are computed only when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.config.experiments import Experiments
from engine.domain.errors import UnknownName
from engine.lake.runs import Run, open_run
from engine.workflows import session
from experiments import analysis


def listing(home: Path, run_id: str | None = None) -> list[dict[str, Any]]:
    """Return one row per experiment: its worst check and the verdict on each goal."""
    run = open_run(session.workspace_at(home), run_id)
    results = run.read("experiment_results").to_pylist()
    health = run.read("experiment_health").to_pylist()
    return [_overview(name, results, health) for name in dict.fromkeys(row["experiment_id"] for row in health)]


def report(home: Path, experiment_id: str, show_withheld: bool = False, run_id: str | None = None) -> dict[str, Any]:
    """Return the checks and results of one experiment.

    With `show_withheld` the numbers of an experiment that failed a check are computed and shown all the same; its
    failed check stays in the answer.

    Raises
    ------
    RunMissing, MartMissing
    UnknownName
        The run has no experiment of that id.
    """
    run = open_run(session.workspace_at(home), run_id)
    health = run.read("experiment_health").to_pylist()
    known = list(dict.fromkeys(row["experiment_id"] for row in health))
    if experiment_id not in known:
        raise UnknownName("experiment", experiment_id, known)
    results = _anyway(home, run, experiment_id) if show_withheld else run.read("experiment_results").to_pylist()
    return {
        "experiment_id": experiment_id,
        "run_id": run.run_id,
        "as_of": run.as_of,
        "health": [row for row in health if row["experiment_id"] == experiment_id],
        "results": [row for row in results if row["experiment_id"] == experiment_id],
    }


def _overview(name: str, results: list[dict[str, Any]], health: list[dict[str, Any]]) -> dict[str, Any]:
    severity = ("ok", "warning", "stop")
    statuses = [row["status"] for row in health if row["experiment_id"] == name]
    own = [row for row in results if row["experiment_id"] == name]
    return {
        "experiment_id": name,
        "health": max(statuses, key=severity.index),
        "goals": "; ".join(
            f"{row['metric']} ({row['variant']}): {row['verdict'].replace('_', ' ')}"
            for row in own
            if row["role"] == "goal"
        ),
    }


def _anyway(home: Path, run: Run, experiment_id: str) -> list[dict[str, Any]]:
    workspace = session.workspace_at(home)
    chosen = [
        one
        for one in session.settings(workspace, Experiments, "experiments").experiments
        if one.experiment_id == experiment_id
    ]
    with session.duckdb(workspace) as engine:
        tables = workspace.attach(engine)
        found = analysis.run(
            engine,
            tables["exposures"],
            tables["events"],
            chosen,
            run.as_of,
            attributes=tables.get("customers"),
            withhold=False,
        )
    rows: list[dict[str, Any]] = found.results.to_pylist()
    return rows
