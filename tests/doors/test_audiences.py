"""Audiences from the command line, as a marketer goes about it: define, count, keep, build, compare, ask why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from engine.cli.main import main

STALLED = """
audience = "stalled"
name = "Started an application and did not submit it"
owner = "marketing"
[rule]
sequence = [{ event = "product_viewed" }, { event = "application_started" }]
not_followed_by = { event = "application_submitted" }
"""
ADULTS = """
audience = "stalled_adults"
name = "Stalled, 25 or older, and no high risk"
owner = "marketing"
channels = ["email", "push"]
retires_on = 2030-12-31
[rule]
all = [{ audience = "stalled" }, { feature = "age_years", at_least = 25 }, { not = { risk_tier = "high" } }]
"""


class Desk:
    """A workspace, and the command line on it."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self.capsys = home, capsys

    def file(self, text: str) -> Path:
        path = self.home / "definition.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def ask(self, *words: str, code: int = 0) -> Any:
        self.capsys.readouterr()
        assert main(["audience", *words, "--home", str(self.home), "--json"]) == code
        told = self.capsys.readouterr()
        return json.loads(told.out) if code == 0 else told.err


@pytest.fixture
def desk(small_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    home = tmp_path / "home"
    shutil.copytree(small_home, home)
    return Desk(home, capsys)


def test_an_audience_is_kept_built_compared_and_explained(desk: Desk) -> None:
    counted = desk.ask("count", str(desk.file(STALLED)))
    assert 0 < counted["members"] < counted["customers"] == 300
    assert desk.ask("list")["audiences"] == []  # counting keeps nothing
    assert desk.ask("save", str(desk.file(STALLED)))["version"] == 1
    assert desk.ask("save", str(desk.file(STALLED)))["is_new"] is False
    assert desk.ask("save", str(desk.file(ADULTS)))["version"] == 1

    built = desk.ask("build", "stalled")
    assert built["members"] == counted["members"]
    folder = Path(built["folder"])
    before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    desk.ask("build", "stalled")
    assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before

    # a changed definition is a version of its own beside the old one, and what moved is told
    wider = STALLED.replace('{ event = "application_started" }', '{ event = ["application_started", "login"] }')
    assert desk.ask("save", str(desk.file(wider)))["version"] == 2
    desk.ask("build", "stalled")
    moved = desk.ask("diff", "stalled")
    old, new = (
        set(pq.read_table(one / "members")["customer_id"].to_pylist()) for one in sorted(folder.parent.iterdir())
    )
    assert moved["definition_changed"] is True
    assert (old | set(moved["entered"])) - set(moved["left"]) == new
    assert not set(moved["entered"]) & old
    assert set(moved["left"]) <= old
    assert moved["entered"]

    adults = desk.ask("build", "stalled_adults")
    listed = {row["audience"]: row for row in desk.ask("list")["audiences"]}
    assert listed["stalled_adults"]["members"] == adults["members"] < len(new)
    assert listed["stalled"]["version"] == 2
    inside = pq.read_table(Path(adults["folder"]) / "members")["customer_id"][0].as_py()
    outside = sorted(new - set(pq.read_table(Path(adults["folder"]) / "members")["customer_id"].to_pylist()))[0]
    for customer, belongs in ((inside, True), (outside, False)):
        told = desk.ask("explain", "stalled_adults", customer)
        assert told["belongs"] is belongs
        whole, *parts = told["why"]
        assert whole["holds"] is belongs
        assert all(part["holds"] for part in parts if part["depth"] == 1) is belongs
        assert {part["text_en"] for part in parts} >= {
            'belongs to the audience "stalled"',
            "full years of age: 25 or more",
        }
        assert all(part["text_zh"] for part in parts)


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        (STALLED.replace('{ event = "application_started" }', "{ }"), "event: missing"),
        (STALLED + "without = 3\n", "without"),
        (ADULTS, 'Unknown audience "stalled"'),
        (ADULTS.replace('{ audience = "stalled" }', '{ audience = "stalled_adults" }'), "stands in its own rule"),
        (ADULTS.replace('{ audience = "stalled" }', '{ feature = "a", event = "b" }'), "exactly one of the keys"),
        ("audience = 'Spaces here'", "audience"),
        ("not toml", "not valid TOML"),
        (STALLED + "since = 2026-06-01\nuntil = 2026-05-01\n", "no day lies between"),
        (STALLED.replace("Started", "Started \\u202e"), "U+202E"),
        (STALLED.replace('name = "Started an application and did not submit it"', 'name = "  "'), "is empty"),
        (STALLED.replace('owner = "marketing"', 'owner = "a\\u0007"'), "U+0007"),
        (STALLED + "times_at_least = 2\n", "times_at_least"),
    ],
)
def test_what_is_no_audience_is_told_in_a_sentence_and_keeps_nothing(desk: Desk, definition: str, said: str) -> None:
    told = desk.ask("save", str(desk.file(definition)), code=2)
    assert said in told
    assert "Traceback" not in told
    assert desk.ask("list")["audiences"] == []


def test_names_and_values_that_the_bank_does_not_have_are_told(desk: Desk) -> None:
    def rule(text: str) -> str:
        return str(desk.file(f'audience = "tried"\nname = "tried"\nowner = "me"\n[rule]\n{text}\n'))

    assert 'Did you mean "age_years"?' in desk.ask("count", rule('feature = "age_year"\nat_least = 3'), code=2)
    assert "Expected a number" in desk.ask("count", rule('feature = "age_years"\nis = "old"'), code=2)
    assert "employment" in desk.ask("count", rule('feature = "employment"\nat_least = 3'), code=2)
    empty = desk.ask("count", rule('event = "logn"'))
    assert (empty["members"], empty["sample"]) == (0, [])
    assert 'Did you mean "login"?' in empty["notes"][0]


def test_a_circle_through_others_and_a_retired_audience_are_refused(desk: Desk) -> None:
    desk.ask("save", str(desk.file(STALLED)))
    desk.ask("save", str(desk.file(ADULTS)))
    circle = STALLED.split("[rule]", maxsplit=1)[0] + '[rule]\nnot = { audience = "stalled_adults" }\n'
    assert "stalled → stalled_adults → stalled" in desk.ask("save", str(desk.file(circle)), code=2)
    desk.ask("save", str(desk.file(STALLED.replace("[rule]", "retires_on = 2020-01-01\n[rule]"))))
    assert "was retired after 2020-01-01" in desk.ask("build", "stalled", code=4)
    assert not (desk.home / "audiences" / "stalled").exists()
    assert "No customer of that id" in desk.ask("explain", "stalled", "nobody", code=1)


def test_names_of_any_script_and_emoji_are_kept_as_they_are(desk: Desk) -> None:
    name, owner = "المهتمون بالقروض 🏠👩‍👩‍👧 ברוכים 贷款", "ענת 👩🏽‍💼"
    text = STALLED.replace("Started an application and did not submit it", name).replace("marketing", owner)
    desk.ask("save", str(desk.file(text)))
    listed = desk.ask("list")["audiences"][0]
    assert (listed["name"], listed["owner"], listed["saved_by"]) == (name, owner, owner)
    assert desk.ask("build", "stalled")["members"] > 0
    assert main(["audience", "list", "--home", str(desk.home)]) == 0


def test_days_that_contradict_on_the_run_are_told_and_nobody_belongs(desk: Desk) -> None:
    def rule(text: str) -> str:
        return str(desk.file(f'audience = "tried"\nname = "tried"\nowner = "me"\n[rule]\n{text}\n'))

    # the bank's extract ends on 30 June 2026: a week before that does not reach back to May, nor July so far
    for period in ("in_last_days = 7\nuntil = 2026-05-31", "since = 2026-07-15"):
        told = desk.ask("count", rule(f'event = "login"\n{period}'))
        assert told["members"] == 0
        assert "No day lies in the period" in told["notes"][0]
    never = desk.ask("count", rule('event = "login"\ntimes_at_least = 0\ntimes_at_most = 0\nsince = 2026-07-15'))
    assert (never["members"], len(never["notes"])) == (300, 1)
    assert desk.ask("count", rule('event = "login"\nin_last_days = 7\nsince = 2026-01-01'))["notes"] == []


def test_an_empty_audience_is_built_compared_and_explained_like_any(desk: Desk) -> None:
    desk.ask("save", str(desk.file('audience = "nobody"\nname = "nobody"\nowner = "me"\n[rule]\nany = []\n')))
    built = desk.ask("build", "nobody")
    assert built["members"] == 0
    assert pq.read_table(Path(built["folder"]) / "members").column_names == ["customer_id"]
    moved = desk.ask("diff", "nobody")
    assert (moved["entered"], moved["left"]) == ([], [])
    told = desk.ask("explain", "nobody", "C00000001")
    assert (told["belongs"], told["why"][0]["text_en"]) == (False, "at least one of these holds")
