"""Sessions: where they end, what they hold, and that neither midnight nor a block splits one."""

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from engine.domain.errors import SettingsFault
from engine.lake.engine import DuckDBEngine, Engine
from journeys import sessions
from journeys.calendar import microseconds
from tests.journeys import cohorts

END = microseconds(datetime(2026, 4, 1, tzinfo=UTC))


def cut(told: dict[str, list[str]], **more: Any) -> list[dict[str, Any]]:
    found = sessions.of_block(cohorts.events(told), **({"as_of_us": END, "channel": "channel"} | more))
    return sorted(found.to_pylist(), key=lambda row: (row["customer"], row["start"], row["first_channel"] or ""))


def test_a_pause_of_exactly_the_time_out_does_not_end_a_session_and_a_microsecond_more_does() -> None:
    told = {"ann": ["a 2026-03-01T10:00", "b 2026-03-01T10:30", "c 2026-03-01T11:00:00.000001"]}
    assert [(one["events"], one["first_event"], one["last_event"]) for one in cut(told)] == [
        (2, "a", "b"),
        (1, "c", "c"),
    ]
    assert len(cut(told, timeout_seconds=10)) == 3
    assert len(cut(told, timeout_seconds=3_600)) == 1


def test_a_session_goes_on_over_midnight_and_into_the_next_month() -> None:
    told = {"ann": ["a 2026-03-31T23:50", "b 2026-04-01T00:10"]}
    (one,) = cut(told, as_of_us=END + 10**12)
    assert (one["start"], one["end"]) == (datetime(2026, 3, 31, 23, 50), datetime(2026, 4, 1, 0, 10))


def test_two_customers_never_share_a_session() -> None:
    assert len(cut({"ann": ["a 2026-03-01T10:00"], "bob": ["a 2026-03-01T10:00"]})) == 2


def test_a_session_knows_its_channels_and_how_often_they_change() -> None:
    told = {"ann": ["a@web 2026-03-01T10:00", "b 2026-03-01T10:01", "c@app 2026-03-01T10:02", "d@web 2026-03-01T10:03"]}
    (one,) = cut(told)
    assert (one["channels"], one["switches"], one["first_channel"], one["last_channel"]) == (2, 2, "web", "web")
    (nowhere,) = cut({"ann": ["a 2026-03-01T10:00"]})
    assert (nowhere["channels"], nowhere["first_channel"]) == (0, None)


def test_sessions_of_each_channel_run_beside_each_other() -> None:
    told = {
        "ann": ["a@web 2026-03-01T10:00", "b@app 2026-03-01T10:20", "c@web 2026-03-01T10:25", "d@app 2026-03-01T11:00"]
    }
    assert [(one["first_channel"], one["events"]) for one in cut(told, per_channel=True)] == [
        ("web", 2),
        ("app", 1),
        ("app", 1),
    ]


def test_a_session_whose_time_out_has_not_passed_is_open_and_has_no_length_yet() -> None:
    told = {"ann": ["a 2026-03-31T10:00", "b 2026-03-31T10:10", "c 2026-03-31T23:40", "d 2026-03-31T23:50"]}
    assert [one["open"] for one in cut(told)] == [False, True]
    found = sessions.metrics(sessions.measures_of_block(cohorts.events(told), as_of_us=END))
    assert (found.sessions, found.open, found.customers, found.median_seconds) == (2, 1, 1, 600)


def test_metrics_say_what_sessions_are_like() -> None:
    told = {
        "ann": ["a@web 2026-03-01T10:00", "b@app 2026-03-01T10:10", "c@web 2026-03-02T10:00"],
        "bob": ["a@app 2026-03-01T10:00"],
    }
    measures = sessions.measures_of_block(cohorts.events(told), as_of_us=END, channel="channel")
    found = sessions.metrics(measures)
    assert (found.sessions, found.customers, found.sessions_per_customer) == (3, 2, 1.5)
    assert found.events_per_session == approx(4 / 3)
    assert (found.single_event_share, found.several_channels_share) == (approx(2 / 3), approx(1 / 3))
    assert [(name, one.sessions) for name, one in sessions.by_first_channel(measures)] == [("web", 2), ("app", 1)]


def test_no_event_has_no_session_and_no_number() -> None:
    assert cut({}) == []
    found = sessions.metrics(sessions.MEASURES.empty_table())
    assert (found.sessions, found.median_seconds, found.single_event_share) == (0, None, None)


def test_a_negative_time_out_is_refused() -> None:
    with pytest.raises(SettingsFault, match="expected a number of 0 or more"):
        cut({"ann": ["a 2026-03-01T10:00"]}, timeout_seconds=-1)


MINUTES = st.dictionaries(st.sampled_from("abcdef"), st.lists(st.integers(0, 300), min_size=1, max_size=15), min_size=1)


def told_in(minutes: dict[str, list[int]]) -> pa.Table:
    start = datetime(2026, 3, 1, 23)
    return cohorts.events(
        {
            who: [f"e@{'web' if m % 3 else 'app'} {(start + timedelta(minutes=m)).isoformat()}" for m in told]
            for who, told in minutes.items()
        }
    )


@settings(deadline=None, max_examples=60)
@given(MINUTES)
def test_every_event_is_in_one_session_and_pauses_between_sessions_are_longer_than_the_time_out(
    minutes: dict[str, list[int]],
) -> None:
    found = sessions.of_block(told_in(minutes), as_of_us=END).to_pylist()
    for who, told in minutes.items():
        mine = sorted((one["start"], one["end"], one["events"]) for one in found if one["customer"] == who)
        assert sum(events for _, _, events in mine) == len(told)
        ordered = np.sort(told)
        assert len(mine) == 1 + int((np.diff(ordered) > 30).sum())
        for (_, end, _), (start, _, _) in pairwise(mine):
            assert start - end > timedelta(minutes=30)


def _whole(engine: Engine) -> None:
    """The same sessions come out however the engine cuts the log."""
    rows = told_in({f"c{n}": [n * step % 301 for step in range(n % 9 + 1)] for n in range(60)})
    log = cohorts.log(engine, rows)
    made = partial(sessions.of_block, as_of_us=END, channel="channel")
    events = log.events(attributes=("channel",), ordered=False)
    keys = [("customer", "ascending"), ("start", "ascending")]
    expected = sessions.of_block(rows.select(["customer", "event", "at", "channel"]), as_of_us=END, channel="channel")
    for blocks in (1, 7):
        found = engine.map_blocks(events, "customer", made, blocks=blocks)
        assert found.sort_by(keys).to_pylist() == expected.sort_by(keys).to_pylist()


def test_no_block_splits_a_session() -> None:
    with DuckDBEngine(threads=1) as engine:
        _whole(engine)


@pytest.mark.spark
def test_no_partition_of_spark_splits_a_session(spark: Engine) -> None:
    _whole(spark)


def test_channels_are_counted_alike_when_they_are_more_than_a_number_has_bits() -> None:
    minutes = {"ann": [f"a@c{n % 70} 2026-03-01T{10 + n // 60}:{n % 60:02}" for n in range(90)]}
    assert [(one["channels"], one["switches"]) for one in cut(minutes)] == [(70, 89)]
    few = {"ann": [f"a@c{n % 40} 2026-03-01T{10 + n // 60}:{n % 60:02}" for n in range(90)]}
    assert [(one["channels"], one["switches"]) for one in cut(few)] == [(40, 89)]
