"""`wayline risk fit` on a public file of few loans, and on the one that ships with Wayline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.cli.main import main
from tests import loans
from tests.conftest import REPOSITORY


def test_loans_that_ship_are_those_that_the_code_makes(tmp_path: Path) -> None:
    loans.write(tmp_path / "loans.csv")
    assert (tmp_path / "loans.csv").read_bytes() == (REPOSITORY / "data" / "loans.csv").read_bytes()


@pytest.mark.real_data
def test_few_bad_loans_are_said_to_tell_little(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = real_data / "berka" / "loan.asc"
    asked = ("risk", "fit", path, "--target", "status", "--bad", "B", "--bad", "D", "--time", "date")
    command = [*map(str, asked), "--out", str(tmp_path / "m"), "--home", str(tmp_path), "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], round(found["rows"] * found["bad_rate"])) == (682, 76)
    # the earlier two thirds alone teach nothing, so that nothing is held back and folds are all there is
    assert found["out_of_time"] is None
    assert any("Nothing is held back" in note for note in found["notes"])
    lower, upper = found["models"][0]["auc_interval"]
    assert upper - lower > 0.1
    assert "small sample: 76 of 682" in found["models"][0]["why"]
    card = (tmp_path / "m" / "card.md").read_text(encoding="utf-8")
    assert "with 76 bad of 682 rows the AUC lies somewhere in" in card
