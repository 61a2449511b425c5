"""`wayline journey types` and `wayline journey compare`: what a script gets, and what people read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.cli.main import main

COLUMNS = ["--case", "who", "--event", "what", "--time", "when"]
WAYS = {"look": "home view", "straight": "view apply sign", "round": "view apply error apply error apply"}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 customers: half look, the others go straight or round; in July many more go round than in June."""
    rng = np.random.default_rng(3)
    lines = ["who,what,when,device"]
    for number in range(240):
        month = 6 + number % 2
        shares = (0.5, 0.4, 0.1) if month == 6 else (0.5, 0.1, 0.4)
        way = str(rng.choice(list(WAYS), p=shares))
        day = 1 + int(rng.integers(0, 28))
        device = "tablet" if rng.random() < 0.3 else "phone"
        lines += [
            f"c{number:03d},{name},2026-{month:02d}-{day:02d}T10:{minute:02d}:00Z,{device}"
            for minute, name in enumerate(WAYS[way].split())
        ]
    path = tmp_path_factory.mktemp("types") / "log.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], log: Path, tmp_path: Path) -> Any:
    """Ask a command about the log; returns exit code, standard output and standard error."""

    def call(command: str, *more: str, file: Path = log) -> tuple[int, str, str]:
        code = main(["journey", command, str(file), *COLUMNS, "--home", str(tmp_path / "none"), *more])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def answer(ask: Any) -> Any:
    """Ask for the answer as JSON."""

    def call(command: str, *more: str) -> Any:
        code, out, err = ask(command, "--json", *more)
        assert code == 0, err
        return json.loads(out)

    return call


def test_types_add_up_to_the_customers_and_each_has_a_name_and_a_portrait_in_two_languages(answer: Any) -> None:
    found = answer("types")
    assert found["customers"] == found["learned_from"] == 240
    assert sum(one["customers"] for one in found["types"]) + found["outside"] == 240
    assert [one["number"] for one in found["types"]] == [1, 2, 3]
    assert {tuple(step["event"] for step in one["path"]) for one in found["types"]} == {
        tuple(way.split()) for way in WAYS.values()
    }
    for one in found["types"]:
        assert one["name_en"] != one["name_zh"]
        assert f"{one['customers']} customers" in one["portrait_en"]
        assert f"{one['customers']} 位客户" in one["portrait_zh"]
    assert [choice["chosen"] for choice in found["choices"]].count(True) == 1


def test_conversion_is_told_per_type_with_its_interval(answer: Any) -> None:
    found = answer("types", "--conversion", "sign", "--types", "2")
    assert sum(one["converted"] for one in found["types"]) > 0
    for one in found["types"]:
        assert one["conversion_lower"] <= one["conversion"] <= one["conversion_upper"]
    assert any("sign shape no type" in note for note in found["notes"])


def test_people_read_names_and_portraits_and_chinese_on_request(ask: Any) -> None:
    code, out, _ = ask("types")
    assert code == 0
    assert "Ends with sign" in out
    assert "customers are like no type" in out
    assert "止于sign" in ask("types", "--zh")[1]


def test_only_some_events_can_count(answer: Any) -> None:
    found = answer("types", "--only", "apply,sign,error")
    assert {step["event"] for one in found["types"] for step in one["path"]} <= {"apply", "sign", "error"}


def test_an_event_that_the_log_lacks_is_refused(ask: Any) -> None:
    code, out, err = ask("types", "--conversion", "sing")
    assert (code != 0, out) == (True, "")
    assert "sign" in err


def test_too_few_customers_have_no_types_and_the_reason_is_told(ask: Any, tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text("who,what,when\na,x,2026-01-01\nb,y,2026-01-02\n")
    code, out, _ = ask("types", file=few)
    assert (code, out.strip()) == (0, "No types: 2 customers; types need 50 or more.")


def test_two_groups_of_a_column_hardly_differ_where_chance_made_them(answer: Any) -> None:
    found = answer("compare", "--by", "device", "--groups", "phone,tablet", "--steps", "view,apply,sign", "--types")
    assert (found["base"], found["other"], found["shared"]) == ("phone", "tablet", 0)
    assert found["base_customers"] + found["other_customers"] == 240
    every = [*found["steps"], *found["transitions"], *found["variants"], *found["types"], *found["durations"]]
    assert [one["what"] for one in every if (one["p_adjusted"] or 1) < 0.01] == []


def test_two_periods_differ_by_what_changed_between_them(answer: Any) -> None:
    found = answer("compare", "--before", "2026-07-01", "--types", "--steps", "view,apply,sign", "--window", "1h")
    assert (found["base"], found["other"]) == ("before 2026-07-01", "from 2026-07-01")
    assert found["shared"] == 0
    # those who sign fell and those who meet an error rose; who looks at home and goes did neither
    changed = {one["what"][1] for one in found["transitions"] if one["p_adjusted"] < 0.001}
    assert {"sign", "error"} <= changed
    assert "home" not in changed
    sign = next(one for one in found["steps"] if one["what"] == ["apply", "sign"])
    # of 40 and 10 in a hundred who apply, against 10 and 40: from four in five to one in five
    assert sign["base"] > 0.6
    assert sign["other"] < 0.4
    assert sign["p_adjusted"] < 0.001
    assert sum(one["p_adjusted"] < 0.01 for one in found["types"]) == 2


def test_journeys_by_their_start_are_compared_over_the_time_they_are_followed(answer: Any) -> None:
    found = answer("compare", "--began-before", "2026-07-01", "--follow", "3m")
    assert found["base"] == "began before 2026-07-01"
    assert {len(one["what"]) for one in found["variants"]} <= {
        2,
        3,
        4,
    }  # a minute an event: at most four in three minutes
    assert "followed for" in found["notes"][0] or "followed for" in found["notes"][1]


def test_people_read_tables_of_what_differs_most_surely_first(ask: Any) -> None:
    code, out, _ = ask("compare", "--by", "device", "--groups", "phone", "--steps", "view,apply", "--top", "3")
    assert code == 0
    assert "all but phone" in out
    for title in (
        "Going on from step to step",
        "Customers with a transition",
        "Customers with just this path",
        "Medians",
    ):
        assert title in out
    assert "p adjusted for all of them" in out


def test_people_are_told_why_periods_have_no_variants_and_how_to_see_them(ask: Any) -> None:
    code, out, _ = ask("compare", "--before", "2026-07-01")
    assert code == 0
    assert "No variants: periods cut paths" in out
    assert "--began-before" in out


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ([], "exactly one of"),
        (["--by", "device", "--before", "2026-07-01"], "exactly one of"),
        (["--by", "device"], "expected two, or one against all others"),
        (["--by", "device", "--groups", "phone,phone"], "cannot be compared with itself"),
        (["--by", "device", "--groups", "phone,fridge"], "fridge"),
        (["--by", "device", "--groups", "fridge"], "fridge"),
        (["--by", "colour", "--groups", "a,b"], "colour"),
        (["--before", "someday"], "is no date"),
        (["--before", "2031-01-01"], "the log runs from 2026-06-01"),
        (["--before", "2026-07-01", "--days", "0"], "expected more than 0"),
        (["--began-before", "2026-07-01", "--follow", "90d"], "the date to compare at"),
    ],
)
def test_what_makes_no_two_sides_is_refused_with_a_sentence(ask: Any, asked: list[str], told: str) -> None:
    code, out, err = ask("compare", *asked)
    assert (code != 0, out) == (True, "")
    assert told in " ".join(err.split())
    assert "Traceback" not in err


def test_the_bank_is_compared_without_naming_a_file(small_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = [
        "journey",
        "compare",
        "--home",
        str(small_home),
        "--before",
        "2025-07-01",
        "--journey",
        "credit_card",
        "--json",
    ]
    assert main(told) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["base_customers"] > 10
    assert found["steps"][0]["what"] == ["product_viewed", "calculator_used"]
    assert main(["journey", "types", "--home", str(small_home), "--json"]) == 0
    types = json.loads(capsys.readouterr().out)
    assert types["types"] or types["reason"]
