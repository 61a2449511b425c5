"""Stickiness: different buckets, not events; and how many of a month's customers come on a day."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from engine.domain.errors import SettingsFault
from journeys import stickiness
from journeys.activity import Activity
from journeys.calendar import Calendar
from tests.journeys import cohorts

DAYS = Calendar(unit="day")
START = datetime(2026, 1, 1)
FIRST = DAYS.index_of(START.replace(tzinfo=UTC))


def on_days(people: dict[str, list[int]], hour: int = 12) -> Activity:
    told = {
        who: [f"pay {(START + timedelta(days=day, hours=hour)).isoformat()}" for day in days]
        for who, days in people.items()
    }
    return cohorts.active(cohorts.events(told), DAYS)


def test_a_day_counts_once_however_much_happens_on_it() -> None:
    table = stickiness.table(
        stickiness.of_activity(on_days({"ann": [0, 0, 0, 2]}), first=FIRST, last=FIRST + 3), FIRST, FIRST + 3
    )
    assert table.exactly == (0, 1, 0, 0)
    assert table.at_least == (1, 1, 0, 0)
    assert table.mean_buckets == 2


def test_days_outside_the_range_do_not_count_and_nobody_gives_no_mean() -> None:
    table = stickiness.table(
        stickiness.of_activity(on_days({"ann": [0]}), first=FIRST + 1, last=FIRST + 2), FIRST + 1, FIRST + 2
    )
    assert (table.exactly, table.customers, table.mean_buckets) == ((0, 0), 0, None)


def test_the_customers_behind_a_bar() -> None:
    block = on_days({"ann": [0, 1], "bob": [0]})
    found = stickiness.customers_behind(block, first=FIRST, last=FIRST + 1, every=1, buckets=1)
    assert found.column("customer").to_pylist() == ["bob"]


def test_a_bucket_of_no_period_is_refused() -> None:
    with pytest.raises(SettingsFault, match="expected 1 or more periods"):
        stickiness.of_activity(on_days({"ann": [0]}), first=FIRST, last=FIRST, every=0)


def rates(block: Activity, last: int, first: int = 0) -> stickiness.Rates:
    days = stickiness.days_of_activity(block, first=FIRST + first, last=FIRST + last)
    end = (START + timedelta(days=last + 1, seconds=-1)).replace(tzinfo=UTC)
    return stickiness.rates(days, DAYS, FIRST, end)


def test_the_rates_are_sums_over_days_that_have_a_whole_month_behind_them() -> None:
    # ann comes daily for 31 days, bob once on day 20; days 29 and 30 have 30 days up to them
    found = rates(on_days({"ann": list(range(31)), "bob": [20]}), last=30)
    assert found.days == 2
    assert found.daily_of_monthly == approx(2 / 4)
    assert found.daily_of_weekly == approx(2 / 2)  # bob is in no week that ends on day 29 or 30
    assert found.weekly_of_monthly == approx(2 / 4)


def test_without_a_whole_month_of_log_there_is_a_reason_and_no_rate() -> None:
    found = rates(on_days({"ann": [0, 1]}), last=20)
    assert (found.daily_of_monthly, found.days) == (None, 0)
    assert found.reason is not None and "30 days of the log" in found.reason


PEOPLE = st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(0, 45), min_size=1, max_size=12), min_size=1)


@settings(deadline=None, max_examples=20)
@given(PEOPLE)
def test_a_week_and_a_month_hold_the_customers_of_their_days(people: dict[str, list[int]]) -> None:
    days = stickiness.days_of_activity(on_days(people), first=FIRST, last=FIRST + 45)
    for place, row in enumerate(days.to_pylist()):
        for name, width in (("daily", 1), ("weekly", 7), ("monthly", 30)):
            inside = set(range(place - width + 1, place + 1))
            assert row[name] == sum(bool(inside & set(active)) for active in people.values())
