"""`wayline case`: from the list to the outcome, and what is refused, in sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from tests.engine.ui import bank

BY = ("--by", "ann")


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    bank.make(tmp_path)
    monkeypatch.delenv("WAYLINE_DATABASE_URL", raising=False)

    def asked(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert main(["case", *words, "--home", str(tmp_path), "--json"]) == code, capsys.readouterr()
        return json.loads(capsys.readouterr().out)

    return asked


def test_a_case_is_opened_assigned_commented_on_and_closed(ask: Any) -> None:
    alert = ask("list", "--kind", "watch_list", "--limit", "1")["items"][0]
    assert alert["case_id"] is None
    opened = ask("open", alert["alert_id"], *BY)
    number = str(opened["case_id"])
    assert ask("assign", number, "--to", "ann", *BY)["status"] == "investigating"
    assert [one["alert_id"] for one in ask("list", "--view", "mine", *BY)["items"]] == [alert["alert_id"]]
    ask("comment", number, "Called, no answer.", *BY)
    ask("escalate", number, "--note", "two lenders", *BY)
    closed = ask("close", number, "--outcome", "false_positive", "--note", "another bank's delay", *BY)
    assert (closed["outcome"], closed["closed_by"]) == ("false_positive", "ann")
    found = ask("show", number)
    assert [one["act"] for one in found["history"]] == ["opened", "assigned", "escalated", "closed"]
    assert [one["text"] for one in found["comments"]] == ["Called, no answer."]
    assert ask("list", "--view", "closed")["total"] == 1
    assert ask("reopen", number, "--note", "again", *BY)["status"] == "investigating"


def test_what_cannot_be_done_is_refused_in_a_sentence(ask: Any) -> None:
    alert = ask("list", "--limit", "1")["items"][0]["alert_id"]
    late = ask("snooze", alert, "--until", "2031-01-01", "--note", "later", *BY, code=4)
    assert "within 180 days" in late["error"]["sentence"]
    nobody = ask("assign", alert, "--to", "bob", "--by", " ", code=4)
    assert "name of a person" in nobody["error"]["sentence"]
    wrong = ask("close", alert, "--outcome", "falsepositive", "--note", "x", *BY, code=2)
    assert 'Did you mean "false_positive"?' in wrong["error"]["sentence"]
    assert "Unknown" in ask("show", "watch_list/nobody", code=2)["error"]["sentence"]
