"""Worked funnel cases: who does what when, and how many customers reach each step.

The facts were read from the public tests and documents named with each case; the notation is ours. `A@10` is the
event A ten seconds after the start. Ties may count in step order, the window runs from the first step with its edge
included, each event is used once, and the latest entry that gets deepest wins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import ibis
import pytest

from engine.lake.engine import DuckDBEngine, quoted
from journeys import funnel
from journeys.event_log import EventLog
from tests.journeys.builders import best_attempts, customers_per_step, journey

DAY = 86_400


@dataclass(frozen=True)
class Case:
    name: str
    source: str
    steps: str
    people: dict[str, str]
    reached: list[int]
    window: int = 14 * DAY
    seconds: dict[str, list[float]] = field(default_factory=dict)


CASES = [
    Case("tie-different-steps", "PostHog test_funnel.py, different actions at same time", "A B",
         {"a": "A@0 B@0", "b": "A@0"}, [2, 1]),
    Case("repeat-step", "PostHog test_funnel.py, basic funnel with repeat steps", "A A",
         {"a": "A@0 A@60", "b": "A@0"}, [2, 1]),
    Case("repeat-step-dup-ts", "PostHog issue 25048", "O P P", {"a": "O@1 P@10 P@10 P@11"}, [1, 1, 1]),
    Case("ten-step-one-timestamp", "PostHog test_funnel_udf.py, events with the same timestamp",
         "a b b c c d b c d a", {"a": "a@0 b@0 b@0 c@0 c@0 d@0 b@0 c@0 d@0 a@0"}, [1] * 10),
    Case("repeat-steps-ladder", "PostHog test_funnel.py, advanced funnel with repeat steps", "su pv pv pv pv",
         {"1": "su@0",
          "2": "su@0 pv@60",
          "3": "su@0 pv@60 x@120 pv@180",
          "4": "su@0 pv@60 x@120 pv@180 pv@240 x@300",
          "5": "su@0 pv@60 pv@120 pv@180 pv@240"}, [5, 4, 3, 2, 1]),
    Case("any-event-steps", "PostHog test_funnel.py, all events", "* * *",
         {"1": "s@0", "2": "s@0 m@60", "3": "s@0 m@60", "4": "m@0", "5": "m@0 s@60 m@120"}, [5, 3, 1]),
    Case("skipped-step", "PostHog test_funnel.py, skipped step", "S P M", {"a": "S@0 M@60"}, [1, 0, 0]),
    Case("wrong-order", "PostHog test_funnel.py, wrong order", "S P M", {"a": "P@0 S@60 M@120"}, [1, 0, 0]),
    Case("window-7d", "PostHog test_funnel.py, conversion window", "1 2 3",
         {f"in{n}": f"1@0 2@{DAY}" for n in range(10)} | {f"out{n}": f"1@0 2@{9 * DAY}" for n in range(15)},
         [25, 10, 0], 7 * DAY),
    Case("window-edge-inclusive", "PostHog steps.rs; ClickHouse windowFunnel", "A B",
         {"in": "A@0 B@10", "out": "A@0 B@11"}, [2, 1], 10),
    Case("window-from-first-step", "PostHog steps.rs", "A B C", {"a": "A@0 B@8 C@12"}, [1, 1, 0], 10),
    Case("reentry-any", "PostHog, ClickHouse, Mixpanel's optimised re-entry", "A B C",
         {"a": "A@0 A@1800 B@2700 C@4500"}, [1, 1, 1], 3_600),
    Case("dst", "PostHog, window ignores the change of clocks", "A B", {"a": "A@0 B@1207020"}, [1, 1]),
    Case("incomplete-tries-time", "PostHog conversion_time_cases, several incomplete tries", "S P E",
         {"a": "S@3600 P@7200 E@10800 S@187200 P@190800 S@284400 P@295200"}, [1, 1, 1], DAY,
         {"a": [3_600, 3_600]}),
    Case("time-to-convert-latest-entry", "PostHog issue 5677: never longer than the window", "a b",
         {"a": "a@0 a@2040 b@2400"}, [1, 1], 600, {"a": [360]}),
    Case("reverse-order", "PostHog test_funnel_trends.py, steps in reverse", "1 2 3",
         {"a": "3@0 2@60 1@120"}, [1, 0, 0], DAY),
    Case("no-first-step", "PostHog test_funnel.py, a window of 99 years and no first step", "1 2",
         {"a": "2@0"}, [0, 0], 3_122_064_000),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_worked_case_reaches_the_published_counts(case: Case) -> None:
    wanted = journey(case.steps.split(), case.window)
    assert customers_per_step(case.people, wanted) == case.reached


@pytest.mark.parametrize("case", [case for case in CASES if case.seconds], ids=lambda case: case.name)
def test_worked_case_takes_the_published_time(case: Case) -> None:
    attempts = best_attempts(case.people, journey(case.steps.split(), case.window))
    for customer, expected in case.seconds.items():
        times = [attempts[customer][f"reached_{step}"] for step in range(1, len(expected) + 2)]
        waited = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
        assert waited == expected


@pytest.mark.real_data
def test_loan_applications_of_a_dutch_bank_reach_the_published_counts(real_data: Path) -> None:
    """BPI Challenge 2012: each application starts once, so the ordered funnel gives the counts of the activities."""
    source = real_data / "bpi2012" / "bpi2012_events.csv.gz"
    if not source.exists():
        pytest.skip("no events of the BPI Challenge 2012 among the public data sets here")
    steps = ["A_SUBMITTED", "A_PREACCEPTED", "A_ACCEPTED", "A_FINALIZED", "A_APPROVED"]
    with DuckDBEngine() as engine:
        engine.connection.execute(
            'CREATE VIEW log AS SELECT "case" AS customer_id, activity AS event_name, '
            '"timestamp"::TIMESTAMPTZ::TIMESTAMP AS occurred_at '
            f"FROM read_csv({quoted(str(source))}, all_varchar = true)"
        )
        table = ibis.table({"customer_id": "string", "event_name": "string", "occurred_at": "timestamp(6)"}, "log")
        log = EventLog(table=table, seq=None, channel=None, product=None, lifecycle=None)
        # 366 days: longer than the whole log, so every order of steps is found
        wanted = journey(steps, 366 * DAY)
        tables = funnel.run(engine, log, [wanted], datetime(2012, 4, 1, tzinfo=UTC))
    everybody = [row for row in tables.funnels.to_pylist() if row["breakdown"] == "all"]
    assert [row["customers"] for row in everybody] == [13_087, 7_367, 5_113, 5_015, 2_246]
    assert everybody[-1]["rate_from_first"] == pytest.approx(2_246 / 13_087)
