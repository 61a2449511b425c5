"""Audiences on runs: built when due, compared with before, verified by a second person, retired, in nobody's way."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from engine.lake import memberships
from engine.lake.runs import latest_run
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.workflows import held_audiences
from tests.doors.experiment_files import Ask

LOGINS = """
audience = "{name}"
name = "Logged in lately"
owner = "ann"
schedule = "{schedule}"
[rule]
event = "login"
in_last_days = 30
"""


@pytest.fixture
def define(home: Path, ask_home: Ask) -> Any:
    def defined(text: str, *more: str) -> dict[str, Any]:
        path = home / "definition.toml"
        path.write_text(text, encoding="utf-8")
        return ask_home("audience", "save", path, *more)

    return defined


def test_runs_build_what_is_due_tell_who_came_and_went_and_are_not_broken_by_a_broken_rule(
    home: Path, ask_home: Ask, define: Any
) -> None:
    for schedule in ("every_run", "daily", "monthly", "manual"):
        define(LOGINS.format(name=f"logins_{schedule}", schedule=schedule))
    # what audiences are about is enough: the other stages have no say here
    for table in (home / "curated").iterdir():
        if table.is_dir() and table.name not in ("customers", "events"):
            shutil.rmtree(table)
    head = LOGINS.format(name="{name}", schedule="every_run").split("event")[0]
    define(head.format(name="loyal") + 'feature = "tenure_months"\nat_least = 72\n')
    define(head.format(name="alike") + 'lookalike = "loyal"\nsize = 20\n')
    define(LOGINS.format(name="gone", schedule="every_run"))
    ask_home("audience", "retire", "gone", "--by", "ann", "--note", "no use")
    # a column that the feature table of this version does not have
    broken = LOGINS.format(name="broken", schedule="every_run").replace(
        'event = "login"\nin_last_days = 30', 'feature = "shoe_size"\nat_least = 40'
    )
    define(broken)

    # and a definition that another version of the engine wrote
    with Store(f"sqlite:///{home / 'wayline.db'}") as store:
        store.save_audience("foreign", {"audience": "foreign", "rule": {"moon_phase": "full"}})

    first = ask_home("run", "--as-of", "2026-06-10")
    stage = next(one for one in first["stages"] if one["stage"] == "audiences")
    assert stage["status"] == "done"
    assert "Built 5 of 9 audiences." in stage["notes"]
    assert any('"broken" was not built' in note and "shoe_size" in note for note in stage["notes"])
    assert any('"logins_manual" is built by hand only' in note for note in stage["notes"])

    second = ask_home("run", "--as-of", "2026-06-12")
    workspace = Workspace(home)
    made = latest_run(workspace)
    builds = {row["audience"]: row for row in made.read("audience_builds").to_pylist()}
    assert {name: row["status"] for name, row in builds.items()} == {
        "alike": "built",
        "broken": "failed",
        "foreign": "failed",
        "gone": "retired",
        "logins_daily": "built",
        "logins_every_run": "built",
        "logins_manual": "not_due",
        "logins_monthly": "not_due",
        "loyal": "built",
    }
    assert builds["alike"]["members"] == 20
    assert "built for 2026-06-10" in builds["logins_monthly"]["reason"]
    row = builds["logins_daily"]
    assert row["compared_with"] == first["run_id"]
    assert row["before"] + row["entered"] - row["left"] == row["members"]
    assert row["entered"] > 0 and row["left"] > 0
    moved = ask_home("audience", "diff", "logins_daily")
    assert (len(moved["entered"]), len(moved["left"])) == (row["entered"], row["left"])

    # the snapshots are those of the run's table, and the same run again is the one that was made
    rows = made.read("audience_members")
    for name in ("logins_daily", "logins_every_run"):
        kept = memberships.of_run(workspace, name, second["run_id"])
        assert kept.size == row["members"] == pc.sum(pc.equal(rows["audience"], name)).as_py()
    assert not memberships.every(workspace, "broken") + memberships.every(workspace, "gone")
    again = ask_home("run", "--as-of", "2026-06-12")
    assert again["reused"] is True
    sizes = [one.size for one in memberships.every(workspace, "logins_daily")]
    assert sizes == [row["before"], row["members"]]
    assert 'The audience "foreign" cannot be read' in ask_home("audience", "list")["notes"][0]

    # what is planned next time: a changed rule is due whatever its schedule, and the run is another
    define(LOGINS.format(name="logins_monthly", schedule="monthly").replace("30", "60"))
    plans = held_audiences.plan(workspace, made.as_of)
    assert {one.name for one in plans if one.standing == "due"} >= {"logins_monthly", "logins_daily"}
    assert held_audiences.facts(plans)["audiences"] != made.manifest["audiences"]


def test_a_second_person_verifies_and_an_edited_rule_or_one_it_names_is_verified_no_more(
    home: Path, ask_home: Ask, define: Any
) -> None:
    def is_verified(name: str) -> bool:
        listed = {one["audience"]: one for one in ask_home("audience", "list")["audiences"]}
        return bool(listed[name]["is_verified"])

    define(LOGINS.format(name="logins", schedule="daily"), "--by", "cem")
    named = LOGINS.format(name="others", schedule="daily").replace('event = "login"\nin_last_days = 30', "")
    define(named + 'not = { audience = "logins" }\n')
    ask_home("audience", "verify", "logins", "--by", "Ann", code=4)  # the owner, however written
    ask_home("audience", "verify", "logins", "--by", "cem", code=4)  # who saved it
    ask_home("audience", "verify", "nobody", "--by", "bob", code=2)
    told = ask_home("audience", "verify", "logins", "--by", "bob")
    assert told["verified_by"] == "bob"
    ask_home("audience", "verify", "others", "--by", "bob")
    assert is_verified("logins") and is_verified("others")
    # another name or schedule is the same rule; another limit is not, nor is it for whoever names it
    define(LOGINS.format(name="logins", schedule="weekly"), "--by", "cem")
    assert is_verified("logins")
    assert define(LOGINS.format(name="logins", schedule="weekly").replace("30", "31"))["is_verified"] is False
    assert not is_verified("logins")
    assert not is_verified("others")

    ask_home("audience", "retire", "logins", "--by", "ann", "--note", " ", code=4)
    ask_home("audience", "retire", "logins", "--by", "ann", "--note", "campaign over")
    ask_home("audience", "build", "logins", code=4)
    ask_home("audience", "verify", "logins", "--by", "bob", code=4)
    define(LOGINS.format(name="logins", schedule="weekly"))
    assert ask_home("audience", "build", "logins")["members"] > 0
    with Store(f"sqlite:///{home / 'wayline.db'}") as store:
        trail = [(one.actor, one.action) for one in store.audit_trail(subject="logins")][::-1]
        assert store.verify_audit() is None
    assert trail == [
        ("cem", "audience.saved"),
        ("bob", "audience.verified"),
        ("cem", "audience.saved"),
        ("ann", "audience.saved"),
        ("ann", "audience.retired"),
        ("ann", "audience.saved"),
    ]
