"""Make, list, rotate and revoke the keys with which campaign tools reach the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.domain.grants import SCOPES
from engine.store import ApiKeyRecord, Keyring, NewKey, Store
from engine.store.keyring import is_open
from engine.workflows import held_audiences, session

_SOON: Final = timedelta(days=14)


def create(
    home: Path,
    name: str,
    by: str,
    *,
    scopes: Sequence[str],
    destination: str,
    days: int,
    audiences: Sequence[str] | None = None,
    channel: str | None = None,
    row_cap: int | None = None,
    requests_per_minute: int | None = None,
) -> dict[str, Any]:
    """Make a key and return it with its secret, which is told this once.

    Parameters
    ----------
    audiences : those that it may see; None for all.
    days : after how many it ends.

    Raises
    ------
    UnknownName
        No such scope, or no such audience is kept.
    RefusedByPolicy
        Nobody answers for it by name, it allows nothing, or a key of that name is in use.
    """
    _answered(by)
    for scope in scopes:
        if scope not in SCOPES:
            raise UnknownName("scope", scope, SCOPES)
    if not scopes:
        raise RefusedByPolicy("A key without a scope opens nothing. Name what it is for with --scope.")
    workspace = session.workspace_at(home)
    known = held_audiences.kept(workspace)
    for audience in audiences or ():
        held_audiences.one_of(known, audience)
    wanted = NewKey(
        name=name,
        scopes=frozenset(scopes),
        audiences=None if audiences is None else frozenset(audiences),
        destination=destination,
        channel=channel,
        row_cap=row_cap,
        requests_per_minute=requests_per_minute,
        expires_at=datetime.now(UTC) + timedelta(days=days),
    )
    workspace.home.mkdir(parents=True, exist_ok=True)
    with Store(session.database_url(workspace), actor=by) as store:
        record, whole = Keyring(store).create(wanted)
    return _shown(record) | {"key": whole}


def rotate(home: Path, name: str, by: str, *, days: int, overlap_hours: float) -> dict[str, Any]:
    """Replace a key by one that allows the same; the old one holds for the overlap. Raises UnknownName."""
    _answered(by)
    now = datetime.now(UTC)
    workspace = session.workspace_at(home)
    with Store(session.database_url(workspace), actor=by) as store:
        record, whole = Keyring(store).rotate(
            name, expires_at=now + timedelta(days=days), overlap_until=now + timedelta(hours=overlap_hours)
        )
    return _shown(record) | {"key": whole, "old_key_until": now + timedelta(hours=overlap_hours)}


def revoke(home: Path, name: str, by: str) -> dict[str, Any]:
    """End every key of a name that is in use; raises UnknownName where none is."""
    _answered(by)
    workspace = session.workspace_at(home)
    with Store(session.database_url(workspace), actor=by) as store:
        ended = Keyring(store).revoke(name)
    return {"name": name, "revoked": [one.key_id for one in ended]}


def listed(home: Path) -> dict[str, Any]:
    """Return every key ever made, without secrets, and how it stands; looking makes no database."""
    workspace = session.workspace_at(home)
    if not session.has_register(workspace):
        return {"keys": []}
    with Store(session.database_url(workspace)) as store:
        return {"keys": [_shown(one) for one in Keyring(store).every()]}


def _shown(one: ApiKeyRecord) -> dict[str, Any]:
    names = ("key_id", "name", "scopes", "audiences", "destination", "channel", "row_cap", "requests_per_minute")
    dates = ("created_by", "created_at", "expires_at", "last_used_at", "revoked_by", "revoked_at", "replaced_by")
    return {name: getattr(one, name) for name in (*names, *dates)} | {"status": _standing(one, datetime.now(UTC))}


def _standing(one: ApiKeyRecord, now: datetime) -> str:
    if one.revoked_at is not None:
        return "revoked"
    if not is_open(one, now):
        return "expired"
    if one.replaced_by is not None:
        return "replaced"
    return "ends_soon" if one.expires_at - now < _SOON else "in_use"


def _answered(by: str) -> None:
    if not by.strip():
        raise RefusedByPolicy("Somebody must answer for a key by name. Give it with --by.")
