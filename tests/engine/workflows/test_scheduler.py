"""What is due is made once, one at a time, caught up with, tried again, told of, and made good after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from engine.domain.errors import RefusedByPolicy, SettingsFault, UnknownName
from engine.lake.workspace import Workspace
from engine.store import Due, NewSchedule, Store
from engine.workflows import schedule, schedule_jobs, scheduler, session
from engine.workflows.schedule import Planned

QUICK = "[schedule]\nretries = 1\nretry_seconds = 0.2\nhold_seconds = 1\nlook_seconds = 0.2\ngrace_seconds = 20\n"
RUN = Planned(name="nightly", cron="* * * * *", job="run", by="ann")

SERVE = """
import sys, threading, time
from pathlib import Path
from engine.workflows import schedule_jobs, scheduler
log, seconds = Path(sys.argv[2]), float(sys.argv[3])
def slow(home, arguments):
    with log.open("a") as handle: handle.write("begun\\n")
    time.sleep(seconds)
    with log.open("a") as handle: handle.write("ended\\n")
    return {"slept": seconds}
schedule_jobs.JOBS["run"] = schedule_jobs.Job(
    summary="", needs=(), may=(), check=lambda *_: None, make=slow)
stop = threading.Event()
import signal
signal.signal(signal.SIGTERM, lambda *_: stop.set())
with scheduler.opened(Path(sys.argv[1])) as opened:
    print("ready", flush=True)
    sys.exit(0 if opened.run_forever(stop) else 5)
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "postgresql":
        monkeypatch.setenv("WAYLINE_DATABASE_URL", request.getfixturevalue("postgres_address"))
    else:
        monkeypatch.delenv("WAYLINE_DATABASE_URL", raising=False)
    made = tmp_path / "home"
    made.mkdir()
    (made / "wayline.toml").write_text(QUICK)
    return made


def _store(home: Path) -> Store:
    return Store(session.database_url(Workspace(home)))


def _since(home: Path, name: str, ago: timedelta) -> None:
    """Let a schedule have been in force for some time."""
    with _store(home) as store, store.writing() as transaction:
        from engine.store.tables import ScheduleRow

        row = next(one for one in transaction.exec(select(ScheduleRow)) if one.name == name)
        row.added_at = datetime.now(UTC) - ago
        transaction.add(row)


def _due(home: Path) -> list[scheduler.Made]:
    with scheduler.opened(home) as opened:
        return opened.make_due()


def test_a_new_schedule_is_not_due_before_its_first_time(home: Path) -> None:
    made = schedule.add(home, RUN)
    assert made["next_at"] > datetime.now(UTC)
    assert _due(home) == []


def test_what_was_missed_is_made_once_and_a_failure_is_tried_again_and_then_told(home: Path) -> None:
    schedule.add(home, RUN)
    _since(home, "nightly", timedelta(minutes=5, seconds=1))
    first = _due(home)  # the workspace holds nothing, so the run fails
    assert [(one.status, one.attempts) for one in first] == [("retrying", 1)]
    assert first[0].missed in (4, 5)
    assert _due(home) == []  # it rests
    time.sleep(0.25)
    second = _due(home)
    assert [(one.status, one.attempts, one.due_at) for one in second] == [("failed", 2, first[0].due_at)]
    assert "No data in the workspace" in second[0].result["error"]
    told = schedule.status(home)
    assert [one["subject"] for one in told["alerts"]] == ["schedule/nightly"]
    assert [one["status"] for one in told["turns"]] == ["failed"]
    assert schedule.acknowledge(home, "ann") == 1
    assert schedule.status(home)["alerts"] == []


def test_what_a_policy_refuses_is_told_at_once_and_not_tried_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path, __: schedule_jobs.Arguments) -> dict[str, Any]:
        raise RefusedByPolicy("Nobody may leave.")

    job = schedule_jobs.Job(summary="", needs=(), may=(), check=lambda *_: None, make=refuse)
    monkeypatch.setitem(schedule_jobs.JOBS, "run", job)  # type: ignore[arg-type]  # the table is read only by its type
    schedule.add(home, RUN)
    _since(home, "nightly", timedelta(minutes=2))
    assert [(one.status, one.attempts) for one in _due(home)] == [("failed", 1)]
    assert [one["sentence"] for one in schedule.status(home)["alerts"]] == ["Nobody may leave."]


def test_webhooks_are_delivered_at_set_times_too(home: Path) -> None:
    schedule.add(home, Planned(name="hooks", cron="* * * * *", job="webhooks", by="ann"))
    _since(home, "hooks", timedelta(minutes=2))
    assert [(one.status, one.result) for one in _due(home)] == [("done", {"delivered": 0, "put_off": 0, "dead": 0})]


def test_somebody_is_told_by_a_program_and_at_an_address(home: Path, tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Ear)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    program = json.dumps(
        [sys.executable, "-c", f"import sys; open({str(tmp_path / 'told')!r}, 'w').write(sys.stdin.read())"]
    )
    settings = QUICK.replace("retries = 1", "retries = 0")
    address = f'alert_url = "http://127.0.0.1:{server.server_port}/"'
    (home / "wayline.toml").write_text(f"{settings}alert_command = {program}\n{address}\n")
    schedule.add(home, RUN)
    _since(home, "nightly", timedelta(minutes=2))
    assert [one.status for one in _due(home)] == ["failed"]
    server.shutdown()
    assert json.loads((tmp_path / "told").read_text())["subject"] == "schedule/nightly"
    assert heard[0]["sentence"] == json.loads((tmp_path / "told").read_text())["sentence"]
    assert schedule.status(home)["alerts"][0]["told"] == "command: exit 0; address: status 204"


def test_no_two_are_made_at_once_and_none_twice(home: Path) -> None:
    with _store(home) as store:
        one, other = (
            store.add_schedule(NewSchedule(name=name, job="run", cron="* * * * *", arguments={})) for name in "ab"
        )
        at = datetime(2026, 7, 1, tzinfo=UTC)

        def due(number: int, worker: str, when: datetime = at) -> Due:
            return Due(schedule=number, due_at=when, missed=0, worker=worker, hold=timedelta(seconds=60))

        turn = store.claim_turn(due(one.number, "w1"))
        assert turn is not None
        assert store.claim_turn(due(one.number, "w2")) is None
        assert store.claim_turn(due(other.number, "w2")) is None
        store.end_turn("a", turn.number, "done", {})
        assert store.claim_turn(due(one.number, "w2")) is None
        assert store.claim_turn(due(other.number, "w2")) is not None


def test_a_claim_lapses_with_its_process_and_cannot_be_renewed_after_that(home: Path) -> None:
    with _store(home) as store:
        one = store.add_schedule(NewSchedule(name="a", job="run", cron="* * * * *", arguments={}))
        at, hold = datetime(2026, 7, 1, tzinfo=UTC), timedelta(milliseconds=50)
        dead = store.claim_turn(Due(schedule=one.number, due_at=at, missed=0, worker="dead", hold=hold))
        assert dead is not None
        time.sleep(0.1)
        heir = store.claim_turn(Due(schedule=one.number, due_at=at, missed=0, worker="heir", hold=hold))
        assert heir is not None
        assert (heir.number, heir.attempts, heir.worker) == (dead.number, 2, "heir")
        assert not store.hold_turn(dead.number, "dead", hold)


@pytest.mark.parametrize(
    ("change", "fault", "said"),
    [
        ({"cron": "nightly"}, SettingsFault, "no cron expression"),
        ({"job": "rnu"}, UnknownName, 'Did you mean "run"'),
        ({"job": "load"}, SettingsFault, "--mapping: missing"),
        ({"job": "load", "arguments": {"mapping": "none.toml"}}, SettingsFault, "no such file"),
        ({"arguments": {"audience": "savers"}}, SettingsFault, "no such argument"),
        ({"job": "export", "arguments": {"audience": "a", "preset": "braze"}}, UnknownName, "braze_cdi"),
        ({"job": "feedback", "arguments": {"file": "f", "preset": "brase"}}, UnknownName, 'Did you mean "braze"'),
        ({"by": " "}, RefusedByPolicy, "answers for it"),
    ],
)
def test_what_could_never_be_made_is_refused_when_it_is_scheduled(
    home: Path, change: dict[str, Any], fault: type[Exception], said: str
) -> None:
    wanted = {"name": "x", "cron": "0 2 * * *", "job": "run", "by": "ann"} | change
    with pytest.raises(fault, match=said):
        schedule.add(home, Planned(**wanted))
    assert schedule.listed(home) == []


def test_a_name_is_taken_until_it_is_removed(home: Path) -> None:
    schedule.add(home, RUN)
    with pytest.raises(RefusedByPolicy, match="already"):
        schedule.add(home, RUN)
    schedule.remove(home, "nightly", "bob")
    with pytest.raises(UnknownName):
        schedule.remove(home, "nightly", "bob")
    schedule.add(home, RUN)
    assert [one["name"] for one in schedule.listed(home)] == ["nightly"]


sqlite_alone = pytest.mark.parametrize("home", ["sqlite"], indirect=True)
"""Processes take long to start; what the database does for them is asked of both above."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    made = tmp_path / "log"
    made.touch()
    return made


@pytest.fixture
def serving(home: Path, log: Path) -> Iterator[Any]:
    started: list[subprocess.Popen[str]] = []

    def start(seconds: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SERVE, str(home), str(log), str(seconds)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def _until(log: Path, lines: list[str], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while log.read_text().split() != lines:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@sqlite_alone
def test_a_job_whose_scheduler_is_killed_is_made_again_once(home: Path, log: Path, serving: Any) -> None:
    # hourly, so that no further time comes due while this test runs
    schedule.add(home, Planned(name="nightly", cron="0 * * * *", job="run", by="ann"))
    _since(home, "nightly", timedelta(hours=2))
    killed = serving(60)
    _until(log, ["begun"])
    os.kill(killed.pid, signal.SIGKILL)
    serving(0.1)
    _until(log, ["begun", "begun", "ended"])
    assert _due(home) == []
    turns = schedule.status(home)["turns"]
    assert [(one["status"], one["attempts"]) for one in turns] == [("done", 2)]


@sqlite_alone
def test_a_scheduler_that_is_told_to_stop_ends_its_job_first(home: Path, log: Path, serving: Any) -> None:
    schedule.add(home, Planned(name="nightly", cron="0 * * * *", job="run", by="ann"))
    _since(home, "nightly", timedelta(hours=2))
    process = serving(1.5)
    _until(log, ["begun"])
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert log.read_text().split() == ["begun", "ended"]
    assert schedule.status(home)["turns"][0]["status"] == "done"


@pytest.mark.parametrize("home", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_two_schedulers_make_each_time_once(home: Path, log: Path, serving: Any) -> None:
    for name in ("a", "b", "c"):
        schedule.add(home, Planned(name=name, cron="0 * * * *", job="run", by="ann"))
        _since(home, name, timedelta(hours=2))
    serving(0.3)
    serving(0.3)
    # begun and ended take turns, since no two run at once
    _until(log, ["begun", "ended"] * 3)
    assert [one["attempts"] for one in schedule.status(home)["turns"]] == [1, 1, 1]
