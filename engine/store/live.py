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
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, event, exists, func, insert, select, text

from engine.store.base import Base
from engine.store.connection import told, writing
from engine.store.tables import FeedbackRow, LiveContactRow, LiveDecisionRow, SuppressionRow

_DECISIONS = LiveDecisionRow.__table__  # type: ignore[attr-defined]
_CONTACTS = LiveContactRow.__table__  # type: ignore[attr-defined]
_FEEDBACK = FeedbackRow.__table__  # type: ignore[attr-defined]
_SUPPRESSIONS = SuppressionRow.__table__  # type: ignore[attr-defined]

SHOW_A_CONTACT: Final = ("sent", "delivered", "opened", "clicked", "bounced")
"""Reports that tell of a contact: who opened a message was sent it, whether that was reported or not."""

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
_STORED = select(*(_DECISIONS.c[name] for name in _NAMES))
_EARLIER = _STORED.where(_DECISIONS.c.request_key.in_(bindparam("keys", expanding=True)))
_OF_CUSTOMERS: Final[Any] = bindparam("customers", expanding=True)
_MADE = select(_CONTACTS.c.customer_id, _CONTACTS.c.channel, _CONTACTS.c.at, _CONTACTS.c.decision_id).where(
    _CONTACTS.c.customer_id.in_(_OF_CUSTOMERS), _CONTACTS.c.at > bindparam("begins")
)
_REPORTED = (
    select(
        *(_FEEDBACK.c[name] for name in ("event_id", "customer_id", "channel", "occurred_at", "decision_id")),
        # as the curated table has it: one message is one contact, else what one recommendation or run sent on a channel
        func.coalesce(
            _FEEDBACK.c.message_id, _FEEDBACK.c.recommendation_id, _FEEDBACK.c.run_id, _FEEDBACK.c.event_id
        ).label("message"),
        _FEEDBACK.c.product_id,
    )
    .where(
        _FEEDBACK.c.customer_id.in_(_OF_CUSTOMERS),
        _FEEDBACK.c.type.in_(SHOW_A_CONTACT),
        _FEEDBACK.c.machine_open.is_(False),
        _FEEDBACK.c.occurred_at > bindparam("begins"),
    )
    .order_by(_FEEDBACK.c.number)
)
_HELD = select(
    _SUPPRESSIONS.c.customer_id, _SUPPRESSIONS.c.channel, _SUPPRESSIONS.c.reason, _SUPPRESSIONS.c.since
).where(_SUPPRESSIONS.c.customer_id.in_(_OF_CUSTOMERS), _SUPPRESSIONS.c.lifted_at.is_(None))
_CHARGE = text(
    "UPDATE api_keys SET rows_left_on = :day, "
    "rows_that_day = CASE WHEN rows_left_on = :day THEN rows_that_day ELSE 0 END + 1 WHERE key_id = :key "
    "AND (row_cap IS NULL OR CASE WHEN rows_left_on = :day THEN rows_that_day ELSE 0 END < row_cap)"
)
_ALONE = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")


class Turn:
    """An open transaction that alone may count and add contacts of the customers it was opened for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def earlier(self, request_keys: Sequence[str]) -> dict[str, LiveDecision]:
        """Return what was decided before under these request keys."""
        if not request_keys:
            return {}
        rows = self._connection.execute(_EARLIER, {"keys": request_keys})
        return {row.request_key: LiveDecision(**row._mapping) for row in rows}

    def contacts(self, customer_ids: Sequence[str], begins: datetime) -> list[LiveContact]:
        """Return the contacts with customers later than an instant, each once: a report of one that was made is it.

        What a live decision made is one contact at its own instant, however many of its offers are reported.
        """
        asked = {"customers": customer_ids, "begins": begins}
        reports = defaultdict[tuple[str | None, ...], list[Any]](list)
        for row in self._connection.execute(_REPORTED, asked):
            key = (row.decision_id,) if row.decision_id else (row.customer_id, row.message, row.product_id, row.channel)
            reports[key].append(row)
        found = []
        for made in self._connection.execute(_MADE, asked):
            told = tuple(row.event_id for row in reports.pop((made.decision_id,), ()))
            found.append(LiveContact(**made._mapping, event_ids=told))
        for rows in reports.values():
            first = min(rows, key=lambda row: row.occurred_at)
            found.append(
                LiveContact(
                    customer_id=first.customer_id,
                    channel=first.channel,
                    at=first.occurred_at,
                    decision_id=first.decision_id,
                    event_ids=tuple(row.event_id for row in rows),
                )
            )
        return found

    def suppressions(self, customer_ids: Sequence[str]) -> list[LiveSuppression]:
        """Return what suppresses customers now."""
        rows = self._connection.execute(_HELD, {"customers": customer_ids})
        return [LiveSuppression(**row._mapping) for row in rows]

    def charge(self, key_id: str, day: str) -> bool:
        """Count one row that leaves with a key of the API against its UTC day; False where it allows no more."""
        return bool(self._connection.execute(_CHARGE, {"key": key_id, "day": day}).rowcount)

    def write(self, decisions: Iterable[tuple[LiveDecision, str | None]]) -> None:
        """Add decisions, each with the channel of the contact that it makes where it is counted."""
        rows, contacts = [], []
        for one, channel in decisions:
            rows.append({name: getattr(one, name) for name in _NAMES})
            if one.counted:
                contacts.append(
                    {
                        "decision_id": one.decision_id,
                        "customer_id": one.customer_id,
                        "channel": channel,
                        "at": one.decided_at,
                    }
                )
        if rows:
            self._connection.execute(insert(_DECISIONS), rows)
        if contacts:
            self._connection.execute(insert(_CONTACTS), contacts)


class LiveLedger(Base):
    """The tables of live decisions in the operational database; making one connects to nothing.

    On SQLite a commit appends to the log beside the database and waits for the disk once. Moving the log into the
    database takes many times as long, so that commits here leave it to `tidy`, which whoever decides calls elsewhere.
    """

    def __init__(self, address: str, *, actor: str = "wayline", migrate: bool = True) -> None:
        super().__init__(address, actor=actor, migrate=migrate)
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
        with told(self._engine), writing(self._engine).connect() as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                # in one order for everybody, so that no two wait for each other
                connection.execute(_ALONE, {"keys": sorted({_lock(name) for name in alone_with})})
            yield Turn(connection)

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
