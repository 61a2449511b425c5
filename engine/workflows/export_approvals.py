"""When an export needs a second person, who approved it, and that it is another one than who asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config.exports import Approval, ExportSettings
from engine.domain.errors import RefusedByPolicy
from engine.store import ApprovalRecord, NewApproval, Store, persons
from engine.workflows import export_selection, export_targets, session
from engine.workflows.audiences import Opened, opened
from engine.workflows.held_audiences import Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an approval is asked for: `members` is how many would belong at the destination."""

    kept: Kept
    is_verified: bool
    destination: str
    members: int
    approval: Approval

    def why(self) -> str | None:
        """Return why a second person must agree, in words; None where nobody has to."""
        if self.members > self.approval.rows_above:
            return f"{self.members:,} members leave, more than the {self.approval.rows_above:,} that need no approval"
        if self.approval.unverified and not self.is_verified:
            return f'no second person has verified the rule of "{self.kept.record.name}"'
        return None


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
        return RefusedByPolicy(f"{by} approved this export and cannot ask for it too: a second person has to.")
    preset, channel = asked.destination.split("/")
    return RefusedByPolicy(
        f"This export needs a second person: {why}. Somebody other than {by} agrees with `wayline export approve "
        f"{asked.kept.record.name} --to {preset} --channel {channel} --by NAME`."
    )


def approver(held: Opened, store: Store, asked: Asked, by: str | None) -> str | None:
    """Return who, other than the one who asks, approved the export last; None where nobody had to."""
    if asked.why() is None or by is None:
        return None
    others = (one.approved_by for one in _approvals(held, store, asked) if not persons.same(one.approved_by, by))
    return next(others, None)


def _approvals(held: Opened, store: Store, asked: Asked) -> list[ApprovalRecord]:
    """Return the approvals of this run by the definition that is kept now, the newest first."""
    found = store.export_approvals(_name(held, asked.kept, asked.destination))
    return [one for one in found if one.definition_sha256 == asked.kept.record.definition_hash]


def _name(held: Opened, kept: Kept, destination: str) -> str:
    return f"{kept.record.name}/{destination}/{held.run.run_id}"
