"""Changes of the policy: proposed by one person, approved by another, in force from a day; revoked, never deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.numerics.chain import canonical, digest
from engine.store import catalogues, persons, trail
from engine.store.base import Base, now
from engine.store.catalogues import NewCatalogue
from engine.store.work_records import PolicyChangeRecord
from engine.store.work_tables import PolicyChangeRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChange:
    """A change that the actor proposes, with what it would do to the run it was tried on."""

    run_id: str
    policy: Mapping[str, Any]
    changes: Sequence[Mapping[str, Any]]
    effect: Mapping[str, Any]
    base_hash: str
    note: str


class PolicyChanges:
    """The proposed changes of a store; who proposes, approves, refuses or takes back is the store's actor."""

    def __init__(self, store: Base) -> None:
        self._store = store

    def propose(self, wanted: NewChange) -> PolicyChangeRecord:
        """Enter a change of the actor's; it waits for another person."""
        with self._store.writing() as session:
            moment = now()
            row = PolicyChangeRow(
                run_id=wanted.run_id,
                policy=canonical(wanted.policy),
                changes=canonical({"changes": list(wanted.changes)}),
                effect=canonical(wanted.effect),
                base_hash=wanted.base_hash,
                author=persons.name(self._store.actor),
                note=wanted.note,
                proposed_at=moment,
                status="waiting",
            )
            session.add(row)
            session.flush()
            return self._told(session, "proposed", row, moment)

    def approve(self, number: int, note: str, applied: NewCatalogue) -> PolicyChangeRecord:
        """Enter the actor as the second person and keep the policy as the version that holds from its day on.

        Raises
        ------
        UnknownName
        RefusedByPolicy
            It is the author, or the change waits no more.
        """
        with self._store.writing() as session:
            row, moment = _row(session, number), now()
            _check_waiting(row)
            self._check_second(row)
            version = self._apply(session, applied, moment)
            row.status, row.decided_by, row.decided_at = "approved", persons.name(self._store.actor), moment
            row.decision_note, row.effective_from, row.catalogue_version = note, applied.effective_from, version
            session.add(row)
            return self._told(session, "approved", row, moment)

    def refuse(self, number: int, note: str) -> PolicyChangeRecord:
        """Enter that the actor refuses a change; its author's refusal is a withdrawal. Raises like `approve`."""
        with self._store.writing() as session:
            row, moment = _row(session, number), now()
            _check_waiting(row)
            own = persons.same(self._store.actor, row.author)
            row.status = "withdrawn" if own else "refused"
            row.decided_by, row.decided_at, row.decision_note = persons.name(self._store.actor), moment, note
            session.add(row)
            return self._told(session, row.status, row, moment)

    def revoke(self, number: int, note: str, applied: NewCatalogue) -> PolicyChangeRecord:
        """Enter that the actor takes an approved change back, and keep the policy without it. Raises like `approve`."""
        with self._store.writing() as session:
            row, moment = _row(session, number), now()
            if row.status != "approved":
                raise RefusedByPolicy(f"Change {number} is not in force but {row.status}: there is nothing to revoke.")
            self._apply(session, applied, moment)
            row.status, row.revoked_by, row.revoked_at = "revoked", persons.name(self._store.actor), moment
            row.revoke_note = note
            session.add(row)
            return self._told(session, "revoked", row, moment)

    def every(self) -> list[PolicyChangeRecord]:
        """Return every change ever proposed, the oldest first."""
        with self._store.reading() as session:
            return [_record(row) for row in session.exec(select(PolicyChangeRow).order_by(col(PolicyChangeRow.number)))]

    def one(self, number: int) -> PolicyChangeRecord:
        """Return a change; raises UnknownName."""
        with self._store.reading() as session:
            return _record(_row(session, number))

    def _check_second(self, row: PolicyChangeRow) -> None:
        if persons.same(self._store.actor, row.author):
            raise RefusedByPolicy(f"Change {row.number} is {row.author}'s own: a second person must approve it.")

    def _apply(self, session: Session, applied: NewCatalogue, at: datetime) -> int:
        newest = catalogues.newest(session)
        if newest != applied.after:
            raise RefusedByPolicy("The catalogue was saved anew at this very moment. Look at the change again.")
        saved, is_new = catalogues.save(session, applied, self._store.actor)
        if is_new:
            told = catalogues.audited(saved)
            entry = trail.Entry(
                actor=self._store.actor, action="catalogue.saved", subject=catalogues.CATALOGUE, details=told
            )
            trail.append(session, at, entry)
        return saved.version

    def _told(self, session: Session, act: str, row: PolicyChangeRow, at: datetime) -> PolicyChangeRecord:
        details = {
            "author": row.author,
            "run_id": row.run_id,
            "changes_sha256": digest(row.changes),
            "settings": [one["setting"] for one in json.loads(row.changes)["changes"]],
            "effective_from": row.effective_from and row.effective_from.isoformat(),
            "catalogue_version": row.catalogue_version,
        }
        entry = trail.Entry(
            actor=self._store.actor, action=f"policy.{act}", subject=f"policy_change/{row.number}", details=details
        )
        trail.append(session, at, entry)
        return _record(row)


def _row(session: Session, number: int) -> PolicyChangeRow:
    row = session.get(PolicyChangeRow, number)
    if row is None:
        newest = session.exec(select(PolicyChangeRow.number).order_by(col(PolicyChangeRow.number).desc()).limit(5))
        raise UnknownName("policy change", str(number), [str(one) for one in newest])
    return row


def _check_waiting(row: PolicyChangeRow) -> None:
    if row.status != "waiting":
        told = f"Change {row.number} waits no more: {row.status} by {row.decided_by} on {row.decided_at:%Y-%m-%d}."
        raise RefusedByPolicy(told)


def _record(row: PolicyChangeRow) -> PolicyChangeRecord:
    told = {name: json.loads(getattr(row, name)) for name in ("policy", "changes", "effect")}
    return PolicyChangeRecord(**{**row.model_dump(), **told, "changes": tuple(told["changes"]["changes"])})
