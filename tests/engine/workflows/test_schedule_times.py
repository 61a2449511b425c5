"""Cron expressions are read as cron reads them, in the bank's time zone, forwards and backwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.errors import SettingsFault
from engine.workflows.schedule_times import last_due, next_due, trigger

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)  # a Wednesday, 20:00 in Shanghai


def _next(cron: str, zone: str = "UTC", after: datetime = NOW, count: int = 3) -> list[str]:
    when, found, moment = trigger(cron, zone), [], after
    for _ in range(count):
        due = next_due(when, moment)
        assert due is not None
        found.append(due.strftime("%a %m-%d %H:%M"))
        moment = due
    return found


@pytest.mark.parametrize(
    ("cron", "times"),
    [
        ("30 2 * * *", ["Thu 07-02 02:30", "Fri 07-03 02:30", "Sat 07-04 02:30"]),
        ("0 0 * * 0", ["Sun 07-05 00:00", "Sun 07-12 00:00", "Sun 07-19 00:00"]),
        ("0 0 * * 7", ["Sun 07-05 00:00", "Sun 07-12 00:00", "Sun 07-19 00:00"]),
        ("0 0 * * 1-5", ["Thu 07-02 00:00", "Fri 07-03 00:00", "Mon 07-06 00:00"]),
        ("0 0 * * 5-7", ["Fri 07-03 00:00", "Sat 07-04 00:00", "Sun 07-05 00:00"]),
        ("0 0 * * fri-sun", ["Fri 07-03 00:00", "Sat 07-04 00:00", "Sun 07-05 00:00"]),
        ("0 0 * * */3", ["Sat 07-04 00:00", "Sun 07-05 00:00", "Wed 07-08 00:00"]),  # 0, 3, 6
        ("0 0 15 * 5", ["Fri 07-03 00:00", "Fri 07-10 00:00", "Wed 07-15 00:00"]),  # the 15th, or a Friday
        ("*/20 * * * *", ["Wed 07-01 12:20", "Wed 07-01 12:40", "Wed 07-01 13:00"]),
        ("@daily", ["Thu 07-02 00:00", "Fri 07-03 00:00", "Sat 07-04 00:00"]),
    ],
)
def test_an_expression_is_due_when_cron_says(cron: str, times: list[str]) -> None:
    assert _next(cron) == times


def test_hours_are_the_banks_own() -> None:
    # 02:30 in Shanghai is 18:30 UTC of the day before
    assert _next("30 2 * * *", "Asia/Shanghai", count=1) == ["Wed 07-01 18:30"]


def test_where_the_clock_is_put_back_a_time_is_made_once() -> None:
    # on 2026-10-25 in Berlin 02:30 comes twice, at 00:30 and at 01:30 UTC
    times = _next("30 2 * * *", "Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), 2)
    assert times == ["Sun 10-25 00:30", "Mon 10-26 01:30"]


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "61 * * * *", "0 0 * * 8", "0 0 * * mon-fry", "0 0 * * 1/0", "0 0 30 2 *", "a b c d e"]
)
def test_what_is_no_expression_is_refused_with_one_that_is(cron: str) -> None:
    with pytest.raises(SettingsFault, match="30 2"):
        trigger(cron, "UTC")


@settings(max_examples=40, deadline=None)
@given(
    cron=st.sampled_from(["*/7 * * * *", "0 */5 * * *", "15 3 * * 1,4", "0 0 1 * *", "30 2 * * *", "0 12 29 2 *"]),
    back=st.integers(0, 90 * 24 * 60),
)
def test_the_last_time_due_is_the_newest_of_those_that_come_one_after_the_other(cron: str, back: int) -> None:
    when, since = trigger(cron, "Asia/Shanghai"), NOW - timedelta(minutes=back)
    expected, moment = None, since
    while (due := next_due(when, moment)) is not None and due <= NOW:
        expected = moment = due
    found = last_due(when, since, NOW)
    assert (found[0] if found else None) == expected


def test_missed_times_are_counted() -> None:
    assert last_due(trigger("0 * * * *", "UTC"), NOW - timedelta(hours=1), NOW) == (NOW, 0)
    assert last_due(trigger("*/10 * * * *", "UTC"), NOW - timedelta(minutes=35), NOW) == (NOW, 3)
    assert last_due(trigger("0 * * * *", "UTC"), NOW, NOW + timedelta(minutes=59)) is None
