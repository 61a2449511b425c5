"""`wayline risk fit` on a public file of few loans, and on the one that ships with Wayline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.risk import scorecard
from engine.workflows import risk_sample
from engine.workflows.risk_sample import SampleQuestion
from tests import loans
from tests.conftest import REPOSITORY


def test_loans_that_ship_are_those_that_the_code_makes(tmp_path: Path) -> None:
    loans.write(tmp_path / "loans.csv")
    assert (tmp_path / "loans.csv").read_bytes() == (REPOSITORY / "data" / "loans.csv").read_bytes()


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "target", "bad", "leaks"),
    [
        # how long the call took is known when it is over, and then so is its outcome
        ("bank_marketing/bank-full.csv.gz", "y", "yes", ["duration"]),
        ("bank_marketing/bank-additional-full.csv.gz", "y", "yes", ["duration"]),
        # a bureau's own score and last month's delay are strong, and known beforehand
        ("heloc/heloc.csv.gz", "RiskPerformance", "Bad", []),
        ("uci_credit_default/uci_credit_default.csv.gz", "default.payment.next.month", "1", []),
    ],
)
def test_what_is_known_only_afterwards_is_flagged_and_strong_characteristics_are_not(  # noqa: PLR0917
    real_data: Path, tmp_path: Path, name: str, target: str, bad: str, leaks: list[str]
) -> None:
    question = SampleQuestion(path=real_data / name, target=target, bad=(bad,), home=tmp_path)
    sample = risk_sample.read(question)
    settings = load(RiskSettings, "risk")
    found = scorecard.fit(sample.columns, sample.bad, settings.binning, settings.scaling)
    assert [one.name for one in found.suspects] == leaks


@pytest.mark.real_data
def test_public_bank_of_few_loans_is_loaded_run_and_watched(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path / "berka"), "--json"]

    def asked(*words: str) -> dict[str, Any]:
        assert main([*words, *home]) == 0
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    asked("init", "--from", "berka", str(real_data / "berka"))
    asked("run")
    watched = asked("risk", "monitor")
    assert watched["cautions"] == []
    score = [one for one in watched["stability"] if one["population"] == "applications" and one["what"] == "score"]
    # ten loans a month: none could be judged alone, the last months together are
    assert [one["verdict"] for one in score if one["measure"] == "population_stability"][-1] == "stable"
    assert min(one["rows"] for one in score if one["verdict"] == "stable") >= 50
    due = asked("risk", "due")
    assert (due["due"], due["due_later"] > 0) == ([], True)
    assert "no table bureau" in asked("risk", "watch")["silent_triggers"]["utilisation_jump"]


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
