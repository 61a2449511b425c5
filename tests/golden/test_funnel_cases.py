"""Worked funnel cases: who does what when, and how many customers reach each step.

The facts were read from the public tests and documents named with each case; the notation is ours. `A@10` is the
event A ten seconds after the start. Ties may count in step order, the window runs from the first step with its edge
included, each event is used once, and the first attempt to get deepest wins, from the latest entry that gets there.
In steps, `B?` is optional and `A:url` is the event A on the page url; `x:1-2` excludes x between two steps and drops
the customer, `x:1-2!` ends the attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import ibis
import pytest

from engine.domain.errors import SettingsFault
from engine.lake.engine import DuckDBEngine, quoted
from journeys import attempts, funnel
from journeys.event_log import EventLog
from journeys.spec import Effect, Funnel, Order, Reentry, WindowFrom
from tests.journeys.builders import asked, excluding, journey, people_of, reached, seconds

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
    order: str = "ordered"
    window_from: str = "first"
    reentry: str = "any"
    exclude: str = ""

    @property
    def funnel(self) -> Funnel:
        exclusions = []
        if self.exclude:
            event, between = self.exclude.rstrip("!").split(":")
            effect = Effect.END_ATTEMPT if self.exclude.endswith("!") else Effect.DROP_CUSTOMER
            exclusions = [excluding(event, *map(int, between.split("-")), effect)]
        return asked(
            self.steps,
            self.window,
            order=Order(self.order),
            window_from=WindowFrom(self.window_from),
            reentry=Reentry(self.reentry),
            exclusions=tuple(exclusions),
        )


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
    Case("tie-20-duplicates", "20 copies of one event at one instant are one entry", "A B",
         {"a": "A@0 " * 20 + "B@60", "b": "B@0 " * 20 + "A@60"}, [2, 1]),
    Case("reentry-first", "Mixpanel's default, Amplitude: only the first entry counts", "A B C",
         {"a": "A@0 A@1800 B@2700 C@4500"}, [1, 1, 0], 3_600, reentry="first"),
    Case("reentry-after-expiry", "PostHog, an entry after the first one's window", "A B",
         {"a": "A@0 A@100 B@105"}, [1, 1], 10, {"a": [5]}),
    Case("window-from-previous-step", "GrowthBook: 12 - 8 seconds from the step before", "A B C",
         {"a": "A@0 B@8 C@12"}, [1, 1, 1], 10, window_from="previous"),
    Case("excl-no-end-event", "PostHog test_funnel.py, exclusion, no end event", "U P",
         {"1": "U@3600 P@7200", "2": "U@10800 x@12600 P@14400", "3": "U@18000 x@21600", "4": "U@25200 x@115200"},
         [2, 1], DAY, exclude="x:1-2"),
    Case("excl-then-clean-reentry", "PostHog, exclusion, several possible, no end event 1", "1 2",
         {"a": "1@0 x@1 1@31"}, [1, 0], 10, exclude="x:1-2"),
    Case("clean-then-excl-reentry", "PostHog, exclusion, several possible, no end event 2", "1 2",
         {"a": "1@0 1@31 x@32"}, [1, 0], 10, exclude="x:1-2"),
    Case("excl-hits-both-entries", "PostHog, exclusion, several possible, no end event 3", "1 2",
         {"a": "1@0 1@1 x@2"}, [0, 0], 10, exclude="x:1-2"),
    Case("excl-on-the-completing-try", "PostHog, exclusion, several possible, no end event 4", "1 2",
         {"a": "1@0 1@31 x@32 2@33"}, [0, 0], 10, exclude="x:1-2"),
    Case("excl-after-window", "PostHog test_funnel_udf.py, excluded after the time expires", "1 2",
         {"a": "1@0 x@11 2@12"}, [1, 0], 10, exclude="x:1-2"),
    Case("excl-short", "PostHog test_funnel.py, short exclusions", "1 2",
         {"a": "1@0 x@1 2@31 1@3600 2@3629"}, [1, 1], 30, {"a": [29]}, exclude="x:1-2"),
    Case("excl-in-a-tie-ignored", "PostHog, an excluded event at the instant of a step", "1 2",
         {"a": "1@0 x@0 2@5", "b": "1@0 x@5 2@5"}, [2, 2], 10, exclude="x:1-2"),
    *(Case(f"excl-between-{first - 1}-{first}", "PostHog, advanced funnel, exclusions between steps", "U P I T Q",
           {"1": "U@1 P@2 x@3 I@4 x@4.5 T@5 x@5.5 Q@6",
            "2": "U@1 P@2 I@4 x@4.5 T@5 x@5.5 Q@6",
            "3": "U@1 x@1.5 P@2 I@4 T@5 x@5.5 Q@6"}, [left] * 5, exclude=f"x:{first}-{first + 1}")
      for first, left in ((1, 2), (2, 2), (3, 1), (4, 0))),
    Case("excl-ends-the-attempt", "Mixpanel: the steps before the exclusion count", "U P",
         {"1": "U@3600 P@7200", "2": "U@10800 x@12600 P@14400", "3": "U@18000 x@21600", "4": "U@25200 x@115200"},
         [4, 1], DAY, exclude="x:1-2!"),
    Case("optional-steps", "PostHog test_funnel_udf.py, funnel with optional steps", "1 2? 3 4? 5",
         {"1": "1@0", "123": "1@0 2@60 3@120", "13": "1@0 3@60", "12345": "1@0 2@60 3@120 4@180 5@240",
          "1235": "1@0 2@60 3@120 5@180", "134": "1@0 3@60 4@120", "1345": "1@0 3@60 4@120 5@180",
          "135": "1@0 3@60 5@120"}, [8, 3, 7, 3, 4]),
    Case("optional-same-event", "PostHog test_funnel_udf.py, optional steps of one event", "A A? A:url A",
         {"a": "A@0", "b": "A@0 A@60", "c": "A@0 A@60 A@120", "d": "A@0 A:url@60 A@120"}, [4, 2, 1, 1]),
    Case("strict", "PostHog test_funnel_strict.py, basic strict funnel", "su pv iv",
         {"1": "su@0", "2": "pv@0 su@60", "3": "su@0 pv@60 x@120 iv@180", "4": "iv@0 x@60 pv@120 su@180",
          "5": "pv@0 su@60 x@120 pv@180 iv@240", "6": "x@0 su@60 x@120 pv@180",
          "7": "x@0 su@60 pv@120 iv@180 x@240", "8": "iv@0 pv@60"}, [7, 2, 1], order="strict"),
    Case("unordered", "any order: one, two or three of three different steps within the window", "1 2 3",
         {"a": "3@0 2@60 1@120", "b": "2@0 1@60", "c": "2@0 2@60", "d": "3@0 1@700", "e": "x@0"}, [4, 2, 1], 600,
         {"a": [60, 60]}, order="any"),
    Case("reverse-order", "PostHog test_funnel_trends.py, steps in reverse", "1 2 3",
         {"a": "3@0 2@60 1@120"}, [1, 0, 0], DAY),
    Case("no-first-step", "PostHog test_funnel.py, a window of 99 years and no first step", "1 2",
         {"a": "2@0"}, [0, 0], 3_122_064_000),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_worked_case_reaches_the_published_counts(case: Case) -> None:
    assert reached(attempts.find(people_of(case.people), case.funnel)) == case.reached


@pytest.mark.parametrize("case", [case for case in CASES if case.seconds], ids=lambda case: case.name)
def test_worked_case_takes_the_published_time(case: Case) -> None:
    people = people_of(case.people)
    found = attempts.find(people, case.funnel)
    names = people.ids.take(found.customer).to_pylist()
    for customer, expected in case.seconds.items():
        times = seconds(found)[names.index(customer)]
        assert [later - earlier for earlier, later in pairwise(times)] == expected


@pytest.mark.parametrize(("first", "last"), [(2, 2), (2, 3), (3, 2), (1, 3)])
def test_exclusion_between_steps_that_are_not_there_is_refused(first: int, last: int) -> None:
    # PostHog test_funnel.py, exclusions of invalid ranges in a funnel of two steps
    with pytest.raises(SettingsFault, match="expected two of the steps 1 to 2"):
        asked("A B", exclusions=(excluding("x", first, last),))


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
