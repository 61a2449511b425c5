"""The commands about cohorts, sessions and channels: what they print, and what they refuse."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pytest import approx

from engine.cli.main import main

LOG = """case,activity,timestamp,channel
ann,open,2026-03-02T10:00:00Z,web
ann,pay,2026-03-02T10:10:00Z,app
ann,pay,2026-03-10T10:00:00Z,branch
bob,open,2026-03-03T10:00:00Z,web
cy,open,2026-03-10T23:50:00Z,app
cy,pay,2026-03-11T00:10:00Z,app
"""


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command on LOG and return its JSON; with `code` the sentence of its refusal instead."""
    (tmp_path / "log.csv").write_text(LOG)

    def run(command: str, *more: str, code: int = 0, as_json: bool = True) -> Any:
        asked = ["journey", command, str(tmp_path / "log.csv"), *more, "--home", str(tmp_path / "home"), "--quiet"]
        assert main([*asked, *(["--json"] if as_json else [])]) == code, capsys.readouterr()
        out, err = capsys.readouterr()
        return err if code else json.loads(out) if as_json else out

    return run


def test_retention_by_week_tells_who_came_back_and_leaves_the_week_in_progress_open(ask: Any) -> None:
    facts = ask("retention", "--period", "week", "--as-of", "2026-03-18")
    assert [(row["cohort"], row["customers"]) for row in facts["cohorts"]] == [("2026-03-02", 2), ("2026-03-09", 1)]
    assert [[cell["returned"] for cell in row["cells"]] for row in facts["cohorts"]] == [[2, 1, None], [1, None]]
    assert facts["overall"]["cells"][1]["share"] == 1 / 2
    assert facts["by"] is None


def test_retention_by_group_adds_up_and_opens_to_its_customers(ask: Any) -> None:
    facts = ask(
        "retention", "--period", "week", "--as-of", "2026-03-18", "--by", "channel", "--members", "2026-03-02:1"
    )
    assert {name: group["overall"]["customers"] for name, group in facts["by"].items()} == {"app": 1, "web": 2}
    assert facts["members"] == {"cohort": "2026-03-02", "cell": 1, "came_back": True, "count": 1, "customers": ["ann"]}
    lost = ask("retention", "--period", "week", "--as-of", "2026-03-18", "--members", "2026-03-02:1:lost")
    assert lost["members"]["customers"] == ["bob"]


def test_retention_takes_events_brackets_the_rolling_clock_and_a_zone(ask: Any) -> None:
    facts = ask(
        "retention",
        "--period",
        "day",
        "--start",
        "open",
        "--return",
        "pay",
        "--brackets",
        "1-7,8-9",
        "--as-of",
        "2026-03-18",
    )
    assert [cell["returned"] for cell in facts["cohorts"][0]["cells"]] == [1, 0, 1]
    rolling = ask("retention", "--period", "day", "--clock", "rolling", "--as-of", "2026-03-13")
    assert rolling["cohorts"][-1]["cells"][1]["returned"] == 0
    # 23:50 and 00:10 in UTC are on one day in Shanghai
    there = ask("retention", "--period", "day", "--clock-zone", "Asia/Shanghai", "--as-of", "2026-03-13")
    assert (there["cohorts"][-1]["cohort"], there["cohorts"][-1]["cells"][1]["returned"]) == ("2026-03-11", 0)


def test_lifecycle_stickiness_and_churn_of_a_file(ask: Any) -> None:
    weeks = ask("lifecycle", "--period", "week", "--as-of", "2026-03-15", "--members", "2026-03-09:dormant")
    assert [(one["new"], one["returning"], one["dormant"]) for one in weeks["periods"]] == [(2, 0, 0), (1, 1, -1)]
    assert weeks["members"]["customers"] == ["bob"]
    sticky = ask("stickiness", "--period", "day", "--members", "2")
    assert (sticky["exactly"][:2], sticky["members"]["customers"]) == ([1, 2], ["ann", "cy"])
    assert (sticky["rates"]["dau_of_mau"], sticky["rates"]["days"]) == (None, 0)
    gone = ask(
        "churn", "--inactive", "5", "--as-of", "2026-03-20", "--every", "5", "--stretches", "2", "--by", "channel"
    )
    assert (gone["watched"], gone["churned"], gone["came_back"]) == (3, 3, 1)
    assert gone["hazards"][0]["hazard"] == 1
    assert sorted(gone["by"]) == ["app", "web"]
    assert gone["pairs"][0]["p_value"] is not None


def test_sessions_go_over_midnight_and_are_written_a_row_each(ask: Any, tmp_path: Path) -> None:
    out = tmp_path / "sessions.parquet"
    facts = ask("sessions", "--as-of", "2026-03-20", "--out", str(out))
    assert (facts["sessions"], facts["customers"], facts["open"]) == (4, 3, 0)
    assert facts["several_channels_share"] == 1 / 4
    rows = pq.read_table(out).to_pylist()
    assert [(row["customer"], row["events"]) for row in rows] == [("ann", 2), ("ann", 1), ("bob", 1), ("cy", 2)]
    assert "is there already" in ask("sessions", "--out", str(out), code=2)


def test_channels_tell_moves_success_and_the_hand_over(ask: Any) -> None:
    more = ("--journey", "customer", "--goal", "pay", "--as-of", "2026-04-20")
    facts = ask("channels", *more, "--handover", "open", "--branch", "branch")
    assert [(one["from"], one["to"], one["count"]) for one in facts["matrix"]] == [
        ("app", "app", 1),
        ("app", "branch", 1),
        ("web", "app", 1),
    ]
    assert (facts["switched"]["count"], facts["success"]["with_switch"]["share"]) == (1, 1)
    # ann and cy paid in the app; bob did nothing more
    assert (facts["handover"]["finished"]["count"], facts["handover"]["continued"]["share"]) == (2, 0)


def test_an_anonymous_visit_is_joined_to_the_customer_its_device_belongs_to(tmp_path: Path, ask: Any) -> None:
    (tmp_path / "log.csv").write_text(
        "case,activity,timestamp,id_type,id_value\n"
        ",look,2026-03-02T10:00:00Z,device,d1\nann,open,2026-03-02T10:10:00Z,device,d1\n"
        ",look,2026-03-02T10:20:00Z,device,d2\n"
    )
    (tmp_path / "links.csv").write_text(
        "id_type,id_value,customer,since\ndevice,d1,ann,2026-03-02T10:10:00Z\n"
        "device,d2,ann,2026-03-01T00:00:00Z\ndevice,d2,bob,2026-03-01T00:00:00Z\n"
    )
    links = ("--links", str(tmp_path / "links.csv"), "--as-of", "2026-03-20")
    now, then = (ask("sessions", "--stitch", mode, *links) for mode in ("as_of", "as_known"))
    assert (now["stitched"]["events_without_customer"], now["stitched"]["events_joined"]) == (2, 1)
    assert (now["events_per_session"], then["events_per_session"]) == (2, 1)
    assert then["stitched"]["events_joined"] == 0
    assert now["stitched"]["identifiers_shared"] == {"device": 1}


@pytest.mark.parametrize(
    ("command", "more", "sentence"),
    [
        ("retention", ("--by", "colour"), 'Unknown column of the event log "colour"'),
        ("retention", ("--members", "2026-03-02"), "expected COHORT:CELL"),
        ("retention", ("--members", "2020-01-06:1"), 'Unknown cohort "2020-01-06"'),
        ("retention", ("--brackets", "7"), "cannot be seen"),
        ("retention", ("--brackets", "0-2"), "1 or more"),
        ("retention", ("--brackets", "one"), "expected spans of periods"),
        ("retention", ("--since", "soon"), "is no day"),
        ("retention", ("--clock-zone", "Mars/Base"), 'time zone "Mars/Base" is not known'),
        ("lifecycle", ("--since", "2027-01-01"), "is later than the last period"),
        ("lifecycle", ("--members", "2026-03-02:gone"), "expected PERIOD:STATUS"),
        ("churn", ("--inactive", "0"), "expected a number of days above 0"),
        ("sessions", ("--timeout", "long"), "is no length of time"),
        ("sessions", ("--links", "x.csv"), "--stitch"),
        ("sessions", ("--stitch", "as_of"), "id_type"),
        ("channels", ("--digital", "web", "--branch", "web", "--handover", "*"), "one was named as both"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    ask: Any, command: str, more: tuple[str, ...], sentence: str
) -> None:
    if sentence == "cannot be seen":
        more = ("--period", "week", "--members", "2026-03-02:1", *more)
    told = ask(command, *more, code=2)
    assert sentence in " ".join(told.replace("│", " ").split())


def test_people_read_tables(ask: Any) -> None:
    shown = ask("retention", "--period", "week", "--as-of", "2026-03-15", as_json=False)
    assert "50.0 %" in shown
    assert "An open cell could not be seen in full yet." in shown
    assert "new" in ask("lifecycle", as_json=False)
    assert "DAU / MAU" in ask("stickiness", as_json=False)
    assert "too new to tell" in ask("churn", as_json=False)
    assert "single event" in ask("sessions", as_json=False)
    assert "not cause and effect" in ask("channels", "--goal", "pay", "--handover", "open", as_json=False)


def test_a_customer_without_a_second_event_and_a_log_of_one_event_are_answered(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("case,activity,timestamp,channel\nann,open,2026-03-02T10:00:00Z,web\n")
    assert ask("retention")["overall"]["customers"] == 1
    assert ask("lifecycle")["periods"][0]["new"] == 1
    assert ask("churn")["too_new"] == 1
    assert ask("sessions")["open"] == 1
    assert ask("channels")["switched"]["share"] == 0


def test_a_prepared_log_gives_the_same_answers(ask: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start, names = datetime(2026, 1, 1), ("open", "pay", "look")
    rows = [
        f"c{n},{names[step % 3]},{(start + timedelta(hours=n * step * 5)).isoformat()}Z,{('web', 'app')[n % 2]}"
        for n in range(30)
        for step in range(n % 6 + 1)
    ]
    (tmp_path / "log.csv").write_text("case,activity,timestamp,channel\n" + "\n".join(rows) + "\n")
    home = ["--home", str(tmp_path / "home"), "--quiet"]
    made = ["journey", "prepare", str(tmp_path / "log.csv"), "--into", str(tmp_path / "ready")]
    assert main([*made, *home]) == 0, capsys.readouterr()
    capsys.readouterr()
    for asked in (
        ["retention", "--period", "week", "--start", "open"],
        ["retention", "--period", "day", "--cohort", "recurring", "--by", "channel"],
        ["lifecycle", "--period", "day"],
        ["stickiness", "--period", "day"],
        ["churn", "--inactive", "3", "--by", "channel"],
        ["sessions"],
        ["channels", "--goal", "pay"],
    ):
        assert main(["journey", asked[0], str(tmp_path / "ready"), *asked[1:], *home, "--json"]) == 0, (
            capsys.readouterr()
        )
        assert json.loads(capsys.readouterr().out) == ask(*asked)


@pytest.mark.real_data
def test_monthly_retention_of_the_retailer_is_what_sql_counts(real_data: Path, tmp_path: Path, capsys: Any) -> None:
    (file,) = (real_data / "online_retail").glob("*.parquet")
    columns = ("--case", "Customer ID", "--event", "Country", "--time", "InvoiceDate", "--home", str(tmp_path))
    assert main(["journey", "retention", str(file), *columns, "--period", "month", "--json", "--quiet"]) == 0
    december = json.loads(capsys.readouterr().out)["cohorts"][0]
    # distinct customers by month of their first invoice, joined with their later months
    assert [cell["returned"] for cell in december["cells"]][:6] == [1045, 392, 358, 447, 410, 408]
    assert december["cells"][1]["share"] == approx(392 / 1045)
    assert december["cells"][-1]["returned"] is None
