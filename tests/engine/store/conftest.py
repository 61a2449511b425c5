"""A fresh database for each test: SQLite in a folder, and PostgreSQL where a server answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store import Store


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/wayline.db"
    postgres: str = request.getfixturevalue("postgres_address")
    return postgres


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    with Store(address, actor="alice") as opened:
        yield opened
