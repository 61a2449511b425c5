"""How many of an audience are reached, shared with others, or found by a few: from the command line, on a run."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pytest

from engine.lake.runs import latest_run
from engine.lake.workspace import Workspace
from engine.recommendations import reachable
from engine.recommendations.gates import GATES
from tests.doors.experiment_files import Ask

EVERY_CHANNEL = ["push", "email", "sms", "post", "phone"]


@pytest.fixture
def define(home: Path, ask_home: Ask) -> Any:
    def defined(name: str, rule: str, channels: list[str] | None = None) -> None:
        head = f'audience = "{name}"\nname = "{name}"\nowner = "ann"\nchannels = {channels or EVERY_CHANNEL}\n'
        (home / "definition.toml").write_text(f"{head}[rule]\n{rule}\n", encoding="utf-8")
        ask_home("audience", "save", home / "definition.toml")

    return defined


def test_reach_says_of_every_member_what_the_run_itself_decided(home: Path, ask_home: Ask, define: Any) -> None:
    define("everybody", "all = []")
    out = home / "reach.csv"
    told = ask_home("audience", "reach", "everybody", "--out", out)
    rows = pa_csv.read_csv(out).to_pylist()
    assert told["members"] == len(rows) == 300
    reached = [row for row in rows if not row["refused_mask"]]
    assert told["reachable"] == len(reached) == told["members"] - sum(step["removed"] for step in told["steps"])
    # what refuses every product is what a gate on the customer said; consent taken back is told apart only here
    asked = sum(1 << one.bit for one in reachable.REASONS if one.bit < len(GATES))
    decided: dict[str, list[int]] = {}
    for row in latest_run(Workspace(home)).read("decisions", ["customer_id", "refused_mask"]).to_pylist():
        decided.setdefault(row["customer_id"], []).append(row["refused_mask"])
    consent = 1 << reachable.REASONS[0].bit
    for row in rows:
        own = row["refused_mask"]
        taken_back = own >> reachable.OPTED_OUT & 1
        by_gates = own & asked | (consent if taken_back else 0)
        assert by_gates == reduce(lambda one, other: one & other, decided[row["customer_id"]]) & asked
        assert (row["reason_code"] or None) == (reachable.codes(own) or (None,))[0]

    # each channel alone reaches no more than all of them together, and is the same asked alone
    by_channel = {one["channel"]: one["reachable"] for one in told["by_channel"]}
    assert set(by_channel) == set(EVERY_CHANNEL)
    assert 0 < max(by_channel.values()) <= told["reachable"]
    assert ask_home("audience", "reach", "everybody", "--channel", "sms")["reachable"] == by_channel["sms"]


def test_reach_of_nobody_is_undefined_and_what_cannot_be_reached_is_told(ask_home: Ask, define: Any) -> None:
    define("nobody", "any = []", ["email"])
    told = ask_home("audience", "reach", "nobody")
    assert (told["members"], told["reachable"], told["reachable_share"]) == (0, 0, None)
    assert [step["remaining"] for step in told["steps"]] == [0, 0, 0, 0]
    ask_home("audience", "reach", "nobody", "--channel", "sms", code=2)
    define("advertised", "any = []", ["ads"])
    sentence = ask_home("audience", "reach", "advertised", code=1)["error"]["sentence"]
    assert "the bank contacts nobody on ads" in sentence
    define("both", "any = []", ["ads", "email"])
    assert "ads" in ask_home("audience", "reach", "both")["notes"][0]


def test_overlaps_of_three_are_told_pair_by_pair(ask_home: Ask, define: Any) -> None:
    define("young", 'feature = "age_years"\nat_most = 40')
    define("adult", 'feature = "age_years"\nat_least = 30')
    define("nobody", "any = []")
    told = ask_home("audience", "overlap", "young", "adult", "nobody")
    sizes = {row["audience"]: row["members"] for row in told["audiences"]}
    pairs = {(row["first"], row["second"]): row for row in told["pairs"]}
    both = pairs["young", "adult"]
    # nobody is without an age, so that whoever is not young is an adult
    assert told["customers"] == 300 == sizes["young"] + sizes["adult"] - both["both"]
    assert both["first_share"] == pytest.approx(both["both"] / sizes["young"])
    assert pairs["young", "nobody"]["lift"] is None
    ask_home("audience", "overlap", "young", "young", code=2)
    ask_home("audience", "overlap", "young", "yuong", code=2)


def test_lookalikes_are_saved_with_how_they_were_made_and_come_out_the_same(
    home: Path, ask_home: Ask, define: Any
) -> None:
    define("loyal", 'feature = "tenure_months"\nat_least = 72')
    made = ask_home("audience", "lookalike", "loyal", "--size", "25", "--by", "ann")
    assert (made["audience"], made["chosen"], made["is_new"]) == ("like_loyal", 25, True)
    assert 0.5 < made["auc_lower"] < made["auc"] < made["auc_upper"] <= 1
    assert ask_home("audience", "build", "like_loyal")["members"] == 25
    assert ask_home("audience", "overlap", "loyal", "like_loyal")["in_all"] == 0
    inside = ask_home("audience", "explain", "like_loyal", made["sample"][0])
    assert inside["belongs"] is True
    assert inside["why"][0]["text_en"] == 'among the 25 most like the audience "loyal"'
    again = ask_home("audience", "lookalike", "loyal", "--size", "25", "--by", "ann")
    assert (again["sample"], again["version"], again["is_new"]) == (made["sample"], 1, False)

    # of a list of customers, one of whom nobody knows
    seeds = home / "seeds.csv"
    ids = latest_run(Workspace(home)).read("features", ["customer_id"])["customer_id"].to_pylist()
    reached = ask_home("audience", "reach", "loyal", "--out", home / "all.csv")
    members = pa_csv.read_csv(home / "all.csv")["customer_id"].to_pylist()
    assert reached["members"] == len(members)
    seeds.write_text("\n".join(["customer_id", *members, "X1"]) + "\n", encoding="utf-8")
    listed = ask_home("audience", "lookalike", seeds, "--size", "25", "--by", "ann", "--name", "from_a_list")
    assert (listed["seeds"], listed["unknown_seeds"]) == (len(members), 1)
    assert listed["sample"] == made["sample"]
    assert set(listed["sample"]) <= set(ids) - set(members)


def test_lookalikes_that_cannot_be_made_are_told_and_nothing_is_saved(home: Path, ask_home: Ask, define: Any) -> None:
    define("few", 'feature = "age_years"\nat_least = 75')
    few = ask_home("audience", "lookalike", "few", "--size", "5", "--by", "ann", code=1)["error"]["sentence"]
    assert "at least 50" in few
    ask_home("audience", "lookalike", "few", "--size", "5", "--share", "0.1", "--by", "ann", code=2)
    ask_home("audience", "lookalike", "few", "--by", "ann", code=2)
    ask_home("audience", "lookalike", home / "nowhere.csv", "--size", "5", "--by", "ann", code=1)
    (home / "names.csv").write_text("name\nann\n", encoding="utf-8")
    ask_home("audience", "lookalike", home / "names.csv", "--size", "5", "--by", "ann", code=1)
    define("circle", 'lookalike = "few"\nsize = 3')
    told = 'audience = "few"\nname = "few"\nowner = "ann"\n[rule]\nlookalike = "circle"\nsize = 3\n'
    (home / "definition.toml").write_text(told, encoding="utf-8")
    ask_home("audience", "save", home / "definition.toml", code=2)
    assert {one["audience"] for one in ask_home("audience", "list")["audiences"]} == {"few", "circle"}
