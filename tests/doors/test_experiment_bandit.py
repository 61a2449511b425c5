"""`wayline experiment bandit`: shares of the next batch, the arm of each unit, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from pyarrow import csv
from pytest import approx
from scipy.special import ndtr

from engine.cli.main import main
from engine.domain.errors import WaylineError
from engine.workflows.experiment_bandit import Question, share_out
from experiments.bandits import Rules
from tests.doors.experiment_files import Write

Share = Callable[..., dict[str, Any]]


@pytest.fixture
def share(tmp_path: Path) -> Share:
    """Ask the workflow about a log; rules by name, everything else as the question has it."""

    def asked(path: Path, rules: Rules | None = None, **named: Any) -> dict[str, Any]:
        columns = {"unit": "u", "arm": "a", "reward": "r"} | named
        return share_out(
            Question(path=path, rules=rules or Rules(floor=0.05), seed=7, home=tmp_path / "home", **columns)
        )

    return asked


def log(*arms: tuple[str, int, int], more: str = "") -> list[tuple[object, ...]]:
    """Rows of arms with so many successes of so many units."""
    given = [(arm, int(place < successes)) for arm, successes, n in arms for place in range(n)]
    tail = (more,) if more else ()
    return [(f"c{place}", *row, *tail) for place, row in enumerate(given)]


def by_arm(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["arm"]: row for row in found["arms"]}


def test_shares_follow_the_exact_chance_to_be_the_best(share: Share, write: Write) -> None:
    # beliefs Beta(2, 2) and Beta(3, 1), densities 6x(1 - x) and 3x^2, the latter's share below x is x^3:
    # P(A larger) = integral of 6x(1 - x) x^3 = 6/5 - 6/6 = 1/5
    path = write("u,a,r", log(("A", 1, 2), ("B", 2, 2)))
    found = share(path, Rules(floor=0.05, least=2))
    a, b = found["arms"]
    assert (a["chance_best"], b["chance_best"]) == (approx(1 / 5), approx(4 / 5))
    assert (a["propensity"], b["propensity"]) == (approx(1 / 5), approx(4 / 5))
    assert (a["mean"], a["posterior_mean"], b["posterior_mean"]) == (approx(1 / 2), approx(2 / 4), approx(3 / 4))
    # below x of Beta(3, 1) lies x^3
    assert b["posterior_interval"] == [approx(0.025 ** (1 / 3)), approx(0.975 ** (1 / 3))]
    assert (found["belief"], found["reward"]["kind"]) == ("beta", "proportion")
    raised = share(path, Rules(floor=0.3, least=2))["arms"]
    assert [row["propensity"] for row in raised] == [approx(0.3), approx(0.7)]
    assert raised[0]["reason"] == "kept at the floor of 0.3"
    less = share(path, Rules(direction="decrease", floor=0.05, least=2))["arms"]
    assert [row["chance_best"] for row in less] == [approx(4 / 5), approx(1 / 5)]


def test_arms_that_cannot_be_judged_get_their_even_part_and_say_why(share: Share, write: Write) -> None:
    path = write("u,a,r", log(("A", 10, 100), ("B", 30, 100), ("old", 1, 50)))
    found = share(path, new_arms=("C",), retired=("old",))
    rows = by_arm(found)
    assert list(rows) == ["A", "B", "C"] and found["counts"]["retired"] == 50
    assert rows["C"] | {"propensity": None} == {
        "arm": "C",
        "n": 0,
        "mean": None,
        "posterior_mean": None,
        "posterior_interval": None,
        "chance_best": None,
        "propensity": None,
        "reason": "its even part: 0 units, fewer than the 30 that a judgement needs",
        "why": "its even part: 0 units, fewer than the 30 that a judgement needs",
    }
    # a third for C and two thirds for B, of which A takes the floor: 0.95 shared as 1 to 2
    assert (rows["A"]["propensity"], rows["C"]["propensity"]) == (approx(0.05), approx(0.95 / 3, abs=1e-3))
    assert sum(row["propensity"] for row in rows.values()) == approx(1)


def test_an_arm_that_was_given_more_in_good_weeks_is_not_taken_for_a_better_one(share: Share, write: Write) -> None:
    # both arms bring 10 % in the bad week and 40 % in the good one, in which A has a share of 0.8
    weeks = [("A", 10, 100, 0.5), ("B", 10, 100, 0.5), ("A", 64, 160, 0.8), ("B", 16, 40, 0.2)]
    rows = [
        (f"c{number}-{place}", arm, int(place < successes), chance)
        for number, (arm, successes, n, chance) in enumerate(weeks)
        for place in range(n)
    ]
    path = write("u,a,r,p", rows)
    weighed, plain = share(path, propensity="p"), share(path)
    # A plainly (10 + 64) / 260, weighed (10 x 2 + 64 x 1.25) / (200 + 200); B (10 x 2 + 16 x 5) / 400, the same
    assert by_arm(plain)["A"]["mean"] == approx(74 / 260)
    assert [row["posterior_mean"] for row in weighed["arms"]] == [approx(1 / 4), approx(1 / 4)]
    assert weighed["belief"] == "normal" and "inverse of its own" in weighed["notes"][0]
    assert by_arm(plain)["A"]["chance_best"] > 0.95
    assert by_arm(weighed)["A"]["chance_best"] == approx(0.5)
    # of B count (200 + 200)^2 / (100 x 4 + 40 x 25) = 114 units of 140
    assert by_arm(weighed)["B"]["n"] == 114
    # propensities that did not move change nothing
    even = write("u,a,r,p", [(*row[:3], 0.5) for row in rows], "even.csv")
    assert share(even, propensity="p")["arms"] == plain["arms"]


def test_rewards_of_any_size_are_judged_by_their_means(share: Share, write: Write) -> None:
    # of A 10 are 0 and 10 are 2, of B 10 are 1 and 10 are 3: means 1 and 2, both with a variance of 20 / 19 / 20
    rows = [(place, "AB"[place % 2], place % 2 + 2 * (place // 2 % 2)) for place in range(40)]
    found = share(write("u,a,r", [*rows, (40, "A", "")]), Rules(floor=0.05, least=20))
    assert (found["belief"], found["counts"]["without_reward"]) == ("normal", 1)
    assert [row["posterior_mean"] for row in found["arms"]] == [approx(1), approx(2)]
    assert found["arms"][1]["chance_best"] == approx(ndtr(1 / sqrt(2 / 19)))


def test_units_get_the_arm_that_hash_and_seed_say_with_their_propensity(share: Share, write: Write) -> None:
    path = write(
        "u,a,r,s", log(("A", 10, 100), ("B", 14, 100), more="x") + log(("A", 40, 100), ("B", 20, 100), more="y")
    )
    batch = [(f"n{place}", "xyz"[place % 3]) for place in range(3_000)]
    units = write("id,s", [*batch, ("n5", "y"), ("", "x")], "next.csv")
    found = share(path, segment="s", assign=units)
    rows = found["units"]
    assert [(row["unit"], row["segment"]) for row in rows] == batch
    assert found["batch"] == {"rows": 3_002, "left_out": 1, "repeated": 1}
    shares = {one["segment"]: {row["arm"]: row["propensity"] for row in one["arms"]} for one in found["segments"]}
    shares["z"] = {row["arm"]: row["propensity"] for row in found["arms"]}  # a segment that the log does not know
    assert all(row["propensity"] == shares[row["segment"]][row["arm"]] for row in rows)
    for segment, share_of in shares.items():
        given = sum(row["arm"] == "A" for row in rows if row["segment"] == segment)
        spread = (1_000 * share_of["A"] * share_of["B"]) ** 0.5
        assert abs(given - 1_000 * share_of["A"]) < 4 * spread
    # the other way round and fewer, each unit keeps its arm; another seed draws anew
    fewer = write("id,s", batch[:1_000:-1], "fewer.csv")
    kept = {row["unit"]: row["arm"] for row in rows}
    again = share(path, segment="s", assign=fewer)["units"]
    assert all(kept[row["unit"]] == row["arm"] for row in again)
    other = share(path, segment="s", assign=fewer, salt="another bandit")["units"]
    assert any(kept[row["unit"]] != row["arm"] for row in other)


def test_scripts_and_people_read_the_same(tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("u,a,r", [*log(("A", 10, 100), ("B", 30, 100)), ("c1", "A", 1), ("", "A", 1)])
    units, out = write("id", [(f"n{place}",) for place in range(100)], "next.csv"), tmp_path / "arms.csv"
    asked = ["experiment", "bandit", str(path), "--unit", "u", "--arm", "a", "--reward", "r", "--home", str(tmp_path)]
    assert main([*asked, "--assign", str(units), "--out", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["written"] == {"path": str(out), "rows": 100} and sum(found["given"].values()) == 100
    assert found["counts"] == dict.fromkeys(("without_arm", "without_reward", "unreadable", "retired"), 0) | {
        "rows": 202,
        "used": 201,
        "without_unit": 1,
    }
    assert csv.read_csv(out).column_names == ["unit", "arm", "propensity", "uniform", "batch"]
    assert main([*asked, "--assign", str(units)]) == 0
    told = capsys.readouterr().out
    assert "most likely the best" in told and "80 further units: write them to a file with --out." in told
    assert "201 of 202 rows count." in told and "1 rows are of units that have one already" in told
    assert main([*asked, "--prior", "1"]) == 2
    assert "Write two numbers above 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "named", "sentence"),
    [
        ([(1, "A", 0), (2, "A", 1)], {}, 'one arm is left, "A", and a bandit chooses'),
        ([], {}, "test.csv has no rows"),
        ([(1, "A", ""), (2, "B", "")], {}, 'has a reward in "r"'),
        ([(1, "A", "much")], {}, '"r": 1 of 1 values are no numbers, the first in row 1'),
        ([(1, "A", 1), (2, "B", "inf")], {}, "1 rewards are infinite, the first in row 2"),
        ([(1, "A", 1), (2, "B", 0)], {"retired": ("Z",)}, 'Unknown arm "Z". Known: A, B'),
        ([(1, "A", 1), (2, "B", 0)], {"new_arms": ("A",)}, "the log holds it already"),
        ([(1, "A", 1), (2, "B", 0)], {"arm": "arm"}, 'Unknown variant column "arm"'),
        ([(1, "A", 1), (2, "B", 0)], {"rules": Rules(floor=5)}, "For 5 % write 0.05"),
        ([(1, "A", 1), (2, "B", 0)], {"rules": Rules(prior=(0, 1))}, "--prior: successes"),
        ([(1, "A", 1), (2, "B", 3)], {"segment": "u"}, "worked out for rewards of 0 or 1"),
        ([(1, "A", 1)], {"segment": "u", "propensity": "r"}, "leave out one of"),
        ([(1, "A", 1)], {"out": Path("arms.csv")}, "name their file with --assign"),
        ([(n, n, 1) for n in range(101)], {}, "more than 100 different values"),
        (
            [(1, "A", 1, 0.5), (2, "B", 0, ""), (3, "B", 0, 0), (4, "A", 0, 45), (5, "A", 0, 45)],
            {"propensity": "p"},
            '"p": 1 propensities are missing, the first in row 2\n'
            '  - "p": 1 propensities are 0 or less, though the arm was given, the first in row 3\n'
            '  - "p": 2 propensities are above 1, the first in row 4. A propensity is the chance',
        ),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(
    share: Share,
    write: Write,
    rows: list[tuple[object, ...]],
    named: dict[str, Any],
    sentence: str,
) -> None:
    with pytest.raises(WaylineError) as told:
        share(write("u,a,r,p"[: 2 * len(rows[0]) - 1] if rows else "u,a,r", rows), **named)
    assert sentence in str(told.value)
