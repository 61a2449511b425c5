"""`wayline experiment off-policy`: values of policies from logs in plain files, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest import approx

from engine.cli.main import main
from engine.domain.errors import WaylineError
from engine.workflows.experiment_off_policy import Question, evaluate
from tests.doors.experiment_files import Write

Judge = Callable[..., dict[str, Any]]

# A has a chance of 3/4, B of 1/4: rewards 1 of A, of B 3 and 12
BY_HAND = [("A", 1, 0.75)] * 120 + [("B", 3, 0.25)] * 30 + [("B", 12, 0.25)] * 30


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    def asked(path: Path, **named: Any) -> dict[str, Any]:
        columns = {"action": "a", "reward": "r", "propensity": "p"} | named
        return evaluate(Question(path=path, home=tmp_path / "home", **columns))

    return asked


def by_method(policy: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["method"]: one for one in policy["estimates"]}


def test_values_by_hand_of_each_action_to_all(judge: Judge, write: Write) -> None:
    found = judge(write("a,r,p", BY_HAND))
    assert [one["policy"] for one in found["policies"]] == ['"A" to all', '"B" to all']
    to_all = found["policies"][1]
    one = by_method(to_all)
    # (30 x 4 x 3 + 30 x 4 x 12) / 180 = 10; divided by the weights' mean of 240 / 180 it is 7.5
    assert (one["ips"]["value"], one["snips"]["value"]) == (approx(10), approx(7.5))
    # scores 4 x reward or 0: mean square (30 x 144 + 30 x 2304) / 180 = 408, less 10 squared = 308
    assert one["ips"]["standard_error"] == approx(sqrt(308 / 179))
    # logged were (120 + 90 + 360) / 180; score - reward is -1, 9 or 36: mean square (120 + 30 x 81 + 30 x 1296) / 180
    assert found["logged"]["value"] == approx(570 / 180)
    gain, spread = 10 - 570 / 180, (120 + 30 * 81 + 30 * 1296) / 180 - (10 - 570 / 180) ** 2
    lower, upper = one["ips"]["gain"]["interval"]
    assert one["ips"]["gain"]["value"] == approx(gain)
    assert (upper - lower) / 2 == approx(1.97331 * sqrt(spread / 179), rel=1e-5)  # Student's t with 179 degrees
    assert to_all["overlap"] | {"mean_weight_error": None} == {
        "n": 180,
        "effective_n": approx(60),
        "largest_weight": approx(1 / 60),
        "mean_weight": approx(240 / 180),
        "mean_weight_error": None,
        "unsupported": 0,
        "clipped": 0,
        "cut": 0,
    }
    assert one["doubly_robust"]["value"] is None and "--model" in one["doubly_robust"]["why"]
    # shares never moved, so it is one batch, which expects the mean of all: 3.167 + 4 x (450 - 60 x 3.167) / 180
    assert one["adaptive_aipw"]["value"] == approx(570 / 180 + 4 * (450 - 60 * 570 / 180) / 180)


def test_weights_that_are_clipped_are_told(judge: Judge, write: Write) -> None:
    found = judge(write("a,r,p", BY_HAND), clip=2)["policies"][1]
    # 60 weights of 4 become 2: half of all weight is gone, and the value with it
    assert by_method(found)["ips"]["value"] == approx(5)
    assert (found["overlap"]["clipped"], found["overlap"]["cut"]) == (60, approx(1 / 2))
    assert found["overlap"]["mean_weight"] == approx(240 / 180)
    assert found["warnings"][-1].startswith("60 weights above 2 were clipped, which took 50.0 % of all weight away")


def contextual(write: Write, n: int = 6_000) -> tuple[Path, float]:
    """A log that gives B more often to the young, and the value of giving it to them alone."""
    rng = np.random.default_rng(3)
    young = rng.random(n) < 0.4
    chance = np.where(young, 0.7, 0.2)
    b = rng.random(n) < chance
    # A brings 1 and 2 of the young, B 1 and 4
    reward = 1 + young + 2 * (b & young) + rng.normal(size=n)
    shown = np.where(b, chance, 1 - chance)
    wanted = np.where(young, "B", "A")
    given = np.where(b, "B", "A")
    agree = (wanted == given).astype(int)
    ages = np.where(young, "young", "old")
    rows = list(zip(given, reward, shown, wanted, agree, ages, strict=True))
    return write("a,r,p,wanted,agree,age", rows), 0.6 * 1 + 0.4 * 4


def test_a_policy_by_customer_is_recovered_by_every_method(judge: Judge, write: Write) -> None:
    path, truth = contextual(write)
    (policy,) = judge(path, policy="wanted", model=("age",))["policies"]
    found = by_method(policy)
    for method in ("ips", "snips", "doubly_robust"):
        assert abs(found[method]["value"] - truth) < 4 * found[method]["standard_error"]
    assert found["doubly_robust"]["standard_error"] < found["snips"]["standard_error"] < found["ips"]["standard_error"]
    assert found["doubly_robust"]["gain"]["interval"][0] > 0
    assert "one action to all" in found["adaptive_aipw"]["why"] and policy["warnings"] == []
    # with two actions the chance of the logged one says everything
    (by_chance,) = judge(path, policy_propensity="agree", model=("age",))["policies"]
    for method in ("ips", "snips", "doubly_robust"):
        assert by_method(by_chance)[method]["value"] == approx(found[method]["value"])


def test_decisions_of_one_customer_hang_together(judge: Judge, write: Write) -> None:
    once = judge(write("a,r,p", BY_HAND))["policies"][1]
    # every decision stands twice: as much is known as before, and no more
    twice = [(f"c{place}", *row) for place, row in enumerate(BY_HAND) for _ in range(2)]
    path = write("u,a,r,p", twice, "twice.csv")
    together, apart = judge(path, unit="u")["policies"][1], judge(path)["policies"][1]
    for method in ("ips", "snips"):
        assert by_method(together)[method]["interval"] == approx(by_method(once)[method]["interval"])
        assert by_method(apart)[method]["standard_error"] < 0.75 * by_method(once)[method]["standard_error"]


def test_what_the_log_never_did_has_no_value_and_says_why(judge: Judge, write: Write) -> None:
    rows = [(*row, "C" if place < 45 else row[0]) for place, row in enumerate(BY_HAND)]
    (found,) = judge(write("a,r,p,new", rows), policy="new")["policies"]
    for one in by_method(found).values():
        assert one["value"] is None and one["interval"] is None
    assert by_method(found)["ips"]["why"].startswith("for 25 % of its decisions the policy would give what the log")
    assert found["overlap"]["unsupported"] == approx(1 / 4)
    assert 'The log never holds "C", which the policy takes.' in found["warnings"]
    # where A was certain, nothing can be said of B
    sure = [*BY_HAND, *[("A", 1, 1)] * 20]
    a, b = judge(write("a,r,p", sure, "sure.csv"))["policies"]
    assert by_method(b)["ips"]["why"].startswith("for 10 % of its decisions")
    assert by_method(a)["ips"]["value"] is not None


def test_a_log_that_hardly_speaks_for_a_policy_warns(judge: Judge, write: Write) -> None:
    rows = [("A", 1, 0.9)] * 2_000 + [("B", place % 2, 0.1) for place in range(60)]
    b = judge(write("a,r,p", rows))["policies"][1]
    # B should have been given 206 times of 2 060, not 60
    assert any("count for this policy as 60 of an even log" in one for one in b["warnings"])
    assert any(one.startswith("Weights average 0.291, and near 1") for one in b["warnings"])
    few = judge(write("a,r,p", rows[:2_010], "few.csv"))["policies"][1]
    assert by_method(few)["snips"]["why"] == "the log holds 10 effective decisions for this policy; 30 are needed"
    assert "One decision carries 10 % of all weight." in few["warnings"]


def of_batches(names: Sequence[str]) -> list[tuple[object, ...]]:
    """Two batches: shares 1/2 1/2 with A 0 1 and B 1 1, then 1/5 4/5 with A 0 and B 1 1 0 1."""
    first = [("A", 0, 0.5), ("A", 1, 0.5), ("B", 1, 0.5), ("B", 1, 0.5)]
    second = [("A", 0, 0.2), ("B", 1, 0.8), ("B", 1, 0.8), ("B", 0, 0.8), ("B", 1, 0.8)]
    return [*((*row, names[1]) for row in second), *((*row, names[0]) for row in first)]


def test_adaptively_weighted_means_by_hand_whatever_the_order_of_rows(judge: Judge, write: Write) -> None:
    found = judge(write("a,r,p,week", of_batches(("week 9", "week 10"))), batch="week", control="A")
    # batch 1 expects 3/4 of both arms. A: 4 x 3/4 + (1 - 2 x 3/4) / .5 = 2; B: 3 + (2 - 1.5) / .5 = 4
    # batch 2 expects 1/2 of A and 1 of B. A: 5 x 1/2 + (0 - 1/2) / .2 = 0; B: 5 + (3 - 4) / .8 = 3.75
    a = (sqrt(0.5) * 2 + sqrt(0.2) * 0) / (4 * sqrt(0.5) + 5 * sqrt(0.2))
    b = (sqrt(0.5) * 4 + sqrt(0.8) * 3.75) / (4 * sqrt(0.5) + 5 * sqrt(0.8))
    values = [by_method(one)["adaptive_aipw"]["value"] for one in found["policies"]]
    assert values == [approx(a), approx(b)]
    assert "the means of two arms are of different times then" in found["notes"][0]
    assert found["contrasts"][0] | {"interval": None, "p_value": None} == {
        "action": "B",
        "control": "A",
        "method": "adaptive_aipw",
        "difference": approx(b - a),
        "interval": None,
        "p_value": None,
    }


@pytest.mark.parametrize(
    ("rows", "named", "why"),
    [
        (of_batches(("1", "2")), {}, "name the column of the batches with --batch"),
        ([*of_batches(("1", "2")), ("A", 1, 0.4, "1")], {"batch": "week"}, "within a batch an action has several"),
        ([*of_batches(("1", "2")), ("A", 1, 1, "3")], {"batch": "week"}, 'in batch "3" "B" had no chance at all'),
        ([("A", 1, 0.5, "1"), ("B", 1, 0.7, "1")], {"batch": "week"}, 'batch "1" add up to 1.2, not to 1'),
        ([*of_batches(("1", "2")), ("A", 1, 0.5, "")], {"batch": "week"}, 'without a value in "week"'),
    ],
)
def test_without_whole_batches_there_are_no_adaptive_means(
    judge: Judge, write: Write, rows: list[tuple[object, ...]], named: dict[str, str], why: str
) -> None:
    one = by_method(judge(write("a,r,p,week", rows), **named)["policies"][0])["adaptive_aipw"]
    assert one["value"] is None and why in one["why"]


def test_scripts_and_people_read_the_same(tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("a,r,p", [*BY_HAND, ("A", "", 0.75), ("", 1, 0.75)])
    asked = ["experiment", "off-policy", str(path), "--action", "a", "--reward", "r", "--propensity", "p"]
    asked += ["--home", str(tmp_path / "home")]
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert by_method(found["policies"][1])["ips"]["value"] == approx(10)
    assert found["counts"] | {"unreadable": 0} == {
        "rows": 182,
        "used": 180,
        "without_arm": 1,
        "without_unit": 0,
        "without_reward": 1,
        "unreadable": 0,
    }
    assert main([*asked, "--control", "A"]) == 0
    told = capsys.readouterr().out
    assert '"B" to all' in told and "Effective decisions: 60 of 180." in told and "180 of 182 rows count." in told
    assert "predicted and corrected (DR): no column to predict rewards from; name some with --model." in told


@pytest.mark.parametrize(
    ("rows", "named", "sentence"),
    [
        ([], {}, "test.csv has no rows"),
        ([("A", 1, 0.5)] * 9, {}, 'holds one action only, "A"'),
        (
            [("A", 1, 0), ("B", 1, 0.5)],
            {},
            "1 propensities are 0 or less, though the arm was given, the first in row 1",
        ),
        ([("A", "x", 0.5), ("B", 1, 0.5)], {}, '"r": 1 of 2 values are no numbers, the first in row 1'),
        ([("A", 1, 0.5), ("B", 1, 0.5)], {"policy": "new"}, 'Unknown group column "new"'),
        ([("A", 1, 0.5), ("B", 1, 0.5)], {"policy": "p"}, 'Unknown action in "p" "0.5". Known: A, B'),
        ([("A", 1, 0.5), ("B", 3, 0.5)], {"policy_propensity": "r"}, '"r": 1 values are no chances from 0 to 1'),
        ([("A", 1, 0.5), ("B", 1, 0.5)], {"policy": "a", "policy_propensity": "p"}, "give one of them"),
        ([("A", 1, 0.5), ("B", 1, 0.5)], {"control": "Z"}, 'Unknown action "Z". Known: A, B'),
        ([("A", 1, 0.5), ("B", 1, 0.5)], {"clip": 0}, "--clip 0: a weight that is kept is a number above 0"),
        ([("A", 1, 0.5), ("B", 1, 0.5)], {"alpha": 5}, "For 5 % write 0.05"),
        (
            [("A", 1, 0.5, "A"), ("B", 1, 0.5, "")],
            {"policy": "new"},
            "1 rows have no action of the new policy, the first in row 2",
        ),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(
    judge: Judge, write: Write, rows: list[tuple[object, ...]], named: dict[str, Any], sentence: str
) -> None:
    header = "a,r,p,new" if rows and len(rows[0]) > 3 else "a,r,p"
    with pytest.raises(WaylineError) as told:
        judge(write(header, rows), **named)
    assert sentence in str(told.value)
