"""What every part of the store stands on: one address, one actor, transactions that read or write, the audit entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from typing import Any, Self

from sqlmodel import Session

from engine.store import trail
from engine.store.connection import open_engine, shown, told, writing
from engine.store.migrate import upgrade


class Base:
    """An operational database at an address; making one connects to nothing, the first use brings its tables."""

    def __init__(self, address: str, *, actor: str = "wayline", migrate: bool = True) -> None:
        self.actor = actor
        self._engine = open_engine(address)
        self._ready = not migrate

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """The address without its password."""
        return shown(self._engine.url)

    def acting(self, actor: str) -> Self:
        """Return the same database for another actor; close the one it came from, not this."""
        made = copy(self)
        made.actor = actor
        return made

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def upgrade(self) -> None:
        """Bring the tables to those of this version; several processes may do so at once."""
        upgrade(self._engine)
        self._ready = True

    def _note(self, session: Session, action: str, subject: str, details: Mapping[str, Any]) -> None:
        trail.append(session, now(), trail.Entry(actor=self.actor, action=action, subject=subject, details=details))

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a transaction that reads; for the modules of this package, which hand out records."""
        with self._read() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that writes, alone until its end; for the modules of this package."""
        with self._write() as session:
            yield session

    @contextmanager
    def _read(self) -> Iterator[Session]:
        self._prepare()
        with told(self._engine), Session(self._engine) as session:
            yield session

    @contextmanager
    def _write(self) -> Iterator[Session]:
        """Open a transaction that writes: committed at the end, undone when anything raises."""
        self._prepare()
        with told(self._engine), Session(writing(self._engine), expire_on_commit=False) as session, session.begin():
            trail.take_turn(session)
            yield session

    def _prepare(self) -> None:
        if not self._ready:
            self.upgrade()


def now() -> datetime:
    """Return this instant in UTC."""
    return datetime.now(UTC)
