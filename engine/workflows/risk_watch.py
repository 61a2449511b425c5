"""Watch a model and its portfolio: the drift report, the watch list, who is due, and what people have looked at.

The run's tables say what the data show; what people have looked at since is in the operational database.
"""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.config.risk import RiskSettings
from engine.config.risk_warning import SEVERITIES
from engine.domain.errors import UnknownName
from engine.lake.runs import Run, open_run
from engine.lake.schema import naive_utc
from engine.risk import early_warning, reassessment
from engine.store.facade import Store
from engine.workflows import session
from engine.workflows.explain import CustomerMissing

REVIEWED: Final = "risk.reviewed"
OUTCOMES: Final = ("no_concern", "keep_watching", "act")
"""What a person may find: nothing, something to keep watching, or something that must be acted on."""
_MOST_REVIEWS: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorReport:
    """What drifted, what the gate does about it, and how customers and loans moved. Rows are those of the marts."""

    run_id: str
    as_of: datetime
    cautions: list[dict[str, Any]]
    drifted: list[dict[str, Any]]
    latest: list[dict[str, Any]]
    stability: list[dict[str, Any]]
    moves: list[dict[str, Any]]
    vintages: list[dict[str, Any]]
    silent_triggers: dict[str, str]


def monitor(home: Path, run_id: str | None = None) -> MonitorReport:
    """Return the drift report of a run.

    Raises
    ------
    RunMissing, WorkspaceMissing
    MartMissing
        The run was made by a version that did not watch anything.
    """
    run = open_run(session.workspace_at(home), run_id)
    stability = _rows(run, "risk_stability")
    newest: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in stability:
        key = (row["population"], row["what"], row["measure"])
        if key not in newest or row["ends"] > newest[key]["ends"]:
            newest[key] = row
    return MonitorReport(
        run_id=run.run_id,
        as_of=run.as_of,
        cautions=_rows(run, "risk_cautions"),
        drifted=[row for row in stability if row["verdict"] == "drifted"],
        latest=list(newest.values()),
        stability=stability,
        moves=_rows(run, "risk_moves"),
        vintages=_rows(run, "risk_vintages"),
        silent_triggers=_silent(run),
    )


def watch(home: Path, run_id: str | None = None, *, severity: str | None = None, left: bool = False) -> dict[str, Any]:
    """Return who is on the watch list, the next review first; with `left`, also who left it lately.

    Parameters
    ----------
    severity : only customers of this severity or a graver one.

    Raises
    ------
    UnknownName
        There is no such severity.
    """
    if severity is not None and severity not in SEVERITIES:
        raise UnknownName("severity", severity, SEVERITIES)
    workspace = session.workspace_at(home)
    run, settings = open_run(workspace, run_id), session.settings(workspace, RiskSettings, "risk")
    listed = _reviewed_list(run, settings, reviews(home))
    kept = [
        row
        for row in listed.to_pylist()
        if (left or row["status"] == "watched")
        and (severity is None or SEVERITIES.index(row["severity"]) >= SEVERITIES.index(severity))
    ]
    kept.sort(key=lambda row: (row["next_review_at"] is None, row["next_review_at"], row["customer_id"]))
    return {"run_id": run.run_id, "as_of": run.as_of, "customers": kept, "silent_triggers": _silent(run)}


def due(home: Path, run_id: str | None = None, *, on: datetime | None = None) -> dict[str, Any]:
    """Return whose reassessment is due on a day, by default that of the run, the longest overdue first.

    Asking changes nothing: the same day and the same reviews give the same list.
    """
    workspace = session.workspace_at(home)
    run, settings = open_run(workspace, run_id), session.settings(workspace, RiskSettings, "risk")
    moment, seen = on or run.as_of, reviews(home)
    columns = ("customer_id", "risk_tier", "signal_at", "exposure_minor")
    dates = reassessment.due_dates(
        run.read("risk", columns), _reviewed_list(run, settings, seen), moment, settings.reassessment, seen
    )
    rows = dates.filter(dates["is_due"]).sort_by([("reassess_at", "ascending"), ("customer_id", "ascending")])
    later = pc.sum(pc.greater(dates["reassess_at"], pa.scalar(naive_utc(moment), pa.timestamp("us")))).as_py() or 0
    return {"run_id": run.run_id, "on": moment, "due": rows.drop(["is_due"]).to_pylist(), "due_later": later}


def review(home: Path, customer_id: str, outcome: str, *, run_id: str | None = None) -> dict[str, Any]:
    """Keep in the audit log that a person looked at a customer, from which the next review is counted.

    Raises
    ------
    CustomerMissing
        The run has no customer of that id.
    UnknownName
        There is no such outcome.
    """
    if outcome not in OUTCOMES:
        raise UnknownName("outcome", outcome, OUTCOMES)
    workspace = session.workspace_at(home)
    run = open_run(workspace, run_id)
    if run.read("risk", ["customer_id"], where={"customer_id": customer_id}).num_rows == 0:
        raise CustomerMissing
    with Store(session.database_url(workspace), actor=getpass.getuser()) as store:
        entry = store.audit(REVIEWED, customer_id, {"outcome": outcome, "run_id": run.run_id})
    return {"customer_id": customer_id, "outcome": outcome, "reviewed_at": entry.at, "reviewed_by": entry.actor}


def reviews(home: Path) -> dict[str, datetime]:
    """Return when a person last looked at each customer, by the audit log."""
    with Store(session.database_url(session.workspace_at(home))) as store:
        entries = store.audit_trail(_MOST_REVIEWS, action=REVIEWED)
    # the newest first: the first entry of a customer holds
    latest: dict[str, datetime] = {}
    for entry in entries:
        latest.setdefault(entry.subject, entry.at)
    return latest


def _reviewed_list(run: Run, settings: RiskSettings, seen: Mapping[str, datetime]) -> pa.Table:
    return early_warning.with_reviews(run.read("risk_watch_list"), settings.early_warning, seen)


def _silent(run: Run) -> dict[str, str]:
    stage: dict[str, Any] = next((stage for stage in run.manifest["stages"] if stage["stage"] == "risk"), {})
    found: dict[str, str] = stage.get("silent_triggers", {})
    return found


def _rows(run: Run, mart: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = run.read(mart).to_pylist()
    return [
        {name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for name, value in row.items()}
        for row in rows
    ]
