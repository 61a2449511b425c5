"""`wayline decide` and what is told of its decisions later: at the command line, in words and as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli.main import main
from engine.lake.runs import open_run
from engine.lake.workspace import Workspace
from tests.doors.experiment_files import Ask

RUN_CLOCK = '[live]\nclock = "run"\nstale_after_hours = 8000\n'


@pytest.fixture
def customer(home: Path) -> str:
    """A customer with an offer and room under the caps, in a workspace where time goes on from the run's date."""
    (home / "wayline.toml").write_text(RUN_CLOCK, encoding="utf-8")
    run = open_run(Workspace(home))
    left = run.read("decision_inputs", columns=["customer_id", "contacts_counted"]).to_pylist()
    room = {row["customer_id"] for row in left if max(map(float, row["contacts_counted"].split(","))) < 1}
    offers = run.read("recommendations", columns=["customer_id"], where={"rank": 1})["customer_id"].to_pylist()
    return str(next(one for one in offers if one in room))


def test_a_decision_counts_once_and_is_explained_and_made_again_by_its_id(ask_home: Ask, customer: str) -> None:
    told = ask_home("decide", customer, "--channel", "web", "--offers", 3, "--request", "visit-1")
    assert (told["code"], told["counted"], told["repeated"]) == ("OFFERED", True, False)
    assert ask_home("decide", customer, "--channel", "web", "--offers", 3, "--request", "visit-1")["repeated"]
    refused = ask_home("decide", customer)
    assert refused["action"] is None
    assert refused["reasons"][0]["code"] == "QUIET_AFTER_CONTACT"
    for decision in (told, refused):
        again = ask_home("explain", customer, "--decision", decision["decision_id"], "--replay")
        assert again["equal"]
        assert all(row["equal"] for row in again["products"])
    why = ask_home("explain", customer, "--decision", refused["decision_id"])
    assert why["seen"]["since"]["contacts"][0] == 1
    assert all(row["refusals"] for row in why["products"])


def test_a_look_counts_nothing(ask_home: Ask, customer: str) -> None:
    assert [ask_home("decide", customer, "--look")["counted"] for _ in range(2)] == [False, False]
    assert ask_home("decide", customer)["counted"]


def test_people_read_the_decision_and_its_reasons_in_both_languages(
    home: Path, customer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decide", customer, "--home", str(home)]) == 0
    assert "Offers" in capsys.readouterr().out
    assert main(["decide", customer, "--home", str(home), "--lang", "zh"]) == 0
    assert "QUIET_AFTER_CONTACT (24): 刚刚触达过客户" in capsys.readouterr().out


def test_a_run_from_long_ago_offers_nothing_and_says_so(ask_home: Ask, home: Path, customer: str) -> None:
    (home / "wayline.toml").unlink()
    told = ask_home("decide", customer)
    assert (told["code"], told["action"]) == ("STALE_RUN", None)
    refused = ask_home("explain", customer, "--decision", told["decision_id"], "--replay", code=1)
    assert "STALE_RUN" in refused["error"]["sentence"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["decide", "C1", "--channel", "pigeon"], 2, "Unknown channel"),
        (["decide", "C1", "--placement", "nowhere"], 2, "Unknown placement"),
        (["decide", ""], 2, "customer_id"),
        (["explain", "C1", "--decision", "none"], 2, "Unknown live decision"),
    ],
)
def test_what_is_wrong_is_named(ask_home: Ask, words: list[str], code: int, said: str) -> None:
    assert said in ask_home(*words, code=code)["error"]["sentence"]
