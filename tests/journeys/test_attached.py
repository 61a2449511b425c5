"""A table in memory as an event log: from Arrow, pandas or Polars, every row counted or left out for one reason."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from engine.domain.errors import NotEnoughData, UnknownName, UnreadableSource
from engine.lake.engine import DuckDBEngine
from journeys.attached import Attached, attach
from journeys.event_log import LogReport

ROWS = {
    "who": ["ann", "ann", "bob"],
    "what": ["A", "B", "A"],
    "when": ["2026-01-01T00:00:00Z", "2026-01-01T02:00:00+01:00", "2026-01-02"],
}
EVENTS = [
    ("ann", "A", datetime(2026, 1, 1)),
    ("ann", "B", datetime(2026, 1, 1, 1)),
    ("bob", "A", datetime(2026, 1, 2)),
]


def read(data: Any, **roles: Any) -> tuple[Attached, list[tuple[Any, ...]]]:
    with DuckDBEngine(threads=1) as engine:
        made = attach(engine, data, **{"customer": "who", "event": "what", "time": "when", **roles})
        rows = engine.arrow(made.log.events()).sort_by("seq").drop_columns(["seq"]).to_pylist()
    return made, [tuple(row.values()) for row in rows]


def test_an_arrow_table_of_text_is_read() -> None:
    made, events = read(pa.table(ROWS))
    assert events == EVENTS
    assert made.report == LogReport(read=3, kept=3)


def test_a_pandas_frame_is_read_whatever_its_index() -> None:
    frame = pd.DataFrame(ROWS, index=[7, 7, 7])
    assert read(frame)[1] == EVENTS
    # pandas holds instants in nanoseconds, and whole numbers with gaps as floats
    frame["when"] = pd.to_datetime(frame["when"], format="ISO8601", utc=True)
    frame["who"] = [1.0, 1.0, None]
    made, events = read(frame)
    assert events == [(1, "A", EVENTS[0][2]), (1, "B", EVENTS[1][2])]
    assert made.report.no_customer == 1


def test_a_polars_frame_is_read() -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    assert read(polars.DataFrame(ROWS))[1] == EVENTS


def test_whatever_hands_over_arrow_data_is_read() -> None:
    class Frame:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return pa.table(ROWS).__arrow_c_stream__(requested_schema)

    assert read(Frame())[1] == EVENTS


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=["large", "view", "coded"]
)
def test_text_of_any_layout_is_text(kind: pa.DataType) -> None:
    columns = {name: pa.array(values).cast(pa.string()) for name, values in ROWS.items()}
    coded = {
        name: c.dictionary_encode() if pa.types.is_dictionary(kind) else c.cast(kind) for name, c in columns.items()
    }
    assert read(pa.table(coded))[1] == EVENTS


def test_each_row_is_left_out_for_its_first_reason_and_all_are_accounted_for() -> None:
    rows = [
        (None, None, "x", "1"),
        ("", "A", "2026-01-01", "2"),
        ("ann", None, "2026-01-01", "3"),
        ("ann", "A", None, "4"),
        ("ann", "A", " ", "5"),
        ("ann", "A", "soon", "6"),
        ("ann", "A", "2026-01-01", "7"),
        ("ann", "B", "2026-01-01", "7"),
        ("ann", "C", "2026-01-01", None),
        ("ann", "D", "2026-01-01", None),
    ]
    columns = dict(zip(("who", "what", "when", "id"), map(list, zip(*rows, strict=True)), strict=True))
    made, events = read(pa.table(columns), event_id="id")
    assert [event for _, event, _ in events] == ["A", "C", "D"]
    assert made.report == LogReport(
        read=10, kept=3, no_customer=2, no_event=1, no_time=2, unreadable_time=1, first_unreadable_row=6, duplicates=1
    )
    assert "soon" not in "".join(made.report.sentences())


def test_times_without_an_offset_are_of_the_zone_that_is_named() -> None:
    # 30 October 2026 is daylight saving time in New York until 1 November
    local = {**ROWS, "when": ["2026-01-01 00:00", "2026-10-30 12:00:00", "2026-01-01T00:00Z"]}
    expected = [datetime(2026, 1, 1, 5), datetime(2026, 10, 30, 16), datetime(2026, 1, 1)]
    assert [at for _, _, at in read(pa.table(local), zone="America/New_York")[1]] == expected
    clocks = pa.array([datetime(2026, 1, 1), datetime(2026, 10, 30, 12), None], pa.timestamp("us"))
    table = pa.table(ROWS).set_column(2, "when", clocks)
    assert [at for _, _, at in read(table, zone="America/New_York")[1]] == expected[:2]


def test_the_rows_of_one_instant_count_in_the_order_of_the_sequence_or_of_the_table() -> None:
    at_once = {"who": ["ann"] * 3, "what": ["C", "A", "B"], "when": ["2026-01-01"] * 3, "place": [2, None, 1]}
    assert [event for _, event, _ in read(pa.table(at_once))[1]] == ["C", "A", "B"]
    assert [event for _, event, _ in read(pa.table(at_once), seq="place")[1]] == ["A", "B", "C"]


def test_a_column_that_is_not_there_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match=r'Unknown column of the event log "wo".* Did you mean "who"'):
        read(pa.table(ROWS), customer="wo")


@pytest.mark.parametrize(
    ("when", "meant"),
    [(["soon", "later", "2026-01-01"], "2 of 3 times cannot be read, the first in row 1"), ([1, 2, 3], "int64")],
)
def test_times_that_are_none_are_refused_without_their_values(when: list[Any], meant: str) -> None:
    with pytest.raises(UnreadableSource, match=meant) as caught:
        read(pa.table({**ROWS, "when": when}))
    assert "soon" not in str(caught.value)


def test_what_is_no_table_and_a_table_without_rows_are_refused() -> None:
    with pytest.raises(UnreadableSource, match="a list is no table"):
        read([1])
    with pytest.raises(NotEnoughData):
        read(pa.table(ROWS).slice(0, 0))


def test_a_log_reads_only_up_to_as_of_and_only_the_names_and_attributes_asked_for() -> None:
    with DuckDBEngine(threads=1) as engine:
        log = attach(
            engine, pa.table({**ROWS, "device": ["ios", None, "web"]}), customer="who", event="what", time="when"
        ).log
        asked = log.events(datetime(2026, 1, 1, 12, tzinfo=UTC), names=["A"], attributes=["device"], ordered=False)
        assert engine.arrow(asked).to_pylist() == [
            {"customer": "ann", "event": "A", "at": datetime(2026, 1, 1), "device": "ios"}
        ]
        with pytest.raises(UnknownName, match="devise"):
            log.events(attributes=["devise"])
