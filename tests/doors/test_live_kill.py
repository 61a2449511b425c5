"""A server that is killed while it decides loses nothing that it told, and exceeds no cap.

`WAYLINE_KILLS=30` or `python -m tests.benchmarks.live_kills 30` does the same thirty times.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from engine.workflows import run as workflow
from tests.benchmarks import live_kills

KILLS = int(os.environ.get("WAYLINE_KILLS", "2"))


@pytest.fixture(scope="module")
def ready(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose policy has no quiet days, so that nothing but caps ends the contacts."""
    home = tmp_path_factory.mktemp("kills") / "workspace"
    shutil.copytree(small_home, home)
    (home / "wayline.toml").write_text(live_kills.SETTINGS, encoding="utf-8")
    workflow.run(home, seed=1)
    return home


@pytest.mark.usefixtures("own_database")
def test_what_was_told_before_a_kill_is_in_the_ledger_and_no_cap_is_exceeded(ready: Path) -> None:
    found = live_kills.run(ready, kills=KILLS)
    assert found["told"] >= 16
    assert found["contacts"] >= 1
    assert found["told again alike"] >= 1
