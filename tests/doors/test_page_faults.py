"""What a page says when it cannot be finished."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.store import Store
from engine.ui import navigation
from tests.conftest import REPOSITORY
from tests.engine.ui import bank


@pytest.fixture
def no_page_ends_in_an_unforeseen_error() -> None:
    """Here one does."""


def _app(monkeypatch: pytest.MonkeyPatch, home: Path, **address: str) -> AppTest:
    monkeypatch.setenv("WAYLINE_HOME", str(home))
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=120)
    app.query_params.update(address)
    return app


def test_a_database_of_a_newer_version_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bank.make(tmp_path)
    with Store(f"sqlite:///{tmp_path}/wayline.db") as store:
        store.upgrade()
    with sqlite3.connect(tmp_path / "wayline.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    app = _app(monkeypatch, tmp_path).run()
    app.switch_page("engine/ui/pages/audiences.py").run()
    assert not app.exception
    assert "newer version of Wayline" in app.error[0].value


def test_an_unforeseen_error_has_a_number_that_the_log_knows_and_tells_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bank.make(tmp_path)
    funnels = next(tmp_path.glob("runs/*/journey_funnels"))
    for part in funnels.glob("*.parquet"):
        part.write_bytes(b"Zhang Wei, 13800000000: not a Parquet file")
    caplog.set_level(logging.ERROR, logger=navigation.LOG.name)
    app = _app(monkeypatch, tmp_path, lang="en").run()
    app.switch_page("engine/ui/pages/journeys.py").run()
    assert not app.exception
    said = app.error[0].value
    number = said.split("error number ")[1][:8]
    kept = [record.getMessage() for record in caplog.records if record.name == navigation.LOG.name]
    assert number in kept[-1]
    assert "on page journeys" in kept[-1]
    assert "Zhang Wei" not in said + kept[-1]
