"""Local days, weeks and months, checked against what the standard library says of every instant."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.domain.errors import SettingsFault, UnknownName
from engine.lake.engine import DuckDBEngine, Engine
from journeys.calendar import Calendar, buckets, index_column, microseconds, shifts

ZONES = (
    "UTC",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Sao_Paulo",
)


def at(*instants: str) -> Any:
    return np.array([microseconds(datetime.fromisoformat(text)) for text in instants], dtype=np.int64)


def labels(unit: Any, zone: str, *instants: str, **more: Any) -> list[str]:
    index, label = buckets(at(*instants), unit, zone, **more)
    return [label(one) for one in index.tolist()]


def test_east_of_utc_the_day_begins_before_it_does_in_utc() -> None:
    # 16:00 in UTC is midnight in Shanghai
    told = ("2026-03-01T15:59:59.999999+00:00", "2026-03-01T16:00:00+00:00")
    assert labels("day", "Asia/Shanghai", *told) == ["2026-03-01", "2026-03-02"]
    assert labels("day", "UTC", *told) == ["2026-03-01", "2026-03-01"]


def test_a_week_begins_on_the_day_that_the_bank_says() -> None:
    # 2026-03-01 is a Sunday
    told = ("2026-02-28T12:00+00:00", "2026-03-01T12:00+00:00", "2026-03-02T12:00+00:00")
    assert labels("week", "UTC", *told) == ["2026-02-23", "2026-02-23", "2026-03-02"]
    assert labels("week", "UTC", *told, week_start="sunday") == ["2026-02-22", "2026-03-01", "2026-03-01"]


def test_a_month_is_labelled_by_year_and_month() -> None:
    told = ("1969-12-31T23:59:59+00:00", "2024-02-29T00:00:00+00:00", "2024-02-29T23:00:00+00:00")
    assert labels("month", "Europe/Berlin", *told) == ["1970-01", "2024-02", "2024-03"]


def test_with_daylight_saving_a_day_has_23_or_25_hours() -> None:
    calendar = Calendar(unit="day", zone="Europe/Berlin")
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)):
        index = (day - date(1970, 1, 1)).days
        assert calendar.start(index + 1) - calendar.start(index) == timedelta(hours=hours)
        inside = calendar.start(index) + timedelta(minutes=30) * np.arange(2 * hours)
        assert {calendar.index_of(moment) for moment in inside} == {index}


def test_a_day_that_the_clock_skips_has_no_instant() -> None:
    # Samoa went from 29 to 31 December 2011 at the date line
    told = ("2011-12-30T09:59:59+00:00", "2011-12-30T10:00:00+00:00")
    assert labels("day", "Pacific/Apia", *told) == ["2011-12-29", "2011-12-31"]


def test_a_period_is_over_with_its_last_second() -> None:
    calendar = Calendar(unit="week", zone="Asia/Shanghai")
    index = calendar.index_of(datetime(2026, 3, 4, tzinfo=UTC))
    end = datetime(2026, 3, 8, 16, tzinfo=UTC)  # Monday's midnight in Shanghai
    assert calendar.ended(index, end)
    assert calendar.ended(index, end - timedelta(seconds=1))
    assert not calendar.ended(index, end - timedelta(seconds=2))
    assert calendar.last_ended(end - timedelta(hours=1)) == index - 1


def test_an_unknown_zone_unit_or_week_start_is_refused() -> None:
    with pytest.raises(SettingsFault, match='time zone "Mars/Base" is not known'):
        Calendar(unit="day", zone="Mars/Base")
    with pytest.raises(UnknownName, match="Known: day, week, month"):
        Calendar(unit="fortnight")  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match="Known: monday, sunday"):
        Calendar(unit="week", week_start="friday")  # type: ignore[arg-type]


def test_the_first_and_the_last_instant_there_are_have_a_period() -> None:
    ends = at("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00")
    for unit in ("day", "week", "month"):
        for zone in ("UTC", "Asia/Shanghai"):
            calendar = Calendar(unit=unit, zone=zone)
            first, last = (int(index) for index in calendar.index(ends))
            assert calendar.label(first)[:4] == "0001"
            assert calendar.label(last)[:4] == "9999"
            assert calendar.start(first) < calendar.start(last + 1)
            assert not calendar.ended(last, datetime(9999, 12, 30, tzinfo=UTC))


def test_no_instants_give_no_numbers() -> None:
    assert len(Calendar(unit="month").index(np.zeros(0, dtype=np.int64))) == 0


INSTANTS = st.datetimes(datetime(1960, 1, 1), datetime(2045, 1, 1), timezones=st.just(UTC))


@settings(deadline=None, max_examples=60)
@given(st.lists(INSTANTS, min_size=1, max_size=20), st.sampled_from(ZONES))
@example(
    [datetime(2026, 10, 25, 0, 59, 59, 999_999, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)], "Europe/Berlin"
)
def test_every_instant_is_on_the_local_date_that_the_standard_library_gives(moments: list[datetime], zone: str) -> None:
    us = np.array([microseconds(moment) for moment in moments])
    local = [moment.astimezone(ZoneInfo(zone)).date() for moment in moments]
    day, week, month = (Calendar(unit=unit, zone=zone) for unit in ("day", "week", "month"))
    assert [day.first_day(index) for index in day.index(us).tolist()] == local
    assert [week.first_day(index) for index in week.index(us).tolist()] == [
        one - timedelta(days=one.weekday()) for one in local
    ]
    assert [month.first_day(index) for index in month.index(us).tolist()] == [one.replace(day=1) for one in local]


def test_shifts_of_a_zone_are_those_of_its_clock_changes() -> None:
    first, last = (int(one) for one in at("2026-01-01T00:00+00:00", "2026-12-31T00:00+00:00"))
    moments, offsets = shifts("Europe/Berlin", first, last)
    assert moments.tolist() == at("2026-03-29T01:00+00:00", "2026-10-25T01:00+00:00").tolist()
    assert [offset // 3_600_000_000 for offset in offsets.tolist()] == [1, 2, 1]


def _as_expressions(engine: Engine) -> None:
    first, last = datetime(2025, 12, 27, 20, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
    moments = [first + timedelta(hours=7, microseconds=999_999) * step for step in range(1000)]
    moments = [moment for moment in moments if moment <= last] + [last]
    column = pa.array([moment.replace(tzinfo=None) for moment in moments], pa.timestamp("us"))
    engine.attach("moments", pa.table({"at": column}))
    table = ibis.table({"at": "timestamp(6)"}, name="moments")
    kinds = [
        Calendar(unit=unit, zone=zone, week_start=start)
        for zone in ("Asia/Shanghai", "Europe/Berlin")
        for unit, start in (("day", "monday"), ("week", "monday"), ("week", "sunday"), ("month", "monday"))
    ]
    columns = {f"c{place}": index_column(kind, table.at, first, last) for place, kind in enumerate(kinds)}
    rows = engine.arrow(table.select("at", **columns).order_by("at"))
    us = np.array([microseconds(moment) for moment in moments])
    for place, kind in enumerate(kinds):
        assert rows.column(f"c{place}").to_pylist() == kind.index(us).tolist()


def test_duckdb_numbers_the_periods_in_the_same_way() -> None:
    with DuckDBEngine(threads=1) as engine:
        _as_expressions(engine)


@pytest.mark.spark
def test_spark_numbers_the_periods_in_the_same_way(spark: Engine) -> None:
    _as_expressions(spark)
