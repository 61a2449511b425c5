"""Trends by the period of the entry, on the bank's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.errors import SettingsFault
from journeys import attempts, outcomes, slices, trends
from journeys.calendar import Calendar
from journeys.spec import Funnel, Order, Reentry, WindowFrom
from journeys.trends import Period
from tests.journeys.builders import START, asked, block, moment, people_of

DAY = 86_400
DAYS = Calendar(unit="day")
LATER = moment(100 * DAY)


def of(people: dict[str, str], funnel: Funnel, as_of: datetime = LATER, calendar: Calendar = DAYS) -> list[Period]:
    return list(trends.of(trends.rows(block(people), funnel=funnel, calendar=calendar), funnel, calendar, as_of))


def counts(found: list[Period]) -> dict[str, tuple[int, ...]]:
    return {one.period: one.counts for one in found}


def test_customer_with_two_runs_in_a_day_counts_once() -> None:
    """PostHog test_funnel_trends.py, two runs by one person in one day."""
    people = {"ann": "A@0 B@60 C@120 A@200 B@260 C@320"}
    for reentry in Reentry:
        assert counts(of(people, asked("A B C", DAY, reentry=reentry))) == {"2026-01-01": (1, 1, 1)}


def test_customer_counts_in_every_period_with_an_entry_with_that_periods_own_attempt() -> None:
    people = {"ann": f"A@0 B@60 A@{DAY} A@{3 * DAY} B@{3 * DAY + 1}"}
    assert counts(of(people, asked("A B", 3_600))) == {
        "2026-01-01": (1, 1),
        "2026-01-02": (1, 0),
        "2026-01-03": (0, 0),  # nobody entered, and the day is still there
        "2026-01-04": (1, 1),
    }


def test_conversion_on_a_later_day_belongs_to_the_day_of_the_entry() -> None:
    assert counts(of({"ann": f"A@0 B@{2 * DAY}"}, asked("A B", 5 * DAY))) == {"2026-01-01": (1, 1)}


def test_attempt_that_the_period_allows_counts_though_a_later_entry_supersedes_it_in_the_whole() -> None:
    # the whole counts the entry of the second day; the first day's own attempt came as far within its window
    people = {"ann": f"A@0 A@{DAY} B@{DAY + 60}"}
    assert counts(of(people, asked("A B", 5 * DAY))) == {"2026-01-01": (1, 1), "2026-01-02": (1, 1)}


def test_with_the_first_entry_alone_a_customer_is_in_one_period_only() -> None:
    people = {"ann": f"A@0 A@{DAY} B@{DAY + 60}"}
    assert counts(of(people, asked("A B", 3_600, reentry=Reentry.FIRST))) == {"2026-01-01": (1, 0)}


def test_event_of_the_first_kind_on_a_later_day_still_serves_a_later_step() -> None:
    people = {"ann": f"A@0 A@{DAY}"}
    assert counts(of(people, asked("A A", 2 * DAY))) == {"2026-01-01": (1, 1), "2026-01-02": (1, 0)}


def test_day_is_that_of_the_banks_clock() -> None:
    # 17:00 UTC on the 1st is 01:00 on the 2nd in Shanghai
    found = of({"ann": f"A@{17 * 3_600}"}, asked("A B"), calendar=Calendar(unit="day", zone="Asia/Shanghai"))
    assert [(one.period, one.starts_at) for one in found] == [("2026-01-02", datetime(2026, 1, 1, 16, tzinfo=UTC))]


def test_week_begins_on_the_banks_first_day() -> None:
    # 2026-01-04 is a Sunday
    people = {"ann": f"A@{3 * DAY}"}
    weeks = {start: Calendar(unit="week", week_start=start) for start in ("monday", "sunday")}
    assert [of(people, asked("A B"), calendar=weeks[start])[0].period for start in weeks] == [
        "2025-12-29",
        "2026-01-04",
    ]


def test_period_is_complete_once_the_window_after_its_end_is_over() -> None:
    people = {"ann": "A@0", "bob": f"A@{DAY}"}
    # the first day ends at 1 d; with a window of 2 d its attempts can go on until 3 d
    assert [one.complete for one in of(people, asked("A B", 2 * DAY), moment(3 * DAY))] == [True, False]
    earlier = moment(3 * DAY) - timedelta(seconds=1)
    assert [one.complete for one in of(people, asked("A B", 2 * DAY), earlier)] == [False, False]


def test_window_from_the_previous_step_is_waited_for_at_every_step() -> None:
    funnel = asked("A B C", DAY, window_from=WindowFrom.PREVIOUS)
    assert [of({"ann": "A@0"}, funnel, moment(days * DAY))[0].complete for days in (2, 3)] == [False, True]


def test_window_of_a_hundred_years_leaves_every_period_incomplete() -> None:
    assert [one.complete for one in of({"ann": "A@0"}, asked("A B", 3_122_064_000))] == [False]


def test_more_periods_than_anyone_reads_are_refused_with_what_to_do() -> None:
    with pytest.raises(SettingsFault, match="take a longer one"):
        of({"ann": f"A@0 A@{20_000 * DAY}"}, asked("A B"))


def test_nobody_who_entered_gives_no_period() -> None:
    assert of({"ann": "B@0"}, asked("A B")) == []


def test_copies_in_pieces_give_what_one_piece_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    people = {f"c{n}": f"A@0 B@60 A@{DAY} B@{DAY + 60} A@{2 * DAY}" for n in range(5)}
    whole = of(people, asked("A B", DAY))
    monkeypatch.setattr(slices, "_EVENTS_AT_ONCE", 4)
    assert of(people, asked("A B", DAY)) == whole


events = st.tuples(st.sampled_from(["A", "B", "X"]), st.integers(0, 40)).map(
    lambda told: f"{told[0]}@{told[1] * 10_000}"
)
logs = st.dictionaries(
    st.sampled_from(["ann", "bob", "eve"]), st.lists(events, min_size=1, max_size=8).map(" ".join), min_size=1
)


@settings(deadline=None, max_examples=60)
@given(people=logs, order=st.sampled_from([Order.ORDERED, Order.STRICT]), window_from=st.sampled_from(WindowFrom))
def test_every_period_is_the_funnel_that_can_be_entered_in_it_only(
    people: dict[str, str], order: Order, window_from: WindowFrom
) -> None:
    funnel = asked("A B", 50_000, order=order, window_from=window_from)
    found = counts(of(people, funnel))
    for day, reached in found.items():
        # the same log in which the entries of other days are another event
        only = {who: " ".join(_as_of_day(word, day) for word in told.split()) for who, told in people.items()}
        depth = attempts.find(people_of(only), funnel).depth
        assert reached == tuple(int((depth >= step).sum()) for step in (1, 2))


def _as_of_day(word: str, day: str) -> str:
    name, seconds = word.split("@")
    on = (START + timedelta(seconds=int(seconds))).date().isoformat()
    return word if name != "A" or on == day else f"other@{seconds}"


@settings(deadline=None, max_examples=40)
@given(people=logs, reentry=st.sampled_from(Reentry))
def test_one_long_period_is_the_whole_funnel_of_customers(people: dict[str, str], reentry: Reentry) -> None:
    funnel = asked("A B", 50_000, reentry=reentry)
    found = of(people, funnel, calendar=Calendar(unit="month"))
    # attempts of one customer one after another: the deepest of them counts, not one that another attempt was open for
    tried = attempts.find(people_of(people), funnel)
    deepest = [int(tried.depth[tried.customer == customer].max()) for customer in np.unique(tried.customer)]
    counted = tuple(sum(depth >= step for depth in deepest) for step in (1, 2))
    if reentry is not Reentry.EVERY:
        whole = outcomes.of(outcomes.rows(block(people), funnel=funnel), funnel, moment(0))
        assert counted == tuple(step.count for step in outcomes.counts(whole))
    assert ([one.counts for one in found] or [(0, 0)]) == [counted]


def test_blocks_add_up() -> None:
    people = {"ann": "A@0 B@60", "bob": f"A@0 A@{DAY}"}
    funnel = asked("A B", 3_600)
    rows = [trends.rows(block({who: told}), funnel=funnel, calendar=DAYS) for who, told in people.items()]
    assert list(trends.of(pa.concat_tables(rows), funnel, DAYS, moment(0))) == of(people, funnel, moment(0))
