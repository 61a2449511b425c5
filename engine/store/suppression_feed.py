"""Suppressions as whoever serves members follows them: what was entered since, who is held, whether that changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_
from sqlmodel import Session, col, select

from engine.store.base import Base
from engine.store.tables import SuppressionRow


@dataclass(frozen=True, slots=True)
class Revision:
    """The state of all suppressions: the newest number, and how many were lifted; another state has another one."""

    newest: int
    lifted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause that was entered and stands, at its number; `channel` None is every channel."""

    number: int
    customer_id: str
    channel: str | None
    reason: str
    since: datetime
    added_at: datetime


class SuppressionFeed:
    """The suppressions of a store; numbers grow in the order in which causes became visible."""

    def __init__(self, store: Base) -> None:
        self._store = store

    def revision(self) -> Revision:
        """Return the state of all suppressions."""
        with self._store.reading() as session:
            return _revision(session)

    def lifted_after(self, moment: datetime) -> list[str]:
        """Return whom a person freed of some cause at an instant or after it, sorted."""
        query = select(SuppressionRow.customer_id).distinct().where(col(SuppressionRow.lifted_at) >= moment)
        with self._store.reading() as session:
            return list(session.exec(query.order_by(col(SuppressionRow.customer_id))))

    def after(self, number: int, limit: int, channel: str | None) -> tuple[list[Cause], int]:
        """Return causes entered after a number that stand, the oldest first, and the newest number there is.

        channel : those on it and on every channel; None for all.
        """
        query = select(SuppressionRow).where(col(SuppressionRow.number) > number)
        query = query.where(col(SuppressionRow.lifted_at).is_(None)).order_by(col(SuppressionRow.number)).limit(limit)
        if channel is not None:
            query = query.where(_on(channel))
        with self._store.reading() as session:
            newest = _revision(session).newest
            return [_cause(row) for row in session.exec(query)], newest


def _on(channel: str) -> ColumnElement[bool]:
    held = col(SuppressionRow.channel)
    return or_(held.is_(None), held == channel)


def _revision(session: Session) -> Revision:
    query = select(func.max(SuppressionRow.number), func.count(col(SuppressionRow.lifted_at)))
    newest, lifted = session.exec(query).one()
    return Revision(newest or 0, lifted)


def _cause(row: SuppressionRow) -> Cause:
    names = ("customer_id", "channel", "reason", "since", "added_at")
    return Cause(number=row.number or 0, **{name: getattr(row, name) for name in names})
