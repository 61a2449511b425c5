"""`wayline risk monitor`, `watch`, `due` and `review` on the small bank and on the demo's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from engine.lake.runs import open_run
from engine.lake.workspace import Workspace
from engine.workflows.stages.risk_oversight import WRITES


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_every_table_of_watching_is_written(demo_home: Path) -> None:
    run = open_run(Workspace(demo_home))
    assert [mart for mart in WRITES if not run.has(mart)] == []
    watched = run.read("risk_watch_list").to_pylist()
    assert watched
    assert all(row["text"] and row["text_zh"] for row in watched)


def test_the_report_says_what_drifted_or_that_nothing_did(demo_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = _json(capsys, "risk", "monitor", "--home", str(demo_home))
    assert {row["population"] for row in report["stability"]} == {"applications", "customers", "loans"}
    assert all(row["verdict"] in ("stable", "drifted", "not_checked") for row in report["latest"])
    from_low = [row["share"] for row in report["moves"] if (row["kind"], row["origin"]) == ("tier", "low")]
    assert sum(from_low) == pytest.approx(1.0)
    assert "returned_payment" in report["silent_triggers"]
    assert main(["risk", "monitor", "--home", str(demo_home), "--lang", "zh"]) == 0
    assert "Moves between tiers" in capsys.readouterr().out


def test_the_watch_list_comes_next_review_first_and_leaves_out_who_has_left(
    demo_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = _json(capsys, "risk", "watch", "--home", str(demo_home))["customers"]
    assert {row["status"] for row in listed} == {"watched"}
    reviews = [row["next_review_at"] for row in listed]
    assert reviews == sorted(reviews)
    with_left = _json(capsys, "risk", "watch", "--left", "--home", str(demo_home))["customers"]
    assert {row["status"] for row in with_left} == {"watched", "left"}
    grave = _json(capsys, "risk", "watch", "--severity", "high", "--home", str(demo_home))["customers"]
    assert {row["severity"] for row in grave} == {"high"}


def test_asking_who_is_due_changes_nothing_and_a_later_day_has_more(
    demo_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = _json(capsys, "risk", "due", "--home", str(demo_home))
    assert _json(capsys, "risk", "due", "--home", str(demo_home)) == first
    later = _json(capsys, "risk", "due", "--on", "2027-06-30", "--home", str(demo_home))
    assert len(later["due"]) > len(first["due"])
    assert len(later["due"]) + later["due_later"] == len(first["due"]) + first["due_later"]


def test_a_review_by_a_person_puts_the_next_one_off(
    demo_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "workspace"
    shutil.copytree(demo_home, home, ignore=shutil.ignore_patterns("curated", "simulated"))
    before = _json(capsys, "risk", "watch", "--severity", "high", "--home", str(home))["customers"][0]
    customer = before["customer_id"]
    kept = _json(capsys, "risk", "review", customer, "--outcome", "keep_watching", "--home", str(home))
    after = _json(capsys, "risk", "watch", "--home", str(home))["customers"]
    mine = next(row for row in after if row["customer_id"] == customer)
    assert mine["next_review_at"] > before["next_review_at"]
    assert mine["next_review_at"] > kept["reviewed_at"][:19]
    assert mine["entered_at"] == before["entered_at"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("review", "NOBODY", "--outcome", "act"), "No customer of that id"),
        (("review", "NOBODY", "--outcome", "fine"), "Known: no_concern, keep_watching, act"),
        (("watch", "--severity", "grave"), "Known: low, medium, high"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    small_home: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["risk", *words, "--home", str(small_home)]) != 0
    assert said in capsys.readouterr().err


def test_a_bank_without_a_model_is_told_that_nothing_could_be_watched(
    small_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = _json(capsys, "risk", "monitor", "--home", str(small_home))
    assert [row["reason"] for row in report["cautions"]] == ["not_checked"]
    assert report["cautions"][0]["effects"] == "no_fast_track"
    assert main(["risk", "monitor", "--home", str(small_home)]) == 0
    assert "There is no model to watch" in capsys.readouterr().out
