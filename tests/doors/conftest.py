"""What tests of commands and of pages share: files that a test writes, a workspace to change, a browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from engine.ui import navigation
from tests.doors.experiment_files import Ask, Refuse, Write
from tests.doors.served import Watched, chromium


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    def asked(*arguments: object, code: int = 0) -> dict[str, Any]:
        command = ["experiment", "analyze", *map(str, arguments), "--home", str(tmp_path / "home"), "--json"]
        assert main(command) == code, capsys.readouterr()
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return asked


@pytest.fixture
def refusal(ask: Ask) -> Refuse:
    def refused(*arguments: object, code: int = 1) -> str:
        return str(ask(*arguments, code=code)["error"]["sentence"])

    return refused


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(header: str, rows: Sequence[Sequence[object]], name: str = "test.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
        return path

    return written


@pytest.fixture
def home(small_home: Path, tmp_path: Path) -> Path:
    """A copy of a small workspace with one run, to be changed."""
    shutil.copytree(small_home, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def ask_home(home: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Ask any command about that copy; what it says as JSON."""

    def asked(*words: object, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert main([*map(str, words), "--home", str(home), "--json"]) == code, capsys.readouterr()
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return asked


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    pytest.importorskip("playwright.sync_api")
    with chromium() as opened:
        yield opened


@pytest.fixture
def watched(browser: Any) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    yield Watched(context.new_page())
    context.close()


@pytest.fixture(autouse=True)
def no_page_ends_in_an_unforeseen_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Pages turn such an error into a sentence, so that it is looked for in the log."""
    yield
    failed = [record.getMessage() for record in caplog.get_records("call") if record.name == navigation.LOG.name]
    assert failed == []
