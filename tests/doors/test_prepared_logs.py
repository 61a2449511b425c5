"""`wayline journey prepare`: the answers of the file, from a log prepared once; never an answer for another file."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main

HEADER = "case,activity,timestamp,channel"
MONDAY = ["ann,A,2026-01-05T09:00:00Z,web", "ann,B,2026-01-05T10:00:00Z,app", "bob,A,2026-01-05T11:00:00Z,web"]
# bob's step and eve are new; ann's event came late, before what was there
TUESDAY = ["bob,B,2026-01-06T09:00:00Z,app", "eve,A,2026-01-06T09:00:00Z,", "ann,A,2026-01-04T09:00:00Z,app"]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: object) -> Answer:
        code = main(["journey", *map(str, words), "--json", "--home", str(tmp_path / "home")])
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text("\n".join([HEADER, *MONDAY]) + "\n")
    return path


FUNNEL = ("--steps", "A,B", "--window", "7d", "--by", "channel")


def test_a_prepared_log_answers_as_the_file_does(ask: Any, log: Path, tmp_path: Path) -> None:
    made = ask("prepare", log, "--into", tmp_path / "made").json
    assert (made["events"], made["customers"], made["attributes"]) == (3, 2, ["channel"])
    assert ask("funnel", tmp_path / "made", *FUNNEL).json == ask("funnel", log, *FUNNEL).json
    until = ("--as-of", "2026-01-05T09:30:00Z")
    assert ask("funnel", tmp_path / "made", *FUNNEL, *until).json == ask("funnel", log, *FUNNEL, *until).json


def test_the_prepared_loan_log_answers_as_the_file_does(ask: Any, real_data: Path, tmp_path: Path) -> None:
    path = real_data / "bpi2012" / "bpi2012_events.csv.gz"
    assert ask("prepare", path, "--into", tmp_path / "made").json["events"] == 262_200
    asked = ("--steps", "A_SUBMITTED,A_ACCEPTED,A_APPROVED", "--window", "30d", "--by", "lifecycle")
    assert ask("funnel", tmp_path / "made", *asked).json == ask("funnel", path, *asked).json


def test_a_batch_makes_the_log_that_all_at_once_would_make(ask: Any, log: Path, tmp_path: Path) -> None:
    ask("prepare", log, "--into", tmp_path / "made")
    day = tmp_path / "tuesday.csv"
    day.write_text("\n".join([HEADER, *TUESDAY]) + "\n")
    added = ask("prepare", day, "--into", tmp_path / "made", "--append").json
    assert (added["events"], added["added_events"], added["changed_customers"]) == (6, 3, 3)
    whole = tmp_path / "whole.csv"
    whole.write_text("\n".join([HEADER, *MONDAY, *TUESDAY]) + "\n")
    answer = ask("funnel", tmp_path / "made", *FUNNEL).json
    assert answer == ask("funnel", whole, *FUNNEL).json
    assert [step["count"] for step in answer["steps"]] == [3, 2]
    again = ask("prepare", day, "--into", tmp_path / "made", "--append")
    assert again.code == 1
    assert "tuesday.csv: was added to made before" in again.err


def test_a_batch_that_was_not_written_to_the_end_leaves_the_log_as_it_was(
    ask: Any, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("prepare", log, "--into", tmp_path / "made")
    before = ask("funnel", tmp_path / "made", *FUNNEL).json
    day = tmp_path / "tuesday.csv"
    day.write_text("\n".join([HEADER, *TUESDAY]) + "\n")

    def broken_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        # the last thing that is written before the new manifest takes the place of the old one
        cut.setattr("engine.workflows.prepared_logs.write_synced", broken_off)
        assert ask("prepare", day, "--into", tmp_path / "made", "--append").code == 130
    assert len(list((tmp_path / "made").glob("block-*.arrow"))) == 2
    assert ask("funnel", tmp_path / "made", *FUNNEL).json == before
    assert ask("prepare", day, "--into", tmp_path / "made", "--append").json["events"] == 6


def test_a_log_that_grew_answers_as_the_file_does(ask: Any, tmp_path: Path) -> None:
    lines = [f"c{n % 40},{'ABC'[n % 7 % 3]},2026-01-{1 + n // 30:02d}T09:{n % 60:02d}:00Z,web" for n in range(600)]
    whole = tmp_path / "whole.csv"
    whole.write_text("\n".join([HEADER, *lines]) + "\n")
    for day, cut in enumerate(range(0, 600, 150)):
        # after the first, each day is about half of the customers
        own = [line for n, line in enumerate(lines[cut : cut + 150]) if day == 0 or n % 40 < 20]
        part = tmp_path / f"day{day}.csv"
        part.write_text("\n".join([HEADER, *own]) + "\n")
        ask("prepare", part, "--into", tmp_path / "made", *(["--append"] if day else []))
    kept = lines[:150] + [
        line for cut in (150, 300, 450) for n, line in enumerate(lines[cut : cut + 150]) if n % 40 < 20
    ]
    whole.write_text("\n".join([HEADER, *kept]) + "\n")
    made = tmp_path / "made"
    assert (made / "manifest.json").read_text().count("block-") > 1
    assert any(made.glob("moved-*.arrow"))
    for words in (("funnel", *FUNNEL), ("retention", "--period", "week"), ("sessions",)):
        assert ask(words[0], made, *words[1:]).json == ask(words[0], whole, *words[1:]).json
    next(made.glob("moved-*.arrow")).unlink()
    refused = ask("funnel", made, *FUNNEL)
    assert refused.code == 1
    assert "is missing or was cut" in refused.err


def test_a_batch_without_a_column_of_the_log_is_refused(ask: Any, log: Path, tmp_path: Path) -> None:
    ask("prepare", log, "--into", tmp_path / "made")
    day = tmp_path / "day.csv"
    day.write_text("case,activity,timestamp\nann,A,2026-01-06T09:00:00Z\n")
    refused = ask("prepare", day, "--into", tmp_path / "made", "--append")
    assert refused.code in (1, 2)
    assert "channel" in refused.err


def test_a_batch_whose_ids_are_of_another_kind_is_one_sentence(ask: Any, log: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    ask("prepare", log, "--into", tmp_path / "made")
    day = pa.table({"case": [1], "activity": ["A"], "timestamp": pa.array([0], pa.timestamp("us")), "channel": ["x"]})
    pq.write_table(day, tmp_path / "day.parquet")
    refused = ask("prepare", tmp_path / "day.parquet", "--into", tmp_path / "made", "--append")
    assert refused.code == 1
    assert "its customers are numbers, those of the log in made text" in refused.err


def test_a_log_whose_file_has_changed_is_refused_and_one_whose_file_is_gone_is_not(
    ask: Any, log: Path, tmp_path: Path
) -> None:
    ask("prepare", log, "--into", tmp_path / "made")
    log.touch()  # as it was, but for the time of its last change
    assert ask("funnel", tmp_path / "made", *FUNNEL).code == 0
    log.write_text(log.read_text() + TUESDAY[0] + "\n")
    stale = ask("funnel", tmp_path / "made", *FUNNEL)
    assert stale.code == 1
    assert "log.csv as it was before: that file has changed since. Prepare it again" in stale.err
    log.unlink()
    assert ask("funnel", tmp_path / "made", *FUNNEL).code == 0


@pytest.mark.parametrize(
    ("spoil", "meant"),
    [
        (lambda made: (made / "manifest.json").unlink(), "not written to the end"),
        (lambda made: (made / "manifest.json").write_text('{"rows": 3}'), "made by something else"),
        (lambda made: (made / "block-00000.arrow").unlink(), "is missing or was cut"),
        (lambda made: _cut(made / "block-00000.arrow"), "is missing or was cut"),
        (lambda made: _spoil(made / "block-00000.arrow"), "is damaged"),
    ],
    ids=["no manifest", "foreign manifest", "no block", "cut block", "spoilt block"],
)
def test_half_a_log_and_what_is_none_are_refused(ask: Any, log: Path, tmp_path: Path, spoil: Any, meant: str) -> None:
    ask("prepare", log, "--into", tmp_path / "made")
    spoil(tmp_path / "made")
    refused = ask("funnel", tmp_path / "made", *FUNNEL)
    assert refused.code == 1
    assert meant in refused.err


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _spoil(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def test_a_folder_of_somebody_else_is_not_replaced_and_a_prepared_log_is(ask: Any, log: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    refused = ask("prepare", log, "--into", other)
    assert refused.code == 4
    assert (other / "thesis.txt").read_text() == "years of work"
    for _ in range(2):
        assert ask("prepare", log, "--into", tmp_path / "made").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "made", "other"]


def test_columns_are_those_that_the_log_was_prepared_with(ask: Any, log: Path, tmp_path: Path) -> None:
    ask("prepare", log, "--into", tmp_path / "made", "--keep", "channel")
    assert ask("funnel", tmp_path / "made", *FUNNEL, "--case", "case").code == 0
    other = ask("funnel", tmp_path / "made", *FUNNEL, "--case", "channel")
    assert other.code == 2
    assert 'the log was prepared with "case"' in other.err
    assert ask("prepare", tmp_path / "made", "--into", tmp_path / "again").code == 2


def test_a_moved_log_is_the_same_log(ask: Any, log: Path, tmp_path: Path) -> None:
    ask("prepare", log, "--into", tmp_path / "made")
    shutil.move(tmp_path / "made", tmp_path / "moved")
    assert ask("funnel", tmp_path / "moved", *FUNNEL).json == ask("funnel", log, *FUNNEL).json


def test_the_events_of_a_workspace_are_prepared(
    small_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(small_home), "--json", "--quiet"]
    asked = ["--steps", "login,product_viewed", "--window", "1d", *home]
    assert main(["journey", "prepare", "--into", str(tmp_path / "made"), *home]) == 0
    capsys.readouterr()
    assert main(["journey", "funnel", str(tmp_path / "made"), *asked]) == 0
    prepared = json.loads(capsys.readouterr().out)
    assert main(["journey", "funnel", *asked]) == 0
    assert prepared == json.loads(capsys.readouterr().out)
