"""One table says whom not to contact, and a run's manifest names it by its hash."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.domain.errors import UnknownName
from engine.lake.workspace import Workspace
from engine.store import NewFeedback, Store
from engine.workflows import session, suppressed

AT = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
OUT = NewFeedback(event_id="e1", type="unsubscribed", customer_id="C1", channel="email", occurred_at=AT)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("WAYLINE_DATABASE_URL", raising=False)
    return tmp_path


def test_looking_for_suppressions_makes_no_database(home: Path) -> None:
    found = suppressed.table(Workspace(home))
    assert (found.num_rows, found.schema) == (0, suppressed.SCHEMA)
    assert suppressed.facts(found) == {}
    assert list(home.iterdir()) == []


def test_who_unsubscribed_is_in_the_table_and_the_hash_differs_with_it(home: Path) -> None:
    workspace = Workspace(home)
    with Store(session.database_url(workspace)) as store:
        store.add_feedback([OUT])
        first = suppressed.table(workspace)
        assert first.to_pylist() == [
            {"customer_id": "C1", "channel": "email", "since": AT.replace(tzinfo=None), "reason": "unsubscribed"}
        ]
        assert suppressed.of_customer(store, "C1") == {"email"}
        suppressed.suppress(home, "C1", None, "ann", "wrote a letter")
        assert suppressed.of_customer(store, "C1") == {"email", "sms", "phone", "push", "post"}
        assert suppressed.of_customer(store, "C2") == frozenset()
    assert suppressed.facts(first) != suppressed.facts(suppressed.table(workspace))


def test_a_channel_that_is_none_is_named(home: Path) -> None:
    with pytest.raises(UnknownName, match='Did you mean "email"'):
        suppressed.lift(home, "C1", "emial", "ann", "asked us")
