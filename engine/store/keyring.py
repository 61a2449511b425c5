"""Keys of the API: hashed at rest, scoped, with an end; rotated with an overlap, revoked, never deleted.

A secret is 256 random bits, so that one round of SHA-256 is enough: there is nothing to guess from.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.domain.grants import Grant, KeyRefused, RowCapReached
from engine.store import trail
from engine.store.api_tables import ApiKeyRow
from engine.store.base import Base
from engine.store.records import ApiKeyRecord

PREFIX: Final = "wayline"
_NOBODY: Final = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What a key is to allow; see `Grant`."""

    name: str
    scopes: frozenset[str]
    audiences: frozenset[str] | None
    destination: str
    channel: str | None
    row_cap: int | None
    requests_per_minute: int | None
    expires_at: datetime


class Keyring:
    """The keys of a store; who makes or revokes one is the store's actor."""

    def __init__(self, store: Base) -> None:
        self._store = store

    def create(self, wanted: NewKey) -> tuple[ApiKeyRecord, str]:
        """Make a key; return it with the whole of it, which is told once and cannot be read again.

        Raises
        ------
        RefusedByPolicy
            A key of that name is in use.
        """
        now = datetime.now(UTC)
        with self._store.writing() as session:
            if any(is_open(row, now) for row in _named(session, wanted.name)):
                raise RefusedByPolicy(
                    f'A key "{wanted.name}" is in use. Rotate it, revoke it, or give the new one another name.'
                )
            row, whole = _new(wanted, self._store.actor, now)
            session.add(row)
            self._note(session, now, "api_key.created", row, _told(row))
            return _record(row), whole

    def rotate(self, name: str, *, expires_at: datetime, overlap_until: datetime) -> tuple[ApiKeyRecord, str]:
        """Replace a key by a new one that allows the same; the old one holds until the overlap ends.

        Raises
        ------
        UnknownName
            No key of that name is in use.
        """
        now = datetime.now(UTC)
        with self._store.writing() as session:
            old = _in_use(session, name, now)
            wanted = NewKey(
                name=name,
                scopes=frozenset(json.loads(old.scopes)),
                audiences=_names(old.audiences),
                destination=old.destination,
                channel=old.channel,
                row_cap=old.row_cap,
                requests_per_minute=old.requests_per_minute,
                expires_at=expires_at,
            )
            row, whole = _new(wanted, self._store.actor, now)
            row.rows_left_on, row.rows_that_day = old.rows_left_on, old.rows_that_day
            old.replaced_by, old.expires_at = row.key_id, min(old.expires_at, overlap_until)
            session.add_all([old, row])
            facts = {"replaces": old.key_id, "overlap_until": old.expires_at.isoformat(timespec="seconds")}
            self._note(session, now, "api_key.rotated", row, _told(row) | facts)
            return _record(row), whole

    def revoke(self, name: str) -> list[ApiKeyRecord]:
        """End every key of a name that is in use, at once; raises UnknownName where none is."""
        now = datetime.now(UTC)
        with self._store.writing() as session:
            _in_use(session, name, now)
            ended = [row for row in _named(session, name) if is_open(row, now)]
            for row in ended:
                row.revoked_by, row.revoked_at = self._store.actor, now
                session.add(row)
                self._note(session, now, "api_key.revoked", row, {"key_id": row.key_id})
            return [_record(row) for row in ended]

    def every(self) -> list[ApiKeyRecord]:
        """Return every key ever made, by name and then the oldest first."""
        with self._store.reading() as session:
            query = select(ApiKeyRow).order_by(col(ApiKeyRow.name), col(ApiKeyRow.created_at))
            return [_record(row) for row in session.exec(query)]

    def grant(self, key_id: str, secret: str) -> Grant:
        """Return what a key allows; raises KeyRefused for one that is unknown, wrong, expired or revoked."""
        now = datetime.now(UTC)
        with self._store.reading() as session:
            row = session.get(ApiKeyRow, key_id)
        # an unknown id is compared too, so that the time taken does not tell which ids there are
        same = hmac.compare_digest(_hashed(secret), row.secret_sha256 if row else _NOBODY)
        if row is None or not same or not is_open(row, now):
            raise KeyRefused
        return Grant(
            key_id=row.key_id,
            name=row.name,
            scopes=frozenset(json.loads(row.scopes)),
            audiences=_names(row.audiences),
            destination=row.destination,
            channel=row.channel,
            row_cap=row.row_cap,
            requests_per_minute=row.requests_per_minute,
            expires_at=row.expires_at,
        )

    def used(self, moments: Mapping[str, datetime]) -> None:
        """Keep when keys were last used, by their id."""
        with self._store.writing() as session:
            for row in session.exec(select(ApiKeyRow).where(col(ApiKeyRow.key_id).in_(sorted(moments)))):
                row.last_used_at = max(row.last_used_at or moments[row.key_id], moments[row.key_id])
                session.add(row)

    def release(self, grant: Grant, rows: int, subject: str, details: Mapping[str, Any]) -> None:
        """Enter in the audit log that rows leave with a key, before they do, and count them against its day.

        Raises
        ------
        RowCapReached
            The key allows fewer; nothing is entered.
        """
        now = datetime.now(UTC)
        with self._store.writing() as session:
            row = session.get(ApiKeyRow, grant.key_id, with_for_update=True)
            if row is None:
                raise KeyRefused
            day = now.date().isoformat()
            before = row.rows_that_day if row.rows_left_on == day else 0
            if row.row_cap is not None and before + rows > row.row_cap:
                raise RowCapReached(rows, max(row.row_cap - before, 0), row.row_cap)
            row.rows_left_on, row.rows_that_day = day, before + rows
            session.add(row)
            facts = {"key_id": grant.key_id, "rows": rows, **details}
            entry = trail.Entry(actor=grant.actor, action="api.pulled", subject=subject, details=facts)
            trail.append(session, now, entry)

    def _note(self, session: Session, at: datetime, action: str, row: ApiKeyRow, details: Mapping[str, Any]) -> None:
        subject = f"api_key/{row.name}"
        trail.append(session, at, trail.Entry(actor=self._store.actor, action=action, subject=subject, details=details))


def is_open(row: ApiKeyRow | ApiKeyRecord, now: datetime) -> bool:
    """Whether a key opens anything: neither revoked nor past its end."""
    return row.revoked_at is None and now < row.expires_at


def _new(wanted: NewKey, by: str, now: datetime) -> tuple[ApiKeyRow, str]:
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    row = ApiKeyRow(
        key_id=key_id,
        name=wanted.name,
        secret_sha256=_hashed(secret),
        scopes=json.dumps(sorted(wanted.scopes)),
        audiences=None if wanted.audiences is None else json.dumps(sorted(wanted.audiences)),
        destination=wanted.destination,
        channel=wanted.channel,
        row_cap=wanted.row_cap,
        requests_per_minute=wanted.requests_per_minute,
        created_by=by,
        created_at=now,
        expires_at=wanted.expires_at,
    )
    return row, f"{PREFIX}.{key_id}.{secret}"


def split(whole: str) -> tuple[str, str]:
    """Return the id and the secret of a whole key; raises KeyRefused for what is none."""
    prefix, _, rest = whole.partition(".")
    key_id, _, secret = rest.partition(".")
    if prefix != PREFIX or not key_id or not secret:
        raise KeyRefused
    return key_id, secret


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _names(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(json.loads(text))


def _named(session: Session, name: str) -> list[ApiKeyRow]:
    return list(session.exec(select(ApiKeyRow).where(ApiKeyRow.name == name).order_by(col(ApiKeyRow.created_at))))


def _in_use(session: Session, name: str, now: datetime) -> ApiKeyRow:
    """Return the newest key of a name that is in use; raises UnknownName."""
    found = [row for row in _named(session, name) if is_open(row, now)]
    if not found:
        raise UnknownName("key in use", name, _open_names(session.exec(select(ApiKeyRow)), now))
    return found[-1]


def _open_names(rows: Iterable[ApiKeyRow], now: datetime) -> list[str]:
    return sorted({row.name for row in rows if is_open(row, now)})


def _told(row: ApiKeyRow) -> dict[str, Any]:
    return {
        "key_id": row.key_id,
        "scopes": json.loads(row.scopes),
        "audiences": None if row.audiences is None else json.loads(row.audiences),
        "destination": row.destination,
        "channel": row.channel,
        "row_cap": row.row_cap,
        "expires_at": row.expires_at.isoformat(timespec="seconds"),
    }


def _record(row: ApiKeyRow) -> ApiKeyRecord:
    hidden = {"secret_sha256", "rows_left_on", "rows_that_day"}
    audiences = None if row.audiences is None else tuple(json.loads(row.audiences))
    return ApiKeyRecord(
        **row.model_dump(exclude=hidden) | {"scopes": tuple(json.loads(row.scopes)), "audiences": audiences}
    )
