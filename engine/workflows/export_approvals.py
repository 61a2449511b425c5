"""When an export needs a second person, who approved it, and that it is another one than who asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from engine.config.exports import Approval, ExportSettings
from engine.domain.errors import ApprovalNeeded, RefusedByPolicy
from engine.lake.workspace import Workspace
from engine.store import ApprovalRecord, AuditRecord, NewApproval, Store, persons
from engine.workflows import export_selection, export_targets, held_audiences, session
from engine.workflows.audiences import Opened, opened
from engine.workflows.held_audiences import Kept

REFUSED: Final = "export.refused"
"""The act in the audit log of an export that was asked for and not made."""
_MOST_REFUSED: Final = 500  # refusals that are looked through for those that wait

Cause = Literal["size", "unverified"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an approval is asked for: `members` is how many would belong at the destination."""

    kept: Kept
    is_verified: bool
    destination: str
    members: int
    approval: Approval

    def cause(self) -> Cause | None:
        """Return why a second person must agree; None where nobody has to."""
        if self.members > self.approval.rows_above:
            return "size"
        return "unverified" if self.approval.unverified and not self.is_verified else None

    def why(self) -> str | None:
        """Return why a second person must agree, in words; None where nobody has to."""
        match self.cause():
            case "size":
                return (
                    f"{self.members:,} members leave, more than the {self.approval.rows_above:,} that need no approval"
                )
            case "unverified":
                return f'no second person has verified the rule of "{self.kept.record.name}"'
            case None:
                return None

    def facts(self) -> dict[str, Any]:
        """Return what the audit log keeps of an export that waits."""
        return {
            "to": self.destination,
            "definition_sha256": self.kept.record.definition_hash,
            "members": self.members,
            "cause": self.cause(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An export that somebody asked for and that waits: nobody else has agreed, or it was not asked for again since.

    members : how many would leave, when it was asked for. approved_by : who agreed, None as long as nobody did.
    """

    audience: str
    name: str
    name_zh: str | None
    destination: str
    run_id: str
    members: int
    cause: Cause
    asked_by: str
    asked_at: datetime
    approved_by: str | None


def approve(
    home: Path, audience: str, to: tuple[str, str | None], by: str, note: str, *, run_id: str | None = None
) -> dict[str, Any]:
    """Enter that a person approves the export of an audience, as it is defined now, to a destination on a run.

    It holds for that run and definition; whoever exports must be somebody else.

    to : the preset, and the channel; None for the audience's first that the preset is for.

    Raises
    ------
    RefusedByPolicy
        Nobody is named, or the audience is retired.
    UnknownName, RunMissing, WorkspaceMissing
    """
    if not by.strip():
        raise RefusedByPolicy("An approval is a person's. Say who it is with --by.")
    with opened(home, run_id) as held:
        kept = held.kept(audience)
        settings = session.settings(held.workspace, ExportSettings, "exports")
        target = export_targets.target(held, kept, *to, settings)
        with held.workspace.lock("export"):
            members = export_selection.snapshot(held, kept).size
        wanted = NewApproval(
            name=_name(held, kept, target.destination),
            definition_sha256=kept.record.definition_hash,
            members=members,
            note=note,
        )
        with Store(session.database_url(held.workspace), actor=by) as store:
            made = store.approve_export(wanted)
    return {
        "audience": audience,
        "run_id": held.run.run_id,
        "to": target.destination,
        "members": members,
        "approved_by": made.approved_by,
        "approved_at": made.approved_at,
    }


def lacking(held: Opened, store: Store, asked: Asked, by: str | None) -> RefusedByPolicy | None:
    """Return the refusal where a second person must agree and has not; None where the export may go on."""
    why = asked.why()
    if why is None:
        return None
    if by is None or not by.strip():
        return RefusedByPolicy(f"This export needs a second person: {why}. Say with --by who asks for it.")
    approvals = _approvals(held, store, asked)
    if any(not persons.same(one.approved_by, by) for one in approvals):
        return None
    if approvals:
        told = f"{by} approved this export and cannot ask for it too: a second person has to."
        return ApprovalNeeded(told, asked.facts())
    preset, channel = asked.destination.split("/")
    return ApprovalNeeded(
        f"This export needs a second person: {why}. Somebody other than {by} agrees with `wayline export approve "
        f"{asked.kept.record.name} --to {preset} --channel {channel} --by NAME`.",
        asked.facts(),
    )


def approver(held: Opened, store: Store, asked: Asked, by: str | None) -> str | None:
    """Return who, other than the one who asks, approved the export last; None where nobody had to."""
    if asked.why() is None or by is None:
        return None
    others = (one.approved_by for one in _approvals(held, store, asked) if not persons.same(one.approved_by, by))
    return next(others, None)


def waiting(workspace: Workspace) -> list[Waiting]:
    """Return the exports that wait for a second person, or for being asked for again, the newest first.

    Each destination and run of an audience once, as it was asked for last. What was exported since, and what another
    definition of the audience was meant by, waits no more. Looking makes no database.
    """
    if not session.has_register(workspace):
        return []
    audiences, found = held_audiences.kept(workspace), {}
    with Store(session.database_url(workspace)) as store:
        for entry in store.audit_trail(_MOST_REFUSED, action=REFUSED):
            one = entry.details
            key = (entry.subject, one.get("to"), one["run_id"])
            if "cause" in one and key not in found:
                found[key] = _waits(store, audiences, entry)
    return [one for one in found.values() if one is not None]


def _waits(store: Store, audiences: Mapping[str, Kept], entry: AuditRecord) -> Waiting | None:
    asked, kept = entry.details, audiences.get(entry.subject)
    if kept is None or kept.retired is not None or kept.record.definition_hash != asked["definition_sha256"]:
        return None
    made = store.export_bundles(entry.subject, asked["run_id"])
    if any(one.destination == asked["to"] and one.exported_at >= entry.at for one in made):
        return None
    approvals = store.export_approvals(f"{entry.subject}/{asked['to']}/{asked['run_id']}")
    others = (
        one.approved_by
        for one in approvals
        if one.definition_sha256 == asked["definition_sha256"] and not persons.same(one.approved_by, entry.actor)
    )
    return Waiting(
        audience=entry.subject,
        name=kept.definition.name,
        name_zh=kept.definition.name_zh,
        destination=asked["to"],
        run_id=asked["run_id"],
        members=asked["members"],
        cause=asked["cause"],
        asked_by=entry.actor,
        asked_at=entry.at,
        approved_by=next(others, None),
    )


def _approvals(held: Opened, store: Store, asked: Asked) -> list[ApprovalRecord]:
    """Return the approvals of this run by the definition that is kept now, the newest first."""
    found = store.export_approvals(_name(held, asked.kept, asked.destination))
    return [one for one in found if one.definition_sha256 == asked.kept.record.definition_hash]


def _name(held: Opened, kept: Kept, destination: str) -> str:
    return f"{kept.record.name}/{destination}/{held.run.run_id}"
