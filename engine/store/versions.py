"""Definitions that never change: what differs from the current version becomes the next one beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import func
from sqlmodel import Session, col, select

from engine.numerics.chain import canonical, digest
from engine.store.tables import (
    AudienceActRow,
    AudienceRow,
    CatalogueRow,
    ExperimentDecisionRow,
    ExperimentRow,
    ExportApprovalRow,
)

Row = TypeVar("Row", ExperimentRow, ExperimentDecisionRow, AudienceRow, AudienceActRow, CatalogueRow, ExportApprovalRow)


def save(session: Session, table: type[Row], name: str, content: Mapping[str, Any], actor: str) -> tuple[Row, bool]:
    """Return the current version of a name, and whether it is new: the same content makes no second version."""
    text = canonical(content)
    hashed = digest(text)
    newest = select(table).where(col(table.name) == name).order_by(col(table.version).desc()).limit(1)
    current = session.exec(newest).first()
    if current is not None and current.content_hash == hashed:
        return current, False
    row = table(
        name=name,
        version=current.version + 1 if current else 1,
        content=text,
        content_hash=hashed,
        saved_by=actor,
        saved_at=datetime.now(UTC),
    )
    session.add(row)
    session.flush()
    return row, True


def every(session: Session, table: type[Row], name: str) -> list[Row]:
    """Return all versions of a name, the oldest first."""
    return list(session.exec(select(table).where(col(table.name) == name).order_by(col(table.version))))


def latest(session: Session, table: type[Row]) -> list[Row]:
    """Return the newest version of each name, by name."""
    return _version(session, table, func.max(col(table.version)))


def first(session: Session, table: type[Row]) -> list[Row]:
    """Return the first version of each name, by name."""
    return _version(session, table, func.min(col(table.version)))


def _version(session: Session, table: type[Row], which: Any) -> list[Row]:
    name = col(table.name)
    chosen = select(name.label("name"), which.label("version")).group_by(name).subquery()
    match = (name == chosen.c.name) & (col(table.version) == chosen.c.version)
    return list(session.exec(select(table).join(chosen, match).order_by(name)))
