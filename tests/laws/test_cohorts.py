"""Laws of cohorts: whatever the log, retention never exceeds its cohort, and parts add up to the whole."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.lake.engine import DuckDBEngine
from journeys import churn, lifecycle, retention
from journeys.calendar import Calendar, microseconds
from journeys.retention import Clock, Cohort, Mode, Retention, Table
from tests.journeys import cohorts

START = datetime(2026, 3, 20)
AS_OF = datetime(2026, 4, 20, 11, tzinfo=UTC)
NAMES = ("open", "pay", "look")

EVENT = st.tuples(st.integers(0, 31 * 24), st.sampled_from(NAMES), st.sampled_from(("app", "branch", "")))
PEOPLE = st.dictionaries(st.sampled_from("abcdef"), st.lists(EVENT, min_size=1, max_size=10), min_size=1)
CALENDAR = st.builds(
    Calendar,
    unit=st.sampled_from(("day", "week", "month")),
    zone=st.sampled_from(("UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York")),
    week_start=st.sampled_from(("monday", "sunday")),
)
SPEC = st.fixed_dictionaries(
    {
        "calendar": CALENDAR,
        "start": st.sampled_from((("*",), ("open",), ("open", "look"))),
        "returns": st.sampled_from((("*",), ("pay",))),
        "cohort": st.sampled_from(list(Cohort)),
        "mode": st.sampled_from(list(Mode)),
        "clock": st.sampled_from(list(Clock)),
    }
)
People = dict[str, list[tuple[int, str, str]]]


def log(people: People) -> pa.Table:
    return cohorts.events(
        {
            who: [f"{name}@{channel} {(START + timedelta(hours=hour)).isoformat()}" for hour, name, channel in told]
            for who, told in people.items()
        }
    )


def counted(rows: pa.Table, spec: dict[str, Any], as_of: datetime = AS_OF) -> Table:
    return put_together([rows], spec, as_of)


def put_together(parts: list[pa.Table], spec: dict[str, Any], as_of: datetime = AS_OF) -> Table:
    asked = Retention(**spec)
    seen = [rows.filter(pc.less_equal(rows.column("at"), pa.scalar(as_of.replace(tzinfo=None)))) for rows in parts]
    reach = asked.calendar.index_of(as_of)
    return retention.table(
        pa.concat_tables([retention.of_block(rows, asked=asked, reach=reach) for rows in seen]), asked, as_of
    )


def by_hand(people: People, spec: dict[str, Any]) -> dict[tuple[date, int], int]:
    """Read every customer by itself, on the clock of the standard library; exact returns by the calendar."""
    calendar: Calendar = spec["calendar"]
    zone = ZoneInfo(calendar.zone)

    def period(hour: int) -> date:
        day = (START + timedelta(hours=hour)).replace(tzinfo=UTC).astimezone(zone).date()
        if calendar.unit == "month":
            return day.replace(day=1)
        if calendar.unit == "week":
            return day - timedelta(days=(day.weekday() + (calendar.week_start == "sunday")) % 7)
        return day

    def after(first: date, later: date) -> int:
        if calendar.unit == "month":
            return (later.year - first.year) * 12 + later.month - first.month
        return (later - first).days // (7 if calendar.unit == "week" else 1)

    found: dict[tuple[date, int], int] = {}
    for told in people.values():
        starts = sorted({period(hour) for hour, name, _ in told if {name, "*"} & set(spec["start"])})
        back = {period(hour) for hour, name, _ in told if {name, "*"} & set(spec["returns"])}
        for cohort in starts if spec["cohort"] is Cohort.RECURRING else starts[:1]:
            found[cohort, 0] = found.get((cohort, 0), 0) + 1
            for later in back:
                if later > cohort:
                    key = cohort, after(cohort, later)
                    found[key] = found.get(key, 0) + 1
    return found


@settings(deadline=None, max_examples=150)
@given(PEOPLE, SPEC)
def test_every_cell_is_what_reading_customers_one_by_one_gives(people: People, spec: dict[str, Any]) -> None:
    spec = spec | {"mode": Mode.EXACT, "clock": Clock.CALENDAR}
    expected = by_hand(people, spec)
    calendar: Calendar = spec["calendar"]
    as_of = datetime(2026, 9, 1, tzinfo=UTC)
    for row in counted(log(people), spec, as_of).rows:
        assert row.cohort is not None
        for cell in row.cells:
            seen = cell.first == 0 or calendar.ended(row.cohort + cell.first, as_of)
            count = expected.get((calendar.first_day(row.cohort), cell.first), 0)
            assert cell.returned == (count if seen else None)


@settings(deadline=None, max_examples=100)
@given(PEOPLE, SPEC)
def test_nobody_returns_who_did_not_start_and_unbounded_retention_never_rises(
    people: People, spec: dict[str, Any]
) -> None:
    for row in counted(log(people), spec).rows:
        returned = [cell.returned for cell in row.cells if cell.returned is not None]
        assert all(0 <= count <= row.customers for count in returned)
        if spec["mode"] is Mode.UNBOUNDED:
            assert returned == sorted(returned, reverse=True)


@settings(deadline=None, max_examples=100)
@given(PEOPLE, SPEC)
def test_what_was_seen_stays_true_when_one_looks_later(people: People, spec: dict[str, Any]) -> None:
    spec = spec | {"mode": Mode.EXACT}
    early = counted(log(people), spec, datetime(2026, 4, 5, 13, tzinfo=UTC))
    late = {row.cohort: row for row in counted(log(people), spec, datetime(2026, 6, 1, tzinfo=UTC)).rows}
    for row in early.rows:
        for before, after in zip(row.cells, late[row.cohort].cells, strict=False) if row.complete else ():
            assert before.returned in (None, after.returned)


@settings(deadline=None, max_examples=100)
@given(PEOPLE, SPEC, st.randoms(use_true_random=False))
def test_a_shuffle_changes_nothing_and_halves_of_the_customers_add_up(
    people: People, spec: dict[str, Any], chance: random.Random
) -> None:
    rows = log(people)
    whole = counted(rows, spec)
    order = list(range(rows.num_rows))
    chance.shuffle(order)
    assert counted(rows.take(order), spec) == whole
    half = pc.less(rows.column("customer"), "d")
    assert put_together([rows.filter(half), rows.filter(pc.invert(half))], spec) == whole


@settings(deadline=None, max_examples=60)
@given(PEOPLE, SPEC)
def test_groups_add_up_to_the_whole(people: People, spec: dict[str, Any]) -> None:
    whole = counted(log(people), spec)
    grouped = counted(log(people), spec | {"by": "channel"})
    for row in whole.rows:
        parts = [one for one in grouped.rows if one.cohort == row.cohort]
        for place, cell in enumerate(row.cells):
            if cell.returned is not None:
                assert sum(one.cells[place].returned or 0 for one in parts) == cell.returned


@settings(deadline=None, max_examples=40)
@given(PEOPLE, SPEC)
def test_the_customers_behind_a_cell_are_as_many_as_it_says(people: People, spec: dict[str, Any]) -> None:
    rows = log(people)
    asked = Retention(**spec)
    seen = rows.filter(pc.less_equal(rows.column("at"), pa.scalar(AS_OF.replace(tzinfo=None))))
    for row in counted(rows, spec).rows[:3]:
        assert row.cohort is not None
        for place, cell in enumerate(row.cells[:3]):
            if cell.returned is None:
                continue
            counts = [
                retention.customers_behind(
                    seen, asked=asked, group=None, cohort=row.cohort, place=place, back=back
                ).num_rows
                for back in (True, False)
            ]
            assert counts[0] == cell.returned
            assert place == 0 or sum(counts) == row.customers


@settings(deadline=None, max_examples=25)
@given(PEOPLE, SPEC)
def test_the_engine_and_histories_agree(people: People, spec: dict[str, Any]) -> None:
    rows = log(people)
    with DuckDBEngine(threads=1) as engine:
        found = retention.counted(cohorts.log(engine, rows), engine, Retention(**spec), AS_OF)
    assert retention.table(found, Retention(**spec), AS_OF) == counted(rows, spec)


@settings(deadline=None, max_examples=25)
@given(PEOPLE, CALENDAR)
def test_new_customers_of_a_lifecycle_are_the_cohorts_of_retention(people: People, calendar: Calendar) -> None:
    rows = log(people)
    first, last = calendar.index_of(START.replace(tzinfo=UTC)) - 1, calendar.index_of(AS_OF) + 5
    end = AS_OF + timedelta(days=200)
    periods = lifecycle.table(
        lifecycle.of_activity(cohorts.active(rows, calendar), first=first, last=last), calendar, first, last, end
    )
    new = {one.period: one.new for one in periods if one.new}
    assert new == {
        row.cohort: row.customers for row in counted(rows, {"calendar": calendar}, end).rows if row.customers
    }


@settings(deadline=None, max_examples=60)
@given(PEOPLE, st.floats(0.5, 20))
def test_looking_later_never_undoes_a_churn(people: People, days: float) -> None:
    rows = log(people)

    def seen(as_of: datetime) -> dict[str, Any]:
        known = rows.filter(pc.less_equal(rows.column("at"), pa.scalar(as_of.replace(tzinfo=None))))
        found = churn.of_block(known, inactivity_days=days, as_of_us=microseconds(as_of))
        return {row["customer"]: row for row in found.to_pylist()}

    early, late = seen(datetime(2026, 4, 8, 5, tzinfo=UTC)), seen(datetime(2026, 5, 8, tzinfo=UTC))
    for who, row in early.items():
        if row["churned"]:
            assert (late[who]["churned"], late[who]["seconds"]) == (True, row["seconds"])
        elif row["seconds"] is not None:
            assert late[who]["seconds"] >= row["seconds"] - 1e-6
