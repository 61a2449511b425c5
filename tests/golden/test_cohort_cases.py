"""Worked cohort cases: who came back, who is new, returning, resurrecting or dormant, and on how many days."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from journeys import lifecycle, retention, stickiness
from journeys.calendar import Calendar
from journeys.retention import Cohort, Retention
from tests.journeys import cohorts

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = Calendar(unit="day")


def active_on(people: Mapping[str, Sequence[int]]) -> pa.Table:
    """One event at noon of each day, days counted from START."""
    noon = (START + timedelta(hours=12)).replace(tzinfo=None)
    return cohorts.events(
        {who: [f"visit {(noon + timedelta(days=day)).isoformat()}" for day in days] for who, days in people.items()}
    )


def end_of(day: int) -> datetime:
    return START + timedelta(days=day + 1, seconds=-1)


def test_every_day_with_a_visit_is_a_cohort_and_the_triangle_ends_with_the_range() -> None:
    people = active_on({"p1": [0, 1, 2, 5, 6], "p2": [1, 2, 3, 6]})
    first = DAYS.index_of(START)
    asked = Retention(calendar=DAYS, cohort=Cohort.RECURRING, first=first, last=first + 10)
    counts = retention.of_block(people, asked=asked, reach=first + 10)
    table = retention.table(counts, asked, end_of(10))
    returned = [[cell.returned for cell in row.cells] for row in table.rows]
    # day 1: both visit, again both on day 2, p2 on day 3, nobody on day 4, p1 on day 5, both on day 6
    assert returned[1] == [2, 2, 1, 0, 1, 2, 0, 0, 0, 0]
    assert returned == [
        [1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0],
        [2, 2, 1, 0, 1, 2, 0, 0, 0, 0],
        [2, 1, 0, 1, 2, 0, 0, 0, 0],
        [1, 0, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [2, 0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0],
        [0, 0],
        [0],
    ]


def test_a_customer_is_new_once_then_returning_or_resurrecting_and_dormant_when_falling_silent() -> None:
    people = cohorts.active(active_on({"p1": [9, 11, 12, 13, 15, 17, 18, 19]}), DAYS)
    first, last = DAYS.index_of(START) + 9, DAYS.index_of(START) + 19
    counts = lifecycle.of_activity(people, first=first, last=last)
    table = lifecycle.table(counts, DAYS, first, last, end_of(19))
    # days                              9  10  11 12 13  14 15  16 17 18 19
    assert [day.new for day in table] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert [day.returning for day in table] == [0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1]
    assert [day.resurrecting for day in table] == [0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0]
    assert [day.dormant for day in table] == [0, -1, 0, 0, 0, -1, 0, -1, 0, 0, 0]


def test_stickiness_counts_the_different_days_of_a_range_and_stretches_of_two() -> None:
    people = {"p1": list(range(11, 20)), "p2": [11, 13, 15, 17, 19]}
    block = cohorts.active(active_on(people), DAYS)
    first, last = DAYS.index_of(START) + 11, DAYS.index_of(START) + 20
    by_day = stickiness.table(stickiness.of_activity(block, first=first, last=last), first, last)
    # p2 on 5 of the 10 days, p1 on 9
    assert by_day.exactly == (0, 0, 0, 0, 1, 0, 0, 0, 1, 0)
    by_two = stickiness.table(stickiness.of_activity(block, first=first, last=last, every=2), first, last, every=2)
    assert by_two.exactly == (0, 0, 0, 0, 2)
