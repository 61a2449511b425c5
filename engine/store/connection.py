"""Open SQLite or PostgreSQL so that both behave alike: foreign keys hold, a writer waits, readers are not shut out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from engine.domain.errors import StoreUnavailable

BUSY_SECONDS: Final = 30  # how long a writer waits for another one before it gives up
_WRITES: Final = "wayline_writes"


def open_engine(address: str) -> Engine:
    """Return an engine for `sqlite:///path` or `postgresql://user@host/database`; connects to nothing yet.

    Raises
    ------
    StoreUnavailable
        The address is no address of either, or the driver for PostgreSQL is not installed.
    """
    url = _parsed(address)
    if url.get_backend_name() == "postgresql":
        return _postgres(url)
    return _sqlite(url)


def _parsed(address: str) -> URL:
    # hosting platforms still write postgres://, which SQLAlchemy no longer knows
    if address.startswith("postgres://"):
        address = "postgresql" + address[len("postgres") :]
    try:
        url = make_url(address)
    except ArgumentError:
        raise StoreUnavailable(
            "the address",
            "it is not an address of a database",
            "Write WAYLINE_DATABASE_URL as sqlite:///path or postgresql://user@host/database.",
        ) from None
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreUnavailable(
            shown(url), f"{url.get_backend_name()} is not supported", "Use SQLite or PostgreSQL 13 or newer."
        )
    return url


def shown(url: URL) -> str:
    """Return an address as it may be shown: without its password."""
    return url.render_as_string(hide_password=True)


def _postgres(url: URL) -> Engine:
    if find_spec("psycopg") is None:
        raise StoreUnavailable(
            shown(url), "the driver for PostgreSQL is not installed", "Install it with `pip install wayline[postgres]`."
        )
    engine = create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    return engine.execution_options(isolation_level="READ COMMITTED")


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    # the driver's own idea of transactions begins them too late; ours begin in _begin_sqlite
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # an audit entry that was confirmed survives a power cut
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA recursive_triggers = ON")  # else REPLACE would delete past the append-only triggers


def _begin_sqlite(connection: Connection) -> None:
    # a writer takes its lock first: one that reads first and then writes is turned away instead of waiting
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def writing(engine: Engine) -> Engine:
    """Return the engine for transactions that write; readers use the engine itself."""
    return engine.execution_options(**{_WRITES: True})


@contextmanager
def told(engine: Engine) -> Iterator[None]:
    """Say in a sentence when the database cannot be reached; its own message may hold addresses and is left out."""
    try:
        yield
    except (OperationalError, engine.dialect.loaded_dbapi.OperationalError) as fault:
        raise StoreUnavailable(shown(engine.url), _why(fault), _remedy(engine.url)) from fault


def _why(fault: Exception) -> str:
    message = str(fault.orig if isinstance(fault, OperationalError) else fault).lower()
    known = {
        "locked": f"another process kept it locked for {BUSY_SECONDS} s",
        "unable to open": "the file cannot be opened",
        "readonly": "it cannot be written to",
        "read-only": "it cannot be written to",
        "full": "the disk is full",
        "password": "the password was not accepted",
        "does not exist": "there is no such database, or it has no such user",
        "refused": "no server answers there",
        "timeout": "the server does not answer",
    }
    return next((sentence for word, sentence in known.items() if word in message), "it does not answer as expected")


def _remedy(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f"Check the folder {Path(url.database or '.').parent} and its permissions."
    return "Check WAYLINE_DATABASE_URL and that the server runs."


def lock(connection: Connection, key: int) -> None:
    """Wait until no other transaction holds the same lock; it ends with the transaction.

    SQLite has one writer at a time anyway, which `writing` takes at the beginning.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
