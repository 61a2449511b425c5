"""A file as a log: what each format gives, which column plays which role, and that a row keeps its place."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.domain.errors import SettingsFault, UnreadableSource
from engine.intake import event_files, event_roles, xes
from engine.intake.event_roles import Roles
from engine.lake.engine import DuckDBEngine
from tests.engine.intake.builders import RULES


def read(path: Path, tmp_path: Path, **roles: str) -> tuple[event_roles.TypedLog, list[dict[str, Any]]]:
    spool = tmp_path / "spool"
    (spool / "log").mkdir(parents=True, exist_ok=True)
    with DuckDBEngine(threads=2) as engine:
        file = event_files.read(path, engine, spool / "log", RULES)
        log = event_roles.attach(file, Roles(**roles), engine, spool, zone=None, time_format=None)
        return log, engine.arrow(log.table.order_by(log.table[str(log.roles.seq)])).to_pylist()


def test_an_xes_log_has_a_column_for_each_attribute_of_its_cases_and_events(tmp_path: Path) -> None:
    path = tmp_path / "log.xes"
    path.write_text(
        "<log><string key='concept:name' value='of the log'/><trace><string key='concept:name' value='1'/>"
        "<int key='amount' value='500'/><event><string key='concept:name' value='A'/>"
        "<date key='time:timestamp' value='2026-01-01T00:00:00+01:00'/></event>"
        "<event><string key='concept:name' value='B'/><date key='time:timestamp' value='2026-01-01T00:00:00Z'/>"
        "<string key='org:resource' value='17'/></event></trace></log>"
    )
    log, rows = read(path, tmp_path)
    assert (log.roles.case, log.roles.event, log.roles.time) == ("case:concept:name", "concept:name", "time:timestamp")
    assert [row["case:amount"] for row in rows] == ["500", "500"]
    assert [row["org:resource"] for row in rows] == [None, "17"]
    assert [row["time:timestamp"] for row in rows] == [datetime(2025, 12, 31, 23), datetime(2026, 1, 1)]


def test_parts_of_an_xes_log_with_other_attributes_are_one_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xes, "_EVENTS_PER_PART", 2)
    events = "".join(
        f"<event><string key='concept:name' value='{name}'/><date key='time:timestamp' value='2026-01-01'/>"
        f"<string key='only_{name}' value='x'/></event>"
        for name in "ABCDE"
    )
    path = tmp_path / "log.xes"
    path.write_text(f"<log><trace><string key='concept:name' value='1'/>{events}</trace></log>")
    _, rows = read(path, tmp_path)
    assert [row["concept:name"] for row in rows] == list("ABCDE")
    assert [row["only_D"] for row in rows] == [None, None, None, "x", None]


def test_the_xes_and_the_csv_of_the_loan_log_give_the_same_events(real_data: Path, tmp_path: Path) -> None:
    def told(name: str, folder: str) -> list[tuple[Any, ...]]:
        log, rows = read(real_data / "bpi2012" / name, tmp_path / folder)
        assert (log.report.read, log.report.kept) == (262_200, 262_200)
        roles = (log.roles.case, log.roles.event, log.roles.time, log.roles.lifecycle)
        return [tuple(str(row[str(role)]).lower() for role in roles) for row in rows]

    assert told("bpic2012.xes.gz", "xes") == told("bpi2012_events.csv.gz", "csv")


def test_rows_keep_their_place_over_all_files_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    for part in range(3):
        numbers = range(part * 50_000, (part + 1) * 50_000)
        table = pa.table(
            {
                "case": ["c"] * 50_000,
                "event": [str(n) for n in numbers],
                "time": pa.array([0] * 50_000, pa.timestamp("us")),
            }
        )
        pq.write_table(table, folder / f"{part}.parquet", row_group_size=5_000)
    _, rows = read(folder, tmp_path)
    assert [row["event"] for row in rows] == [str(n) for n in range(150_000)]


def test_a_column_of_numbers_named_seq_orders_the_events(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("case,event,time,seq\nc,second,2026-01-01,7\nc,first,2026-01-01,3\nc,before,2026-01-01,\n")
    _, rows = read(path, tmp_path)
    assert [row["event"] for row in rows] == ["before", "first", "second"]


def test_ids_stay_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("case,event,time\n007, A ,2026-01-01\n7,B,2026-01-01\n")
    _, rows = read(path, tmp_path)
    assert [(row["case"], row["event"]) for row in rows] == [("007", "A"), ("7", "B")]


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (pa.array([1, 2], pa.int16()), [1, 2]),
        (pa.array([1.0, 2.5]), ["1", "2.5"]),
        (pa.array(["", "x"]), [None, "x"]),
        (pa.array([b"a", b"b"]), ["a", "b"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
    ],
    ids=["small numbers", "floats", "empty text", "bytes", "codes"],
)
def test_ids_of_any_type_are_whole_numbers_or_text(ids: pa.Array, told: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    times = pa.array([0, 0], pa.timestamp("ns"))
    pq.write_table(pa.table({"case": ids, "event": ["A", "B"], "time": times}), path)
    log, rows = read(path, tmp_path)
    assert [row["case"] for row in rows] == told
    assert log.report.no_customer == told.count(None)


@pytest.mark.parametrize(
    "kind", [pa.timestamp("us", "Asia/Shanghai"), pa.timestamp("ns"), pa.timestamp("s"), pa.date32()], ids=str
)
def test_times_of_any_type_are_utc(kind: pa.DataType, tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    times = pa.array([datetime(2026, 1, 1), None], pa.timestamp("us")).cast(kind)
    pq.write_table(pa.table({"case": ["c", "c"], "event": ["A", "B"], "time": times}), path)
    log, rows = read(path, tmp_path)
    assert [row["time"] for row in rows] == [datetime(2026, 1, 1), None]
    assert (log.report.kept, log.report.no_time) == (1, 1)


def test_a_role_that_two_columns_could_play_must_be_named_and_all_faults_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user_id,case_id,time,timestamp\nu,c,2026-01-01,2026-01-01\n")
    with pytest.raises(SettingsFault) as caught:
        read(path, tmp_path)
    assert len(caught.value.faults) == 3
    assert "could each be the time; say which with --time" in str(caught.value)


def test_a_parquet_file_of_more_columns_than_a_log_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({f"c{n}": [0] for n in range(10_001)}), path)
    with pytest.raises(UnreadableSource, match="more than 10,000 columns"):
        read(path, tmp_path)


def test_a_column_that_has_the_name_of_the_rows_place_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    times = pa.array([0], pa.timestamp("us"))
    pq.write_table(pa.table({"case": ["c"], "event": ["A"], "time": times, "_row": ["mine"]}), path)
    log, rows = read(path, tmp_path)
    assert (log.roles.seq, rows[0]["_row"]) == ("__row", "mine")
