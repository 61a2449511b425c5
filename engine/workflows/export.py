"""Hand a run's offers to campaign tools, and prove that a bundle is whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from engine.config.exports import ExportSettings, FileFormat
from engine.exports import audience_verify, signing
from engine.exports.audience_verify import is_of_audience
from engine.exports.bundle import EVERYBODY, export_recommendations
from engine.exports.manifest import MANIFEST
from engine.exports.presets.base import destination
from engine.exports.verify import verify as verify_bundle
from engine.lake.files import file_digest
from engine.lake.runs import Run
from engine.store.facade import Store
from engine.workflows import export_permissions, session
from engine.workflows.audiences import opened
from engine.workflows.risk_registry import RUN_MODEL
from engine.workflows.stages.recommendations import BUNDLE

AUDIENCE: Final = "recommendations"
KEYS: Final = "keys"
"""The folder of the workspace in which the key for signatures lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """A bundle that was written: where it lies and what is in it."""

    run_id: str
    destination: Path
    file_format: str
    selected: int
    withheld: int
    exported: int
    rejected: int
    customers: int
    content_sha256: str


def recommendations(
    home: Path, run_id: str | None = None, file_format: FileFormat = "csv", destination: Path | None = None
) -> ExportResult:
    """Write every offer of a run as a bundle; the same run and permissions give the same bytes, noted in the audit log.

    Offers to whoever opted out or withdrew a consent since the run are withheld and counted.

    By default the bundle lies in the workspace under `exports/recommendations/<run>/<format>`.

    Raises
    ------
    RunMissing, MartMissing
    """
    with opened(home, run_id) as held:
        run, workspace, permission = held.run, held.workspace, export_permissions.now(held)
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
            permission=permission,
            key=signing.opened(workspace.home / KEYS),
            policy_version=policy_version(run),
            model_version=model_version(run),
        )
        know(store, run)
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
        withheld=counts.withheld,
        exported=counts.exported,
        rejected=counts.rejected,
        customers=counts.customers,
        content_sha256=manifest.content_sha256,
    )


def verify(folder: Path, public_key: Path | None = None) -> dict[str, Any]:
    """Return what a bundle holds after checking all of it; it needs the folder alone.

    public_key : a PEM file with the bank's key; the bundle must then be signed by it.

    Raises
    ------
    CheckFailed
        The bundle is not whole, not what it was, or not signed by that key; the sentence names the first difference.
    UnreadableSource
        The file is no public key.
    """
    expected = signing.public_from(public_key) if public_key is not None else None
    if is_of_audience(folder):
        return _verified_audience(folder, expected)
    report = verify_bundle(folder, expected)
    manifest = report.manifest.model_dump(mode="json")
    return {
        "ok": True,
        "files": report.files,
        "rows": report.rows,
        "content_checked": report.content_checked,
        "signed_by": report.signed_by,
    } | {name: manifest[name] for name in ("run_id", "as_of", "file_format", "content_sha256")}


def _verified_audience(folder: Path, public_key: str | None) -> dict[str, Any]:
    report = audience_verify.verify(folder, public_key)
    one, counts = report.manifest, report.manifest.counts
    return {
        "ok": True,
        "files": report.files,
        "rows": report.rows,
        "content_checked": report.content_checked,
        "signed_by": report.signed_by,
        "audience": one.audience.id,
        "to": destination(one.destination, one.channel),
        "run_id": one.run_id,
        "prev_run_id": one.prev_run_id,
        "mode": one.mode,
        "as_of": one.as_of,
        "expires_at": one.expires_at,
        "file_format": one.file_format,
        "content_sha256": one.content_sha256,
        "approved_by": one.approved_by,
        "counts": counts.model_dump(),
    }


def know(store: Store, run: Run) -> None:
    """Enter a run that the database does not know, such as one made before the database was moved."""
    if run.run_id not in {known.run_id for known in store.runs()}:
        store.start_run(run.run_id, run.as_of, run.manifest["seed"], {"inputs": run.manifest["inputs"]})
        store.finish_run(run.run_id)


def policy_version(run: Run) -> str:
    """Return what names the policies and models that decided the offers of a run; empty when it made none."""
    return _digest(run, BUNDLE)


def model_version(run: Run) -> str:
    """Return what names the default model of a run; empty when it made none."""
    return _digest(run, RUN_MODEL)


def _digest(run: Run, name: str) -> str:
    """The first 12 hex digits of the sha256 of a model of the run; empty when the run made none."""
    facts = run.manifest.get("texts", {}).get(name)
    return facts["sha256"][:12] if facts else ""
