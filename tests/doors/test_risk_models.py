"""`wayline risk models`, `propose`, `approve`, `retire` and `card`, and the run that goes by the approved model."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from math import isnan, nan
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from engine.compliance.model_card import Band, ModelCard
from engine.domain.errors import ModelSpoilt
from engine.lake.runs import latest_run, open_run
from engine.lake.workspace import Workspace
from engine.risk.metrics import Estimate
from tests import loans

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def home(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank of 300 customers, too few to learn from, with its tables and no run."""
    copied = tmp_path_factory.mktemp("governed") / "workspace"
    shutil.copytree(small_home / "curated", copied / "curated")
    return copied


@pytest.fixture
def ask(home: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    def asked(*words: object, code: int = 0) -> Any:
        command = [*map(str, words), "--home", str(home), "--json"]
        assert main(command) == code, capsys.readouterr()
        return json.loads(capsys.readouterr().out)

    return asked


def _refused(found: dict[str, Any]) -> str:
    return str(found["error"]["sentence"])


def test_a_run_goes_by_the_model_that_another_person_approved_until_it_is_retired(
    demo_home: Path, home: Path, ask: Ask
) -> None:
    learned = latest_run(Workspace(demo_home))
    proposed = ask("risk", "propose", learned.folder, "--owner", "ann", "--note", "second quarter")
    assert (proposed["status"], proposed["source"], proposed["figures"]["sample"]) == (
        "challenger",
        learned.run_id,
        "out_of_time",
    )
    number = proposed["model_id"]
    own = ask("risk", "approve", number, "--approver", "Ann", "--note", "fine", code=4)
    assert "another person must approve" in _refused(own)
    ask("risk", "approve", number, "--approver", "bob", "--note", "report 12")

    early = ask("run", "--as-of", "2026-03-31", code=4)
    assert "it would look ahead" in _refused(early)
    assert not (home / "runs").exists()

    made = ask("run")
    run = open_run(Workspace(home), made["run_id"])
    told = run.manifest["risk_model"]
    assert (told["model_id"], told["owner"], told["approver"]) == (number, "ann", "bob")
    assert told["content_hash"] == proposed["content_hash"]
    # the file of the run is the model that was approved, byte for byte
    assert (run.folder / "risk_model.json").read_bytes() == (learned.folder / "risk_model.json").read_bytes()
    # the bank could not have learned a model of its own: without this one every tier is unknown
    assert {"low", "medium"} <= set(run.read("risk", ["risk_tier"])["risk_tier"].to_pylist())
    notes = next(stage["notes"] for stage in made["stages"] if stage["stage"] == "risk")
    assert notes[0].startswith(f"graded by model {number}, learned as of 2026-06-30")
    assert any("The model is not challenged" in note for note in notes)

    with closing(sqlite3.connect(home / "wayline.db")) as database, database:
        database.execute("UPDATE risk_models SET content = replace(content, '\"low\"', '\"high\"') || ' '")
    assert "not what was approved" in _refused(ask("run", code=1))
    ask("risk", "retire", number, "--owner", "ann", "--note", "it was changed")
    (row,) = ask("risk", "models")
    assert (row["status"], row["approver"], row["retired_by"]) == ("retired", "bob", "ann")


def test_the_card_of_a_model_shows_who_proposed_and_approved_it_in_both_languages(tmp_path: Path, ask: Ask) -> None:
    loans.write(tmp_path / "loans.csv")
    asked = ("--target", "status", "--bad", "default", "--time", "booked_on", "--protected", "gender")
    ask("risk", "fit", tmp_path / "loans.csv", *asked, "--out", tmp_path / "m")
    number = ask("risk", "propose", tmp_path / "m", "--owner", "ann", "--note", "branch <b>loans</b>")["model_id"]
    before = ask("risk", "card", number)
    assert [one["decision"] for one in before["approvals"]] == ["proposed"]
    ask("risk", "approve", number, "--approver", "bob", "--note", "validated")
    text = ask("risk", "card", number)["card"]
    approvals = text[text.index("Approvals") :]
    assert "ann" in approvals
    assert "| bob |" in approvals
    ask("risk", "card", number, "--lang", "zh", "--out", tmp_path / "card.html")
    page = (tmp_path / "card.html").read_text(encoding="utf-8")
    assert "批准" in page
    assert "<b>loans" not in page

    kept = (tmp_path / "m" / "card.json").read_text(encoding="utf-8")
    whole = ModelCard.from_json(kept, "m/card.json")
    assert whole.to_json() == kept
    undefined = replace(whole, calibration=(Band(label="1", rows=0, predicted=nan, observed=Estimate(value=nan)),))
    back = ModelCard.from_json(undefined.to_json(), "m/card.json")
    assert isnan(back.calibration[0].observed.value)
    for spoilt in ("{}", "[", kept.replace('"cut_off":', '"cut":')):
        with pytest.raises(ModelSpoilt, match=r"m/card\.json .*not written as this version"):
            ModelCard.from_json(spoilt, "m/card.json")


def test_what_is_no_model_or_was_changed_is_refused_in_a_sentence(demo_home: Path, tmp_path: Path, ask: Ask) -> None:
    words = ("--owner", "ann", "--note", "why")
    nowhere = ask("risk", "propose", "nowhere", *words, code=1)
    assert "no such folder, and no run of that name" in _refused(nowhere)
    (tmp_path / "run").mkdir()
    shutil.copy(latest_run(Workspace(demo_home)).folder / "risk_model.json", tmp_path / "run")
    assert "not complete" in _refused(ask("risk", "propose", tmp_path / "run", *words, code=1))
    (tmp_path / "run" / "_SUCCESS").touch()
    path = tmp_path / "run" / "risk_model.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"loans": ', '"loans": 1'), encoding="utf-8")
    assert "the checksum differs" in _refused(ask("risk", "propose", tmp_path / "run", *words, code=1))
    assert "needs a name" in _refused(ask("risk", "approve", 1, "--approver", " ", "--note", "x", code=4))
    assert 'Unknown model "99"' in _refused(ask("risk", "card", 99, code=2))
