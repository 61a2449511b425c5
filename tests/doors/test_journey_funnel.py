"""`wayline journey funnel`: what a script gets, and what people read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from engine.lake.engine import DuckDBEngine, quoted

DAY = 86_400

LOG = """who,what,when,browser,country
ann,view,2026-01-01T10:00:00Z,Chrome,fr
ann,apply,2026-01-01T10:10:00Z,Safari,fr
ann,open,2026-01-02T10:00:00Z,Safari,fr
bob,view,2026-01-01T11:00:00Z,Chrome,fr
bob,help,2026-01-01T11:05:00Z,Chrome,fr
bob,apply,2026-01-01T11:30:00Z,Chrome,fr
eve,view,2026-01-05T09:00:00Z,Safari,es
eve,error,2026-01-05T09:01:00Z,Safari,es
kim,view,2026-03-01T00:00:00Z,,es
pat,help,2026-01-01T00:00:00Z,Chrome,es
"""
COLUMNS = ["--case", "who", "--event", "what", "--time", "when"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], log: Path, tmp_path: Path) -> Any:
    """Ask for a funnel of the log; returns exit code, standard output and standard error."""

    def call(*more: str, file: Path = log, steps: str = "view,apply,open") -> tuple[int, str, str]:
        told = ["journey", "funnel", str(file), *COLUMNS, "--steps", steps, "--home", str(tmp_path / "none"), *more]
        code = main(told)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def answer(ask: Any) -> Any:
    """Ask for a funnel of the log as JSON."""

    def call(*more: str, **asked: Any) -> Any:
        code, out, err = ask("--json", *more, **asked)
        assert code == 0, err
        return json.loads(out)

    return call


def counts(funnel: dict[str, Any]) -> list[int]:
    return [step["count"] for step in funnel["steps"]]


# What a script gets


def test_json_is_cases_steps_and_by(answer: Any) -> None:
    found = answer()
    assert (found["cases"], found["by"]) == (5, None)
    assert found["steps"] == [
        {
            "name": "view",
            "count": 4,
            "share_of_first": 1.0,
            "share_of_previous": None,
            "median_seconds_from_previous": None,
        },
        {
            "name": "apply",
            "count": 2,
            "share_of_first": 0.5,
            "share_of_previous": 0.5,
            # ann took 600 seconds, bob 1800
            "median_seconds_from_previous": 1_200.0,
        },
        {
            "name": "open",
            "count": 1,
            "share_of_first": 0.25,
            "share_of_previous": 0.5,
            "median_seconds_from_previous": 85_800.0,
        },
    ]


def test_whoever_still_has_time_is_in_progress(answer: Any) -> None:
    # looked from the latest event: kim entered that instant
    found = answer()
    assert (found["in_progress"], found["excluded"]) == (1, 0)
    assert [step["dropped"] for step in found["standing"]] == [1, 1, 0]


def test_nothing_is_added_that_was_not_asked_for(answer: Any) -> None:
    assert sorted(answer()) == ["by", "cases", "excluded", "in_progress", "standing", "steps"]


def test_groups_are_funnels_of_their_own_and_lose_nobody(answer: Any) -> None:
    found = answer("--by", "browser")
    # kim's browser is not known, pat never entered
    assert {name: (group["cases"], counts(group)) for name, group in found["by"].items()} == {
        "Chrome": (3, [2, 2, 1]),
        "Safari": (1, [1, 0, 0]),
        "unknown": (1, [1, 0, 0]),
    }
    assert found["groups_overlap"] is False
    assert set(found["by"]["Chrome"]) == {"cases", "steps", "excluded", "in_progress"}


@pytest.mark.parametrize(
    ("attribution", "expected"),
    [
        ("last", {"Chrome": [1, 1, 0], "Safari": [2, 1, 1], "unknown": [1, 0, 0]}),
        ("step:2", {"Chrome": [1, 1, 0], "Safari": [1, 1, 1], "unknown": [2, 0, 0]}),
        ("all", {"Chrome": [2, 1, 0], "Safari": [1, 0, 0], "unknown": [1, 0, 0]}),
    ],
)
def test_attribution_says_whose_browser_counts(answer: Any, attribution: str, expected: dict[str, list[int]]) -> None:
    found = answer("--by", "browser", "--attribution", attribution)
    assert {name: counts(group) for name, group in found["by"].items()} == expected
    assert counts(found) == [4, 2, 1]
    assert found["groups_overlap"] is (attribution != "last")


def test_groups_beyond_the_limit_are_other(answer: Any) -> None:
    for attribution in ("first", "step:1"):
        found = answer("--by", "browser", "--limit", "1", "--attribution", attribution)
        assert {name: counts(group)[0] for name, group in found["by"].items()} == {
            "Chrome": 2,
            "other": 1,
            "unknown": 1,
        }


def test_window_order_and_reentry_are_as_asked(answer: Any) -> None:
    assert counts(answer("--window", "15m")) == [4, 1, 0]
    assert counts(answer("--window", "1h", "--window-from", "previous")) == [4, 2, 0]
    assert counts(answer("--order", "strict")) == [4, 1, 1]  # bob asked for help between
    assert counts(answer("--order", "any", steps="open,view")) == [4, 1]
    assert counts(answer("--reentry", "first", "--window", "2w")) == [4, 2, 1]


def test_exclusions_and_optional_steps_are_as_asked(answer: Any) -> None:
    dropped = answer("--exclude", "help:1-2")
    assert (counts(dropped), dropped["excluded"]) == ([3, 1, 1], 1)
    ended = answer("--exclude", "help:1-2", "--exclude-effect", "end_attempt")
    assert (counts(ended), ended["excluded"]) == ([4, 1, 1], 0)
    assert counts(answer("--exclude", "help")) == [3, 1, 1]  # between any two steps
    assert counts(answer("--optional", "2", steps="view,help,apply")) == [4, 1, 2]


def test_step_of_several_events_and_of_any(answer: Any) -> None:
    assert counts(answer(steps="view,apply|error")) == [4, 3]
    assert counts(answer(steps="view,*")) == [4, 3]


def test_names_with_commas_bars_colons_and_quotes_are_escaped(answer: Any, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text(
        'who,what,when\na,"paid, in full",2026-01-01\na,x|y,2026-01-02\na,x:1-2,2026-01-03\na,test\'1,2026-01-04\n'
    )
    steps = "paid\\, in full,x\\|y,test'1"
    found = answer(file=file, steps=steps)
    assert [(step["name"], step["count"]) for step in found["steps"]] == [
        ("paid, in full", 1),
        ("x|y", 1),
        ("test'1", 1),
    ]
    assert counts(answer("--exclude", "x:1-2:2-3", file=file, steps=steps)) == [0] * 3


def test_every_count_opens_to_the_customers_behind_it(answer: Any) -> None:
    assert answer("--members", "2:dropped")["members"] == {
        "step": 2,
        "name": "apply",
        "status": "dropped",
        "count": 1,
        "customers": ["bob"],
    }
    assert answer("--members", "1")["members"]["customers"] == ["ann", "bob", "eve", "kim"]
    assert answer("--members", "1:in_progress")["members"]["customers"] == ["kim"]
    assert answer("--members", "1:excluded", "--exclude", "help:1-2")["members"]["customers"] == ["bob"]


def test_count_of_a_group_opens_to_its_customers(answer: Any) -> None:
    for attribution in ("first", "all"):
        found = answer("--by", "browser", "--attribution", attribution, "--members", "2:dropped:Chrome")["members"]
        assert (found["group"], found["customers"]) == ("Chrome", ["bob"])


def test_next_tells_what_happened_after_a_step_or_that_nothing_did(answer: Any) -> None:
    found = answer("--next", "1")["next"]
    assert found["after"]["converted"] == [
        {"event": "apply", "count": 1, "share": 0.5, "median_seconds": 600.0},
        {"event": "help", "count": 1, "share": 0.5, "median_seconds": 300.0},
    ]
    assert [one["event"] for one in found["after"]["dropped"]] == ["error"]
    assert [one["event"] for one in found["after"]["in_progress"]] == [None]


def test_times_trend_comparison_and_correlation_come_when_asked_for(answer: Any) -> None:
    found = answer(
        "--times", "--trend", "month", "--by", "country", "--compare", "fr,es", "--correlate", "browser",
        "--correlate-events",
    )  # fmt: skip
    assert [(one["from_name"], one["to_name"], one["percentiles"].get("50")) for one in found["times"]] == [
        ("view", "apply", 1_200.0),
        ("apply", "open", 85_800.0),
        ("view", "open", 86_400.0),
    ]
    assert [(one["period"], one["counts"], one["complete"]) for one in found["trend"]] == [
        ("2026-01", [3, 2, 1], True),
        ("2026-02", [0, 0, 0], False),
        ("2026-03", [1, 0, 0], False),
    ]
    # kim is still on the way and not compared
    whole = found["comparisons"]["differences"][-1]
    assert (whole["compared"], whole["trials"], whole["base_trials"]) == ("whole journey", 2, 1)
    assert (found["comparisons"]["still_open_left_out"], whole["test"]) == (1, "Fisher's exact test")
    # nothing is said of so few
    assert (found["correlation"]["signals"], found["correlation"]["converted"]) == ([], 1)


def test_one_group_is_compared_with_all_others_and_a_star_compares_each(answer: Any) -> None:
    alone = answer("--by", "browser", "--compare", "Chrome")["comparisons"]["differences"]
    assert {(one["group"], one["base"]) for one in alone} == {("Chrome", "all but Chrome")}
    each = answer("--by", "browser", "--compare", "*")["comparisons"]["differences"]
    assert {one["group"] for one in each} == {"Chrome", "Safari", "unknown"}


def test_trend_is_by_the_clock_of_the_zone_asked_for(answer: Any) -> None:
    assert answer("--trend", "day", "--clock-zone", "Asia/Shanghai")["trend"][0]["period"] == "2026-01-01"
    assert answer("--trend", "day", "--clock-zone", "Pacific/Honolulu")["trend"][-1]["period"] == "2026-02-28"


# What is wrong, and what only looks so


def test_step_whose_event_the_log_lacks_is_a_correct_zero_and_a_hint(ask: Any) -> None:
    code, out, err = ask("--json", steps="view,aply")
    assert (code, counts(json.loads(out))) == (0, [4, 0])
    assert 'The log has no event "aply". Did you mean "apply"?' in err


def test_step_that_nobody_reaches_is_zero_without_a_hint(ask: Any) -> None:
    code, out, err = ask("--json", steps="open,view")
    assert (code, counts(json.loads(out))) == (0, [1, 0])
    assert "has no event" not in err


@pytest.mark.parametrize(
    ("more", "fact"),
    [
        (["--window", "0d"], "leaves no time"),
        (["--window", "soon"], "no length of time"),
        (["--window", "99999w"], "more than a hundred years"),
        (["--exclude", "help:2-2"], "help"),
        (["--exclude", "help:0-1"], "help"),
        (["--exclude", "help:1-9"], "help"),
        (["--exclude", ":1-2"], "names no event"),
        (["--optional", "1"], "optional"),
        (["--optional", "7"], "numbers from 1 to 3"),
        (["--optional", "two"], "no number of a step"),
        (["--optional", "2", "--order", "any"], "optional"),
        (["--by", "brwser"], 'Did you mean "browser"?'),
        (["--correlate", "brwser"], 'Did you mean "browser"?'),
        (["--by", "browser", "--attribution", "step:4"], "step:K with K from 1 to 3"),
        (["--compare", "a,b"], "--by"),
        (["--by", "browser", "--compare", "Chrome,Sfari"], 'Did you mean "Safari"?'),
        (["--by", "browser", "--compare", "a,b,c"], "expected two"),
        (["--by", "browser", "--attribution", "all", "--compare", "Chrome,Safari"], "several of these groups"),
        (["--members", "4:dropped"], "no step 4"),
        (["--members", "1:lost"], "Unknown status"),
        (["--members", "dropped"], "STEP:STATUS"),
        (["--members", "1:dropped:web"], "--by"),
        (["--by", "browser", "--members", "1:dropped:Sfari"], 'Did you mean "Safari"?'),
        (["--next", "0"], "no step 0"),
        (["--correlate", "browser", "--correlate-at", "3"], "nothing to go on to"),
        (["--trend", "day", "--clock-zone", "Moon/Crater"], "time zone"),
        (["--journey", "credit_card"], "not both"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_sentence(ask: Any, more: list[str], fact: str) -> None:
    code, out, err = ask(*more)
    assert code == 2
    assert fact in err
    assert out == ""


def test_missing_and_empty_steps_are_said(ask: Any, capsys: pytest.CaptureFixture[str], log: Path) -> None:
    assert ask(steps="view,,open")[0] == 2
    assert main(["journey", "funnel", str(log), *COLUMNS]) == 2
    assert "name the steps" in capsys.readouterr().err


def test_file_without_an_event_is_said(ask: Any, tmp_path: Path) -> None:
    file = tmp_path / "empty.csv"
    file.write_text("who,what,when\n")
    code, _, err = ask(file=file)
    assert code != 0
    assert err.startswith("Error: ")


def test_one_event_per_case_reaches_the_first_step_only(answer: Any, tmp_path: Path) -> None:
    file = tmp_path / "single.csv"
    file.write_text("who,what,when\n" + "".join(f"c{n},view,2026-01-01\n" for n in range(50)))
    assert counts(answer(file=file)) == [50, 0, 0]


def test_case_with_a_hundred_thousand_events_is_one_case(answer: Any, tmp_path: Path) -> None:
    file = tmp_path / "robot.csv"
    rows = (
        f"r,{'view' if n % 2 else 'apply'},2026-01-01T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}"
        for n in range(100_000)
    )
    file.write_text("who,what,when\n" + "\n".join(rows) + "\n")
    assert (answer(file=file)["cases"], counts(answer(file=file))) == (1, [1, 1, 0])


# What people read


def test_people_read_a_table_with_words_and_units(ask: Any) -> None:
    code, out, _ = ask()
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "step customers share of first share of previous median seconds went on dropped in progress"
    assert lines[2] == "2 apply 2 50.0 % 50.0 % 20 min 1 1 0"
    assert lines[4] == "5 customers in the log; 1 still on the way, who have not dropped."


def test_people_read_every_part_that_they_ask_for(ask: Any) -> None:
    code, out, _ = ask(
        "--by", "browser", "--compare", "Chrome,Safari", "--times", "--trend", "month", "--correlate", "country",
        "--members", "1:dropped", "--next", "1",
    )  # fmt: skip
    assert code == 0
    for words in (
        "Chrome (3 customers)",
        "Chrome with Safari",
        "Time from step to step",
        "By when they entered",
        "What goes with getting from view to open",
        "1 dropped at step 1 view:\neve\n",
        "After step 1 view: dropped",
        "(nothing)",
    ):
        assert words in out


# The workspace, and public data


def test_funnel_of_a_journey_of_the_workspace_is_that_of_its_run(
    small_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["journey", "show", "credit_card", "--home", str(small_home), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert main(["journey", "funnel", "--journey", "credit_card", "--home", str(small_home), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert counts(found) == [step["customers"] for step in shown]
    for key in ("dropped", "in_progress"):
        assert [step[key] for step in found["standing"]] == [step[key] for step in shown]
    medians = [step["median_seconds_from_previous"] for step in found["steps"]]
    assert medians == [step["median_seconds_from_previous"] for step in shown]


@pytest.mark.parametrize("by", ["risk_tier", "value_tier", "cluster"])
def test_groups_of_the_run_break_the_workspaces_funnel_down_as_its_own(
    small_home: Path, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    assert main(["journey", "show", "credit_card", "--by", by, "--home", str(small_home), "--json"]) == 0
    shown: dict[str, list[int]] = {}
    for row in json.loads(capsys.readouterr().out):
        shown.setdefault(row["group"], []).append(row["customers"])
    assert main(["journey", "funnel", "--journey", "credit_card", "--by", by, "--home", str(small_home), "--json"]) == 0
    out, err = capsys.readouterr()
    found = {name: counts(group) for name, group in json.loads(out)["by"].items()}
    assert {name: reached for name, reached in found.items() if reached[0]} == shown
    assert f"The {by.replace('_', ' ')} of a customer is that of run" in err


def test_unknown_journey_is_said_with_those_there_are(small_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journey", "funnel", "--journey", "credit_crd", "--home", str(small_home)]) == 2
    assert 'Did you mean "credit_card"?' in capsys.readouterr().err


@pytest.mark.real_data
def test_loan_applications_of_a_dutch_bank(real_data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """BPI Challenge 2012: the published counts, with a window longer than the log."""
    file = real_data / "bpi2012" / "bpi2012_events.csv.gz"
    if not file.exists():
        pytest.skip("no events of the BPI Challenge 2012 among the public data sets here")
    told = ["journey", "funnel", str(file), "--case", "case", "--event", "activity", "--time", "timestamp"]
    told += ["--steps", "A_SUBMITTED,A_PREACCEPTED,A_ACCEPTED,A_FINALIZED,A_APPROVED", "--window", "366d"]
    assert main([*told, "--home", str(tmp_path), "--by", "lifecycle", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cases"] == 13_087
    assert counts(found) == [13_087, 7_367, 5_113, 5_015, 2_246]
    assert counts(found["by"]["COMPLETE"]) == counts(found)


@pytest.mark.real_data
def test_visits_and_clients_of_a_wealth_managers_form(
    real_data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Vanguard's form of five steps, old (Control) against new (Test).

    Only how long each step of a visit took is known, so the visits are laid out in the order of the steps; the counts
    are held against those of visits that have every step so far, and the clients' completion against the published one.
    """
    folder = real_data / "vanguard"
    if not folder.is_dir():
        pytest.skip("no vanguard among the public data sets here")
    steps = ["start", "step_1", "step_2", "step_3", "confirm"]
    with DuckDBEngine(threads=2) as engine:
        visits = f"read_csv({quoted(str(folder / 'visit_steps.csv.gz'))})"
        place = f"list_position({steps!r}, process_step)"
        engine.connection.execute(
            f"COPY (SELECT visit_id AS visit, process_step AS step, TIMESTAMP '2017-04-01' + to_seconds("
            f"sum(duration_seconds) OVER (PARTITION BY visit_id ORDER BY {place})::BIGINT) AS at FROM {visits}) "
            f"TO {quoted(str(tmp_path / 'visits.parquet'))} (FORMAT parquet)"
        )
        prefixes = [
            engine.query(
                f"SELECT count(*) AS n FROM (SELECT visit_id FROM {visits} WHERE {place} <= {depth} "
                f"GROUP BY 1 HAVING count(*) = {depth})"
            )["n"][0].as_py()
            for depth in range(1, 6)
        ]
        clients = f"read_csv({quoted(str(folder / 'client_step_counts.csv.gz'))})"
        engine.connection.execute(
            f"COPY (SELECT client_id AS client, variation AS arm, unnest(CASE WHEN process_completed THEN "
            f"['came', 'completed'] ELSE ['came'] END) AS what, TIMESTAMP '2017-04-01' AS at FROM {clients}) "
            f"TO {quoted(str(tmp_path / 'clients.parquet'))} (FORMAT parquet)"
        )
    told = ["--time", "at", "--as-of", "2017-12-31", "--home", str(tmp_path), "--json"]
    visit = ["journey", "funnel", str(tmp_path / "visits.parquet"), "--case", "visit", "--event", "step"]
    assert main([*visit, *told, "--steps", ",".join(steps)]) == 0
    assert counts(json.loads(capsys.readouterr().out)) == prefixes
    client = ["journey", "funnel", str(tmp_path / "clients.parquet"), "--case", "client", "--event", "what"]
    assert main([*client, *told, "--steps", "came,completed", "--by", "arm", "--compare", "Test,Control"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {arm: counts(group) for arm, group in found["by"].items()} == {
        "Control": [23_532, 15_434],
        "Test": [26_968, 18_687],
    }
    difference = found["comparisons"]["differences"][0]
    # 69.29 % - 65.59 %
    assert difference["difference"] == pytest.approx(0.0371, abs=5e-5)
    assert 0.02 < difference["lower"] < difference["upper"] < 0.05
    assert difference["p_value"] < 1e-6
