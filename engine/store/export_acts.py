"""What becomes of exports: contents handed over, what destinations say they have loaded, who approved or took back.

A destination holds what it acknowledged last. Nothing here is ever changed: triggers refuse it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from engine.domain.errors import CheckFailed, RefusedByPolicy, UnknownName
from engine.numerics.chain import digest
from engine.store import persons, versions
from engine.store.records import AckRecord, ApprovalRecord, BundleRecord, RevocationRecord
from engine.store.tables import ExportAckRow, ExportApprovalRow, ExportBundleRow, ExportRevocationRow

_MOST_REJECTED: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBundle:
    """A content that is handed to a destination; see `BundleRecord`."""

    audience: str
    destination: str
    run_id: str
    mode: str
    prev_run_id: str | None
    content_sha256: str
    members: int
    rows: int
    approved_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAck:
    """What a destination says to have loaded: how many rows of which content, and whom it rejected, by their ids."""

    audience: str
    destination: str
    run_id: str
    content_sha256: str
    received_rows: int
    rejected: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRevocation:
    """A run of an audience that a person takes back at a destination."""

    audience: str
    destination: str
    run_id: str
    note: str


def hand_over(session: Session, wanted: NewBundle, by: str, now: datetime) -> BundleRecord:
    """Enter a content; the same one handed over again keeps its number.

    Raises
    ------
    RefusedByPolicy
        The run was taken back at that destination.
    """
    gone = revocation(session, wanted.audience, wanted.destination, wanted.run_id)
    if gone is not None:
        raise taken_back(gone)
    known = _bundle(session, wanted.audience, wanted.destination, wanted.run_id, wanted.content_sha256)
    if known is None:
        known = ExportBundleRow(**asdict(wanted), exported_by=by, exported_at=now)
        session.add(known)
        session.flush()
    return bundle_record(known)


def bundles(session: Session, audience: str | None, run_id: str | None) -> list[BundleRecord]:
    """Return the contents handed over, the newest first."""
    query = select(ExportBundleRow).order_by(col(ExportBundleRow.number).desc())
    if audience is not None:
        query = query.where(ExportBundleRow.audience == audience)
    if run_id is not None:
        query = query.where(ExportBundleRow.run_id == run_id)
    return [bundle_record(row) for row in session.exec(query)]


def acknowledge(session: Session, wanted: NewAck, by: str, now: datetime) -> tuple[AckRecord, bool]:
    """Enter that a destination has loaded a bundle; return it and whether that is new. The same again is the same.

    Raises
    ------
    UnknownName
        No such content was handed to that destination for that run.
    CheckFailed
        It received another number of rows, said something else before, or has acknowledged a later bundle already.
    """
    row = _bundle(session, wanted.audience, wanted.destination, wanted.run_id, wanted.content_sha256)
    if row is None:
        known = {f"{one.run_id} {one.content_sha256[:12]}" for one in bundles(session, wanted.audience, None)}
        raise UnknownName("export", f"{wanted.run_id} {wanted.content_sha256[:12]}", sorted(known)[-5:])
    if wanted.received_rows != row.rows:
        raise CheckFailed(
            f"The destination received {wanted.received_rows} rows, and the bundle has {row.rows}. It was not loaded "
            "whole: load it again, then acknowledge it."
        )
    rejected = sorted(set(wanted.rejected))
    if len(rejected) > min(row.rows, _MOST_REJECTED):
        raise CheckFailed(
            f"{len(rejected)} ids were rejected, and the bundle has {row.rows} rows. Send ids of its own."
        )
    earlier = session.get(ExportAckRow, row.number)
    if earlier is not None:
        if json.loads(earlier.rejected) != rejected:
            raise CheckFailed("This bundle was acknowledged before with other rejected ids. Ask for a full export.")
        return ack_record(earlier, row), False
    last = last_ack(session, wanted.audience, wanted.destination)
    if last is not None and last.bundle.number > (row.number or 0):
        raise CheckFailed(
            f"The destination has acknowledged run {last.bundle.run_id} already, which was exported later. "
            "If it went back to an older bundle, ask for a full export."
        )
    made = ExportAckRow(
        number=row.number or 0,
        received_rows=wanted.received_rows,
        rejected=json.dumps(rejected),
        acked_by=by,
        acked_at=now,
    )
    session.add(made)
    session.flush()
    return ack_record(made, row), True


def last_ack(session: Session, audience: str, destination: str) -> AckRecord | None:
    """Return the bundle that a destination acknowledged last, None before the first."""
    query = (
        select(ExportAckRow, ExportBundleRow)
        .join(ExportBundleRow, col(ExportAckRow.number) == col(ExportBundleRow.number))
        .where(ExportBundleRow.audience == audience, ExportBundleRow.destination == destination)
        .order_by(col(ExportAckRow.number).desc())
        .limit(1)
    )
    found = session.exec(query).first()
    return ack_record(*found) if found is not None else None


def acks(session: Session, audience: str | None) -> list[AckRecord]:
    """Return what destinations acknowledged, the newest bundle first."""
    query = (
        select(ExportAckRow, ExportBundleRow)
        .join(ExportBundleRow, col(ExportAckRow.number) == col(ExportBundleRow.number))
        .order_by(col(ExportAckRow.number).desc())
    )
    if audience is not None:
        query = query.where(ExportBundleRow.audience == audience)
    return [ack_record(*found) for found in session.exec(query)]


def revoke(session: Session, wanted: NewRevocation, by: str, now: datetime) -> tuple[RevocationRecord, bool]:
    """Enter that a run is taken back; return it and whether that is new. What was taken back once stays so.

    Raises
    ------
    RefusedByPolicy
        Nobody is named.
    """
    if not by.strip():
        raise RefusedByPolicy("Taking an export back is a person's act. Say who it is.")
    known = revocation(session, wanted.audience, wanted.destination, wanted.run_id)
    if known is not None:
        return known, False
    row = ExportRevocationRow(**asdict(wanted), revoked_by=persons.name(by), revoked_at=now)
    session.add(row)
    session.flush()
    return _revocation(row), True


def revocation(session: Session, audience: str, destination: str, run_id: str) -> RevocationRecord | None:
    """Return that a run was taken back at a destination, None where it was not."""
    query = select(ExportRevocationRow).where(
        ExportRevocationRow.audience == audience,
        ExportRevocationRow.destination == destination,
        ExportRevocationRow.run_id == run_id,
    )
    row = session.exec(query).first()
    return None if row is None else _revocation(row)


def revocations(session: Session, audience: str | None) -> list[RevocationRecord]:
    """Return what was taken back, the newest first."""
    query = select(ExportRevocationRow).order_by(col(ExportRevocationRow.number).desc())
    if audience is not None:
        query = query.where(ExportRevocationRow.audience == audience)
    return [_revocation(row) for row in session.exec(query)]


def taken_back(one: RevocationRecord) -> RefusedByPolicy:
    """Return the refusal of an export that was taken back."""
    return RefusedByPolicy(
        f"The export of run {one.run_id} to {one.destination} was taken back by {one.revoked_by} on "
        f"{one.revoked_at:%Y-%m-%d}. Make a new run, and export that."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApproval:
    """An export (audience, destination and run) that a person approves, and what it was when they looked at it."""

    name: str
    definition_sha256: str
    members: int
    note: str


def approve(session: Session, wanted: NewApproval, by: str) -> tuple[ApprovalRecord, bool]:
    """Enter that a person approves an export as it is defined now; return it and whether it is new.

    Raises
    ------
    RefusedByPolicy
        Nobody is named.
    """
    if not by.strip():
        raise RefusedByPolicy("An approval is a person's. Say who it is.")
    content = {**asdict(wanted), "by": persons.name(by)}
    row, is_new = versions.save(session, ExportApprovalRow, wanted.name, content, persons.name(by))
    return _approval(row), is_new


def approvals(session: Session, name: str) -> list[ApprovalRecord]:
    """Return the approvals of an export, the newest first."""
    return [_approval(row) for row in versions.every(session, ExportApprovalRow, name)][::-1]


def audited_approval(one: ApprovalRecord, note: str) -> Mapping[str, Any]:
    """Return what the audit log keeps of an approval: the hash of the note instead of the note."""
    return {"definition_sha256": one.definition_sha256, "members": one.members, "note_sha256": digest(note)}


def bundle_record(row: ExportBundleRow) -> BundleRecord:
    """Return a row as it is handed out."""
    return BundleRecord(**row.model_dump())


def ack_record(row: ExportAckRow, bundle: ExportBundleRow) -> AckRecord:
    """Return a row as it is handed out."""
    return AckRecord(
        bundle=bundle_record(bundle),
        received_rows=row.received_rows,
        rejected=tuple(json.loads(row.rejected)),
        acked_by=row.acked_by,
        acked_at=row.acked_at,
    )


def _revocation(row: ExportRevocationRow) -> RevocationRecord:
    return RevocationRecord(**row.model_dump(exclude={"number", "note"}))


def _bundle(
    session: Session, audience: str, destination: str, run_id: str, content_sha256: str
) -> ExportBundleRow | None:
    query = select(ExportBundleRow).where(
        ExportBundleRow.audience == audience,
        ExportBundleRow.destination == destination,
        ExportBundleRow.run_id == run_id,
        ExportBundleRow.content_sha256 == content_sha256,
    )
    return session.exec(query).first()


def _approval(row: ExportApprovalRow) -> ApprovalRecord:
    content = json.loads(row.content)
    return ApprovalRecord(
        name=row.name,
        definition_sha256=content["definition_sha256"],
        members=content["members"],
        approved_by=row.saved_by,
        approved_at=row.saved_at,
    )
