"""`wayline risk override`: made by one, agreed by another, taken back, listed; and what policy does not let happen."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from engine.cli.main import main

UNTIL = f"{datetime.now(UTC) + timedelta(days=20):%Y-%m-%d}"
RAISE = ("--kind", "limit", "--limit-minor", "500000", "--family", "loan", "--note", "salary seen", "--until", UNTIL)


@pytest.fixture(scope="module")
def home(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A loaded workspace without runs, whose overrides no other test goes by."""
    made = tmp_path_factory.mktemp("overridden") / "workspace"
    shutil.copytree(small_home / "curated", made / "curated")
    return made


def customer(home: Path, place: int) -> str:
    return str(sorted(pq.read_table(home / "curated" / "customers")["customer_id"].to_pylist())[place])


def ask(home: Path, capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    assert main(["risk", "override", *map(str, arguments), "--home", str(home), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_raise_waits_for_a_second_person_and_stays_on_record_when_taken_back(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    who = customer(home, 0)
    made = ask(home, capsys, "add", who, *RAISE, "--by", "ann")
    assert (made["customer_id"], made["owner"], made["second"], made["status"]) == (who, "ann", None, "one_person")
    number = made["override_id"]
    told = ask(home, capsys, "agree", number, "--by", "Ann ", code=4)["error"]["sentence"]
    assert "a second person" in told
    agreed = ask(home, capsys, "agree", number, "--by", "bob")
    assert (agreed["second"], agreed["status"]) == ("bob", "two_persons")
    revoked = ask(home, capsys, "revoke", number, "--by", "carol")
    assert revoked["status"] == "revoked"
    ask(home, capsys, "agree", number, "--by", "dave", code=4)
    listed = ask(home, capsys, "list", "--customer", who)
    assert [(one["override_id"], one["status"]) for one in listed] == [(number, "revoked")]
    assert ask(home, capsys, "list", "--customer", customer(home, 1)) == []


@pytest.mark.parametrize(
    ("changed", "part", "code"),
    [
        ({"--note": " "}, "a note that says why", 4),
        ({"--by": ""}, "needs an owner", 4),
        ({"--until": "2020-01-01"}, "must end after now", 4),
        ({"--until": "2199-01-01"}, "max_days under [risk.overrides]", 4),
        ({"--limit-minor": "-1"}, "Give it with --limit-minor", 4),
        ({"--kind": "aprove"}, 'Did you mean "approve"?', 2),
        ({"--family": "lone"}, 'Did you mean "loan"?', 2),
        ({"--until": "soon"}, "soon", 2),
    ],
)
def test_what_policy_does_not_allow_is_refused_in_a_sentence_and_not_kept(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    part: str,
    code: int,
) -> None:
    options = {**dict(zip(RAISE[::2], RAISE[1::2], strict=True)), "--by": "ann", **changed}
    arguments = [text for option in options.items() for text in option]
    told = ask(home, capsys, "add", customer(home, 2), *arguments, code=code)["error"]["sentence"]
    assert part in told
    assert ask(home, capsys, "list", "--customer", customer(home, 2)) == []


def test_unknown_customers_and_numbers_are_told_without_naming_a_customer(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ask(home, capsys, "add", "C-nobody", *RAISE, "--by", "ann", code=1)["error"]["sentence"]
    assert "C-nobody" not in told
    assert "999" in ask(home, capsys, "agree", 999, "--by", "bob", code=2)["error"]["sentence"]
    assert "the name of a person" in ask(home, capsys, "revoke", 999, "--by", " ", code=4)["error"]["sentence"]
