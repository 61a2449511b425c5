"""`wayline feedback` and `wayline schedule` as people and programs use them: words, JSON, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from engine.cli.main import main
from engine.lake.runs import open_run
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.store.tables import ScheduleRow
from engine.workflows import session

Say = Callable[..., str]


@pytest.fixture
def place(small_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("WAYLINE_DATABASE_URL", raising=False)
    home = tmp_path / "bank"
    home.mkdir()
    for name in ("curated", "runs"):
        (home / name).symlink_to(small_home / name)
    return home


@pytest.fixture
def say(place: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command and return what it prints; its exit code is what was expected."""

    def said(*words: object, code: int = 0) -> str:
        capsys.readouterr()
        assert main([*map(str, words), "--home", str(place)]) == code, capsys.readouterr()
        told = capsys.readouterr()
        return told.out + told.err

    return said


@pytest.fixture
def told(place: Path, tmp_path: Path) -> Path:
    """A file of feedback: a message that was sent and clicked, an unsubscription, and a row of nobody."""
    offers = open_run(Workspace(place)).read("recommendations", where={"rank": 1}).to_pylist()
    at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()

    def item(number: int, kind: str, who: str, recommendation: str) -> dict[str, Any]:
        return {
            "event_id": str(number),
            "type": kind,
            "external_id": who,
            "recommendation_id": recommendation,
            "occurred_at": at,
        }

    one = offers[0]["customer_id"], offers[0]["decision_id"]
    items = [item(1, "sent", *one), item(2, "clicked", *one), item(3, "unsubscribed", *one), item(4, "sent", "X", "X")]
    path = tmp_path / "told.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in items))
    return path


def test_feedback_is_loaded_shown_and_lifted_by_commands(say: Say, told: Path) -> None:
    made = json.loads(say("feedback", "load", told, "--json", code=5))
    assert (made["accepted"], made["rejected"], made["codes"]) == (3, 1, {"unknown_customer": 1})
    assert "unknown_customer" in say("feedback", "load", told, "--dry-run", code=5)
    status = json.loads(say("feedback", "status", "--json"))
    assert [(one["reason"], one["customers"]) for one in status["suppressed"]] == [("unsubscribed", 1)]
    shown = say("feedback", "status")
    assert "Not to be contacted" in shown
    assert "unsubscribed" in shown
    (group,) = json.loads(say("feedback", "funnel", "--json"))["groups"]
    assert (group["customers"]["sent"], group["customers"]["clicked"]) == (1, 1)
    assert "Against the control group" in say("feedback", "funnel")
    who, channel = json.loads(told.read_text().splitlines()[0])["external_id"], status["suppressed"][0]["channel"]
    assert "a reason" in say("feedback", "lift", who, "--channel", channel, "--by", "ann", "--note", " ", code=4)
    say("feedback", "lift", who, "--channel", channel, "--by", "ann", "--note", "signed again")
    say("feedback", "suppress", who, "--by", "ann", "--note", "wrote a letter")
    assert "nothing to lift" in say("feedback", "lift", who, "--channel", channel, "--by", "ann", "--note", "x", code=4)
    assert 'Did you mean "braze"' in say("feedback", "load", told, "--from", "brase", code=2)


def test_a_schedule_is_added_made_told_of_and_removed_by_commands(say: Say, told: Path, place: Path) -> None:
    words = ("--job", "feedback", "--file", told, "--preset", "generic", "--by", "ann")
    assert "cron expression" in say("schedule", "add", "fb", "--cron", "daily", *words, code=2)
    assert "Asia/Shanghai" in say("schedule", "add", "fb", "--cron", "* * * * *", *words)
    assert "run" in say("schedule", "add", "bad", "--cron", "0 0 1 1 *", "--job", "rum", "--by", "ann", code=2)
    _began(place, timedelta(minutes=3))
    (made,) = json.loads(say("schedule", "run", "--once", "--json"))
    assert (made["status"], made["result"]["accepted"]) == ("done", 3)
    told.unlink()
    _began(place, timedelta(0))
    assert "done" in say("schedule", "status")
    assert "fb" in say("schedule", "list")
    say("schedule", "remove", "fb", "--by", "bob")
    assert json.loads(say("schedule", "list", "--json")) == []


def test_a_failure_is_told_until_somebody_has_looked_at_it(say: Say, place: Path) -> None:
    (place / "wayline.toml").write_text("[schedule]\nretries = 0\n")
    mapping = place / "mapping.toml"
    mapping.write_text("nothing = 1\n")
    say("schedule", "add", "load", "--cron", "* * * * *", "--job", "load", "--mapping", mapping, "--by", "ann")
    _began(place, timedelta(minutes=3))
    assert "failed" in say("schedule", "run", "--once", code=5)
    assert "Alerts" in say("schedule", "status", code=3)
    assert "Alerts" not in say("schedule", "status", "--seen-by", "ann")


def _began(home: Path, ago: timedelta) -> None:
    """Let all schedules have been in force for some time."""
    with Store(session.database_url(Workspace(home))) as store, store.writing() as transaction:
        for row in transaction.exec(select(ScheduleRow)):
            row.added_at = datetime.now(UTC) - ago
            transaction.add(row)
