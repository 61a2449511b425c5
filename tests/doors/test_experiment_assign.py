"""`wayline experiment assign`: what a script gets, and what people read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from engine.cli.main import main
from engine.numerics.hashing import share_of


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Ask the command; returns exit code, standard output and standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["experiment", "assign", *arguments, "--home", str(tmp_path)])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def answer(ask: Any) -> Any:
    """Ask for the answer as JSON."""

    def call(*arguments: str) -> Any:
        code, out, err = ask(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return call


def write(folder: Path, *lines: str) -> str:
    path = folder / "ids.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_one_unit_of_an_experiment_of_the_settings(answer):
    found = answer("card_onboarding", "--unit", "c1")
    # share 0.18876: control owns the buckets up to 0.5
    assert found["units"] == [
        {"unit": "c1", "arm": "control", "reason": "assigned", "bucket": share_of("c1", "card_onboarding")}
    ]
    assert found["weights"] == {"control": 0.5, "checklist": 0.5} and found["scheme"] == "sha256"


def test_growthbooks_own_vectors_at_the_command_line(answer):
    found = answer(
        "x", "--unit", "a", "--unit", "b", *["--weights", "A=0.1,B=0.9", "--scheme", "growthbook_v2", "--salt", "seed"]
    )
    assert [(row["unit"], row["arm"], row["bucket"]) for row in found["units"]] == [
        ("a", "A", 0.0505),
        ("b", "B", 0.2696),
    ]


def test_a_file_in_its_order_with_who_may_not_take_part_and_rows_without_an_id(answer, tmp_path):
    file = write(tmp_path, "customer_id,adult", "c3,yes", " c1 ,no", ",yes", "c2,TRUE")
    found = answer("x", file, "--weights", "A=1,B=1", "--eligible", "adult")
    assert [row["unit"] for row in found["units"]] == ["c3", "c1", "c2"]
    assert [row["reason"] for row in found["units"]] == ["assigned", "not_eligible", "assigned"]
    assert found["units"][1]["arm"] is None and found["left_out"] == 1


def test_ids_that_are_numbers_in_parquet_are_text(answer, tmp_path):
    parquet.write_table(pa.table({"id": [7, 8]}), tmp_path / "ids.parquet")
    found = answer("x", str(tmp_path / "ids.parquet"), "--weights", "A=1,B=1")
    assert [row["bucket"] for row in found["units"]] == [share_of("7", "x"), share_of("8", "x")]


def test_rules_of_the_workspace_hold_out_exclude_and_ramp(answer, tmp_path):
    (tmp_path / "wayline.toml").write_text(
        """
        [assignment]
        holdout_share = 0.2
        [[assignment.experiments]]
        experiment_id = "card_onboarding"
        holdout_share = 0.1
        slot = { namespace = "cards", lower = 0, upper = 0.5 }
        [[assignment.experiments.ramp]]
        starts_at = 2026-06-01T00:00:00Z
        coverage = 0.5
        [[assignment.experiments.ramp]]
        starts_at = 2026-06-15T00:00:00Z
        coverage = 1
        weights = { control = 0.8, checklist = 0.2 }
        """
    )
    file = write(tmp_path, "unit_id", *(f"c{number}" for number in range(10_000)))
    early, first, latest = (
        answer("card_onboarding", file, *at) for at in (("--at", "2026-05-01"), ("--at", "2026-06-10"), ())
    )
    # .2 held out of everything, then half outside the slot, then .1 held out of this one: .2, .4, .04, .36 left
    expected = {"global_holdout": 2_000, "outside_namespace": 4_000, "experiment_holdout": 400}
    assert latest["reasons"] == pytest.approx(expected | {"assigned": 3_600}, abs=4 * 50)
    assert early["coverage"] is None and set(early["reasons"]) == {*expected, "not_started"}
    assert first["counts"] == pytest.approx({"control": 900, "checklist": 900}, abs=4 * 30)
    assert latest["counts"] == pytest.approx({"control": 2_880, "checklist": 720}, abs=4 * 45)
    assert [epoch["weights"]["control"] for epoch in latest["epochs"]] == [0.5, 0.8]


def test_rows_go_to_a_file_where_one_is_named(answer, ask, tmp_path):
    file = write(tmp_path, "id", *(f"c{number}" for number in range(100)))
    whole = answer("x", file, "--weights", "A=1,B=1")["units"]
    for name, read in (("arms.csv", csv.read_csv), ("arms.parquet", parquet.read_table)):
        found = answer("x", file, "--weights", "A=1,B=1", "--out", str(tmp_path / name))
        assert found["written"] == {"path": str(tmp_path / name), "rows": 100} and "units" not in found
        assert read(tmp_path / name).to_pylist() == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arms.csv", "arms.parquet", "ids.csv"]
    code, out, _ = ask("x", file, "--weights", "A=1,B=1", "--out", str(tmp_path / "arms.csv"))
    assert code == 0 and "100 units are in" in out


def test_people_read_a_table_and_counts(ask, tmp_path):
    file = write(tmp_path, "id", *(f"c{number}" for number in range(30)))
    code, out, _ = ask("x", file, "--weights", "A=1,B=1", "--coverage", "0.5")
    assert code == 0
    assert "10 further units: write them to a file with --out." in out
    assert "By sha256 with the salt x:" in out and "not covered" in out


def test_the_scheme_whose_salts_are_not_independent_is_told(answer, ask):
    asked = ["x", "--unit", "a", "--weights", "A=0.5,B=0.5", "--scheme"]
    assert "such as exp1 and exp2" in answer(*asked, "growthbook_v1")["notes"][0]
    assert answer(*asked, "growthbook_v2")["notes"] == []
    assert "such as exp1 and exp2" in ask(*asked, "growthbook_v1")[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing", "--unit", "a"], 'Unknown experiment "nothing". Known: card_onboarding'),
        (["card_onboarding"], "name a file of unit ids, or units with --unit"),
        (["card_onboarding", "--unit", "a", "--weights", "A"], '"A" is no split. Write A=0.5,B=0.5'),
        (["card_onboarding", "--unit", "a", "--weights", "A=.5,A=.5"], "each arm once"),
        (["card_onboarding", "--unit", "a", "--weights", "A=1"], "fewer than two arms"),
        (["x", "--unit", "a", "--weights", "A=0,B=0"], "--weights: weights are numbers of 0 or more"),
        (["x", "--unit", "a", "--weights", "A=1,B=1", "--scheme", "growthbook_v1"], "add up to 2; GrowthBook would"),
        (["x", "--unit", "a", "--weights", "A=1,B=1", "--scheme", "md5"], 'Unknown scheme "md5"'),
        (["x", "--unit", "a", "--weights", "A=1,B=1", "--coverage", "45"], "For 45 % write 0.45"),
        (["x", "--unit", " ", "--weights", "A=1,B=1"], "--unit is empty"),
        (["x", "--unit", "a", "--weights", "A=1,B=1", "--column", "id"], "there is none"),
        (["x", "--unit", "a", "--weights", "A=1,B=1", "--out", "arms.txt"], "ends in .csv or .parquet"),
        (["x", "--unit", "a", "--weights", "A=1,B=1", "--out", "no_such/a.csv"], 'no folder "no_such"'),
        (["x", "no_such.csv", "--weights", "A=1,B=1"], "no_such.csv: no such file"),
    ],
)
def test_a_question_that_cannot_be_answered_is_told_in_a_sentence(ask, arguments, sentence):
    code, out, err = ask(*arguments)
    assert code in (1, 2) and sentence in err and not out


@pytest.mark.parametrize(
    ("lines", "arguments", "sentence"),
    [
        (["name,age", "a,1"], [], "no column is headed like an id. Found: name, age. Name it with --column"),
        (["name,age", "a,1"], ["--column", "nam"], 'Unknown column "nam". Known: name, age. Did you mean "name"?'),
        (
            ["id,ok", "a,yes", "b,perhaps"],
            ["--eligible", "ok"],
            '"ok": 1 values are neither true nor false, the first in row 2',
        ),
        (["id,ok", "a,yes"], ["--eligible", "old"], 'Unknown eligible column "old"'),
        (["id,ok", ",1", ",2"], [], 'no row of ids.csv has an id in "id"'),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_a_sentence(ask, tmp_path, lines, arguments, sentence):
    code, _, err = ask("x", write(tmp_path, *lines), "--weights", "A=1,B=1", *arguments)
    assert code in (1, 2) and sentence in err


def test_a_ramp_with_other_arms_than_the_plan_is_refused(ask, tmp_path):
    (tmp_path / "wayline.toml").write_text(
        '[[assignment.experiments]]\nexperiment_id = "savings_banner"\nramp = [{ weights = { blue = 1, red = 1 } }]\n'
    )
    code, _, err = ask("savings_banner", "--unit", "a")
    assert code == 2 and "a step of the ramp splits between blue, red; the arms are blue, green" in err
