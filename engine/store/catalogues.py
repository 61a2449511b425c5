"""Versions of the catalogue and its policies, each with the day from which it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlmodel import Session

from engine.domain.errors import CheckFailed
from engine.numerics.chain import digest
from engine.store import persons, versions
from engine.store.records import CatalogueRecord
from engine.store.tables import CatalogueRow

CATALOGUE: Final = "catalogue"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCatalogue:
    """A catalogue with its policies, whose it is, why, and from which day it holds.

    after : the version that was the newest when it was made; 0 for none.
    """

    definition: Mapping[str, Any]
    effective_from: date
    owner: str
    note: str
    after: int = 0


def newest(session: Session) -> int:
    """Return the number of the newest version, 0 where there is none."""
    return max((row.version for row in versions.latest(session, CatalogueRow)), default=0)


def save(session: Session, wanted: NewCatalogue, actor: str) -> tuple[CatalogueRecord, bool]:
    """Keep a catalogue as the next version, and return it and whether it is new."""
    content = {
        "definition": wanted.definition,
        "effective_from": wanted.effective_from.isoformat(),
        "owner": persons.name(wanted.owner),
        "note": wanted.note,
    }
    row, is_new = versions.save(session, CatalogueRow, CATALOGUE, content, actor)
    return record(row), is_new


def audited(one: CatalogueRecord) -> Mapping[str, Any]:
    """Return what the audit log keeps of a version."""
    return {
        "version": one.version,
        "hash": one.content_hash,
        "effective_from": one.effective_from.isoformat(),
        "owner": one.owner,
    }


def record(row: CatalogueRow) -> CatalogueRecord:
    """Return a version as it is handed out; raises CheckFailed where it is not what was saved."""
    if digest(row.content) != row.content_hash:
        raise CheckFailed(
            f"Version {row.version} of the catalogue was changed after it was saved: its checksum differs. "
            "Restore the database from a copy, or save the catalogue anew."
        )
    content = json.loads(row.content)
    return CatalogueRecord(
        version=row.version,
        effective_from=date.fromisoformat(content["effective_from"]),
        owner=content["owner"],
        note=content["note"],
        definition=content["definition"],
        content_hash=row.content_hash,
        saved_at=row.saved_at,
    )
