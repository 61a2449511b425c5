"""Migrations and tables say the same, and many may migrate at once."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from engine.domain.errors import StoreUnavailable
from engine.store import Store
from engine.store.connection import open_engine, writing
from engine.store.migrate import SCRIPTS, _alone, _config, differences, downgrade, newest, upgrade

APPEND = """
import sys
from engine.store import Store
with Store(sys.argv[1], actor=sys.argv[2]) as store:
    for number in range(int(sys.argv[3])):
        store.audit("page.viewed", "home", {"n": number})
"""


def at_once(address: str, processes: int, entries: int) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", APPEND, address, f"writer{number}", str(entries)])
        for number in range(processes)
    ]
    assert [process.wait(timeout=60) for process in running] == [0] * processes


def test_the_migrations_make_exactly_the_tables_of_this_version(address: str) -> None:
    engine = open_engine(address)
    upgrade(engine)
    assert differences(engine) == []
    with _alone(engine) as connection:
        command.check(_config(connection))  # raises when autogenerate would find something
    engine.dispose()


def test_a_second_upgrade_changes_nothing(store: Store) -> None:
    store.audit("page.viewed", "home")
    store.upgrade()
    assert len(store.audit_trail()) == 1


def test_an_upgrade_can_be_taken_back_and_made_again(address: str) -> None:
    engine = open_engine(address)
    upgrade(engine)
    downgrade(engine, "base")
    with engine.connect() as connection:
        tables = engine.dialect.get_table_names(connection)
    assert tables == ["alembic_version"]
    upgrade(engine)
    assert differences(engine) == []
    engine.dispose()


def test_writers_that_come_at_once_find_one_set_of_tables_and_make_one_chain(address: str) -> None:
    at_once(address, processes=4, entries=15)
    with Store(address) as store:
        assert store.verify_audit() is None
        trail = store.audit_trail(limit=1000)
        assert [entry.seq for entry in trail] == list(range(60, 0, -1))
        assert {entry.actor for entry in trail} == {"writer0", "writer1", "writer2", "writer3"}


def test_tables_of_a_newer_version_are_left_alone(address: str) -> None:
    with Store(address) as store:
        store.audit("page.viewed", "home")
    engine = open_engine(address)
    with writing(engine).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with Store(address) as store, pytest.raises(StoreUnavailable, match=r"newer version.*9999"):
        store.audit_trail()


def test_no_ini_file_is_needed_and_none_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Store(f"sqlite:///{tmp_path}/wayline.db") as store:
        store.upgrade()
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} == {"wayline.db"}
    assert newest() == max(script.name[:4] for script in (SCRIPTS / "versions").glob("[0-9]*.py"))


def test_sqlite_is_opened_so_that_readers_and_a_writer_live_side_by_side(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/wayline.db")
    with engine.connect() as connection:
        asked = ("journal_mode", "foreign_keys", "busy_timeout", "recursive_triggers")
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked}
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000, "recursive_triggers": 1}
    engine.dispose()
