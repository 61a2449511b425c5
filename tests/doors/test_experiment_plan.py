"""`wayline experiment plan` and `simulate`: what a script gets, what people read, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.cli.main import main

SHARE = ("--metric", "proportion", "--baseline", "0.2")
AMOUNT = ("--metric", "mean", "--baseline", "50", "--sd", "80")


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 000 units of twenty days, of which the first has no amount; half of the amount is known before."""
    rng = np.random.default_rng(5)
    lines = ["spend,before,branch,bought,orders,sessions,day,word"]
    for number in range(2_000):
        before, sessions = rng.gamma(2, 20), 1 + rng.poisson(2)
        spend = "" if number == 0 else f"{before + rng.gamma(2, 20):.2f}"
        bought, orders, day = int(rng.random() < 0.3), rng.binomial(sessions, 0.3), 1 + number % 20
        lines.append(f"{spend},{before:.2f},b{number % 100},{bought},{orders},{sessions},2026-03-{day:02d},x")
    path = tmp_path_factory.mktemp("plan") / "past.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Ask a command; returns exit code, standard output and standard error."""

    def call(command: str, *words: object, home: Path = tmp_path / "none") -> tuple[int, str, str]:
        code = main(["experiment", command, *map(str, words), "--home", str(home)])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def answer(ask: Any) -> Any:
    """Ask for the answer as JSON."""

    def call(command: str, *words: object, code: int = 0, **more: Any) -> Any:
        found, out, err = ask(command, "--json", *words, **more)
        assert found == code, err
        return json.loads(out)

    return call


def test_units_for_an_effect_and_what_calculators_would_say(answer: Any) -> None:
    found = answer("plan", *SHARE, "--effect", "0.05")
    assert (found["solved_for"], found["units_by_arm"]) == ("units", {"A": 1091, "B": 1091})
    assert found["units"] == 2182
    assert "2060 units" in found["notes"][0]
    # Evan Miller: 1030.2 per arm, which is 1031 whole units
    assert answer("plan", *SHARE, "--effect", "0.05", "--spread", "control")["units_by_arm"]["A"] == 1031


def test_effect_for_units_and_power_for_both(answer: Any) -> None:
    effect = answer("plan", *SHARE, "--units", "2182")
    assert effect["effect"] == pytest.approx(0.05, abs=1e-4)
    power = answer("plan", *SHARE, "--units", "2182", "--effect", "0.05")
    assert (power["solved_for"], power["units"]) == ("power", 2182)
    assert power["power"] == pytest.approx(0.8, abs=1e-3)
    assert answer("plan", *SHARE, "--decrease", "--units", "2000")["effect"] < 0


def test_days_until_the_last_unit_has_matured(answer: Any) -> None:
    words = (*AMOUNT, "--effect", "0.03", "--relative", "--traffic-per-day", "2000", "--maturity", "30d")
    found = answer("plan", *words)
    # 2 x 7.849 x 2 x 80^2 / 1.5^2 = 89 305 units at 2000 a day
    assert (found["enrolment_days"], found["days"]) == (45, 75)
    assert found["can_be_met"]


def test_a_plan_that_takes_too_long_says_what_can_be_found_in_time_and_exits_with_3(answer: Any, ask: Any) -> None:
    words = (*AMOUNT, "--effect", "1.5", "--traffic-per-day", "1000", "--days", "28")
    found = answer("plan", *words, code=3)
    assert not found["can_be_met"]
    assert found["units"] > 28_000
    assert "may take 28" in found["why"]
    assert "28000 units come" in found["why"]
    assert "none could be judged in time" in answer("plan", *words, "--maturity", "8w", code=3)["why"]
    assert "may take 28" in ask("plan", *words)[1]


def test_no_number_of_units_is_an_answer_with_a_reason(answer: Any, ask: Any) -> None:
    found = answer("plan", *SHARE, "--margin", "0.02", "--effect", "-0.05", code=3)
    assert (found["units"], found["can_be_met"]) == (None, False)
    assert "as bad as the margin" in found["why"]
    assert ask("plan", *AMOUNT, "--units", "3")[1].startswith("No plan")
    assert (
        "leave no unit"
        in answer("plan", *SHARE, "--days", "20", "--maturity", "30d", "--traffic-per-day", "9", code=3)["why"]
    )


def test_every_choice_moves_the_units_the_way_it_should(answer: Any) -> None:
    base = (*AMOUNT, "--effect", "5")
    plain = answer("plan", *base)["units"]
    assert answer("plan", *base, "--covariate-r2", "0.5")["units"] == pytest.approx(plain / 2, abs=4)
    assert answer("plan", *base, "--cluster-size", "20", "--icc", "0.05")["design_effect"] == pytest.approx(1.95)
    assert answer("plan", *base, "--cluster-size", "20", "--icc", "0.05")["units"] > 1.95 * plain
    for more in (
        ("--looks", "daily"),
        ("--looks", "5"),
        ("--looks", "0.5,1"),
        ("--looks", "any-time"),
        ("--metrics", "2"),
        ("--power", "0.9"),
        ("--alpha", "0.01"),
        ("--weights", "A=0.9,B=0.1"),
        ("--weights", "A=1,B=1,C=1"),
    ):
        assert answer("plan", *base, *more)["units"] > plain
    found = answer("plan", *base, "--looks", "5")["looks"]
    assert found["information"] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert len(found["critical"]) == 5
    # the first of many looks may call nothing: an infinite bound is null
    assert answer("plan", *base, "--looks", "daily")["looks"]["critical"][-1] > 1.96


def test_a_margin_alone_plans_for_no_effect(answer: Any, ask: Any) -> None:
    found = answer("plan", *SHARE, "--margin", "0.02")
    # 6.1826 x 2 x 0.16 / 0.0004 = 4946.0
    assert (found["effect"], found["units_by_arm"]["A"]) == (0.0, 4947)
    assert "margin" in ask("plan", *SHARE, "--margin", "0.1", "--relative")[1]


def test_history_of_a_file_gives_what_was_not_said(answer: Any, ask: Any, past: Path) -> None:
    plain = answer("plan", past, "--metric", "spend:mean", "--effect", "0.05", "--relative")
    assert plain["baseline"] == pytest.approx(80, rel=0.05)
    assert plain["source"] == "1999 units of past.csv"
    assert "1 rows of past.csv have no value" in ask("plan", past, "--metric", "spend:mean", "--effect", "3")[2]
    with_it = answer("plan", past, "--metric", "spend:mean", "--covariate", "before", "--effect", "0.05", "--relative")
    assert with_it["variance_removed"] == pytest.approx(0.5, abs=0.06)
    assert with_it["units"] == pytest.approx(plain["units"] * (1 - with_it["variance_removed"]), rel=0.01)
    assert answer("plan", past, "--ratio", "orders/sessions", "--effect", "0.03")["kind"] == "ratio"
    timed = answer("plan", past, "--metric", "bought:proportion", "--effect", "0.05", "--time", "day")
    assert timed["units_per_day"] == 100
    grouped = answer("plan", past, "--metric", "bought:proportion", "--effect", "0.05", "--cluster", "branch")
    assert grouped["cluster_size"] == 20
    assert set(grouped["clusters_by_arm"]) == {"A", "B"}


def test_history_of_the_workspace_gives_controls_value(answer: Any, ask: Any, small_home: Path) -> None:
    found = answer("plan", "--like", "card_onboarding", "--effect", "0.1", "--relative", home=small_home)
    assert 'control of "card_onboarding"' in found["source"]
    assert found["units"] > 0
    code, _, err = ask("plan", "--like", "card_onbording", "--effect", "0.1", home=small_home)
    assert (code, "card_onboarding" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*SHARE,), "the smallest effect that matters"),
        (("--effect", "1"), "--baseline with --metric"),
        (("--metric", "proportion", "--baseline", "20", "--effect", "5"), "For 20 % write 0.2"),
        (("--metric", "mean", "--baseline", "20", "--effect", "5"), "--sd"),
        (("--metric", "median", "--baseline", "20", "--effect", "5"), "proportion or mean"),
        ((*SHARE, "--sd", "1", "--effect", "0.1"), "leave it out"),
        ((*SHARE, "--effect", "0.9"), "stays between 0 and 1"),
        ((*SHARE, "--effect", "0"), "never found"),
        ((*SHARE, "--effect", "0.1", "--power", "2"), "--power 2"),
        ((*SHARE, "--effect", "0.1", "--power", "0.01"), "chance alone"),
        ((*SHARE, "--effect", "0.1", "--alpha", "0.7"), "--alpha 0.7"),
        ((*SHARE, "--effect", "0.1", "--icc", "0.1"), "go together"),
        ((*SHARE, "--effect", "0.1", "--cluster-size", "0", "--icc", "3"), "--icc 3"),
        ((*SHARE, "--effect", "0.1", "--covariate-r2", "1"), "below 1"),
        ((*SHARE, "--effect", "0.1", "--weights", "A=1"), "at least two arms"),
        ((*SHARE, "--effect", "0.1", "--weights", "A=1,B=-1"), "B=-1"),
        ((*SHARE, "--effect", "0.1", "--weights", "A:1"), "Write A=0.5,B=0.5"),
        ((*SHARE, "--effect", "0.1", "--looks", "often"), "no plan of looks"),
        ((*SHARE, "--effect", "0.1", "--looks", "1000"), "up to 365"),
        ((*SHARE, "--effect", "nan"), "--effect nan"),
        ((*SHARE, "--margin", "1e300"), "--margin 1e+300"),
        ((*SHARE, "--effect", "0.1", "--maturity", "soon"), "Write 30d or 8w"),
        ((*SHARE, "--days", "20"), "--traffic-per-day"),
        ((*SHARE, "--days", "20", "--units", "20"), "give one"),
        ((*SHARE, "--effect", "0.1", "--covariate", "x"), "FILE of past units is needed"),
        (("--metric", "mean", "--baseline", "0", "--sd", "1", "--effect", "1", "--relative"), "baseline is 0"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(ask: Any, words: tuple[str, ...], said: str) -> None:
    code, out, err = ask("plan", *words)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--metric", "nothing:mean"), 'Unknown metric column "nothing"'),
        (("--metric", "word:mean"), "are no numbers"),
        (("--metric", "spend:proportion"), "neither 0 nor 1"),
        (("--metric", "spend"), "COL:proportion or COL:mean"),
        ((), "one metric of the file"),
        (("--ratio", "orders"), "NUM/DEN"),
        (("--metric", "spend:mean", "--time", "word"), "no value is a date"),
        (("--metric", "spend:mean", "--baseline", "3"), "one"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(ask: Any, past: Path, words: tuple[str, ...], said: str) -> None:
    code, _, err = ask("plan", past, "--effect", "1", *words)
    assert code in (1, 2)
    assert said in err


def test_a_file_whose_values_are_all_the_same_has_no_spread_to_plan_by(ask: Any, tmp_path: Path) -> None:
    same = tmp_path / "same.csv"
    same.write_text("spend\n" + "5\n" * 30)
    code, _, err = ask("plan", same, "--metric", "spend:mean", "--effect", "1")
    assert (code, "no spread" in err) == (2, True)
    same.write_text("spend\n5\n")
    assert "at least two units" in ask("plan", same, "--metric", "spend:mean", "--effect", "1")[2]


def test_people_read_a_table_and_the_reasons(ask: Any) -> None:
    code, out, _ = ask("plan", *SHARE, "--effect", "0.05", "--looks", "daily", "--traffic-per-day", "2000")
    assert code == 0
    assert out.startswith("Units needed")
    for word in ("+5.00 pp (25.00 % of control)", "80.0 %", "to enrol", "whole week", "more units at most"):
        assert word in out


def test_a_simulation_tells_false_alarms_coverage_and_power_with_intervals(answer: Any) -> None:
    words = (*SHARE, "--units", "600", "--experiments", "300", "--effect", "0.1")
    found = answer("simulate", *words)
    alarms = found["false_positives"]
    assert alarms["lower"] <= 0.05 <= alarms["upper"]
    assert alarms["verdict"] == "as_promised"
    assert found["injected"]["power"]["rate"] > 0.7
    assert found["coverage"]["rate"] > 0.9
    assert answer("simulate", *words) == found
    assert answer("simulate", *words, "--seed", "9") != found


def test_a_simulation_of_a_files_own_units_and_of_its_clusters(answer: Any, past: Path) -> None:
    few = ("--units", "400", "--experiments", "200")
    found = answer(
        "simulate", past, "--metric", "spend:mean", "--covariate", "before", *few, "--effect", "0.3", "--relative"
    )
    assert found["injected"]["power"]["rate"] > 0.9
    grouped = answer("simulate", past, "--metric", "bought:proportion", "--cluster", "branch", *few)
    assert (grouped["clusters"], grouped["units"]) == (20, 400)
    assert answer("simulate", past, "--ratio", "orders/sessions", *few)["coverage"]["rate"] > 0.9


def test_a_split_that_is_not_the_planned_one_is_withheld(answer: Any, ask: Any) -> None:
    broken = ("--units", "3000", "--experiments", "20", "--real-weights", "A=0.6,B=0.4")
    found = answer("simulate", *SHARE, *broken)
    assert (found["withheld"]["rate"], found["false_positives"]["verdict"]) == (1.0, "withheld")
    assert "withholds every experiment" in ask("simulate", *SHARE, *broken)[1]


def test_people_read_what_a_simulation_found(ask: Any) -> None:
    words = ("--days", "10", "--looks", "daily", "--units", "400", "--experiments", "100", "--effect", "30")
    code, out, _ = ask("simulate", *AMOUNT, *words)
    assert code == 0
    for word in ("false alarms", "99 % interval", "power", "they end on day"):
        assert word in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*SHARE, "--units", "0"), "--units 0"),
        ((*SHARE, "--looks", "daily"), "--looks needs --days"),
        ((*SHARE, "--icc", "0.1"), "--cluster-size of 2 or more"),
        ((*SHARE, "--cluster-size", "5", "--covariate-r2", "0.2"), "one of them at a time"),
        ((*SHARE, "--effect", "0.9"), "stays between 0 and 1"),
        ((*SHARE, "--exposed", "0"), "--exposed 0"),
        ((*SHARE, "--weights", "A=1"), "at least two arms"),
        ((*SHARE, "--real-weights", "X=1,Y=1"), "name the arms of --weights"),
        (("--metric", "mean", "--baseline", "0"), "--sd"),
        ((), "--baseline with --metric"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_a_sentence(ask: Any, words: tuple[str, ...], said: str) -> None:
    code, out, err = ask("simulate", *words)
    assert (code, out) == (2, "")
    assert said in err
