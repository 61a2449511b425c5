"""One customer's decisions are explained in full: terms, gates, the runner-up, and what would turn them."""

from __future__ import annotations

import json
import shutil
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from engine.features.table import FEATURES
from engine.lake.runs import open_run
from engine.lake.workspace import Workspace
from engine.recommendations.bundle import Bundle
from engine.recommendations.gates import GATES


def _ids(home: Path, count: int) -> list[str]:
    rows = open_run(Workspace(home)).read("decision_inputs", columns=["customer_id"])["customer_id"].to_pylist()
    return [str(one) for one in rows[:: len(rows) // count][:count]]


def _explained(home: Path, customer: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["explain", customer, "--home", str(home), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_every_product_has_its_gates_a_change_that_turns_it_and_sentences_in_both_languages(
    demo_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for customer in _ids(demo_home, 3):
        facts = _explained(demo_home, customer, capsys)
        assert facts["unexplained"] is None
        for row in facts["products"]:
            assert set(row["gates"]) == {gate.name for gate in GATES}
            refusing = {name for name, said in row["gates"].items() if said == "refuses"}
            assert refusing == {one["gate"] for one in row["refusals"]}
            assert row["smallest_change_en"] and row["smallest_change_zh"]
            assert "{" not in row["smallest_change_en"] + row["smallest_change_zh"]
            assert row["runner_up"] is None or row["decision"] != "refused"
            if row["decision"] == "refused":
                (flip,) = row["flips"]
                assert bool(flip["changes"]) != bool(flip["never_opens"])


def test_next_product_is_the_one_that_is_worth_most_after_it(
    demo_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for customer in _ids(demo_home, 3):
        passed = [row for row in _explained(demo_home, customer, capsys)["products"] if row["decision"] != "refused"]
        # what no gate refuses may still not be worth the contact on this customer's channel: it follows nothing
        unpaid = [row for row in passed if row["expected_value_minor"] <= 0]
        assert not any(row["runner_up"] for row in unpaid)
        passed = [row for row in passed if row["expected_value_minor"] > 0]
        passed.sort(key=lambda row: (-row["expected_value_minor"], row["product_id"]))
        for row, after in pairwise(passed):
            told = row["runner_up"]
            assert told["product_id"] == after["product_id"]
            assert told["behind_minor"] == row["expected_value_minor"] - after["expected_value_minor"]


def test_features_that_may_not_be_told_are_never_named(demo_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = open_run(Workspace(demo_home))
    bundle = Bundle.from_json(run.text("decision_bundle.json"))
    shut = [
        name
        for name in bundle.features
        if any(fnmatchcase(name, p) for p in bundle.settings.training.unspoken_features)
    ]
    meanings = {FEATURES[name].meaning.split(";")[0] for name in shut} - {""}
    assert meanings
    for customer in _ids(demo_home, 3):
        for row in _explained(demo_home, customer, capsys)["products"]:
            told = [one["text_en"] for side in ("raising", "lowering") for one in row["contributions"][side]]
            assert not [text for text in told for meaning in meanings if text.endswith(f"average: {meaning}.")]


def test_it_is_shown_to_people_in_both_languages(demo_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (customer,) = _ids(demo_home, 1)
    facts = _explained(demo_home, customer, capsys)
    for language in ("en", "zh"):
        assert main(["explain", customer, "--home", str(demo_home), "--lang", language]) == 0
        shown = capsys.readouterr().out
        for row in facts["products"]:
            assert row[f"smallest_change_{language}"] in shown
            if row["decision"] == "offered":
                assert row["runner_up"][f"text_{language}"] in shown


def test_a_run_that_kept_no_inputs_is_explained_as_far_as_it_goes_and_says_why(
    small_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(small_home, tmp_path / "home")
    run = open_run(Workspace(tmp_path / "home"))
    (customer,) = _ids(tmp_path / "home", 1)
    facts = json.loads((run.folder / "manifest.json").read_text(encoding="utf-8"))
    del facts["marts"]["decision_inputs"]
    (run.folder / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")
    found = _explained(tmp_path / "home", customer, capsys)
    assert "did not make it" in found["unexplained"]["text_en"]
    assert found["products"]
    assert "flips" not in found["products"][0]
