"""Whether the data are right, fresh and whole."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from engine.config.bank import BankSettings
from engine.config.intake import IntakeSettings
from engine.domain.curated import CURATED
from engine.intake.codes import MEANINGS, Code
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.workflows import session
from engine.workflows.view import reading


def intake_tables(workspace: Workspace) -> pd.DataFrame:
    """Return rows read, kept, repaired and quarantined for each table of the last intake; no rows before any."""
    lines = [
        {
            "table": report["table"],
            "read": report["read"],
            "kept": report["kept"],
            "repaired": sum(repair["rows"] for repair in report["repairs"] if repair["effect"] != "noted"),
            "quarantined": report["quarantined"],
        }
        for report in _reports(workspace)
    ]
    return pd.DataFrame(lines, columns=["table", "read", "kept", "repaired", "quarantined"])


def quarantine(workspace: Workspace) -> pd.DataFrame:
    """Return refused rows by table, code and column, with what was expected; without the rows themselves."""
    lines = [
        {
            "table": report["table"],
            **fault,
            "meaning": MEANINGS[Code(fault["code"])][0] if fault["code"] in set(Code) else fault["code"],
            "meaning_zh": MEANINGS[Code(fault["code"])][1] if fault["code"] in set(Code) else fault["code"],
        }
        for report in _reports(workspace)
        for fault in report["faults"]
    ]
    columns = ["table", "code", "column", "rows", "expected", "meaning", "meaning_zh"]
    return pd.DataFrame(lines, columns=columns)


def _reports(workspace: Workspace) -> list[dict[str, Any]]:
    return list(workspace.report()["tables"]) if workspace.report_path.is_file() else []


def freshness(workspace: Workspace) -> pd.DataFrame:
    """Return for each curated table its rows and the latest instant in it."""
    present = [CURATED[name] for name in workspace.curated_tables()]
    if not present:
        return pd.DataFrame(columns=["table", "rows", "latest"])
    selects = [
        f"""SELECT {position} AS position, '{table.name}' AS "table", count(*) AS "rows",
            CAST({f"max({table.time_column})" if table.time_column else "NULL"} AS TIMESTAMP) AS latest
            FROM {table.name}"""
        for position, table in enumerate(present)
    ]
    sources = {table.name: workspace.curated(table.name) for table in present}
    return reading.sql(sources, f"{' UNION ALL '.join(selects)} ORDER BY position").drop(columns="position")


def stages(run: Run) -> pd.DataFrame:
    """Return the stages of the run: status, seconds, memory, rows written, and the reason where one was skipped."""
    return pd.DataFrame(
        [
            {
                "stage": stage["stage"],
                "status": stage["status"],
                "seconds": stage.get("seconds"),
                "peak_memory_mb": stage.get("peak_memory_mb"),
                "rows": sum(stage.get("rows", {}).values()) if "rows" in stage else None,
                "reason": stage.get("reason"),
            }
            for stage in run.manifest["stages"]
        ],
        columns=["stage", "status", "seconds", "peak_memory_mb", "rows", "reason"],
    )


def workspace_of(home: Path) -> Workspace:
    """Return the workspace at a path, whether anything lies in it or not."""
    return session.workspace_at(home)


def loaded_at(home: Path) -> datetime | None:
    """Return when the tables were last loaded; None where nothing was."""
    report = workspace_of(home).report_path
    return datetime.fromtimestamp(report.stat().st_mtime).astimezone() if report.is_file() else None


def currency(home: Path) -> str:
    """Return the bank's base currency."""
    return session.settings(workspace_of(home), BankSettings, "bank").base_currency


def upload_megabytes(home: Path) -> int:
    """Return how large a file may be that is uploaded."""
    return session.settings(workspace_of(home), IntakeSettings, "intake").picking.upload_megabytes
