"""`wayline experiment decide`: kept with its owner and note, told by every door, and refused in a sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from engine.lake.runs import latest_run
from engine.lake.workspace import Workspace
from engine.store.facade import Store
from tests.engine.ui import bank

WHO = ("--owner", "Head of Cards", "--note", "The season ends.")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("decide")
    bank.make(folder)
    return folder


class Door:
    """The commands on one workspace, and what they kept."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self.capsys = home, capsys

    def run(self, command: str, *arguments: object, code: int = 0) -> Any:
        asked = ["experiment", command, *map(str, arguments), "--home", str(self.home), "--json"]
        assert main(asked) == code, self.capsys.readouterr()
        return json.loads(self.capsys.readouterr().out)

    def refused(self, *arguments: object, code: int) -> str:
        before = len(self.kept())
        sentence = str(self.run("decide", *arguments, code=code)["error"]["sentence"])
        assert len(self.kept()) == before, "what is refused leaves nothing behind"
        return sentence

    def kept(self) -> list[Any]:
        with Store(f"sqlite:///{self.home / 'wayline.db'}") as store:
            assert store.verify_audit() is None
            return store.audit_trail(action="experiment.decided")

    def agree(self) -> None:
        """Ship against the advice as one person, and agree as another."""
        waits = self.run("decide", "card_onboarding", "ship", *WHO, code=4)["error"]["sentence"]
        number = re.search(r"review (\d+)", waits)
        assert number is not None, waits
        self.run("review", number[1], "--agree", "--by", "bob", "--note", "Watched.")


@pytest.fixture
def door(home: Path, capsys: pytest.CaptureFixture[str]) -> Door:
    return Door(home, capsys)


def test_decision_is_told_by_list_and_report_and_stands_in_the_audit_log_once(door: Door) -> None:
    before = len(door.kept())
    door.agree()
    told = door.run("decide", "card_onboarding", "ship", *WHO)
    assert (told["action"], told["instead_of"], told["owner"]) == ("ship", "continue", "Head of Cards")
    listed = {row["experiment_id"]: row["decision"] for row in door.run("list")}
    assert listed["card_onboarding"] == "Ship, decided by Head of Cards"
    decision = door.run("report", "card_onboarding")["decision"]
    assert decision["action"] == "ship" and decision["override"]["note"] == "The season ends."
    assert decision["reasons"][1].endswith("is not known to be safe."), "the reasons of the rules stay"

    door.run("decide", "card_onboarding", "ship", *WHO)
    entry, *earlier = door.kept()
    assert len(earlier) == before, "the same again is kept once"
    assert entry.subject == "card_onboarding" and entry.details["instead_of"] == "continue"
    assert entry.details["run_id"] == latest_run(Workspace(door.home)).run_id


def test_later_decision_stands_in_place_of_an_earlier_one_and_that_of_the_rules_is_still_known(door: Door) -> None:
    told = door.run("decide", "card_onboarding", "roll_back", "--owner", "Chief Risk Officer", "--note", "Complaints.")
    assert (told["action"], told["instead_of"]) == ("roll_back", "continue")
    assert door.run("report", "card_onboarding")["decision"]["override"]["owner"] == "Chief Risk Officer"


def test_shipping_against_the_advice_takes_a_second_person(door: Door, tmp_path: Path) -> None:
    bank.make(tmp_path)
    other = Door(tmp_path, door.capsys)
    sentence = other.run("decide", "card_onboarding", "ship", *WHO, code=4)["error"]["sentence"]
    assert "takes a second person" in sentence
    assert other.kept() == [], "asked for, not decided"
    own = other.run("review", 1, "--agree", "--by", "head of cards", "--note", "fine", code=4)["error"]["sentence"]
    assert "a second person must answer" in own
    assert "wayline experiment review 1" in other.refused("card_onboarding", "ship", *WHO, code=4)
    other.run("review", 1, "--refuse", "--by", "bob", "--note", "too early")
    assert "bob did not agree to ship (too early)" in other.refused("card_onboarding", "ship", *WHO, code=4)
    assert (
        "answered review 1 already"
        in other.run("review", 1, "--agree", "--by", "cy", "--note", "late", code=4)["error"]["sentence"]
    )


def test_person_may_decide_on_withheld_results_and_sees_no_number_for_it(door: Door) -> None:
    door.run("decide", "loan_reminder", "roll_back", "--owner", "Head of Loans", "--note", "The data are lost.")
    facts = door.run("report", "loan_reminder", code=3)
    assert facts["decision"]["action"] == "roll_back"
    assert facts["metrics"][0]["absolute"]["difference"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ("card_onboarding", "shipp", *WHO),
            2,
            'Unknown action "shipp". Known: ship, roll_back, continue, review.',
        ),
        (("card_onbording", "ship", *WHO), 2, 'Did you mean "card_onboarding"?'),
        (("card_onboarding", "ship", "--note", "Why not."), 4, "an owner is missing"),
        (("card_onboarding", "ship", "--owner", "Head of Cards", "--note", " "), 4, "a note is missing"),
        (("card_onboarding", "continue", *WHO), 4, "there is nothing to decide otherwise"),
        (("card_onboarding", "ship", *WHO, "--run", "no-such-run"), 1, "no-such-run"),
    ],
    ids=["action", "experiment", "owner", "note", "as the rules", "run"],
)
def test_decision_that_cannot_be_kept_is_refused_in_a_sentence(
    door: Door, arguments: tuple[str, ...], code: int, said: str
) -> None:
    assert said in door.refused(*arguments, code=code)
