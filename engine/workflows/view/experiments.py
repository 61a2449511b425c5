"""What was tested, what came out, and what persons decided on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.store.records import ExperimentDecisionRecord
from engine.workflows import experiment_decided, session
from engine.workflows.view import reading
from experiments import report
from experiments.report import Report

Decisions = tuple[ExperimentDecisionRecord, ...]
"""What persons decided on one experiment, the newest first."""


def listed(run: Run) -> pd.DataFrame:
    """Return one row per experiment: what the rules decided, and `health`, the status of its worst check."""
    return reading.marts(
        run,
        """SELECT experiment_id, action, headline, headline_zh,
                  coalesce(max_by(status, CASE status WHEN 'stop' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END), 'ok')
                      AS health
           FROM experiment_decisions LEFT JOIN experiment_health USING (experiment_id)
           GROUP BY ALL ORDER BY experiment_id""",
        "experiment_decisions",
        "experiment_health",
    )


def result(run: Run, experiment_id: str) -> dict[str, Any]:
    """Return the whole result of an experiment as the run keeps it: the values that its report is made of."""
    kept = run.read("experiment_decisions", ["result"], {"experiment_id": experiment_id})
    facts: dict[str, Any] = json.loads(kept["result"][0].as_py())
    return facts


def decisions(workspace: Workspace, experiment_ids: Sequence[str]) -> dict[str, Decisions]:
    """Return what persons decided on each experiment; nothing where the workspace has no register yet.

    Raises
    ------
    StoreUnavailable
    """
    if not session.has_register(workspace):
        return dict.fromkeys(experiment_ids, ())
    from engine.store.facade import Store  # noqa: PLC0415  a second to import, and a new workspace has no register

    with Store(session.database_url(workspace)) as store:
        return {name: tuple(store.experiment_decisions(name)) for name in experiment_ids}


def as_report(run: Run, facts: dict[str, Any], taken: Decisions) -> Report:
    """Return the report of a result with the decision that stands in this run: what page and report both show."""
    return report.make(experiment_decided.told(facts, experiment_decided.in_run(taken, run.run_id)))
