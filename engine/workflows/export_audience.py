"""Hand an audience to a campaign tool: who may leave, what changes at the destination, a bundle that proves itself.

Everything that forbids an export is looked at before a byte is written; what is refused is on record in the audit log.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.domain.errors import ApprovalNeeded, RefusedByPolicy
from engine.exports import audience_bundle, signing
from engine.exports.audience_bundle import About, Handover
from engine.exports.audience_manifest import AudienceFacts, Manifest
from engine.exports.rows import moment
from engine.store import NewBundle, Store
from engine.workflows import export, export_approvals, export_plan, export_rows, export_states, session
from engine.workflows.audiences import Opened, opened
from engine.workflows.export_plan import Plan, Wanted


def dry_run(home: Path, wanted: Wanted) -> dict[str, Any]:
    """Return what an export would do: the waterfall with a reason for everybody left out, counts, and what it refuses.

    Nothing is written but the members of the audience on the run, where they were not there yet.

    Raises
    ------
    RefusedByPolicy
        Nobody may leave at all: no consents, opt-outs too old, another channel or purpose, a retired audience.
    UnknownName, NotEnoughData, MartMissing, RunMissing, WorkspaceMissing, SettingsFault
    """
    with opened(home, wanted.run_id) as held, Store(session.database_url(held.workspace)) as store:
        plan = export_plan.planned(held, store, wanted)
        return _told(held, plan) | {
            "steps": _waterfall(plan),
            "refused": [fault.sentence for fault in export_plan.faults(held, store, plan, wanted)],
        }


def audience(home: Path, wanted: Wanted) -> dict[str, Any]:
    """Write an audience as a bundle for a campaign tool; the same run, permissions and acknowledgements give its bytes.

    Raises
    ------
    RefusedByPolicy
        Nobody may leave at all, too many would be removed, or a second person has to approve; nothing is written.
    UnknownName, NotEnoughData, MartMissing, RunMissing, WorkspaceMissing, SettingsFault
    """
    with (
        opened(home, wanted.run_id) as held,
        Store(session.database_url(held.workspace), actor=_actor(wanted)) as store,
    ):
        with held.workspace.lock("export"):
            try:
                plan = export_plan.planned(held, store, wanted)
                for fault in export_plan.faults(held, store, plan, wanted):
                    raise fault
            except RefusedByPolicy as fault:
                details = {"run_id": held.run.run_id, "preset": wanted.preset, "why": fault.sentence}
                waits = fault.facts if isinstance(fault, ApprovalNeeded) else {}
                store.audit(export_approvals.REFUSED, wanted.audience, {**details, **waits})
                raise
            made, place = _write(held, store, plan, wanted)
            export_states.forget(held.workspace, plan.target.audience, held.run.as_of, plan.target.settings)
        return _told(held, plan) | {
            "folder": place,
            "content_sha256": made.content_sha256,
            "files": len(made.files),
            "cut": [one.model_dump() for one in made.cut],
            "approved_by": made.approved_by,
            "signed_by": signing.key_id(made.public_key) if made.public_key else None,
        }


def _write(held: Opened, store: Store, plan: Plan, wanted: Wanted) -> tuple[Manifest, Path]:
    target, run = plan.target, held.run
    folder = f"{target.preset.name}-{target.channel}-{plan.mode}-{plan.file_format}"
    place = (wanted.out or held.workspace.exports / target.audience / run.run_id / folder).expanduser().resolve()

    def ready(manifest: Manifest) -> None:
        """Remember what the destination will hold and put it on record, before anybody can load it."""
        if plan.file_format != "csv_spreadsheet":
            where = (target.audience, run.run_id, plan.destination, manifest.content_sha256)
            export_states.write(export_states.path(held.workspace, *where), plan.now, run.as_of)
        export.know(store, run)
        _record(store, plan, manifest, place)

    made = audience_bundle.write(
        place,
        plan.outgoing,
        Handover(
            preset=target.preset,
            context=plan.context,
            file_format=plan.file_format,
        ),
        about=_about(held, store, plan, wanted.by),
        key=signing.opened(held.workspace.home / export.KEYS),
        ready=ready,
    )
    return made, place


def _record(store: Store, plan: Plan, manifest: Manifest, place: Path) -> None:
    counts = manifest.counts
    bundle = NewBundle(
        audience=plan.target.audience,
        destination=plan.destination,
        run_id=manifest.run_id,
        mode=plan.mode,
        prev_run_id=manifest.prev_run_id,
        content_sha256=manifest.content_sha256,
        members=counts.exported,
        rows=counts.added + counts.updated + counts.removed + counts.to_suppress,
        approved_by=manifest.approved_by,
    )
    store.record_export(
        f"{plan.target.audience}/{manifest.run_id}/{place.name}",
        run_id=manifest.run_id,
        audience=plan.target.audience,
        file_format=plan.file_format,
        destination=str(place),
        rows=bundle.rows,
        sha256=hashlib.sha256(manifest.text().encode()).hexdigest(),
        bundle=None if plan.file_format == "csv_spreadsheet" else bundle,
    )


def _about(held: Opened, store: Store, plan: Plan, by: str | None) -> About:
    run, one = held.run, plan.kept
    return About(
        audience=AudienceFacts(
            id=one.record.name,
            name=one.definition.name,
            name_zh=one.definition.name_zh,
            owner=one.definition.owner,
            version=one.record.version,
            definition_sha256=one.record.definition_hash,
            verified_by=plan.verified_by,
        ),
        as_of=run.as_of,
        created_at=datetime.fromisoformat(run.manifest["finished_at"]),
        expires_at=export_rows.expiry(run.as_of, plan.target.settings),
        purpose=one.definition.purpose,
        mode=plan.mode,
        prev_run_id=plan.before.run_id if plan.mode == "delta" else None,
        resync=plan.resync,
        experiment=_experiment(plan),
        policy_version=export.policy_version(run),
        model_version=export.model_version(run),
        approved_by=export_approvals.approver(held, store, plan.asked, by),
    )


def _experiment(plan: Plan) -> dict[str, str] | None:
    """Return what the arms of the rows mean, None where they have none."""
    has_arms = plan.now["arm"].null_count < plan.now.num_rows
    return {"id": "control_group", "arm_column": "arm"} if has_arms else None


def _waterfall(plan: Plan) -> list[dict[str, Any]]:
    counts, remaining = plan.outgoing.counts(), len(plan.selection.ids)
    steps = []
    for name, removed in {**plan.outgoing.excluded, "rejected": counts.rejected}.items():
        remaining -= removed
        steps.append({"step": name, "removed": removed, "remaining": remaining})
    return steps


def _told(held: Opened, plan: Plan) -> dict[str, Any]:
    """Return what people and programs are told of an export."""
    until = export_rows.expiry(held.run.as_of, plan.target.settings)
    return {
        "audience": plan.target.audience,
        "run_id": held.run.run_id,
        "as_of": held.run.as_of,
        "to": plan.destination,
        "channel": plan.target.channel,
        "mode": plan.mode,
        "format": plan.file_format,
        "prev_run_id": plan.before.run_id if plan.mode == "delta" else None,
        "resync": plan.resync,
        "expires_at": moment(until),
        "is_expired": until < datetime.now(UTC),
        "counts": plan.outgoing.counts().model_dump(),
        "reasons": plan.outgoing.reasons,
    }


def _actor(wanted: Wanted) -> str:
    return (wanted.by or "").strip() or "wayline"
