"""What the API acknowledged is there after the server was killed, however often it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.lake.workspace import Workspace
from engine.store import Store
from engine.workflows import session
from tests.doors.feedback_kills import kill_under_load

KILLS = int(os.environ.get("WAYLINE_KILLS", "1"))


@pytest.mark.usefixtures("own_database")
def test_no_feedback_that_was_acknowledged_is_lost_to_a_kill(small_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("curated", "runs"):
        (home / name).symlink_to(small_home / name)
    told = kill_under_load(home, kills=KILLS)
    assert_nothing_lost(home, told.events, told.withdrawn)
    assert told.events


def assert_nothing_lost(home: Path, events: set[str], withdrawn: set[str]) -> None:
    with Store(session.database_url(Workspace(home))) as store:
        kept = store.feedback(limit=None)
        by_id = {one.event_id: one for one in kept}
        assert events <= by_id.keys()
        # each once, and numbered without gaps
        assert [one.number for one in kept] == list(range(1, len(kept) + 1))
        suppressed = {(one.customer_id, one.channel) for one in store.suppressions()}
        assert {(by_id[one].customer_id, by_id[one].channel) for one in withdrawn} <= suppressed
        assert store.verify_audit() is None
