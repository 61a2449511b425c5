"""What persons do with audiences beside defining them: a second one verifies the rule, anybody answering retires it.

Acts are never changed: the newest of a kind holds, for as long as what it was said of is still there. A verification is
of a rule, by its hash; a retirement is of a version and all before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlmodel import Session, col, select

from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.numerics.chain import digest
from engine.store import persons, versions
from engine.store.records import AudienceActRecord
from engine.store.tables import AudienceActRow, AudienceRow

VERIFIED: Final = "verified"
RETIRED: Final = "retired"


def verify(session: Session, name: str, by: str, rule_hash: str) -> tuple[AudienceActRecord, bool]:
    """Enter that a person looked at the rule of an audience and found it right; return whether it is new.

    Raises
    ------
    UnknownName
        There is no such audience.
    RefusedByPolicy
        It is the owner, or whoever saved the rule: a second person verifies.
    """
    current = _current(session, name)
    owner = str(json.loads(current.content).get("owner", ""))
    if any(persons.same(by, one) for one in (owner, current.saved_by)):
        raise RefusedByPolicy(f'The audience "{name}" is {persons.name(by)}\'s own: a second person must verify it.')
    content = {"act": VERIFIED, "audience_version": current.version, "rule_hash": rule_hash, "by": persons.name(by)}
    return _kept(session, name, by, content)


def retire(session: Session, name: str, by: str, note: str) -> tuple[AudienceActRecord, bool]:
    """Enter that an audience, as it is now, is used no more; raises UnknownName."""
    content = {"act": RETIRED, "audience_version": _current(session, name).version, "note": note}
    return _kept(session, name, by, content)


def listed(session: Session) -> list[AudienceActRecord]:
    """Return every act on every audience, by audience and then the oldest first."""
    query = select(AudienceActRow).order_by(col(AudienceActRow.name), col(AudienceActRow.version))
    return [record(row) for row in session.exec(query)]


def audited(one: AudienceActRecord) -> Mapping[str, Any]:
    """Return what the audit log keeps: versions and hashes, the hash of the note instead of the note."""
    return {
        "audience_version": one.audience_version,
        "rule_hash": one.rule_hash,
        "note_sha256": digest(one.note) if one.note else None,
    }


def record(row: AudienceActRow) -> AudienceActRecord:
    """Return a row as it is handed out."""
    content = json.loads(row.content)
    return AudienceActRecord(
        name=row.name,
        act=content["act"],
        audience_version=content["audience_version"],
        rule_hash=content.get("rule_hash"),
        note=content.get("note"),
        done_by=row.saved_by,
        done_at=row.saved_at,
    )


def _kept(session: Session, name: str, by: str, content: Mapping[str, Any]) -> tuple[AudienceActRecord, bool]:
    row, is_new = versions.save(session, AudienceActRow, name, content, persons.name(by))
    return record(row), is_new


def _current(session: Session, name: str) -> AudienceRow:
    rows = versions.every(session, AudienceRow, name)
    if not rows:
        known = [row.name for row in versions.latest(session, AudienceRow)]
        raise UnknownName("audience", name, known)
    return rows[-1]
