"""A fresh database for each test: SQLite in a folder, and PostgreSQL where a server answers."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store import Store

SERVER = os.environ.get("WAYLINE_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/postgres")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/wayline.db"
        return
    yield from fresh_postgres()


@pytest.fixture
def postgres_address() -> Iterator[str]:
    yield from fresh_postgres()


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    with Store(address, actor="alice") as opened:
        yield opened


def fresh_postgres() -> Iterator[str]:
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'wayline[postgres]'")
    name = f"wayline_test_{uuid.uuid4().hex[:12]}"
    try:
        server = psycopg.connect(SERVER, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL server answers; name one in WAYLINE_TEST_POSTGRES")
    with server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield SERVER.rsplit("/", 1)[0] + "/" + name
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
