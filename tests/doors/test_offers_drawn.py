"""What the command line and the pages say of offers that were drawn, of the control group, and of who gives way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from engine.lake.runs import Run, open_run
from engine.lake.workspace import Workspace
from engine.workflows import offer_words
from engine.workflows import run as running
from tests.doors.test_pages import opened

Ask = Callable[..., Any]
SETTINGS = """
[recommendations.exploration]
strategy = "epsilon_greedy"
epsilon = 0.5
[recommendations.exploration.control]
share = 0.3
serves = "nothing"
[recommendations.contact.caps.household_month]
max_contacts = 1
"""


@pytest.fixture(scope="module")
def home(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a small workspace with a run more, which draws its offers."""
    copy = tmp_path_factory.mktemp("drawn") / "home"
    shutil.copytree(small_home, copy)
    (copy / "wayline.toml").write_text(SETTINGS, encoding="utf-8")
    running.run(copy)
    return copy


@pytest.fixture
def ask(home: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    def asked(*words: object) -> str:
        capsys.readouterr()
        assert main([*map(str, words), "--home", str(home)]) == 0
        return capsys.readouterr().out

    return asked


def _first(run: Run, mart: str, **where: Any) -> str:
    return str(run.read(mart, where=where)["customer_id"][0].as_py())


def test_explanation_says_how_an_offer_was_drawn_and_how_the_customer_is_reached(home: Path, ask: Ask) -> None:
    run = open_run(Workspace(home))
    customer = _first(run, "recommendations", rank=1, selection="explored")
    told = json.loads(ask("explain", customer, "--json"))
    offer = next(row for row in told["products"] if row["rank"] == 1)
    assert offer["chosen_en"].startswith("Drawn to learn, in place of the best that was left; its chance was ")
    assert offer["chosen_zh"].startswith("为学习而抽取")
    # a bank of 300 has too few answers to choose channels by
    assert "The cheapest channel that is open" in offer["reach_en"] or "The only channel" in offer["reach_en"]
    assert f"{offer['contact_hour']:02d}:00" in offer["reach_zh"]
    assert told["standing"] == []
    assert "Drawn to learn" in " ".join(ask("explain", customer).split())


def test_explanation_says_who_is_in_the_control_group_and_who_gives_way(home: Path, ask: Ask) -> None:
    run = open_run(Workspace(home))
    customer = _first(run, "control_group")
    assert "In the control group of 2026-06: gets no offer" in " ".join(ask("explain", customer).split())
    assert "属于 2026-06 对照组" in ask("explain", customer, "--lang", "zh")
    assert run.read("recommendations", where={"customer_id": customer}).num_rows == 0
    customer = _first(run, "withheld_contacts")
    (told,) = json.loads(ask("explain", customer, "--json"))["standing"]
    assert "others of the household are contacted" in told["text_en"]
    assert "同户其他成员将被触达" in told["text_zh"]


def test_nobody_of_the_control_group_who_gets_nothing_is_exported(home: Path, ask: Ask, tmp_path: Path) -> None:
    run = open_run(Workspace(home))
    ask("export", "recommendations", "--format", "jsonl", "--to", tmp_path / "bundle")
    rows = [json.loads(line) for line in (tmp_path / "bundle" / "add" / "part-00001.jsonl").read_text().splitlines()]
    exported = {row["external_id"] for row in rows}
    assert exported
    for mart in ("control_group", "withheld_contacts"):
        apart = set(run.read(mart)["customer_id"].to_pylist())
        assert apart
        assert not exported & apart


def test_every_decision_drawn_comes_out_the_same_again(ask: Ask) -> None:
    found = json.loads(ask("recommend", "replay", "--customers", 0, "--json"))
    assert (found["customers"], found["differing"]) == (300, 0)


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "drawn in place of what is worth most"), ("zh", "为抽取所得")],
)
def test_page_says_how_offers_were_chosen(
    home: Path, monkeypatch: pytest.MonkeyPatch, language: str, said: str
) -> None:
    page = opened(monkeypatch, home, "recommendations", lang=language)
    assert not page.exception
    assert any(said in block.value for block in page.markdown)


def test_offers_of_older_runs_say_nothing_of_what_they_do_not_know() -> None:
    assert offer_words.selection({"rank": 1}) == ("", "")
    assert offer_words.selection({"selection": "best", "selection_probability": 1.0}) == ("", "")
    assert "not known" in offer_words.selection({"selection": "best", "selection_probability": None})[0]
    assert offer_words.reach({}) == ("", "")
