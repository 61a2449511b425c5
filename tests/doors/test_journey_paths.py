"""`wayline journey transitions`, `variants`, `flow` and `step-matrix`: what a script gets, and what people read."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main

LOG = """who,what,when,browser,where
ann,view,2026-01-01T10:00:00Z,Chrome,web
ann,apply,2026-01-01T10:10:00Z,Chrome,web
ann,open,2026-01-02T10:00:00Z,Safari,app
bob,view,2026-01-01T11:00:00Z,Safari,web
bob,apply,2026-01-01T11:30:00Z,Safari,web
bob,help_call,2026-01-01T11:40:00Z,Safari,web
eve,view,2026-01-05T09:00:00Z,,web
eve,view,2026-01-05T09:01:00Z,Chrome,web
eve,help_mail,2026-01-05T09:02:00Z,Chrome,web
,view,2026-01-05T09:02:00Z,Chrome,web
"""
COLUMNS = ["--case", "who", "--event", "what", "--time", "when"]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Ask about the log, or the text of another; returns exit code, standard output and standard error."""

    def call(command: str, *more: str, text: str = LOG) -> tuple[int, str, str]:
        log = tmp_path / "log.csv"
        log.write_text(text)
        code = main(["journey", command, str(log), *COLUMNS, "--home", str(tmp_path / "none"), *more])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def answer(ask: Any) -> Any:
    """Ask about the log as JSON."""

    def call(command: str, *more: str, **asked: Any) -> Any:
        code, out, err = ask(command, "--json", *more, **asked)
        assert code == 0, err
        return json.loads(out)

    return call


def test_transitions_are_counted_with_the_ends_marked(answer: Any) -> None:
    found = answer("transitions")
    edges = {(edge["from"], edge["to"]): edge for edge in found["transitions"]}
    assert {edge: row["count"] for edge, row in edges.items()} == {
        ("(start)", "view"): 3,
        ("view", "apply"): 2,
        ("view", "view"): 1,
        ("view", "help_mail"): 1,
        ("apply", "open"): 1,
        ("apply", "help_call"): 1,
        ("open", "(end)"): 1,
        ("help_call", "(end)"): 1,
        ("help_mail", "(end)"): 1,
    }
    assert edges["view", "apply"]["median_seconds"] == 20 * 60  # 10 and 30 minutes
    assert edges["view", "apply"]["share_out"] == 2 / 4
    assert edges["view", "view"]["self_loop"] is True
    assert edges["(start)", "view"]["median_seconds"] is None
    assert found["by"] is None
    assert found["transitions"][0]["to"] == "view"


def test_variants_have_cases_variants_and_the_top(answer: Any) -> None:
    found = answer("variants", "--top", "1", "--group", "help=help_*", "--merge-repeats")
    assert (found["cases"], found["variants"], len(found["top"])) == (3, 3, 1)
    assert found["top"][0]["path"] == ["view", "apply", "help"]
    assert found["top"][0]["count"] == 1
    assert found["top"][0]["median_seconds"] == 40 * 60
    groups = answer("variants", "--by", "browser")["by"]
    assert {name: group["cases"] for name, group in groups.items()} == {"Chrome": 1, "Safari": 1, "unknown": 1}


def test_a_flow_begins_at_an_event_or_leads_to_one(answer: Any) -> None:
    found = answer("flow", "--from", "apply", "--places", "2")
    assert found["paths"] == 2
    assert [(node["place"], node["event"], node["reached"], node["dropped"]) for node in found["nodes"]] == [
        (1, "apply", 2, 0),
        (2, "help_call", 1, 1),
        (2, "open", 1, 1),
    ]
    assert [(link["event"], link["next"], link["paths"], link["customers"]) for link in found["links"]] == [
        ("apply", "help_call", 1, 1),
        ("apply", "open", 1, 1),
    ]
    back = answer("flow", "--to", "help_*", "--places", "2", "--leave-out", "apply")
    assert [(node["place"], node["event"], node["reached"], node["arrived"]) for node in back["nodes"]] == [
        (-1, "view", 2, 0),
        (0, "help_call", 1, 1),
        (0, "help_mail", 1, 1),
    ]


def test_a_flow_behind_a_funnels_count_has_as_many_paths(answer: Any) -> None:
    steps = ["--steps", "view,apply,open"]
    funnel = answer("funnel", *steps, "--as-of", "2026-06-01")
    flow = answer("flow", *steps, "--around", "2:dropped", "--as-of", "2026-06-01")
    assert flow["paths"] == funnel["standing"][1]["dropped"] == 1
    assert [node["event"] for node in flow["nodes"]] == ["apply", "help_call"]
    before = answer("flow", *steps, "--around", "3", "--side", "before", "--places", "3")
    assert [(node["place"], node["event"]) for node in before["nodes"]] == [(-2, "view"), (-1, "apply"), (0, "open")]


def test_a_step_matrix_tells_shares_per_place(answer: Any) -> None:
    found = answer("step-matrix", "--places", "3")
    assert found["paths"] == 3
    assert [place["place"] for place in found["places"]] == [1, 2, 3]
    assert found["places"][0]["events"] == [{"event": "view", "count": 3, "share": 1.0}]
    assert found["places"][1]["events"][0] == {"event": "apply", "count": 2, "share": 2 / 3}
    centred = answer("step-matrix", "--centre", "apply", "--before", "1", "--places", "2")
    assert [(place["place"], place["not_begun_share"], place["ended_share"]) for place in centred["places"]] == [
        (-1, 0.0, 0.0), (0, 0.0, 0.0), (1, 0.0, 0.0),
    ]  # fmt: skip


def test_people_read_tables(ask: Any) -> None:
    code, out, err = ask("transitions")
    assert code == 0
    assert "20 min" in out and "(start)" in out
    assert "customer" in err
    assert "view > apply > open" in ask("variants")[1]
    assert "3 paths" in ask("flow")[1]
    assert "66.7 %" in ask("step-matrix")[1]


def test_ties_keep_the_order_of_the_file(answer: Any) -> None:
    text = "who,what,when\n" + "".join(f"ann,{name},2026-01-01\n" for name in ("c", "a", "b"))
    assert answer("variants", text=text)["top"][0]["path"] == ["c", "a", "b"]


def test_one_event_per_case_is_a_small_answer(answer: Any) -> None:
    text = "who,what,when\n" + "".join(f"c{number},view,2026-01-01\n" for number in range(500))
    assert answer("variants", text=text)["top"] == [
        {"path": ["view"], "count": 500, "customers": 500, "share": 1.0, "median_seconds": 0.0}
    ]
    assert [(edge["from"], edge["to"], edge["count"]) for edge in answer("transitions", text=text)["transitions"]] == [
        ("(start)", "view", 500),
        ("view", "(end)", 500),
    ]


def test_a_case_of_a_hundred_thousand_events_is_one_path(answer: Any) -> None:
    rows = (f"ann,{'ab'[n % 2]},{datetime(2026, 1, 1) + timedelta(seconds=n)}\n" for n in range(100_000))
    found = answer("variants", text="who,what,when\n" + "".join(rows))
    assert (found["cases"], found["variants"], len(found["top"][0]["path"])) == (1, 1, 100_000)
    assert found["median_seconds"] == 99_999


@pytest.mark.parametrize(
    ("command", "more", "sentence"),
    [
        ("transitions", ["--from", "veiw"], 'Unknown event "veiw"'),
        ("variants", ["--only", "x*"], 'Unknown event "x*"'),
        ("variants", ["--by", "brwser"], "brwser"),
        ("variants", ["--group", "help"], "expected NAME=EVENTS"),
        ("transitions", ["--session-gap", "soon"], "--session-gap"),
        ("flow", ["--around", "2:dropped"], "--steps"),
        ("flow", ["--steps", "view,open"], "--around"),
        ("flow", ["--steps", "view,open", "--around", "5"], "there is no step 5"),
        ("flow", ["--steps", "view,open", "--around", "1", "--side", "between"], "nothing comes before the first step"),
        ("flow", ["--steps", "view,open", "--around", "1", "--from", "view"], "--around"),
        ("flow", ["--steps", "view,open", "--around", "1:dropped:web"], "expected STEP:STATUS"),
        ("step-matrix", ["--centre", "nothing"], 'Unknown event "nothing"'),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_sentence(ask: Any, command: str, more: list[str], sentence: str) -> None:
    code, out, err = ask(command, *more)
    assert code == 2
    assert out == ""
    assert sentence in err
