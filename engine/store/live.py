"""Live decisions and the contacts they make: many requests in one transaction, none of which sees half of another.

A turn locks the customers whose contacts it counts, with all of their households, before it reads anything: two
requests for one customer, in whatever processes, go one after the other, and the second counts what the first did.
SQLite has one writer at a time, PostgreSQL locks customer by customer.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection, and_, event, exists, func, select

from engine.store.base import Base
from engine.store.connection import told, writing
from engine.store.live_statements import HELD, MADE, Statements, aware, statements
from engine.store.tables import LiveContactRow, LiveDecisionRow

_DECISIONS = LiveDecisionRow.__table__  # type: ignore[attr-defined]
_CONTACTS = LiveContactRow.__table__  # type: ignore[attr-defined]

_LOG_PAGES: Final = 50_000  # of 4 kB, at which SQLite tidies up in a commit after all


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveDecision:
    """One decision as the ledger keeps it; the fields are those of `LiveDecisionRow`."""

    decision_id: str
    request_key: str | None
    request_hash: str
    asked_by: str
    customer_id: str | None
    run_id: str | None
    bundle: str | None
    inputs_sha256: str | None
    decided_at: datetime
    code: str
    counted: bool
    asked: str
    seen: str | None
    outcome: str | None
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveContact:
    """One contact with a customer that a live decision made, or that campaign tools reported.

    `decision_id` is that of the live decision, if any; `event_ids` are those of the reports, none where none came yet.
    """

    customer_id: str
    channel: str | None
    at: datetime
    decision_id: str | None
    event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSuppression:
    """One cause not to contact a customer that nobody has lifted; `channel` None is every channel."""

    customer_id: str
    channel: str | None
    reason: str
    since: datetime


_NAMES = tuple(field.name for field in fields(LiveDecision))
_DECIDED_AT: Final = _NAMES.index("decided_at")
_values: Final = attrgetter(*_NAMES)
_ROWS: Final = 64  # added in one statement, of which a database keeps the plans
_STORED = select(*(_DECISIONS.c[name] for name in _NAMES))
_OF_CONTACT: Final = ("decision_id", "customer_id", "channel", "at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What was told before under the key of a request, and the hash of what was asked then."""

    request_hash: str
    code: str
    answer: str


class Turn:
    """An open transaction that alone may count and add contacts of the customers it was opened for."""

    def __init__(self, connection: Connection, words: Statements) -> None:
        # the driver's own connection, of which both kinds know `execute`: what SQLAlchemy does for each statement takes
        # longer than these statements
        self._driver: Any = connection.connection.driver_connection
        self._words = words

    def earlier(self, request_keys: Sequence[str]) -> dict[str, Earlier]:
        """Return what was told before under these request keys."""
        if not request_keys:
            return {}
        rows = self._driver.execute(self._words.earlier, (self._words.listed(request_keys),)).fetchall()
        return {key: Earlier(request_hash=told, code=code, answer=answer) for key, told, code, answer in rows}

    def known(self, customer_ids: Sequence[str], begins: datetime) -> tuple[list[LiveContact], list[LiveSuppression]]:
        """Return the contacts with customers later than an instant, each once, and what suppresses the customers now.

        A report of a contact that was made is that contact. What a live decision made is one contact at its own
        instant, however many of its offers are reported.
        """
        listed, since = self._words.listed(customer_ids), self._words.moment(begins)
        made: list[Any] = []
        held: list[LiveSuppression] = []
        reports = defaultdict[tuple[str | None, ...], list[Any]](list)
        for row in self._driver.execute(self._words.known, (listed, since, listed, since, listed)).fetchall():
            kind, customer_id, channel, at, decision_id, told, message, product_id = row
            if kind == MADE:
                made.append(row)
            elif kind == HELD:
                held.append(LiveSuppression(customer_id=customer_id, channel=channel, reason=told, since=aware(at)))
            else:
                key = (decision_id,) if decision_id else (customer_id, message, product_id, channel)
                reports[key].append((aware(at), told, customer_id, channel, decision_id))
        contacts = [
            LiveContact(
                customer_id=customer_id,
                channel=channel,
                at=aware(at),
                decision_id=decision_id,
                event_ids=tuple(told for _, told, *_ in sorted(reports.pop((decision_id,), ()))),
            )
            for _, customer_id, channel, at, decision_id, *_ in made
        ]
        return contacts + [_reported(rows) for rows in reports.values()], held

    def charge(self, key_id: str, day: str) -> bool:
        """Count one row that leaves with a key of the API against its UTC day; False where it allows no more."""
        return bool(self._driver.execute(self._words.charge, (day, day, key_id, day)).rowcount)

    def write(self, decisions: Iterable[tuple[LiveDecision, str | None]]) -> None:
        """Add decisions, each with the channel of the contact that it makes where it is counted."""
        words, rows, contacts = self._words, list[Any](), list[Any]()
        for one, channel in decisions:
            at = words.moment(one.decided_at)
            values = list(_values(one))
            values[_DECIDED_AT] = at
            rows.append(values)
            if one.counted:
                contacts.append((one.decision_id, one.customer_id, channel, at))
        self._add(words.add_decision, words.decision_row, rows)
        self._add(words.add_contact, words.contact_row, contacts)

    def _add(self, insert: str, row: str, rows: Sequence[Sequence[Any]]) -> None:
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            self._driver.execute(self._words.adding(insert, row, len(part)), list(chain.from_iterable(part)))


def _reported(rows: list[Any]) -> LiveContact:
    """Return the contact that reports tell of: made when the first of them says."""
    rows.sort(key=lambda row: row[:2])
    at, _, customer_id, channel, decision_id = rows[0]
    return LiveContact(
        customer_id=customer_id,
        channel=channel,
        at=at,
        decision_id=decision_id,
        event_ids=tuple(told for _, told, *_ in rows),
    )


class LiveLedger(Base):
    """The tables of live decisions in the operational database; making one connects to nothing.

    On SQLite a commit appends to the log beside the database and waits for the disk once. Moving the log into the
    database takes many times as long, so that commits here leave it to `tidy`, which whoever decides calls elsewhere.
    """

    def __init__(self, address: str, *, actor: str = "wayline", migrate: bool = True) -> None:
        super().__init__(address, actor=actor, migrate=migrate)
        self._words, self._writing = statements(self._engine.dialect.name, _NAMES, _OF_CONTACT), writing(self._engine)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _tidy_seldom)

    def tidy(self) -> None:
        """Move what was committed from SQLite's log into the database, holding nobody up; nothing on PostgreSQL."""
        if self._engine.dialect.name == "sqlite":
            self._prepare()
            with told(self._engine), self._engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert driver is not None
                driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    @contextmanager
    def turn(self, alone_with: Iterable[str]) -> Iterator[Turn]:
        """Open a transaction that no other shares a name of `alone_with` with; it is durable when the block ends.

        Raises
        ------
        StoreUnavailable
            The database cannot be reached or written; nothing of the block is kept.
        """
        self._prepare()
        with told(self._engine), self._writing.connect() as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                # in one order for everybody, so that no two wait for each other
                connection.exec_driver_sql(self._words.alone, (sorted({_lock(name) for name in alone_with}),))
            yield Turn(connection, self._words)

    def decision(self, decision_id: str) -> LiveDecision | None:
        """Return one decision, None where there is none of that id."""
        self._prepare()
        with told(self._engine), self._engine.connect() as connection:
            row = connection.execute(_STORED.where(_DECISIONS.c.decision_id == decision_id)).first()
        return None if row is None else LiveDecision(**row._mapping)

    def decisions(self, customer_id: str, limit: int = 100) -> list[LiveDecision]:
        """Return the decisions on a customer, the newest first."""
        self._prepare()
        query = _STORED.where(_DECISIONS.c.customer_id == customer_id).order_by(_DECISIONS.c.number.desc())
        with told(self._engine), self._engine.connect() as connection:
            return [LiveDecision(**row._mapping) for row in connection.execute(query.limit(limit))]

    def unmatched(self) -> int:
        """Return how many counted decisions have no contact, and contacts no counted decision: 0 where all agree."""
        self._prepare()
        same = and_(
            _CONTACTS.c.decision_id == _DECISIONS.c.decision_id,
            _CONTACTS.c.customer_id == _DECISIONS.c.customer_id,
            _CONTACTS.c.at == _DECISIONS.c.decided_at,
        )
        queries = (
            select(func.count()).select_from(_DECISIONS).where(_DECISIONS.c.counted, ~exists().where(same)),
            select(func.count()).select_from(_CONTACTS).where(~exists().where(same, _DECISIONS.c.counted)),
        )
        with told(self._engine), self._engine.connect() as connection:
            return sum(int(connection.execute(query).scalar_one()) for query in queries)


def _tidy_seldom(connection: Any, _: Any) -> None:
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")


def _lock(name: str) -> int:
    """Return the number of an advisory lock: the first 64 bits of a sha256, far from those that the store fixes."""
    return int.from_bytes(hashlib.sha256(f"live:{name}".encode()).digest()[:8], "big", signed=True)
