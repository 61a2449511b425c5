"""Laws of funnels on random small logs: the kernel against a slow second reading, and what must hold of any funnel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.lake.engine import DuckDBEngine
from journeys import attempts, funnel, histories, outcomes
from journeys.event_log import EventLog
from journeys.spec import Funnel, Order, Reentry
from tests.journeys import reference
from tests.journeys.builders import Event, asked, event_log, event_rows, excluding, journey, moment, reached
from tests.journeys.random_logs import (
    FUNNELS,
    answers_of_rows,
    block,
    comparable,
    kernel_answers,
    logs,
)

WITHOUT_EXCLUSIONS = [one for one in FUNNELS if not one.exclusions]
ORDERED = [one for one in FUNNELS if one.order is not Order.ANY]

events = st.tuples(st.integers(0, 9), st.sampled_from("AABBCDx"), st.sampled_from([None, "u"]))
# few instants and few names: ties, repeats and re-entries are the rule
people = st.lists(st.lists(events, min_size=1, max_size=8), min_size=1, max_size=20)
slow = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def assert_as_in_reference(
    told: Sequence[Sequence[reference.Event]], wanted: Funnel, found: Sequence[reference.Answer]
) -> None:
    for log, answer in zip(told, found, strict=True):
        expected = reference.answer(log, wanted)
        assert comparable(answer, wanted) == comparable(expected, wanted), (wanted, sorted(log, key=lambda e: e[0]))


@slow
@given(wanted=st.sampled_from(FUNNELS), seed=st.integers(0, 2**32 - 1))
def test_ten_thousand_logs_are_answered_through_duckdb_as_by_trying_everything(wanted: Funnel, seed: int) -> None:
    told = logs(np.random.default_rng(seed), 100)  # 100 examples of 100 logs
    with DuckDBEngine(threads=1) as engine:
        engine.attach("log", block(told))
        columns = {"customer": "string", "event": "string", "at": "timestamp(6)", "page": "string"}
        log = EventLog(table=ibis.table(columns, name="log"), customer="customer", event="event", time="at", seq=None)
        chosen = log.events(names=wanted.names(), attributes=("page",), ordered=False)
        made = engine.map_blocks(chosen, "customer", partial(outcomes.rows, funnel=wanted), blocks=2)
    assert_as_in_reference(told, wanted, answers_of_rows(made, len(told)))


@pytest.mark.parametrize("part", range(4))
def test_funnel_of_every_kind_is_answered_as_by_trying_everything(part: int) -> None:
    rng = np.random.default_rng(part)
    for wanted in FUNNELS[part::4]:
        told = logs(rng, 15)
        assert_as_in_reference(told, wanted, kernel_answers(told, wanted))


@slow
@given(wanted=st.sampled_from(FUNNELS), told=people)
def test_any_small_log_is_answered_as_by_trying_everything(wanted: Funnel, told: list[list[reference.Event]]) -> None:
    assert_as_in_reference(told, wanted, kernel_answers(told, wanted))


@slow
@given(wanted=st.sampled_from(FUNNELS), told=people)
def test_funnel_never_grows_from_one_required_step_to_the_next(
    wanted: Funnel, told: list[list[reference.Event]]
) -> None:
    counts = reached(attempts.find(histories.of(block(told)), wanted))
    required = [count for count, step in zip(counts, wanted.steps, strict=True) if not step.optional]
    assert all(later <= earlier for earlier, later in pairwise(required))


@slow
@given(wanted=st.sampled_from(WITHOUT_EXCLUSIONS), told=people, more=st.integers(1, 5))
def test_wider_window_never_lowers_a_count(wanted: Funnel, told: list[list[reference.Event]], more: int) -> None:
    """Not with exclusions, which a wider window lets in, nor where every attempt counts: longer ones are fewer."""
    one_each = wanted if wanted.reentry is not Reentry.EVERY else replace(wanted, reentry=Reentry.ANY)
    required = tuple(step for step in one_each.steps if not step.optional)
    narrow = replace(one_each, steps=required)
    wide = replace(narrow, window_seconds=narrow.window_seconds + more)
    made = histories.of(block(told))
    before, after = reached(attempts.find(made, narrow)), reached(attempts.find(made, wide))
    assert all(count <= widened for count, widened in zip(before, after, strict=True))


@slow
@given(wanted=st.sampled_from(FUNNELS), told=people, seed=st.integers(0, 99))
def test_order_of_the_rows_changes_nothing(wanted: Funnel, told: list[list[reference.Event]], seed: int) -> None:
    whole = block(told)
    shuffled = whole.take(np.random.default_rng(seed).permutation(whole.num_rows))
    rows = [outcomes.rows(table, funnel=wanted).sort_by(_KEYS) for table in (whole, shuffled)]
    assert rows[0].equals(rows[1])


@slow
@given(wanted=st.sampled_from(FUNNELS), told=people)
def test_two_halves_of_the_customers_add_up_to_the_whole(wanted: Funnel, told: list[list[reference.Event]]) -> None:
    half = len(told) // 2
    parts = kernel_answers(told[:half], wanted) + kernel_answers(told[half:], wanted)
    assert kernel_answers(told, wanted) == parts


@slow
@given(wanted=st.sampled_from(FUNNELS), told=people, zone=st.sampled_from(["US/Pacific", "Asia/Shanghai", "UTC"]))
def test_time_zone_and_change_of_clocks_change_nothing(
    wanted: Funnel, told: list[list[reference.Event]], zone: str
) -> None:
    plain = block(told)
    # the night of 10 March 2024, when the clocks of California leap from 1:59:59 to 3:00:00
    night = 1_710_064_795_000_000
    moved = np.asarray(plain.column("at").cast(pa.int64())) + night
    zoned = plain.set_column(2, "at", pa.array(moved, pa.timestamp("us", "UTC")).cast(pa.timestamp("us", zone)))
    before, after = (attempts.find(histories.of(table), wanted) for table in (plain, zoned))
    assert np.where(after.row >= 0, after.at - night, attempts.MISSING).tolist() == before.at.tolist()
    assert after.depth.tolist() == before.depth.tolist()


@slow
@given(wanted=st.sampled_from([one for one in ORDERED if any(step.optional for step in one.steps)]), told=people)
def test_optional_steps_change_nothing_about_the_required_ones(
    wanted: Funnel, told: list[list[reference.Event]]
) -> None:
    kept = [place for place, step in enumerate(wanted.steps) if not step.optional]
    number = {place + 1: new for new, place in enumerate(kept, start=1)}
    alone = replace(
        wanted,
        steps=tuple(wanted.steps[place] for place in kept),
        exclusions=tuple(
            replace(one, after_step=number[one.after_step], before_step=number[one.before_step])
            for one in wanted.exclusions
        ),
    )
    made = histories.of(block(told))
    both, required = attempts.find(made, wanted), attempts.find(made, alone)
    assert both.at[:, kept].tolist() == required.at.tolist()
    assert both.excluded.tolist() == required.excluded.tolist()
    assert both.open_until.tolist() == required.open_until.tolist()


@slow
@given(wanted=st.sampled_from([one for one in FUNNELS if one.reentry is not Reentry.EVERY]), told=people, future=people)
def test_later_events_change_nothing_about_a_conversion_that_has_happened(
    wanted: Funnel, told: list[list[reference.Event]], future: list[list[reference.Event]]
) -> None:
    later = [[(seconds + 10, name, page) for seconds, name, page in log] for log in future]
    longer = [log + more for log, more in zip(told, later + [[]] * len(told), strict=False)]
    for before, after in zip(kernel_answers(told, wanted), kernel_answers(longer, wanted), strict=True):
        if any(attempt.depth == len(wanted.steps) for attempt in before.attempts):
            assert [attempt.times for attempt in after.attempts] == [attempt.times for attempt in before.attempts]


def test_wider_window_can_drop_a_customer_where_an_event_is_excluded() -> None:
    # within 10 seconds the customer has reached A; within 11 the excluded event as well
    log: list[list[reference.Event]] = [[(0, "A", None), (11, "x", None)]]
    narrow, wide = (asked("A B", window, exclusions=(excluding("x", 1, 2),)) for window in (10, 11))
    assert [kernel_answers(log, wanted)[0].excluded for wanted in (narrow, wide)] == [False, True]


_KEYS = [(name, "ascending") for name in ("customer", "group", "depth", "reached_1")]

JOURNEYS = {
    "different events": ["A", "B", "C"],
    "a step repeated": ["A", "B", "B", "A"],
    "steps that share an event": [["A", "B"], ["B", "C"], ["A", "C"]],
}
visits = st.lists(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("ABC")), max_size=8), min_size=1, max_size=25)
marts = settings(slow, max_examples=5)


def named(told: Sequence[Sequence[Event]]) -> dict[str, Sequence[Event]]:
    return {f"c{number}": log for number, log in enumerate(told)}


@pytest.mark.parametrize("steps", JOURNEYS.values(), ids=JOURNEYS)
@marts
@given(told=visits, now=st.integers(0, 14))
def test_mart_of_a_journey_never_grows_and_accounts_for_everybody(
    steps: list[Any], told: list[list[Event]], now: int
) -> None:
    wanted = journey(steps, 6)
    with DuckDBEngine(threads=1) as engine:
        tables = funnel.run(engine, event_log(engine, event_rows(named(told))), [wanted], moment(now))
    everybody = [row for row in tables.funnels.to_pylist() if row["breakdown"] == "all"]
    assert [row["step_index"] for row in everybody] == list(range(1, len(steps) + 1))
    for row in everybody:
        assert row["customers"] == row["continued"] + row["dropped"] + row["in_progress"]
    for row, after in pairwise(everybody):
        assert row["continued"] == after["customers"] <= row["customers"]


@marts
@given(told=visits, future=visits, now=st.integers(0, 9))
def test_events_after_as_of_change_nothing_in_the_marts(
    told: list[list[Event]], future: list[list[Event]], now: int
) -> None:
    wanted = journey(JOURNEYS["a step repeated"], 6)
    past = event_rows({name: [event for event in log if event[0] <= now] for name, log in named(told).items()})
    later = event_rows(named([[(now + 1 + seconds, name) for seconds, name in log] for log in future]))

    def tables(rows: list[dict[str, Any]]) -> list[pa.Table]:
        with DuckDBEngine(threads=1) as engine:
            computed = funnel.run(engine, event_log(engine, rows), [wanted], moment(now) + timedelta(microseconds=1))
            return [computed.stages, computed.funnels]

    assert tables(past) == tables(past + later)
