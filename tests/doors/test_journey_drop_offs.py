"""`wayline journey dropoff`: what a script gets of a file and of a run, and what people read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main

LOG = """who,what,when,place,state
ann,view,2026-01-01T10:00:00Z,app,ok
ann,apply,2026-01-02T10:00:00Z,web,ok
bob,view,2026-01-01T10:00:00Z,app,ok
bob,page_error,2026-01-01T10:05:00Z,app,refused
eve,view,2026-01-01T10:00:00Z,web,ok
kim,view,2026-02-10T00:00:00Z,web,ok
"""
COLUMNS = ["--case", "who", "--event", "what", "--time", "when", "--channel", "place"]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Ask for the drop-offs of a log; returns exit code, standard output and standard error."""

    def call(*more: str, log: str = LOG, steps: str = "view,apply,open") -> tuple[int, str, str]:
        path = tmp_path / "log.csv"
        path.write_text(log)
        home = str(tmp_path / "none")
        code = main(["journey", "dropoff", str(path), *COLUMNS, "--steps", steps, "--home", home, *more])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def answer(ask: Any) -> Any:
    """Ask for the drop-offs of a log as JSON."""

    def call(*more: str, **asked: Any) -> Any:
        code, out, err = ask("--json", *more, **asked)
        assert code == 0, err
        return json.loads(out)

    return call


def of_run(home: Path, capsys: pytest.CaptureFixture[str], *more: str) -> Any:
    assert main(["journey", "dropoff", "--home", str(home), "--json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_file_gives_who_left_where_and_who_is_still_on_the_way(answer: Any) -> None:
    told = answer()
    assert told["customers"] == 4
    first, second = sorted(told["steps"], key=lambda row: row["step_index"])
    assert [first[name] for name in ("step", "next_step")] == ["view", "apply"]
    # ann went on; bob and eve left; kim, 0 of 14 days ago, still has time
    assert [first[name] for name in ("customers", "continued", "dropped", "in_progress")] == [4, 1, 2, 1]
    assert first["settled"] == 3
    assert first["drop_rate"] == pytest.approx(2 / 3)
    assert [second[name] for name in ("customers", "continued", "dropped", "in_progress")] == [1, 0, 1, 0]


def test_a_file_knows_no_money_and_says_why(answer: Any) -> None:
    for row in answer()["steps"]:
        assert row["gross_minor"] is row["expected_loss_minor"] is row["net_minor"] is None
        assert "nothing of margins" in row["no_value_reason"]


def test_where_they_went_is_listed(answer: Any) -> None:
    moves = {(row["kind"], row["what"]): row["customers"] for row in answer()["moves"] if row["step_index"] == 1}
    assert moves == {
        ("left_from", "app"): 1,
        ("left_from", "web"): 1,
        ("next_channel", "app"): 1,
        ("next_channel", "nothing"): 1,
        ("next_event", "page_error"): 1,
        ("next_event", "nothing"): 1,
    }


def test_friction_is_seen_and_not_judged_on_so_few(answer: Any) -> None:
    found = {row["signal"]: row for row in answer()["friction"] if row["step_index"] == 1}
    assert found["page_error"]["met"] == 1
    assert found["page_error"]["p_value"] is None
    assert found["page_error"]["harmful"] is False


def test_what_is_an_error_can_be_told_by_a_column(answer: Any) -> None:
    signals = {row["signal"] for row in answer("--errors", "state=refu*")["friction"]}
    assert "state=refused" in signals
    assert "page_error" not in signals


def test_it_is_broken_down_by_a_column(answer: Any) -> None:
    told = answer("--by", "place")["by"]
    assert {name: [row["customers"] for row in rows if row["step_index"] == 1] for name, rows in told.items()} == {
        "app": [2],
        "web": [2],
    }


def test_a_longer_window_leaves_more_of_them_in_progress(answer: Any) -> None:
    (first,) = (row for row in answer("--window", "100d")["steps"] if row["step_index"] == 1)
    assert (first["dropped"], first["in_progress"]) == (0, 3)
    assert first["drop_rate"] is None


def test_open_journeys_are_listed_as_far_as_asked(answer: Any) -> None:
    assert [row["customer_id"] for row in answer()["open"]["journeys"]] == ["kim"]
    assert answer("--open", "0")["open"] == {"count": 1, "journeys": []}


def test_a_step_without_any_event_is_told_and_counts_nobody(ask: Any) -> None:
    code, out, err = ask("--json", steps="view,nope")
    assert code == 0
    assert 'no event "nope"' in err
    assert json.loads(out)["steps"][0]["continued"] == 0


def test_one_step_is_no_journey_to_leave(ask: Any) -> None:
    code, _, err = ask(steps="view")
    assert code == 2
    assert "name at least two" in err


def test_a_column_that_is_not_there_is_named(ask: Any) -> None:
    code, _, err = ask("--by", "plac")
    assert code == 2
    assert '"plac"' in err
    assert 'Did you mean "place"?' in err


def test_people_read_a_table_and_what_it_cannot_say(ask: Any) -> None:
    code, out, _ = ask()
    assert code == 0
    assert "view to apply" in out
    assert "No signal of friction was met often enough" in out
    assert "1 journey is open." in out


def test_a_run_answers_with_money_and_the_share_of_it_that_would_be_lost(
    demo_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = of_run(demo_home, capsys, "--journey", "personal_loan")
    assert told["currency"] == "CNY"
    nets = [row["net_minor"] for row in told["steps"]]
    assert nets == sorted(nets, reverse=True)
    for row in told["steps"]:
        assert row["net_minor"] == row["gross_minor"] - row["expected_loss_minor"]
        assert row["loss_share"] == pytest.approx(row["expected_loss_minor"] / row["gross_minor"])
    assert told["friction"][0]["rank"] == 1
    assert told["open"]["count"] > 0
    assert len(told["open"]["journeys"]) == 10


def test_a_run_is_broken_down_by_risk_tier(demo_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = of_run(demo_home, capsys, "--journey", "credit_card", "--by", "risk_tier")
    assert {"low", "medium", "high", "unknown"} <= set(told["by"])


def test_the_run_and_the_workspaces_events_give_the_same_counts(
    demo_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("step_index", "customers", "continued", "dropped", "in_progress")
    told = of_run(demo_home, capsys, "--journey", "investing")
    again = of_run(demo_home, capsys, "--journey", "investing", "--silence", "4d", "--quiet")
    assert sorted([row[name] for name in names] for row in told["steps"]) == sorted(
        [row[name] for name in names] for row in again["steps"]
    )


def test_an_unknown_journey_or_breakdown_of_a_run_is_named(demo_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(demo_home)]
    assert main(["journey", "dropoff", *home, "--journey", "credit_crad"]) == 2
    assert 'Did you mean "credit_card"?' in capsys.readouterr().err
    assert main(["journey", "dropoff", *home, "--journey", "credit_card", "--by", "tier"]) == 2
    assert "risk_tier" in capsys.readouterr().err


def test_people_read_what_fixing_the_costliest_step_would_bring(
    demo_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["journey", "dropoff", "--home", str(demo_home), "--journey", "personal_loan"]) == 0
    out = capsys.readouterr().out
    assert "of which" in out
    assert "would be expected loss" in out
    assert "An association, not a cause" in out
