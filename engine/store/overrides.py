"""Overrides of lending decisions: made by one person, agreed to by another, taken back by anybody, never deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.numerics.chain import digest
from engine.store import persons
from engine.store.records import OverrideRecord
from engine.store.tables import OverrideRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOverride:
    """What a person wants: for which customer, of which family of credit (None for all), until when, and why."""

    customer_id: str
    family: str | None
    kind: str
    limit_minor: int | None
    note: str
    expires_at: datetime


def add(session: Session, wanted: NewOverride, owner: str, now: datetime) -> OverrideRecord:
    """Enter an override; it waits for a second person where the engine asks for one."""
    row = OverrideRow(
        customer_id=wanted.customer_id,
        family=wanted.family,
        kind=wanted.kind,
        limit_minor=wanted.limit_minor,
        owner=persons.name(owner),
        note=wanted.note,
        made_at=now,
        expires_at=wanted.expires_at,
    )
    session.add(row)
    session.flush()
    return record(row)


def agree(session: Session, override_id: int, second: str, now: datetime) -> OverrideRecord:
    """Enter the second person.

    Raises
    ------
    UnknownName
        There is no such override.
    RefusedByPolicy
        It is the owner again, somebody has agreed already, or it has ended.
    """
    row = _row(session, override_id)
    _check_open(row, now)
    if persons.same(second, row.owner):
        raise RefusedByPolicy(f"Override {override_id} is {row.owner}'s own: a second person must agree to it.")
    if row.second is not None:
        raise RefusedByPolicy(f"{row.second} has agreed to override {override_id} already.")
    row.second, row.agreed_at = persons.name(second), now
    session.add(row)
    return record(row)


def revoke(session: Session, override_id: int, by: str, now: datetime) -> OverrideRecord:
    """Take an override back; it stays on record. Raises UnknownName or RefusedByPolicy like `agree`."""
    row = _row(session, override_id)
    _check_open(row, now)
    row.revoked_by, row.revoked_at = persons.name(by), now
    session.add(row)
    return record(row)


def listed(session: Session, customer_id: str | None) -> list[OverrideRecord]:
    """Return all overrides, of one customer or of all, the oldest first."""
    query = select(OverrideRow).order_by(col(OverrideRow.override_id))
    if customer_id is not None:
        query = query.where(OverrideRow.customer_id == customer_id)
    return [record(row) for row in session.exec(query)]


def audited(one: OverrideRecord) -> Mapping[str, Any]:
    """Return what the audit log keeps: ids, amounts, dates, and the hash of the note instead of the note."""
    return {
        "customer_id": one.customer_id,
        "family": one.family,
        "kind": one.kind,
        "limit_minor": one.limit_minor,
        "owner": one.owner,
        "second": one.second,
        "expires_at": one.expires_at.isoformat(),
        "note_sha256": digest(one.note),
    }


def record(row: OverrideRow) -> OverrideRecord:
    """Return a row as it is handed out."""
    return OverrideRecord(**row.model_dump())


def _row(session: Session, override_id: int) -> OverrideRow:
    row = session.get(OverrideRow, override_id)
    if row is None:
        newest = session.exec(select(OverrideRow.override_id).order_by(col(OverrideRow.override_id).desc()).limit(5))
        raise UnknownName("override", str(override_id), [str(number) for number in newest])
    return row


def _check_open(row: OverrideRow, now: datetime) -> None:
    if row.revoked_at is not None:
        raise RefusedByPolicy(f"Override {row.override_id} was taken back by {row.revoked_by}. Make a new one.")
    if row.expires_at <= now:
        raise RefusedByPolicy(f"Override {row.override_id} ended on {row.expires_at:%Y-%m-%d}. Make a new one.")
