"""Any file as a log of events: a correct small answer, or one sentence that says what is wrong; never a traceback."""

from __future__ import annotations

import gzip
import json
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.cli.main import main
from tests.doors import measured

HEADER = "case,activity,timestamp"
ANN = "ann,A,2026-01-01T00:00:00Z\nann,B,2026-01-01T00:01:00Z"
BOB = "bob,A,2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def steps(self) -> list[int]:
        return [step["count"] for step in json.loads(self.out)["steps"]]


@pytest.fixture
def funnel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Ask a file for the funnel A, B within a day; the content is written first where it is given."""

    def ask(name: str, content: str | bytes | None = None, *more: str, steps: str = "A,B") -> Answer:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        asked = ["journey", "funnel", str(path), "--steps", steps, "--window", "1d", "--json", *more]
        code = main([*asked, "--home", str(tmp_path / "home")])
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return ask


def refusal(answer: Answer) -> str:
    """The sentence of an answer that is none: one line, exit code 1 or 2, no traceback, nothing unforeseen."""
    assert answer.code in (1, 2), answer
    sentence = answer.err.strip().splitlines()
    told = [line for line in sentence if line.startswith("Error:")]
    assert len(told) == 1, answer.err
    assert "unforeseen" not in answer.err
    assert "Traceback" not in answer.err
    return answer.err


# Files that are read


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_csv_file_of_any_usual_delimiter_is_read(funnel: Any, delimiter: str) -> None:
    assert funnel("log.csv", "\n".join([HEADER, ANN, BOB]).replace(",", delimiter)).steps == [2, 1]


def test_a_packed_csv_file_is_read(funnel: Any, tmp_path: Path) -> None:
    content = "\n".join([HEADER, ANN, BOB, ""])
    assert funnel("log.csv.gz", gzip.compress(content.encode())).steps == [2, 1]
    with zipfile.ZipFile(tmp_path / "log.zip", "w") as archive:
        archive.writestr("log.csv", content)
    assert funnel("log.zip").steps == [2, 1]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_a_csv_file_is_read_in_the_encoding_that_its_bytes_tell(funnel: Any, encoding: str) -> None:
    content = f"{HEADER}\n张三,申请贷款,2026-01-01 00:00:00\n张三,批准,2026-01-02 00:00:00\n李四,申请贷款,2026-01-01\n"
    assert funnel("log.csv", content.encode(encoding), steps="申请贷款,批准").steps == [2, 1]


def test_a_parquet_file_and_a_folder_of_them_are_read(funnel: Any, tmp_path: Path) -> None:
    rows = [("ann", "A", 0), ("ann", "B", 60), ("bob", "A", 0), ("bob", "B", 90_000)]
    table = pa.table(
        {
            "customer_id": [row[0] for row in rows],
            "event_name": [row[1] for row in rows],
            "occurred_at": pa.array([row[2] * 1_000_000 for row in rows], pa.timestamp("us")),
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    assert funnel("log.parquet").steps == [2, 1]
    (tmp_path / "folder").mkdir()
    pq.write_table(table.slice(0, 1), tmp_path / "folder" / "1.parquet")
    pq.write_table(table.slice(1), tmp_path / "folder" / "2.parquet")
    assert funnel("folder").steps == [2, 1]


def xes(events: str, head: str = "") -> str:
    return (
        f'<?xml version="1.0"?>{head}<log xmlns="http://www.xes-standard.org/"><trace>'
        f'<string key="concept:name" value="ann"/>{events}</trace></log>'
    )


def xes_event(name: str, at: str) -> str:
    return f'<event><string key="concept:name" value="{name}"/><date key="time:timestamp" value="{at}"/></event>'


def test_an_xes_file_is_read_plain_and_packed(funnel: Any) -> None:
    content = xes(xes_event("A", "2026-01-01T00:00:00+02:00") + xes_event("B", "2026-01-01T00:00:00+01:00"))
    assert funnel("log.xes", content).steps == [1, 1]
    assert funnel("log.xes.gz", gzip.compress(content.encode())).steps == [1, 1]


def test_times_in_mixed_zones_are_the_instants_that_they_name(funnel: Any) -> None:
    # B is an hour after A for ann, and an hour before A for bob, whatever the clocks show
    rows = ["ann,A,2026-01-01T10:00:00+08:00", "ann,B,2026-01-01T03:00:00Z"]
    rows += ["bob,A,2026-01-01T10:00:00+01:00", "bob,B,2026-01-01T09:00:00+01:00"]
    assert funnel("log.csv", "\n".join([HEADER, *rows])).steps == [2, 1]


def test_times_without_an_offset_are_of_the_zone_that_is_named(funnel: Any) -> None:
    # 02:30 in Berlin on 29 March 2026 is after 01:30 by half an hour of clocks that show an hour and a half
    rows = ["ann,A,2026-03-29 01:30:00", "ann,B,2026-03-29 03:30:00"]
    answer = funnel("log.csv", "\n".join([HEADER, *rows]), "--zone", "Europe/Berlin")
    assert json.loads(answer.out)["steps"][1]["median_seconds_from_previous"] == 3600
    assert "taken as Europe/Berlin" in answer.err
    assert "no time zone" in refusal(funnel("log.csv", None, "--zone", "Berlin"))


@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000, 1_000_000_000])
def test_whole_numbers_are_times_since_1970(funnel: Any, factor: int) -> None:
    begin = 1_767_225_600
    rows = [f"ann,A,{begin * factor}", f"ann,B,{(begin + 60) * factor}", f"bob,A,{begin * factor}"]
    answer = funnel("log.csv", "\n".join([HEADER, *rows]))
    assert json.loads(answer.out)["steps"][1]["median_seconds_from_previous"] == 60


def test_times_of_another_form_are_read_as_they_are_described(funnel: Any) -> None:
    content = f"{HEADER}\nann,A,31/12/2025 23:00\nann,B,01/01/2026 00:00\n"
    assert "--time-format" in refusal(funnel("log.csv", content))
    assert funnel("log.csv", content, "--time-format", "%d/%m/%Y %H:%M").steps == [1, 1]


def test_columns_are_guessed_aloud_and_named_when_they_cannot_be(funnel: Any) -> None:
    rows = "ann,A,2026-01-01,x\nann,B,2026-01-02,y\n"
    assert '--case "user_id"' in funnel("log.csv", f"user_id,event,time,more\n{rows}").err
    unknown = funnel("log.csv", f"who,what,when,more\n{rows}")
    assert "no column of a well-known name for the case; name it with --case" in unknown.err
    assert refusal(unknown)
    options = ["--case", "who", "--event", "what", "--time", "when"]
    assert funnel("log.csv", None, *options).steps == [1, 1]
    several = funnel("log.csv", f"user_id,customer_id,event,time\nu,{rows.replace(',x', '').replace(',y', '')}")
    assert "user_id, customer_id could each be the case" in refusal(several)
    wrong = refusal(funnel("log.csv", f"{HEADER}\n{ANN}\n", "--case", "cse"))
    assert 'Unknown column of log.csv "cse". Known: case, activity, timestamp. Did you mean "case"?' in wrong


# Rows that cannot count


def test_rows_without_a_customer_an_event_or_a_time_are_left_out_and_counted(funnel: Any) -> None:
    rows = [",A,2026-01-01", " ,B,2026-01-01", "ann,,2026-01-01", "ann,A,", "ann,B,gestern", ANN]
    answer = funnel("log.csv", "\n".join([HEADER, *rows]))
    assert answer.steps == [1, 1]
    assert "2 events without a customer" in answer.err
    assert "1 events without a name" in answer.err
    assert "1 events without a time" in answer.err
    assert "1 events whose time cannot be read, the first in row 5" in answer.err
    assert "gestern" not in answer.err + answer.out


def test_an_event_delivered_twice_counts_once(funnel: Any) -> None:
    content = f"event_id,{HEADER}\n1,ann,A,2026-01-01\n1,ann,A,2026-01-01\n2,ann,B,2026-01-02\n,ann,C,2026-01-02\n"
    answer = funnel("log.csv", content, steps="A,A")
    assert answer.steps == [1, 0]
    assert "1 events that were there before, under the same id" in answer.err


def test_events_after_as_of_are_left_out_and_counted(funnel: Any) -> None:
    answer = funnel("log.csv", f"{HEADER}\n{ANN}\n", "--as-of", "2026-01-01T00:00:30Z")
    assert answer.steps == [1, 0]
    assert "1 events after the date" in answer.err


def test_a_line_of_another_number_of_fields_is_left_out_and_counted(funnel: Any) -> None:
    answer = funnel("log.csv", f"{HEADER}\n{ANN}\nann,B\n{BOB}\n")
    assert answer.steps == [2, 1]
    assert "1 lines that have another number of fields" in answer.err


def test_one_event_per_case_and_a_case_of_100_000_events_are_answered(funnel: Any, tmp_path: Path) -> None:
    one_each = "\n".join([HEADER, *(f"c{n},A,2026-01-01" for n in range(1000))])
    assert funnel("one.csv", one_each).steps == [1000, 0]
    table = pa.table(
        {
            "case": ["ann"] * 100_000,
            "activity": ["A", "B"] * 50_000,
            "timestamp": pa.array(range(100_000), pa.timestamp("s")),
        }
    )
    pq.write_table(table, tmp_path / "long.parquet")
    assert funnel("long.parquet").steps == [1, 1]


# Files that cannot be read


@pytest.mark.parametrize(
    ("name", "content", "meant"),
    [
        ("empty.csv", "", "the file is empty"),
        ("header.csv", HEADER + "\n", "has no events"),
        ("blank.csv", "\n\n\n", "names no columns"),
        ("nulls.csv", f"{HEADER}\nann,A,\nann,B,null\n", "no event has a customer, a name and a time"),
        ("bytes.csv", bytes(range(256)) * 100, "zero bytes"),
        ("late.csv", f"{HEADER}\n{ANN}\n".encode() * 40_000 + b"\xff\n", "--encoding"),
        ("zeros.csv", bytes(10_000), "zero bytes"),
        ("cut.csv.gz", gzip.compress(f"{HEADER}\n{ANN}\n".encode() * 1000)[:-20], "ends early"),
        ("cut.parquet", b"PAR1" + bytes(1000), "footer is missing or damaged"),
        ("no.xes", "<html><body>Not found</body></html>", "is XML of <html>"),
        ("cut.xes", xes(xes_event("A", "2026-01-01"))[:-20], "no complete XES"),
        ("none.xes", xes(""), "holds no events"),
        ("no.zip", b"PK\x03\x04" + bytes(100), "archive ends early or is damaged"),
    ],
)
def test_a_file_that_is_no_log_is_one_sentence(funnel: Any, name: str, content: str | bytes, meant: str) -> None:
    assert meant in refusal(funnel(name, content))


def test_an_entity_bomb_is_refused(funnel: Any) -> None:
    head = '<!DOCTYPE log [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    assert "holds what no event log needs" in refusal(funnel("bomb.xes", xes(xes_event("&b;", "2026-01-01"), head)))


def test_a_folder_without_parquet_and_a_file_that_is_not_there_are_one_sentence(funnel: Any, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    assert "is a folder without Parquet files" in refusal(funnel("folder.csv"))
    assert "no such file" in refusal(funnel("nowhere.csv"))


def test_a_million_columns_of_garbage_are_refused_in_little_time_and_memory(tmp_path: Path) -> None:
    wide = tmp_path / "wide.csv"
    wide.write_text(",".join(f"c{n}" for n in range(1_000_000)) + "\n" + ",".join(["x"] * 1_000_000) + "\n")
    narrow = tmp_path / "narrow.csv"
    narrow.write_text(",".join(format(n, "x") for n in range(500_000)) + "\n" + "," * 499_999 + "\n")
    for path in (wide, narrow):
        began = time.monotonic()
        done = measured.run("journey", "funnel", str(path), "--steps", "A,B", "--window", "1d")
        assert done.returncode == 1
        assert "columns" in done.stderr or "longer than" in done.stderr
        assert len(done.stderr) < 500
        assert time.monotonic() - began < 30
        assert int(done.stdout) < 1_000_000  # KiB


def test_a_workbook_and_an_encrypted_archive_are_told_how_to_be_read(funnel: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
        archive.writestr("xl/workbook.xml", "<x/>")
    assert "is an Excel workbook. Export it as CSV, Parquet or XES." in refusal(funnel("log.xlsx"))
    with zipfile.ZipFile(tmp_path / "log.zip", "w") as archive:
        archive.writestr("log.csv", HEADER)
    packed = bytearray((tmp_path / "log.zip").read_bytes())
    packed[6] |= 1  # the flag of encryption, in the entry and in the directory
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    assert "is encrypted" in refusal(funnel("log.zip", bytes(packed)))


# The workspace's own events


def test_without_a_file_the_events_of_the_workspace_are_read(
    small_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["journey", "funnel", "--steps", "login,product_viewed", "--window", "1d", "--json", "--home"]
    assert main([*asked, str(small_home)]) == 0
    out, _ = capsys.readouterr()
    first, second = (step["count"] for step in json.loads(out)["steps"])
    assert first >= second > 0


def test_without_a_file_and_a_workspace_there_is_nothing_to_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["journey", "funnel", "--steps", "A,B", "--window", "1d", "--home", str(tmp_path / "none")]) == 1
    assert "No data in the workspace" in capsys.readouterr().err
