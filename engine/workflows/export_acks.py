"""What became of an audience's exports: handed over, acknowledged, and the key that they are signed with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.exports import signing
from engine.exports.presets.base import destination
from engine.lake.files import write_synced
from engine.store import AckRecord, BundleRecord, NewAck, RevocationRecord, Store
from engine.workflows import held_audiences, session
from engine.workflows.export import KEYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """What a tool says to have loaded: how many rows, of all files, of which content, and whom it rejected by id.

    channel : None where the content tells it.
    """

    audience: str
    preset: str
    channel: str | None
    run_id: str
    content_sha256: str
    received_rows: int
    rejected: Sequence[str] = ()


def acknowledge(home: Path, ack: Ack, by: str) -> dict[str, Any]:
    """Enter that a destination has loaded a bundle: the next delta follows it. The same again gives the same answer.

    Raises
    ------
    RefusedByPolicy
        Nobody is named.
    UnknownName
        No such content was handed to that destination for that run.
    CheckFailed
        It received another number of rows, said something else before, or has acknowledged a later bundle already.
    """
    if not by.strip():
        raise RefusedByPolicy("An acknowledgement is somebody's. Say whose with --by.")
    with Store(session.database_url(session.workspace_at(home)), actor=by) as store:
        made = store.ack_export(
            NewAck(
                audience=ack.audience,
                destination=destination(ack.preset, ack.channel or _channel(store, ack)),
                run_id=ack.run_id,
                content_sha256=ack.content_sha256,
                received_rows=ack.received_rows,
                rejected=ack.rejected,
            )
        )
    return _told(made)


def _channel(store: Store, ack: Ack) -> str:
    """Return the channel on which that content was handed to the preset; raises UnknownName where it was not."""
    for one in store.export_bundles(ack.audience, ack.run_id):
        preset, channel = one.destination.split("/")
        if (preset, one.content_sha256) == (ack.preset, ack.content_sha256):
            return channel
    known = {f"{one.destination} {one.content_sha256[:12]}" for one in store.export_bundles(ack.audience)}
    raise UnknownName("export", f"{ack.preset} {ack.content_sha256[:12]}", sorted(known)[-5:])


def _told(ack: AckRecord) -> dict[str, Any]:
    one = ack.bundle
    return {
        "audience": one.audience,
        "to": one.destination,
        "run_id": one.run_id,
        "mode": one.mode,
        "content_sha256": one.content_sha256,
        "received_rows": ack.received_rows,
        "rejected": len(ack.rejected),
        "members": one.members - len(ack.rejected),
        "acked_by": ack.acked_by,
        "acked_at": ack.acked_at,
    }


def listed(home: Path, audience: str | None = None) -> dict[str, Any]:
    """Return what was handed to destinations, of one audience or of all, the newest first, and what they acknowledged.

    Raises
    ------
    UnknownName
        No such audience.
    """
    workspace = session.workspace_at(home)
    if audience is not None:
        held_audiences.one_of(held_audiences.kept(workspace), audience)
    if not session.has_register(workspace):
        return {"exports": []}
    with Store(session.database_url(workspace)) as store:
        acked = {one.bundle.number: one for one in store.export_acks(audience)}
        gone = {(one.audience, one.destination, one.run_id): one for one in store.export_revocations(audience)}
        return {
            "exports": [
                _line(one, acked.get(one.number), gone.get((one.audience, one.destination, one.run_id)))
                for one in store.export_bundles(audience)
            ]
        }


def keys(home: Path, *, rotate: bool = False, out: Path | None = None) -> dict[str, Any]:
    """Return the key that bundles are signed with, made where there is none, or anew on request.

    out : a file for the public key in PEM, to be given to whoever checks bundles.

    Raises
    ------
    RefusedByPolicy
        Others than its owner can read the private key.
    UnreadableSource
        It is no such key.
    """
    workspace = session.workspace_at(home)
    folder = workspace.home / KEYS
    with workspace.lock("export keys"):
        key = None if rotate else signing.opened(folder)
        is_new = key is None
        if key is None:
            key = signing.create(folder)
            with Store(session.database_url(workspace)) as store:
                store.audit("export.key_made", signing.key_id(key.public), {"public_key": key.public})
    if out is not None:
        write_synced(out, signing.as_pem(key.public))
    return {
        "key_id": signing.key_id(key.public),
        "public_key": key.public,
        "is_new": is_new,
        "private_key": folder / signing.PRIVATE,
        "written": out,
    }


def _line(one: BundleRecord, ack: AckRecord | None, gone: RevocationRecord | None) -> dict[str, Any]:
    return {
        "audience": one.audience,
        "to": one.destination,
        "run_id": one.run_id,
        "mode": one.mode,
        "prev_run_id": one.prev_run_id,
        "members": one.members,
        "rows": one.rows,
        "content_sha256": one.content_sha256,
        "approved_by": one.approved_by,
        "exported_by": one.exported_by,
        "exported_at": one.exported_at,
        "acked_by": ack.acked_by if ack else None,
        "acked_at": ack.acked_at if ack else None,
        "revoked_by": gone.revoked_by if gone else None,
        "revoked_at": gone.revoked_at if gone else None,
    }
