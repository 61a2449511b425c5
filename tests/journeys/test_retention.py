"""Retention, a claim at a time: which clock, which starts, which returns, and what cannot be known yet."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pytest import approx

from engine.domain.errors import SettingsFault
from engine.lake.engine import DuckDBEngine, Engine
from journeys import histories, retention
from journeys.calendar import Calendar
from journeys.retention import Clock, Cohort, Mode, Retention, Row, Table
from tests.journeys import cohorts

DAYS = Calendar(unit="day")
END = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)


def counted(told: Mapping[str, Sequence[str]] | pa.Table, as_of: datetime = END, **asked: Any) -> Table:
    block = told if isinstance(told, pa.Table) else cohorts.events(told)
    wanted = Retention(**({"calendar": DAYS} | asked))
    counts = retention.of_block(block, asked=wanted, reach=wanted.calendar.index_of(as_of))
    return retention.table(counts, wanted, as_of)


def returned(row: Row) -> list[int | None]:
    return [cell.returned for cell in row.cells]


def first_row(told: Mapping[str, Sequence[str]], as_of: datetime = END, **asked: Any) -> list[int | None]:
    return returned(counted(told, as_of, **asked).rows[0])


def test_a_quarter_to_and_a_minute_past_midnight_are_a_day_apart_by_the_calendar_and_the_same_by_24_hours() -> None:
    told = {"ann": ["open 2026-03-01T23:45", "open 2026-03-02T00:01"]}
    end = datetime(2026, 3, 4, 23, 59, 59, tzinfo=UTC)
    assert first_row(told, end) == [1, 1, 0, 0]
    assert first_row(told, end, clock=Clock.ROLLING)[:3] == [1, 0, 0]


def test_a_rolling_day_ends_after_exactly_24_hours() -> None:
    told = {
        "ann": ["open 2026-03-01T10:00", "pay 2026-03-02T09:59:59.999999"],
        "bob": ["open 2026-03-01T10:00", "pay 2026-03-02T10:00"],
    }
    assert first_row(told, start=("open",), returns=("pay",), clock=Clock.ROLLING)[:3] == [2, 1, 0]


def test_east_of_utc_the_days_are_the_banks_own() -> None:
    # 15:00 and 17:00 in UTC are 23:00 and 01:00 in Shanghai
    told = {"ann": ["open 2026-03-01T15:00", "open 2026-03-01T17:00"]}
    table = counted(told, calendar=Calendar(unit="day", zone="Asia/Shanghai"))
    assert table.rows[0].label == "2026-03-01"
    assert returned(table.rows[0])[:2] == [1, 1]
    assert first_row(told)[:2] == [1, 0]


def test_the_week_starts_when_the_bank_says() -> None:
    # a Sunday and the Monday after it
    told = {"ann": ["open 2026-03-01T12:00", "open 2026-03-02T12:00"]}
    assert first_row(told, calendar=Calendar(unit="week"))[:2] == [1, 1]
    assert first_row(told, calendar=Calendar(unit="week", week_start="sunday"))[:2] == [1, 0]


def test_what_cannot_be_seen_yet_is_none_and_not_0() -> None:
    told = {"ann": ["open 2026-03-01T12:00"], "bob": ["open 2026-03-03T12:00"]}
    table = counted(told, datetime(2026, 3, 3, 18, tzinfo=UTC))
    assert [returned(row) for row in table.rows] == [[1, 0, None], [0, None], [1]]
    assert [row.complete for row in table.rows] == [True, True, False]
    undefined = table.rows[1].cells[0]
    assert (undefined.returned, undefined.share, undefined.low) == (0, None, None)
    # only ann's cohort and the empty one could be seen a day later
    assert [(cell.customers, cell.returned) for cell in table.overall[0].cells] == [(2, 2), (1, 0), (0, None)]


def test_a_rolling_cell_is_seen_once_the_last_member_could_have_come_back() -> None:
    told = {"ann": ["open 2026-03-01T00:00"]}
    # someone who opens at the end of 1 March has until the end of 3 March for "a day later"
    before, after = datetime(2026, 3, 3, 12, tzinfo=UTC), datetime(2026, 3, 3, 23, 59, 59, tzinfo=UTC)
    assert first_row(told, before, clock=Clock.ROLLING)[1] is None
    assert first_row(told, after, clock=Clock.ROLLING)[1] == 0


TWICE = {
    "ann": ["open 2026-03-02T12:00", "pay 2026-03-03T12:00", "open 2026-03-04T12:00", "pay 2026-03-06T12:00"],
    "bob": ["open 2026-02-10T12:00", "open 2026-03-02T12:00"],
}


def test_cohorts_by_the_first_start_ever_the_first_in_range_or_every_start() -> None:
    first = DAYS.index_of(datetime(2026, 3, 1, tzinfo=UTC))
    asked: dict[str, Any] = {"start": ("open",), "returns": ("pay",), "first": first, "last": first + 4}
    ever = counted(TWICE, cohort=Cohort.FIRST, **asked)
    assert [row.customers for row in ever.rows] == [0, 1, 0, 0, 0]
    in_range = counted(TWICE, cohort=Cohort.FIRST_IN_RANGE, **asked)
    assert [row.customers for row in in_range.rows] == [0, 2, 0, 0, 0]
    every = counted(TWICE, cohort=Cohort.RECURRING, **asked)
    assert [row.customers for row in every.rows] == [0, 2, 0, 1, 0]
    assert returned(every.rows[1])[:5] == [2, 1, 0, 0, 1]
    assert returned(every.rows[3])[:4] == [1, 0, 1, 0]


def test_unbounded_counts_whoever_comes_back_then_or_later_and_never_rises() -> None:
    told = {"ann": ["open 2026-03-01T12:00", "open 2026-03-04T12:00"], "bob": ["open 2026-03-01T12:00"]}
    end = datetime(2026, 3, 6, 23, 59, 59, tzinfo=UTC)
    row = counted(told, end, mode=Mode.UNBOUNDED).rows[0]
    assert returned(row) == [2, 1, 1, 1, 0, 0]
    assert row.cells[1].last is None
    assert first_row(told, end) == [2, 0, 0, 1, 0, 0]


def test_a_bracket_counts_a_customer_once_however_often_the_customer_comes_back() -> None:
    told = {"ann": ["open 2026-03-01T12:00", "open 2026-03-03T12:00", "open 2026-03-05T12:00"]}
    assert first_row(told, brackets=((1, 1), (2, 7), (8, 30))) == [1, 0, 1, 0]
    assert first_row(told, brackets=((1, 1), (2, 7), (8, 31)))[-1] is None
    assert first_row(told, brackets=((1, 2), (3, 7)), clock=Clock.ROLLING) == [1, 1, 1]


def test_a_share_comes_with_its_wilson_interval() -> None:
    told = {f"c{n}": ["open 2026-03-01T12:00"] + ["open 2026-03-02T12:00"] * (n < 3) for n in range(10)}
    cell = counted(told).rows[0].cells[1]
    # Wilson for 3 of 10: (0.3 + 0.19207 -+ 1.95996 * sqrt(0.021 + 0.0096037)) / 1.384146
    assert (cell.share, cell.low, cell.high) == (0.3, approx(0.10779, abs=1e-5), approx(0.60322, abs=1e-5))


def test_a_group_is_the_value_at_the_start_that_made_the_customer_a_member() -> None:
    told = {
        "ann": ["open@app 2026-03-01T12:00", "open@branch 2026-03-02T12:00"],
        "bob": ["open@branch 2026-03-01T12:00"],
        "cy": ["open 2026-03-01T12:00"],
    }
    table = counted(told, by="channel")
    assert [(row.group, row.customers, row.cells[1].returned) for row in table.rows] == [
        ("app", 1, 1),
        ("branch", 1, 0),
        (None, 1, 0),
    ]
    assert [row.group for row in table.overall] == ["app", "branch", None]


def test_every_cell_opens_to_its_customers() -> None:
    block = cohorts.events(TWICE)
    asked = Retention(calendar=DAYS, start=("open",), returns=("pay",), cohort=Cohort.RECURRING)
    cohort = DAYS.index_of(datetime(2026, 3, 2, tzinfo=UTC))

    def behind(place: int, **more: Any) -> list[str]:
        found = retention.customers_behind(block, asked=asked, group=None, cohort=cohort, place=place, **more)
        return sorted(found.column("customer").to_pylist())

    assert behind(0) == ["ann", "bob"]
    assert behind(1) == ["ann"]
    assert behind(1, back=False) == ["bob"]
    assert behind(2) == []


def test_nobody_starts_and_nothing_is_made_up() -> None:
    table = counted({"ann": ["open 2026-03-01T12:00"]}, start=("never",))
    assert table.rows == ()
    assert counted(cohorts.events({})).rows == ()


def test_brackets_that_make_no_sense_are_refused_all_together() -> None:
    with pytest.raises(SettingsFault) as refused:
        Retention(calendar=DAYS, mode=Mode.UNBOUNDED, brackets=((3, 2), (0, 1)))
    assert len(refused.value.faults) == 3


def test_a_stray_date_does_not_make_the_table_endless() -> None:
    told = {"ann": ["open 1900-01-01T12:00"], "bob": ["open 2026-03-01T12:00", "open 2026-03-02T12:00"]}
    table = counted(told)
    assert [row.label for row in table.rows] == ["1900-01-01", "2026-03-01"]
    assert len(table.rows[0].cells) == retention.PERIODS + 1
    assert returned(table.rows[1])[:3] == [1, 1, 0]


def _both_ways_agree(engine: Engine) -> None:
    """The engine's own bits give the counts that histories give, over many periods and with other names."""
    names, start_at = ("open", "pay", "look"), datetime(2026, 3, 1)
    told = {
        f"c{n}": [
            f"{names[n * step % 3]} {(start_at + timedelta(hours=n * 7 * step)).isoformat()}"
            for step in range(n % 5 + 1)
        ]
        for n in range(40)
    }
    rows = cohorts.events(told)
    log = cohorts.log(engine, rows)
    as_of = datetime(2026, 9, 1, tzinfo=UTC)
    for unit, start, returns in (("day", ("open",), ("*",)), ("week", ("*",), ("*",)), ("week", ("open",), ("pay",))):
        calendar = Calendar(unit=unit, zone="Asia/Shanghai")  # type: ignore[arg-type]
        reach = calendar.index_of(as_of)
        for cohort in Cohort:
            asked = Retention(calendar=calendar, start=start, returns=returns, cohort=cohort)
            one = retention.table(retention.counted(log, engine, asked, as_of), asked, as_of)
            other = retention.table(retention.of_histories(histories.of(rows), asked, reach), asked, as_of)
            assert one == other
            assert one.rows


def test_duckdb_gives_the_bits_that_histories_have() -> None:
    with DuckDBEngine(threads=1) as engine:
        _both_ways_agree(engine)


@pytest.mark.spark
def test_spark_gives_the_bits_that_histories_have(spark: Engine) -> None:
    _both_ways_agree(spark)
