"""Long work: it is found again, it can be stopped, and its death at any moment is told and leaves what was there."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from engine.domain.access import Role, Viewer
from engine.domain.errors import NotAllowed, SaidInBoth
from engine.lake.jobs import Job
from engine.workflows import jobs

OWNER = Viewer(name="ann", role=Role.OWNER)
ADMIN = Viewer(name="bea", role=Role.ADMIN)
MARKETING = Viewer(name="cem", role=Role.MARKETING)
MANY = ("--customers", "400000")  # minutes of work: it is always still under way


def until(home: Path, job: Job, wanted: Callable[[Job], bool], seconds: float = 60) -> Job:
    ends = time.monotonic() + seconds
    while not wanted(now := jobs.find(home, job.job_id)):
        assert time.monotonic() < ends, (now, now.log())
        time.sleep(0.05)
    return now


def ended(job: Job) -> bool:
    return not job.runs


def under_way(job: Job) -> bool:
    return job.pid is not None and bool(job.steps)


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "customers.csv").write_text("customer_id,joined_at\nC1,2020-01-01T00:00:00Z\n,2020-01-01T00:00:00Z\n")
    (folder / "mapping.toml").write_text(
        '[extract]\nuntil = 2026-06-30T23:59:59Z\n\n[customers]\nsource = "customers.csv"\n', encoding="utf-8"
    )
    return folder / "mapping.toml"


def test_load_is_done_step_by_step_and_its_report_is_found_by_whoever_opens_the_workspace(
    tmp_path: Path, mapping: Path
) -> None:
    home = tmp_path / "home"
    begun = jobs.start(OWNER, home, "load", [str(mapping)])
    assert begun.state == "running"
    job = until(home, begun, ended)
    assert (job.state, job.owner, job.error) == ("done", "ann", None)
    assert [step.name for step in job.steps] == ["customers"]
    assert job.result is not None
    assert [(one["read"], one["kept"]) for one in job.result["tables"]] == [(2, 1)]
    assert jobs.listed(home) == [job]
    assert not jobs.under_way(home)


def test_load_that_cannot_be_done_says_why_and_leaves_no_table(tmp_path: Path, mapping: Path) -> None:
    home = tmp_path / "home"
    (mapping.parent / "customers.csv").write_text("id\n1\n", encoding="utf-8")
    job = until(home, jobs.start(OWNER, home, "load", [str(mapping)]), ended)
    assert job.state == "failed"
    assert job.error is not None
    assert '"customer_id"' in job.error
    assert not (home / "curated").exists()


def test_job_that_is_killed_is_known_to_be_dead_and_the_next_one_may_begin(tmp_path: Path, mapping: Path) -> None:
    home = tmp_path / "home"
    job = until(home, jobs.start(OWNER, home, "demo", MANY), under_way)
    assert job.pid is not None
    with pytest.raises(SaidInBoth):
        jobs.start(OWNER, home, "load", [str(mapping)])
    os.kill(job.pid, signal.SIGKILL)
    job = until(home, job, ended)
    assert (job.state, job.result) == ("killed", None)
    assert not (home / "curated").exists()
    os.killpg(job.pid, signal.SIGKILL)  # its helpers, which would find out by themselves
    assert until(home, jobs.start(OWNER, home, "load", [str(mapping)]), ended).state == "done"


def test_load_that_is_killed_leaves_the_former_tables_or_the_new_ones_whole(tmp_path: Path, mapping: Path) -> None:
    home = tmp_path / "home"
    assert until(home, jobs.start(OWNER, home, "load", [str(mapping)]), ended).state == "done"
    rows = "".join(f"C{number},2020-01-01T00:00:00Z\n" for number in range(200_000))
    (mapping.parent / "customers.csv").write_text(f"customer_id,joined_at\n{rows}", encoding="utf-8")
    for seconds in (0.2, 0.8):
        job = until(home, jobs.start(OWNER, home, "load", [str(mapping)]), lambda job: under_way(job) or ended(job))
        time.sleep(seconds)
        assert job.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        until(home, job, ended)
        kept = sum(pq.read_metadata(part).num_rows for part in (home / "curated" / "customers").rglob("*.parquet"))
        assert kept in (1, 200_000)
    assert until(home, jobs.start(OWNER, home, "load", [str(mapping)]), ended).state == "done"
    assert sorted(path.name for path in home.iterdir() if path.name.startswith("curated")) == ["curated"]


def test_job_outlives_the_app_that_started_it(tmp_path: Path, mapping: Path) -> None:
    home = tmp_path / "home"
    starts = (
        "import sys, time; from pathlib import Path; from engine.workflows import jobs;"
        "from engine.domain.access import Role, Viewer;"
        "jobs.start(Viewer(name='ann', role=Role.OWNER), Path(sys.argv[1]), 'load', [sys.argv[2]]);"
        "print('begun', flush=True); time.sleep(60)"
    )
    app = subprocess.Popen([sys.executable, "-c", starts, str(home), str(mapping)], stdout=subprocess.PIPE)
    assert app.stdout is not None
    assert app.stdout.readline() == b"begun\n"
    app.kill()
    app.wait()
    (job,) = jobs.listed(home)
    assert until(home, job, ended).state == "done"
    assert (home / "curated" / "customers").is_dir()


def test_job_is_stopped_by_its_owner_or_an_administrator_and_by_nobody_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    job = until(home, jobs.start(OWNER, home, "demo", MANY), under_way)
    with pytest.raises(NotAllowed):
        jobs.stop(MARKETING, home, job.job_id)
    assert jobs.find(home, job.job_id).runs
    stopped = jobs.stop(ADMIN, home, job.job_id)
    assert (stopped.state, stopped.stopped_by) == ("stopped", "bea")
    assert not jobs.under_way(home)


def test_job_needs_the_right_of_its_kind(tmp_path: Path) -> None:
    with pytest.raises(NotAllowed):
        jobs.start(MARKETING, tmp_path / "home", "run")
    assert not (tmp_path / "home").exists()


def test_only_the_newest_records_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "KEPT", 1)
    home = tmp_path / "home"
    made = [until(home, jobs.start(OWNER, home, "check", ["/nowhere.toml"]), ended) for _ in range(3)]
    assert [job.job_id for job in jobs.listed(home)] == [made[2].job_id, made[1].job_id]
