"""Worked cohort cases: who came back, who is new, returning, resurrecting or dormant, and on how many days."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from journeys import histories, retention
from journeys.calendar import Calendar
from journeys.histories import Histories
from journeys.retention import Cohort, Retention

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = Calendar(unit="day")


def active_on(people: Mapping[str, Sequence[int]]) -> Histories:
    """One event at noon of each day, days counted from START."""
    rows = [
        {"customer": who, "event": "visit", "at": (START + timedelta(days=day, hours=12)).replace(tzinfo=None)}
        for who, days in people.items()
        for day in days
    ]
    schema = pa.schema([("customer", pa.string()), ("event", pa.string()), ("at", pa.timestamp("us"))])
    return histories.of(pa.Table.from_pylist(rows, schema=schema))


def end_of(day: int) -> datetime:
    return START + timedelta(days=day + 1, seconds=-1)


def test_every_day_with_a_visit_is_a_cohort_and_the_triangle_ends_with_the_range() -> None:
    people = active_on({"p1": [0, 1, 2, 5, 6], "p2": [1, 2, 3, 6]})
    first = DAYS.index_of(START)
    asked = Retention(calendar=DAYS, cohort=Cohort.RECURRING, first=first, last=first + 10)
    counts = retention.of_histories(people, asked, reach=first + 10)
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
