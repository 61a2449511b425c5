"""Laws of the funnel, on random small logs, against a slow reference that tries every attempt there is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config.journeys import ANY_EVENT, JourneySettings
from engine.lake.engine import DuckDBEngine
from journeys import funnel
from tests.journeys.builders import Event, best_attempts, event_log, event_rows, journey, moment

WINDOW = 6
JOURNEYS = {
    "different events": ["A", "B", "C"],
    "a step repeated": ["A", "B", "B", "A"],
    "steps that share an event": [["A", "B"], ["B", "C"], ["A", "C"]],
    "any event, then one": [ANY_EVENT, "B", ANY_EVENT],
    "several events a step": [["A", "D"], ["B"], ["C", "E"]],
}

events = st.tuples(st.integers(0, 9), st.sampled_from("ABCDE"))
# few instants and few names: ties, repeats and re-entries are the rule
people = st.lists(st.lists(events, max_size=8), min_size=1, max_size=25)
slow = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def named(logs: Sequence[Sequence[Event]]) -> dict[str, Sequence[Event]]:
    return {f"c{number}": log for number, log in enumerate(logs)}


def reference(log: Sequence[Event], wanted: JourneySettings) -> tuple[int, float, dict[int, float]] | None:
    """Depth, start and earliest time of each step of the best attempt, by trying all attempts."""
    found: dict[tuple[int, float], float] = {}

    def walk(used: tuple[int, ...]) -> None:
        level = len(used)
        if level:
            key = (level, log[used[0]][0])
            found[key] = min(found.get(key, float("inf")), log[used[-1]][0])
        if level == len(wanted.steps):
            return
        names = wanted.steps[level].events
        for index, (seconds, name) in enumerate(log):
            fits = index not in used and (ANY_EVENT in names or name in names)
            in_order = not used or (seconds >= log[used[-1]][0] and seconds - log[used[0]][0] <= WINDOW)
            if fits and in_order:
                walk((*used, index))

    walk(())
    if not found:
        return None
    # the deepest, of those the first to get there, of those the latest entry
    depth, start = max(found, key=lambda key: (key[0], -found[key], key[1]))
    return depth, start, {level: found[level, start] for level in range(1, depth + 1)}


@pytest.mark.parametrize("steps", JOURNEYS.values(), ids=JOURNEYS)
@slow
@given(logs=people)
def test_best_attempt_is_the_one_that_trying_all_attempts_finds(steps: list[Any], logs: list[list[Event]]) -> None:
    wanted = journey(steps, WINDOW)
    expected = {customer: reference(log, wanted) for customer, log in named(logs).items()}
    found = best_attempts(named(logs), wanted)
    assert found.keys() == {customer for customer, best in expected.items() if best is not None}
    for customer, row in found.items():
        best = expected[customer]
        assert best is not None
        depth, start, times = best
        reached = {level: row[f"reached_{level}"] for level in range(1, len(steps) + 1)}
        assert (row["depth"], row["entered_at"]) == (depth, moment(start).replace(tzinfo=None))
        assert reached == {
            level: moment(times[level]).replace(tzinfo=None) if level in times else None for level in reached
        }


@pytest.mark.parametrize("steps", JOURNEYS.values(), ids=JOURNEYS)
@settings(slow, max_examples=4)
@given(logs=people, now=st.integers(0, 14))
def test_funnel_never_grows_and_accounts_for_everybody(steps: list[Any], logs: list[list[Event]], now: int) -> None:
    wanted = journey(steps, WINDOW)
    with DuckDBEngine(threads=1) as engine:
        log = event_log(engine, event_rows(named(logs)))
        tables = funnel.run(engine, log, [wanted], moment(now))
    everybody = [row for row in tables.funnels.to_pylist() if row["breakdown"] == "all"]
    assert [row["step_index"] for row in everybody] == list(range(1, len(steps) + 1))
    for row in everybody:
        assert row["customers"] == row["continued"] + row["dropped"] + row["in_progress"]
    for row, after in pairwise(everybody):
        assert row["continued"] == after["customers"] <= row["customers"]
    depths = [row["reached_step"] for row in tables.stages.to_pylist()]
    assert [row["customers"] for row in everybody] == [
        sum(depth >= row["step_index"] for depth in depths) for row in everybody
    ]


@settings(slow, max_examples=4)
@given(logs=people, future=people, now=st.integers(0, 9))
def test_events_after_as_of_change_nothing(logs: list[list[Event]], future: list[list[Event]], now: int) -> None:
    wanted = journey(JOURNEYS["a step repeated"], WINDOW)
    past = event_rows({name: [event for event in log if event[0] <= now] for name, log in named(logs).items()})
    later = event_rows(named([[(now + 1 + seconds, name) for seconds, name in log] for log in future]))

    def tables(rows: list[dict[str, Any]]) -> list[pa.Table]:
        with DuckDBEngine(threads=1) as engine:
            computed = funnel.run(engine, event_log(engine, rows), [wanted], moment(now) + timedelta(microseconds=1))
            return [computed.stages, computed.funnels]

    assert tables(past) == tables(past + later)
