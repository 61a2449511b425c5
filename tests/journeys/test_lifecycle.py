"""Lifecycle: new means created in the period, dormant is told once, and a period in progress is not over."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys import lifecycle
from journeys.activity import Activity
from journeys.calendar import Calendar
from journeys.lifecycle import Period, Status
from tests.journeys import cohorts

DAYS = Calendar(unit="day")
FIRST = DAYS.index_of(datetime(2026, 3, 1, tzinfo=UTC))
END = datetime(2026, 3, 6, 23, 59, 59, tzinfo=UTC)


def told(told: Mapping[str, Sequence[int]], event: str = "pay") -> pa.Table:
    """One event at noon of some days of March."""
    return cohorts.events({who: [f"{event} 2026-03-{day:02}T12:00" for day in days] for who, days in told.items()})


def periods(block: Activity, created: pa.Table | None = None, as_of: datetime = END) -> dict[int, Period]:
    counts = lifecycle.of_activity(block, first=FIRST, last=FIRST + 5, created=created)
    return {period.period - FIRST + 1: period for period in lifecycle.table(counts, DAYS, FIRST, FIRST + 5, as_of)}


def test_a_customer_created_before_and_seen_now_is_resurrecting_and_not_new() -> None:
    block = cohorts.active(told({"ann": [3], "bob": [3]}), DAYS)
    created = pa.table({"customer": ["ann"], "period": [FIRST]})
    day = periods(block, created)[3]
    # of bob nothing is known, so his first event created him
    assert (day.new, day.resurrecting) == (1, 1)
    asked = {"seen": block, "period": FIRST + 2, "created": created}
    assert lifecycle.customers_behind(status=Status.NEW, **asked).column("customer").to_pylist() == ["bob"]
    assert lifecycle.customers_behind(status=Status.RESURRECTING, **asked).column("customer").to_pylist() == ["ann"]


def test_the_first_event_of_any_name_creates_a_customer() -> None:
    rows = pa.concat_tables([told({"ann": [1]}, "look"), told({"ann": [2, 3]})])
    block = cohorts.active(rows, DAYS, active=("pay",))
    found = periods(block)
    # she looked on the 1st, which is no activity but made her a customer
    assert (found[1].active, found[2].new, found[2].resurrecting, found[3].returning) == (0, 0, 1, 1)


def test_what_was_before_the_range_still_counts() -> None:
    counts = lifecycle.of_activity(cohorts.active(told({"ann": [1, 2]}), DAYS), first=FIRST + 1, last=FIRST + 2)
    second, third = lifecycle.table(counts, DAYS, FIRST + 1, FIRST + 2, END)
    assert (second.new, second.returning, third.dormant) == (0, 1, -1)


def test_nobody_is_dormant_in_a_period_that_is_not_over() -> None:
    block = cohorts.active(told({"ann": [1, 2], "bob": [2]}), DAYS)
    found = periods(block, as_of=datetime(2026, 3, 3, 15, tzinfo=UTC))
    assert [found[day].dormant for day in (1, 2, 3)] == [0, 0, None]
    assert [found[day].complete for day in (1, 2, 3)] == [True, True, False]
    assert 4 not in found


DAYS_ACTIVE = st.dictionaries(st.sampled_from("abcdef"), st.sets(st.integers(1, 6), min_size=1), min_size=1)


@settings(deadline=None, max_examples=25)
@given(DAYS_ACTIVE)
def test_who_was_active_returns_or_falls_dormant_and_nobody_is_new_twice(people: dict[str, set[int]]) -> None:
    found = periods(cohorts.active(told({who: sorted(days) for who, days in people.items()}), DAYS))
    for day in range(2, 7):
        assert found[day].returning - (found[day].dormant or 0) == found[day - 1].active
    for day in range(1, 7):
        assert found[day].active == sum(day in days for days in people.values())
    assert sum(period.new for period in found.values()) == len(people)
