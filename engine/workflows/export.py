"""Hand a run's offers to campaign tools, and prove that a bundle is whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from engine.config.exports import ExportSettings, FileFormat
from engine.exports.bundle import EVERYBODY, export_recommendations
from engine.exports.manifest import MANIFEST
from engine.exports.verify import verify as verify_bundle
from engine.lake.files import file_digest
from engine.lake.runs import Run, open_run
from engine.store.facade import Store
from engine.workflows import session
from engine.workflows.risk_registry import RUN_MODEL
from engine.workflows.stages.recommendations import BUNDLE

AUDIENCE: Final = "recommendations"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """A bundle that was written: where it lies and what is in it."""

    run_id: str
    destination: Path
    file_format: str
    selected: int
    exported: int
    rejected: int
    customers: int
    content_sha256: str


def recommendations(
    home: Path, run_id: str | None = None, file_format: FileFormat = "csv", destination: Path | None = None
) -> ExportResult:
    """Write every offer of a run as a bundle; the same run gives the same bytes. It is noted in the audit log.

    By default the bundle lies in the workspace under `exports/recommendations/<run>/<format>`.

    Raises
    ------
    RunMissing, MartMissing
    """
    workspace = session.workspace_at(home)
    run = open_run(workspace, run_id)
    source = run.require("recommendations")
    target = destination or workspace.exports / AUDIENCE / run.run_id / file_format
    target = target.expanduser().resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with workspace.lock("export"), Store(session.database_url(workspace)) as store:
        manifest = export_recommendations(
            source,
            target,
            file_format,
            run_id=run.run_id,
            as_of=run.as_of,
            created_at=datetime.fromisoformat(run.manifest["finished_at"]),
            settings=session.settings(workspace, ExportSettings, "exports"),
            audience=EVERYBODY,
            answers=run.read("risk_gate", ["customer_id", "expires_at"]) if run.has("risk_gate") else None,
            policy_version=_digest(run, BUNDLE),
            model_version=_digest(run, RUN_MODEL),
        )
        _know(store, run)
        store.record_export(
            f"{AUDIENCE}/{run.run_id}/{file_format}",
            run_id=run.run_id,
            audience=AUDIENCE,
            file_format=file_format,
            destination=str(target),
            rows=manifest.counts.exported,
            sha256=file_digest(target / MANIFEST),
        )
    counts = manifest.counts
    return ExportResult(
        run_id=run.run_id,
        destination=target,
        file_format=file_format,
        selected=counts.selected,
        exported=counts.exported,
        rejected=counts.rejected,
        customers=counts.customers,
        content_sha256=manifest.content_sha256,
    )


def verify(folder: Path) -> dict[str, Any]:
    """Return what a bundle holds after checking all of it; raises CheckFailed at the first difference."""
    report = verify_bundle(folder)
    manifest = report.manifest.model_dump(mode="json")
    return {"ok": True, "files": report.files, "rows": report.rows, "content_checked": report.content_checked} | {
        name: manifest[name] for name in ("run_id", "as_of", "file_format", "content_sha256")
    }


def _know(store: Store, run: Run) -> None:
    """Enter a run that the database does not know, such as one made before the database was moved."""
    if run.run_id not in {known.run_id for known in store.runs()}:
        store.start_run(run.run_id, run.as_of, run.manifest["seed"], {"inputs": run.manifest["inputs"]})
        store.finish_run(run.run_id)


def _digest(run: Run, name: str) -> str:
    """The first 12 hex digits of the sha256 of a model of the run; empty when the run made none."""
    facts = run.manifest.get("texts", {}).get(name)
    return facts["sha256"][:12] if facts else ""
