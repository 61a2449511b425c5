"""Take an exported run of an audience back at a destination: recorded, unloadable, and undone by the next export.

Whoever loaded it holds members that should not be there. What follows is a full export that removes whoever is no
member, whatever was asked for; until that one is acknowledged none that only tells changes is made. Nobody has to
agree: taking back only ever lowers what is allowed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.domain.errors import CheckFailed, RefusedByPolicy, UnknownName
from engine.exports import audience_verify, releases
from engine.exports.manifest import SUCCESS
from engine.exports.presets.base import destination
from engine.lake.files import write_synced
from engine.lake.workspace import Workspace
from engine.store import NewRevocation, RevocationRecord, Store
from engine.workflows import held_audiences, session

REVOKED: Final = audience_verify.REVOKED
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What is taken back: an audience's export of a run, to a preset on a channel.

    channel : None where it was exported on one alone. note : why; kept beside the revocation, in no log.
    """

    audience: str
    preset: str
    run_id: str
    channel: str | None = None
    note: str = ""


def revoke(home: Path, wanted: Revocation, by: str) -> dict[str, Any]:
    """Take an export back: its folders lose `_SUCCESS`, pulls of it end, and the next export is a full one.

    The same again changes nothing and finishes what was interrupted.

    Raises
    ------
    RefusedByPolicy
        Nobody is named.
    UnknownName
        No such audience, or nothing of that run was handed to that destination or pulled for it.
    CheckFailed
        It was handed over on several channels, and none is named.
    """
    if not by.strip():
        raise RefusedByPolicy("Taking an export back is a person's act. Say who it is with --by.")
    workspace = session.workspace_at(home)
    held_audiences.one_of(held_audiences.kept(workspace), wanted.audience)
    with Store(session.database_url(workspace), actor=by) as store, workspace.lock("export"):
        where = destination(wanted.preset, _channel(workspace, store, wanted))
        made = store.revoke_export(
            NewRevocation(audience=wanted.audience, destination=where, run_id=wanted.run_id, note=wanted.note)
        )
        folders = [folder for folder in _folders(store, wanted, where) if _close(folder, made)]
        loaded = store.last_ack(wanted.audience, where)
        later = loaded is not None and all(
            one.number < loaded.bundle.number
            for one in store.export_bundles(wanted.audience, wanted.run_id)
            if one.destination == where
        )
    return {
        "audience": wanted.audience,
        "to": where,
        "run_id": wanted.run_id,
        "revoked_by": made.revoked_by,
        "revoked_at": made.revoked_at,
        "folders": folders,
        # where it has loaded a later one it holds what that says
        "next_is_full": not later,
    }


def _channel(workspace: Workspace, store: Store, wanted: Revocation) -> str:
    """Return the channel on which the run was handed over or pulled; raises UnknownName, CheckFailed."""
    exported = {
        one.destination for one in store.export_bundles(wanted.audience, wanted.run_id)
    }  # fmt: skip
    channels = {where.split("/")[1] for where in exported if where.split("/")[0] == wanted.preset}
    channels |= _pulled(workspace, wanted)
    if wanted.channel is not None and wanted.channel in channels:
        return wanted.channel
    if wanted.channel is not None or not channels:
        known = {f"{one.destination} {one.run_id}" for one in store.export_bundles(wanted.audience)}
        asked = f"{wanted.preset}/{wanted.channel or '*'} {wanted.run_id}"
        raise UnknownName("export", asked, sorted(known)[-_SHOWN:])
    if len(channels) > 1:
        raise CheckFailed(f"It was handed over on {', '.join(sorted(channels))}. Say which with --channel.")
    return channels.pop()


def _pulled(workspace: Workspace, wanted: Revocation) -> set[str]:
    """Return the channels on which members of the run were made ready to be pulled."""
    home = workspace.home / "pulls" / wanted.audience
    folders = [folder for folder in home.iterdir() if folder.is_dir()] if home.is_dir() else []
    return {
        folder.name
        for folder in folders
        if not folder.name.startswith("_") and any(_is_of(one, wanted.run_id) for one in releases.every(folder))
    }


def _is_of(release: releases.Release, run_id: str) -> bool:
    return release.manifest["run_id"] == run_id and "to" not in release.manifest  # changes are told from two runs


def _folders(store: Store, wanted: Revocation, where: str) -> list[Path]:
    """Return the folders of this machine that hold bundles of the run for the destination."""
    found = {Path(one.destination) for one in store.exports(wanted.run_id) if one.audience == wanted.audience}
    return sorted(folder for folder in found if _goes_to(folder, wanted, where))


def _goes_to(folder: Path, wanted: Revocation, where: str) -> bool:
    with suppress(CheckFailed, OSError):
        manifest = audience_verify.manifest_of(folder)
        meant = (manifest.audience.id, manifest.run_id, destination(manifest.destination, manifest.channel))
        return meant == (wanted.audience, wanted.run_id, where)
    return False


def _close(folder: Path, made: RevocationRecord) -> bool:
    """Make a bundle one that nobody loads; return whether it was open."""
    told = f"Taken back by {made.revoked_by} on {made.revoked_at:%Y-%m-%d}. Load nothing of this folder.\n"
    is_open = (folder / SUCCESS).is_file()
    if not (folder / REVOKED).is_file():
        write_synced(folder / REVOKED, told.encode())
    (folder / SUCCESS).unlink(missing_ok=True)
    return is_open
