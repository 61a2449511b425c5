"""Bring a database to the tables of this version, once, whoever comes first.

After changing `tables.py`, write the next migration against a throw-away database:
`python -m engine.store.migrate "what changes"`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Final

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from engine.domain.errors import StoreUnavailable
from engine.store.connection import lock, open_engine, shown, told, writing
from engine.store.work_tables import Stored  # through them, so that all tables are known

SCRIPTS: Final = Path(__file__).parent / "migrations"
_MIGRATION_LOCK: Final = 0x7761796C_01  # "wayl" and a number: the advisory lock of migrations
_one_at_a_time = Lock()  # alembic's context is one for the whole process


def upgrade(engine: Engine) -> None:
    """Create or change the tables until they are those of this version; harmless when they are already.

    Several processes may come at once: one does it, the others wait and find it done.

    Raises
    ------
    StoreUnavailable
        The database cannot be reached, or a newer version of Wayline has changed it.
    """
    with told(engine):
        with engine.connect() as connection:
            if _revision(connection) == newest():
                return
        with _one_at_a_time, _alone(engine) as connection:
            _refuse_newer(engine, connection)
            command.upgrade(_config(connection), "head")


def downgrade(engine: Engine, revision: str) -> None:
    """Take the tables back to an older revision; `base` removes them all."""
    with told(engine), _one_at_a_time, _alone(engine) as connection:
        command.downgrade(_config(connection), revision)


def differences(engine: Engine) -> list[object]:
    """Return how the tables of a database differ from `tables.py`; nothing when the migrations are complete."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Stored.metadata))


def newest() -> str:
    """Return the revision of this version of Wayline."""
    return ScriptDirectory(str(SCRIPTS)).get_current_head() or "base"


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(engine: Engine, connection: Connection) -> None:
    revision = _revision(connection)
    known = {script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreUnavailable(
            shown(engine.url),
            f"a newer version of Wayline has changed its tables (revision {revision})",
            "Install that version, or name another database in WAYLINE_DATABASE_URL.",
        )


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Open one transaction that no other migration shares, committed at the end."""
    with writing(engine).connect() as connection, _unbound_keys(connection), connection.begin():
        lock(connection, _MIGRATION_LOCK)
        yield connection
        if connection.dialect.name == "sqlite" and connection.execute(text("PRAGMA foreign_key_check")).first():
            raise StoreUnavailable(
                shown(engine.url), "the migration would leave rows without what they refer to", "Restore a backup."
            )


@contextmanager
def _unbound_keys(connection: Connection) -> Iterator[None]:
    """Let SQLite copy a table that others refer to; its keys are checked as a whole before the end."""
    driver = connection.connection.driver_connection
    if connection.dialect.name != "sqlite" or driver is None:
        yield
        return
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def revise(message: str) -> None:
    """Write the migration from the newest revision to `tables.py` into `migrations/versions/`."""
    with TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{folder}/revise.db")
        upgrade(engine)
        with _alone(engine) as connection:
            command.revision(_config(connection), message, autogenerate=True)


if __name__ == "__main__":
    revise(" ".join(sys.argv[1:]))
