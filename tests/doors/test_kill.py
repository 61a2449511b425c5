"""A run killed at any moment never reads as complete, and the next one starts clean."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.domain.errors import RunMissing
from engine.lake.runs import latest_run, list_runs
from engine.lake.workspace import Workspace

KILLS = 20
SMALL_RUN = [sys.executable, "-m", "engine.cli.main", "run", "--json"]


def start(home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*SMALL_RUN, "--home", str(home), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "NO_COLOR": "1"},
        start_new_session=True,
    )


def assert_every_readable_run_is_whole(home: Path) -> None:
    for run in list_runs(Workspace(home)):
        for mart, facts in run.manifest["marts"].items():
            assert run.read(mart).num_rows == facts["rows"]


@pytest.fixture(scope="module")
def workspace_without_runs(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("killed")
    shutil.copytree(small_home / "curated", home / "curated")
    # the fewest, so that a run is made soon: every stage still writes what it writes
    (home / "wayline.toml").write_text("[recommendations.training]\nwindows = 2\n", encoding="utf-8")
    return home


def test_a_run_killed_at_random_moments_never_reads_as_complete(workspace_without_runs: Path) -> None:
    home = workspace_without_runs
    began = time.monotonic()
    whole = start(home)
    output, _ = whole.communicate(timeout=300)
    took = time.monotonic() - began
    assert whole.returncode == 0
    run_id = json.loads(output)["run_id"]
    shutil.rmtree(home / "runs")

    dice = random.Random(7)
    for _ in range(KILLS):
        running = start(home)
        # later than the interpreter's start, so that most kills hit the run itself; a few hit after its end
        time.sleep(took * dice.uniform(0.15, 1.05))
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        assert_every_readable_run_is_whole(home)
        shutil.rmtree(home / "runs" / run_id, ignore_errors=True)
        with pytest.raises(RunMissing):
            latest_run(Workspace(home))

    again = start(home)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0
    assert json.loads(output)["run_id"] == run_id
    assert not list((home / "runs").glob("_building-*"))
