"""Ask `wayline experiment analyze` about files that a test writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from tests.doors.experiment_files import Ask, Refuse, Write


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
