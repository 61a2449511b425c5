"""`wayline risk fit --accepted`: files of applicants, of whom only those who were lent to have an outcome."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from pytest import approx

from engine.cli.main import main
from tests import loans

ROWS = 2_000
FIT = ("--target", "status", "--bad", "default", "--protected", "gender")


def applicants(rows: int = ROWS) -> pa.Table:
    """Loans, of which those of a high share of the limit in use were mostly refused and so have no outcome."""
    made = loans.table(rows)
    used = np.array([0.4 if value is None else value for value in made["limit_used_share"].to_pylist()])
    refused = np.random.default_rng(3).random(rows) < 1 / (1 + np.exp(2.6 - 4 * used))
    status = pa.array(made["status"].to_pylist(), mask=refused)
    made = made.set_column(made.column_names.index("status"), "status", status)
    return made.append_column("decision", pa.array(np.where(refused, "decline", "approve")))


def ask(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> dict[str, Any]:
    assert main(["risk", "fit", *map(str, arguments), "--json"]) == code, capsys.readouterr()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def written(folder: Path, rows: pa.Table) -> Path:
    pacsv.write_csv(rows, folder / "applications.csv")
    return folder / "applications.csv"


def test_scorecard_is_told_without_and_with_the_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, folder = written(tmp_path, applicants()), tmp_path / "model"
    asked = (*FIT, "--accepted", "decision=approve", "--reject-inference", "fuzzy", "--time", "booked_on")
    answer = ask(capsys, path, *asked, "--out", folder, "--home", tmp_path / "home")
    refused = applicants()["decision"].to_pylist().count("decline")
    assert answer["rows"] == ROWS - refused
    assert any(f"{refused} of 2,000 rows were not accepted" in note for note in answer["notes"])
    assert not any("no known outcome" in note for note in answer["notes"])
    found = answer["reject_inference"]
    without, inferred = found["without"], found["inferred"]
    # the same folds as the comparison of models: without the refused it is the very scorecard of the first table
    assert without["auc"] == approx(answer["models"][0]["auc"], abs=1e-12)
    assert without["ks"] == approx(answer["models"][0]["ks"], abs=1e-12)
    assert found["out_of_time"]["without"]["auc"] == approx(answer["out_of_time"][0]["auc"], abs=1e-12)
    # those refused after the earlier rows end teach nothing either
    assert 0 < found["rejected"] < refused
    assert inferred["implied_bad_rate_of_rejected"] > without["implied_bad_rate_of_rejected"]
    # what everybody is given and what each characteristic gives add up to the score, of the refused too
    for side in ("accepted", "rejected"):
        total = sum(one[f"mean_of_{side}"] for one in found["moved"])
        assert total == approx(inferred[f"mean_points_shift_of_{side}"], abs=1e-9)
    assert "assumption, not data" in found["assumption"]
    assert {"scorecard.csv", "scorecard_with_refused.csv"} <= {one.name for one in folder.iterdir()}
    english, chinese = ((folder / name).read_text(encoding="utf-8") for name in ("card.md", "card.zh.md"))
    assert "With the refused guessed at" in english
    assert "default rate that the refused are taken to have" in english
    assert "对被拒者的推断" in chinese
    assert "增加的是假设而非数据" in chinese
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))["accepted"]
    assert settings == {
        "column": "decision",
        "values": ["approve"],
        "reject_inference": "fuzzy",
        "bad_odds_factor": 1.3,
        "bands": 10,
    }


@pytest.mark.parametrize(
    ("arguments", "part", "code"),
    [
        (("--accepted", "decision=granted"), "approve (", 2),
        (("--accepted", "decisions=approve"), 'Did you mean "decision"?', 2),
        (("--accepted", "job"), "--accepted COL=VALUE", 2),
        (("--accepted", "decision="), "names no column and value", 2),
        (("--accepted", "gender=female"), "has another part too", 2),
        (("--accepted", "decision=decline"), "named the wrong way round", 1),
        (("--accepted", "branch=Harbour"), "all 2,000 rows of applications.csv are accepted", 1),
        (("--reject-inference", "fuzzy"), "nobody is known to have been refused", 2),
        (("--accepted", "decision=approve", "--reject-inference", "magic"), "parcelling", 2),
    ],
)
def test_applicants_who_cannot_be_told_apart_get_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], part: str, code: int
) -> None:
    path = written(tmp_path, applicants())
    answer = ask(capsys, path, *FIT, *arguments, "--home", tmp_path / "home", code=code)
    assert part in answer["error"]["sentence"]


def test_what_strikes_about_the_refused_is_told(tmp_path: Path) -> None:
    from engine.workflows import risk_sample
    from engine.workflows.risk_accepted import Accepted

    rows = applicants()
    lent = np.array(rows["decision"].to_pylist()) == "approve"
    rows = rows.append_column("granted", pa.array(np.arange(ROWS) % 7 * 100, mask=~lent))
    # a word of yes and no needs no value; two rows say nothing; the outcome of one who was refused is filled in
    silent = set(np.flatnonzero(~lent)[:2].tolist())
    said = [None if row in silent else "Yes" if one else "No" for row, one in enumerate(lent)]
    rows = rows.set_column(rows.column_names.index("decision"), "decision", pa.array(said))
    place = int(np.flatnonzero(~lent)[5])
    status = rows["status"].to_pylist()
    status[place] = "paid"
    rows = rows.set_column(rows.column_names.index("status"), "status", pa.array(status))
    question = risk_sample.SampleQuestion(
        path=written(tmp_path, rows),
        target="status",
        bad=("default",),
        accepted=Accepted(column="decision"),
        home=tmp_path / "home",
    )
    sample = risk_sample.read(question)
    assert sample.accepted == Accepted(column="decision", values=("Yes",))
    assert sample.refused is not None
    assert sample.refused.rows + len(sample.bad) + sample.unknown_rows == ROWS
    assert "decision" not in sample.kinds
    told = " ".join(risk_sample.as_words(sample))
    assert '2 rows have no value of "decision" and count as not accepted' in told
    assert "rows that were not accepted have an outcome" in told
    assert '"granted" is empty in every row that was not accepted' in told
