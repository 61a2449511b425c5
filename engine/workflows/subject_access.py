"""Everything that is held on one customer, to be handed to that person: tables, the last run, acts and decisions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from engine.domain.access import Right, Viewer
from engine.domain.curated import CURATED
from engine.domain.errors import RefusedByPolicy, RunMissing
from engine.exports import csv_dialects, dossier, signing
from engine.exports.dossier import Dossier, Files
from engine.lake.engine import identifier
from engine.lake.runs import Run, latest_run
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.store.trail import Sought
from engine.workflows import personal, session
from engine.workflows.explain import CustomerMissing
from engine.workflows.export import KEYS
from engine.workflows.view import customer as view
from engine.workflows.view import reading

ACTION: Final = "personal.bundle_made"
_MOST: Final = 1_000_000
_KEY: Final = "customer_id"


def bundle(viewer: Viewer, home: Path, customer_id: str, reason: str, note: str = "") -> Files:
    """Return the files of a customer's bundle, after who asked and why was written to the audit log.

    `everything.json` holds all rows by table, the CSV files the same for a spreadsheet; a table that holds nothing of
    the customer is told in `everything.json` as empty. Tables without a customer's id, such as lists of names to screen
    against, are none of a customer's.

    Raises
    ------
    NotAllowed, UnknownName, RefusedByPolicy
    CustomerMissing
    """
    workspace, said = allowed(viewer, home, customer_id, reason, note)
    with Store(session.database_url(workspace), actor=viewer.name) as store:
        details = {"reason": reason, "note": said, "role": viewer.role.value}
        entry = store.audit(ACTION, f"customer:{customer_id}", details)
        _, acts = store.audit_sought(Sought(customer_id=customer_id), _MOST)
        held = {**dict(_curated(workspace, customer_id)), **dict(_run(workspace, customer_id))}
        held |= {f"register.{name}": rows for name, rows in store.everything_of(customer_id).items()}
        held["register.acts"] = [
            {"at": one.at.isoformat(), "actor": one.actor, "action": one.action, "details": json.dumps(one.details)}
            for one in acts
        ]
    everything = json.dumps(held, ensure_ascii=False, indent=1, default=str) + "\n"
    files = {"everything.json": everything.encode()}
    for name, rows in held.items():
        if rows:
            files[f"{name}.csv"] = _csv(rows)
    head = Dossier(
        kind="subject_access",
        made_at=datetime.now(UTC),
        made_by=viewer.name,
        reason=reason,
        audit_entries=entry.seq,
        audit_head=entry.hash,
        files=(),
    )
    return dossier.bound(files, head, signing.opened(workspace.home / KEYS))


def allowed(viewer: Viewer, home: Path, customer_id: str, reason: str, note: str) -> tuple[Workspace, str]:
    """Return the workspace and the note as it is kept, where a bundle may be made; raises like `bundle`."""
    viewer.require(Right.SEE_PERSONAL)
    said = personal.checked(reason, note)
    workspace = session.workspace_at(home)
    if not view.exists(workspace, customer_id):
        raise CustomerMissing
    return workspace, said


def save(files: Files, out: Path) -> dict[str, Any]:
    """Write the files of a bundle into a new folder; raises RefusedByPolicy where it is there already."""
    if out.exists():
        raise RefusedByPolicy(f"{out.name} is there already. Name a folder that is not.")
    dossier.written(files, out)
    return {"folder": str(out), "files": sorted(files)}


def _curated(workspace: Workspace, customer_id: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for name in workspace.curated_tables():
        if any(column.name == _KEY for column in CURATED[name].columns):
            text = f"SELECT * FROM {identifier(name)} WHERE {_KEY} = ?"
            yield f"data.{name}", _rows(reading.sql({name: workspace.curated(name)}, text, (customer_id,)))


def _run(workspace: Workspace, customer_id: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    try:
        run: Run = latest_run(workspace)
    except RunMissing:
        return
    for path in sorted(one for one in run.folder.iterdir() if one.is_dir()):
        columns = reading.sql({"rows": path}, "SELECT * FROM rows LIMIT 0").columns
        if _KEY in columns:
            found = reading.sql({"rows": path}, f"SELECT * FROM rows WHERE {_KEY} = ?", (customer_id,))
            yield f"run.{path.name}", _rows(found)


def _rows(frame: Any) -> list[dict[str, Any]]:
    return reading.records(frame.astype(object).where(frame.notna(), None))


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [None if row.get(name) is None else str(row[name]) for row in rows] for name in names}
    table = csv_dialects.guarded(
        csv_dialects.clean(pa.table({k: pa.array(v, pa.string()) for k, v in columns.items()}))
    )
    dialect = csv_dialects.spreadsheet(",")
    return csv_dialects.csv_header(names, dialect) + csv_dialects.csv_lines(table, dialect)
