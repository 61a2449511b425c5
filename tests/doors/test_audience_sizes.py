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
