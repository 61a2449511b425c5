"""What the page of exports asks: what left, what its manifest says, what came back, and what waits for a second person.

Counts, checksums and names of colleagues alone: no row of a bundle is read here, and of the members that a tool
rejected by their ids only how many they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from engine.domain.access import Right, Viewer
from engine.domain.errors import CheckFailed, NotEnoughData, RefusedByPolicy, UnknownName
from engine.exports import audience_verify
from engine.exports import verify as offers_verify
from engine.exports.manifest import MANIFEST
from engine.exports.presets import PRESETS
from engine.lake.files import file_digest
from engine.lake.workspace import Workspace
from engine.recommendations import reachable
from engine.store import AckRecord, BundleRecord, ExportRecord, Store, persons
from engine.workflows import (
    export,
    export_approvals,
    export_audience,
    export_revoke,
    feedback_funnel,
    held_audiences,
    session,
)
from engine.workflows.export_approvals import Waiting
from engine.workflows.export_plan import Wanted
from engine.workflows.export_revoke import Revocation
from engine.workflows.view.guard import needs_one_of

MOST: Final = 200
"""Exports that the page lists, the newest."""
REASONS: Final = {one.code: (one.text_en, one.text_zh) for one in reachable.REASONS}
"""Why a run keeps a customer, in English and Chinese by code; the page knows the words of the other reasons."""


_SEEN: Final = needs_one_of(Right.REQUEST_EXPORT, Right.APPROVE_EXPORT, Right.SEE_AUDIT)
"""Who may see what left: who asks for exports, who approves them, and who answers for what was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A bundle that left: to where, whose it is, and what its manifest says.

    to : preset and channel, such as `generic/email`; None where it names no tool. manifest : None where the bundle does
    not lie any more where it was written, or is not what was exported; its counts are unknown then. acked_rejected :
    how many members the tool rejected by id. signed_by : the id of the key of a signature that holds.
    """

    key: str
    audience: str
    name: str | None
    name_zh: str | None
    to: str | None
    run_id: str
    mode: str
    file_format: str | None
    folder: Path | None
    rows: int
    exported_by: str
    exported_at: datetime
    approved_by: str | None
    acked_by: str | None
    acked_at: datetime | None
    acked_rejected: int | None
    signed_by: str | None
    manifest: Mapping[str, Any] | None
    revoked_by: str | None = None
    revoked_at: datetime | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        """The counts of the manifest; nothing where there is none."""
        return {} if self.manifest is None else self.manifest["counts"]

    @property
    def is_of_audience(self) -> bool:
        """Whether it is an audience's, and not all offers of a run."""
        return self.audience != export.AUDIENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class CameBack:
    """What tools reported of an export: one group per tool, and the comparison with the control group of its run."""

    groups: tuple[Mapping[str, Any], ...]
    comparison: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """The record of an export, its manifest as values, and the key that signed it."""

    record: ExportRecord
    manifest: Mapping[str, Any]
    signed_by: str | None


def stamp(home: Path) -> str:
    """Return a text that is another one as soon as anything was exported, acknowledged, approved or reported."""
    workspace = Workspace(home.expanduser().resolve())
    if not session.has_register(workspace):
        return ""
    with Store(session.database_url(workspace)) as store:
        return f"{store.audit_head().hash} {store.last_feedback()}"


@_SEEN
def handed(home: Path, _stamp: str = "") -> tuple[int, tuple[Handed, ...]]:
    """Return how many exports there are, and the newest of them, the last first; looking makes no database.

    An audience's content that was written in several formats is one export, as its destination loads it once.
    Here and below `_stamp` is what tells a remembered answer from that of before.
    """
    workspace = Workspace(home.expanduser().resolve())
    if not session.has_register(workspace):
        return 0, ()
    names = {
        name: (one.definition.name, one.definition.name_zh) for name, one in held_audiences.kept(workspace).items()
    }
    with Store(session.database_url(workspace)) as store:
        records, bundles = store.exports(), store.export_bundles()
        acks = {one.bundle.number: one for one in store.export_acks()}
        gone = {(one.audience, one.destination, one.run_id): one for one in store.export_revocations()}
    alone = [one for one in records if one.audience == export.AUDIENCE or one.file_format == "csv_spreadsheet"]
    listed: list[BundleRecord | ExportRecord] = sorted(
        [*bundles, *alone], key=lambda one: one.exported_at, reverse=True
    )
    newest, told = listed[:MOST], []
    runs = {one.run_id for one in newest}
    read = {one.export_id: found for one in records if one.run_id in runs for found in _read(one)}
    for one in newest:
        name = names.get(one.audience, (None, None))
        if isinstance(one, ExportRecord):
            told.append(_alone(one, read.get(one.export_id), name))
        else:
            made = _bundle(one, _of(one, read), acks.get(one.number), name)
            back = gone.get((one.audience, one.destination, one.run_id))
            told.append(replace(made, revoked_by=back.revoked_by, revoked_at=back.revoked_at) if back else made)
    return len(listed), tuple(told)


@_SEEN
def waiting(home: Path, _stamp: str = "") -> list[Waiting]:
    """Return the exports that wait for a second person; see `export_approvals.waiting`."""
    return export_approvals.waiting(Workspace(home.expanduser().resolve()))


def approve(viewer: Viewer, home: Path, one: Waiting, note: str) -> dict[str, Any]:
    """Enter that the viewer agrees to an export which somebody else asked for.

    Raises
    ------
    RefusedByPolicy
        The viewer asked for it, or the audience is retired.
    NotAllowed, UnknownName, RunMissing
    """
    viewer.require(Right.APPROVE_EXPORT)
    if persons.same(viewer.name, one.asked_by):
        raise RefusedByPolicy(
            f"{one.asked_by} asked for this export and cannot approve it too: a second person has to."
        )
    preset, channel = one.destination.split("/")
    return export_approvals.approve(home, one.audience, (preset, channel), viewer.name, note, run_id=one.run_id)


def destinations(viewer: Viewer, home: Path, audience: str) -> dict[str, tuple[str, ...]]:
    """Return the presets that an audience can be exported to, each with the channels on which; raises UnknownName."""
    viewer.require(Right.REQUEST_EXPORT)
    kept = held_audiences.one_of(held_audiences.kept(Workspace(home.expanduser().resolve())), audience)
    own = kept.definition.channels
    found = {name: tuple(one for one in own if one in preset.channels) for name, preset in PRESETS.items()}
    return {name: channels for name, channels in found.items() if channels}


def dry_run(viewer: Viewer, home: Path, wanted: Wanted, _stamp: str = "") -> dict[str, Any]:
    """Return what an export would do, with a reason for everybody left out; see `export_audience.dry_run`."""
    viewer.require(Right.REQUEST_EXPORT)
    return export_audience.dry_run(home, replace(wanted, by=viewer.name))


def request(viewer: Viewer, home: Path, wanted: Wanted) -> dict[str, Any]:
    """Export an audience in the viewer's name; see `export_audience.audience`.

    Raises
    ------
    NotAllowed
    ApprovalNeeded
        A second person has to agree first: it waits on the page from now on.
    RefusedByPolicy, UnknownName, NotEnoughData, MartMissing, RunMissing
    """
    viewer.require(Right.REQUEST_EXPORT)
    return export_audience.audience(home, replace(wanted, by=viewer.name))


def revoke(viewer: Viewer, home: Path, one: Handed, note: str) -> dict[str, Any]:
    """Take an audience's export back in the viewer's name; see `export_revoke.revoke`.

    Raises
    ------
    NotAllowed
    RefusedByPolicy
        Nothing says why, or it is no audience's bundle for a tool.
    UnknownName, CheckFailed
    """
    viewer.require(Right.APPROVE_EXPORT)
    if not note.strip():
        raise RefusedByPolicy("Taking an export back needs a note that says why.")
    if not one.is_of_audience or one.to is None or "/" not in one.to:
        raise RefusedByPolicy(
            "Only an audience's bundle for a campaign tool is taken back; this one is read by people."
        )
    preset, channel = one.to.split("/")
    wanted = Revocation(audience=one.audience, preset=preset, channel=channel, run_id=one.run_id, note=note.strip())
    return export_revoke.revoke(home, wanted, viewer.name)


@_SEEN
def came_back(home: Path, one: Handed, _stamp: str = "") -> CameBack | None:
    """Return what was reported of an export's audience and run, its own tool first; None where nothing was.

    Offers of a whole run are of no audience: theirs is what was reported of the run and of no audience.
    """
    audience = one.audience if one.is_of_audience else None
    try:
        found = feedback_funnel.funnel(home, audience=audience, run_id=one.run_id)
    except (NotEnoughData, UnknownName):
        return None
    groups = [group for group in found["groups"] if group["audience"] == audience]
    if not groups:
        return None
    own = (one.to or "").partition("/")[0].partition("_")[0]
    groups.sort(key=lambda group: (group["source"] != own, group["source"]))
    return CameBack(groups=tuple(groups), comparison=next(iter(found["comparisons"]), None))


@_SEEN
def check(one: Handed) -> dict[str, Any]:
    """Return what a bundle holds after checking every file, row and the signature; raises CheckFailed."""
    if one.folder is None:
        raise CheckFailed("The bundle is not there any more, or not what was exported. Export it again.")
    return export.verify(one.folder)


def _read(record: ExportRecord) -> Iterator[_Read]:
    """Yield the manifest of an export, nothing where it is not there or not what was recorded."""
    folder = Path(record.destination)
    try:
        if file_digest(folder / MANIFEST) != record.sha256:
            return
        of_audience = audience_verify.is_of_audience(folder)
        found = audience_verify.read_manifest(folder) if of_audience else offers_verify.read_manifest(folder)
        signed_by = found.signed_by(None)
    except (OSError, CheckFailed):
        return
    yield _Read(record=record, manifest=found.model_dump(mode="json"), signed_by=signed_by)


def _of(bundle: BundleRecord, read: Mapping[str, _Read]) -> list[_Read]:
    """Return the exports that hold the content of a bundle, the newest first."""
    key = (bundle.audience, bundle.run_id, bundle.content_sha256)
    return [
        one
        for one in read.values()
        if (one.record.audience, one.record.run_id, one.manifest["content_sha256"]) == key
        and f"{one.manifest['destination']}/{one.manifest.get('channel')}" == bundle.destination
        and one.record.file_format != "csv_spreadsheet"
    ]


def _bundle(
    one: BundleRecord, found: list[_Read], ack: AckRecord | None, name: tuple[str | None, str | None]
) -> Handed:
    newest = found[0] if found else None
    return Handed(
        key=f"bundle-{one.number}",
        audience=one.audience,
        name=name[0],
        name_zh=name[1],
        to=one.destination,
        run_id=one.run_id,
        mode=one.mode,
        file_format=newest.record.file_format if newest else None,
        folder=Path(newest.record.destination) if newest else None,
        rows=one.rows,
        exported_by=one.exported_by,
        exported_at=one.exported_at,
        approved_by=one.approved_by,
        acked_by=ack.acked_by if ack else None,
        acked_at=ack.acked_at if ack else None,
        acked_rejected=len(ack.rejected) if ack else None,
        signed_by=newest.signed_by if newest else None,
        manifest=newest.manifest if newest else None,
    )


def _alone(one: ExportRecord, found: _Read | None, name: tuple[str | None, str | None]) -> Handed:
    """Tell of an export that no tool acknowledges: all offers of a run, or a spreadsheet for people."""
    told = found.manifest if found else {}
    to = f"{told['destination']}/{told['channel']}" if "channel" in told else told.get("destination")
    return Handed(
        key=one.export_id,
        audience=one.audience,
        name=name[0],
        name_zh=name[1],
        to=to,
        run_id=one.run_id,
        mode=told.get("mode", "full"),
        file_format=one.file_format,
        folder=Path(one.destination) if found else None,
        rows=one.rows,
        exported_by=one.exported_by,
        exported_at=one.exported_at,
        approved_by=told.get("approved_by"),
        acked_by=None,
        acked_at=None,
        acked_rejected=None,
        signed_by=found.signed_by if found else None,
        manifest=found.manifest if found else None,
    )
