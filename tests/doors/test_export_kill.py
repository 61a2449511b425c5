"""An exporter killed at any moment leaves whole bundles alone, and the next one starts clean.

`WAYLINE_KILLS=30` kills it that often, `python -m tests.benchmarks.kills 30` everything else too.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from engine.cli.main import main
from engine.exports import audience_verify
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.workflows import export_audience, session
from engine.workflows.export_plan import Wanted

KILLS = int(os.environ.get("WAYLINE_KILLS", "2"))
EVERYBODY = 'audience = "everybody"\nname = "Everybody"\nowner = "ann"\n[rule]\nall = []\n'
# exports one bundle after the other, acknowledging some, until somebody ends it
EXPORTER = """
import itertools, sys
from pathlib import Path
from engine.store import NewAck
from engine.workflows import export_acks, export_audience
from engine.workflows.export_plan import Wanted

home = Path(sys.argv[1])
for number in itertools.count():
    mode, form = ("full", "delta", "mirror")[number % 3], ("jsonl", "csv", "parquet")[number % 5 % 3]
    made = export_audience.audience(
        home, Wanted(audience="everybody", preset="generic", mode=mode, file_format=form, by="ann", allow_shrink=True)
    )
    print(number, flush=True)
    counts = made["counts"]
    rows = sum(counts[name] for name in ("added", "updated", "removed", "to_suppress"))
    if number % 4 == 0:
        try:
            export_acks.acknowledge(
                home,
                export_acks.Ack(audience="everybody", preset="generic", channel="email", run_id=made["run_id"],
                                content_sha256=made["content_sha256"], received_rows=rows),
                "tool",
            )
        except Exception as fault:
            assert type(fault).__name__ == "CheckFailed", fault
"""


@pytest.fixture
def home(small_home: Path, own_database: str, tmp_path: Path) -> Path:
    home = tmp_path / "home"
    shutil.copytree(small_home, home)
    (home / "everybody.toml").write_text(EVERYBODY, encoding="utf-8")
    for words in (["save", str(home / "everybody.toml")], ["verify", "everybody", "--by", "bob"]):
        assert main(["audience", *words, "--home", str(home), "--quiet"]) == 0
    # many small files, so that most kills come while some are written and others are not
    (home / "wayline.toml").write_text("[exports.presets.generic]\nrows = 2\n", encoding="utf-8")
    return home


def assert_what_can_be_loaded_is_whole(home: Path) -> None:
    for run in (home / "exports" / "everybody").iterdir():
        for folder in run.iterdir():
            if folder.name == "_held":
                for state in folder.glob("*.parquet"):
                    assert state.name.startswith("_building") or pq.read_table(state).num_rows >= 0
            elif not folder.name.startswith("_building-"):
                audience_verify.verify(folder)
    with Store(session.database_url(Workspace(home))) as store:
        assert store.verify_audit() is None
        on_record = {Path(one.destination).name for one in store.exports()}
    folders = {path.parent.name for path in (home / "exports" / "everybody").rglob("_SUCCESS")}
    assert {name for name in folders if not name.startswith("_building-")} <= on_record


def test_an_exporter_killed_at_random_moments_leaves_no_half_bundle(home: Path) -> None:
    dice = random.Random(11)
    for _ in range(KILLS):
        running = subprocess.Popen(
            [sys.executable, "-c", EXPORTER, str(home)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert running.stdout is not None
        assert running.stdout.readline() == "0\n"
        time.sleep(dice.uniform(0, 1.5))
        assert running.poll() is None, "it ended by itself"
        running.send_signal(signal.SIGKILL)
        running.communicate()
        assert_what_can_be_loaded_is_whole(home)
    wanted = Wanted(audience="everybody", preset="generic", by="ann", allow_shrink=True)
    made = Path(export_audience.audience(home, wanted)["folder"])
    audience_verify.verify(made)
    assert not list(made.parent.glob(f"_building-{made.name}"))
