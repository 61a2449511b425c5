"""The whole result of an experiment as a file: every metric with its interval and the health of the data beside it.

Who reads a number elsewhere should not be able to read it without what was found of its data. Every file is on record.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, Literal

import pandas as pd

from engine.domain.access import SMALL_GROUP, Right, Viewer
from engine.domain.errors import GroupTooSmall
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.workflows import experiment_report, session
from engine.workflows.view import chart_export, reading
from engine.workflows.view.chart_export import Chart

Form = Literal["csv", "json"]
FORMS: Final[tuple[Form, ...]] = ("csv", "json")
EXPORTED: Final = "experiment.exported"
_COUNTS: Final = frozenset({"variant_units", "control_units"})


def table(run: Run, experiment_id: str) -> pd.DataFrame:
    """Return one row per metric and variant: all numbers of the result, the decision of the rules, and the health.

    `health` is the status of the worst check, `health_findings` what those found that are not in order. Numbers that a
    failed check withholds are empty.
    """
    return reading.marts(
        run,
        """, checks AS (
               SELECT experiment_id, arg_max(status, CASE status WHEN 'stop' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END)
                          AS health,
                      string_agg("check" || ': ' || detail, ' ' ORDER BY "check") FILTER (status <> 'ok')
                          AS health_findings
               FROM experiment_health WHERE experiment_id = $1 GROUP BY experiment_id)
           SELECT r.*, d.action, d.headline, coalesce(c.health, 'unknown') AS health, c.health_findings
           FROM experiment_results r JOIN experiment_decisions d USING (experiment_id)
           LEFT JOIN checks c USING (experiment_id)
           WHERE experiment_id = $1 ORDER BY r.role, r.metric, r.variant""",
        "experiment_results",
        "experiment_decisions",
        "experiment_health",
        parameters=(experiment_id,),
    )


def export(workspace: Workspace, run: Run, experiment_id: str, form: Form, viewer: Viewer) -> bytes:
    """Return the file, after the export is on record.

    Raises
    ------
    MartMissing
    GroupTooSmall
        An arm is so small that the viewer's role does not see its size.
    StoreUnavailable
        It cannot be put on record: nothing leaves then.
    """
    rows = table(run, experiment_id)
    if form == "csv":
        chart = Chart(
            key=f"e_result_{experiment_id}",
            finding=experiment_id,
            cut_off=f"{run.as_of.isoformat()} {run.run_id}",
            table=rows,
            spec=None,
            uncounted=frozenset(set(map(str, rows.columns)) - _COUNTS),
        )
        return chart_export.export(workspace, run, chart, "csv", viewer)
    few = any(0 < count < SMALL_GROUP for name in _COUNTS for count in rows[name].dropna())
    if few and not viewer.may(Right.SEE_SMALL_GROUPS):
        raise GroupTooSmall(SMALL_GROUP)
    facts: dict[str, Any] = experiment_report.of_run(workspace.home, experiment_id, run_id=run.run_id)
    made = json.dumps(facts, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False).encode()
    details = {
        "run_id": run.run_id,
        "format": form,
        "role": viewer.role.value,
        "bytes": len(made),
        "sha256": hashlib.sha256(made).hexdigest(),
    }
    with Store(session.database_url(workspace), actor=viewer.name) as store:
        store.audit(EXPORTED, experiment_id, details)
    return made
