"""Outcomes: how it went on for those at a step, and that blocks of a log add up."""

from __future__ import annotations

from functools import partial

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.lake.engine import DuckDBEngine, Engine
from journeys import outcomes
from journeys.breakdown import Attribution, Breakdown
from journeys.outcomes import Outcomes, Status, StepCount
from journeys.spec import Funnel, Order, Reentry
from tests.journeys.builders import asked, block, event_log, event_rows, excluding, moment

# as of second 200 with a window of 100 seconds, edge included
STEPS = asked("A B C", 100)
AS_OF = moment(200)
PEOPLE = {
    "converted": "A@0 B@10 C@30",
    "left after A": "A@20",
    "left after B": "A@50 B@90",
    "open at the edge": "A@100",  # 100 + 100 = as of: still time
    "on the way": "A@150 B@160",
    "came back": "A@0 B@5 A@180",  # the deep try ran out, the new one is open
    "bystander": "X@0",
}


def of(people: dict[str, str] = PEOPLE, funnel: Funnel = STEPS) -> Outcomes:
    return outcomes.of(outcomes.rows(block(people), funnel=funnel), funnel, AS_OF)


def test_every_step_accounts_for_everybody_who_reached_it() -> None:
    counted = outcomes.counts(of())
    assert [(step.count, step.converted, step.dropped, step.in_progress) for step in counted] == [
        (6, 4, 1, 1),  # dropped: left after A; in progress: open at the edge
        (4, 1, 1, 2),  # dropped: left after B; in progress: on the way, came back
        (1, 1, 0, 0),  # at the last step all have completed
    ]
    assert of().cases.tolist() == [7]


def test_shares_and_median_waits_are_those_of_the_hand_calculation() -> None:
    counted = outcomes.counts(of())
    assert [step.share_of_first for step in counted] == [1, 4 / 6, 1 / 6]
    assert [step.share_of_previous for step in counted] == [None, 4 / 6, 1 / 4]
    # A to B took 10, 40, 10 and 5 seconds: median 10; B to C 20
    assert [step.median_seconds_from_previous for step in counted] == [None, 10, 20]


def test_step_that_nobody_reaches_is_zero_and_what_it_is_a_share_of_undefined() -> None:
    counted = outcomes.counts(of({"ann": "B@0"}))
    assert [(step.count, step.share_of_first, step.share_of_previous) for step in counted] == [(0, None, None)] * 3


def test_share_and_wait_at_a_step_after_an_optional_one_are_from_the_required_one_before() -> None:
    counted = outcomes.counts(of({"a": "A@0 B@10 C@30", "b": "A@0 C@50", "c": "A@0"}, asked("A B? C", 100)))
    assert [(step.count, step.share_of_previous, step.median_seconds_from_previous) for step in counted] == [
        (3, None, None),
        (1, 1 / 3, 10),
        (2, 2 / 3, 40),  # of the three at A; 30 and 50 seconds after it
    ]
    assert [(step.converted, step.dropped) for step in counted] == [(2, 1), (1, 0), (2, 0)]


def test_whom_an_exclusion_drops_counts_at_no_step_but_is_a_case_and_excluded() -> None:
    found = of({"ann": "A@0 X@1 B@2", "bob": "A@0 B@1"}, asked("A B", 100, exclusions=(excluding("X", 1, 2),)))
    assert [step.count for step in outcomes.counts(found)] == [1, 1]
    assert (found.cases.tolist(), int(found.excluded.sum())) == ([2], 1)
    assert found.customers.filter(pa.array(found.having(1, Status.EXCLUDED))).to_pylist() == ["ann"]


def test_with_every_attempt_counting_only_the_latest_can_be_in_progress() -> None:
    found = of({"ann": "A@0 A@150"}, asked("A B", 100, reentry=Reentry.EVERY))
    first = outcomes.counts(found)[0]
    assert (first.count, first.dropped, first.in_progress) == (2, 1, 1)


def test_latest_attempt_is_the_customers_own_whatever_the_group_of_the_earlier_ones() -> None:
    funnel = asked("A B", 100, reentry=Reentry.EVERY)
    by = Breakdown(attribute="page")
    found = outcomes.of(outcomes.rows(block({"ann": "A:red@0 A:blue@150"}), funnel=funnel, by=by), funnel, AS_OF)
    standing = {name: outcomes.counts(found.of_group(name))[0] for name in found.groups}
    assert {name: (step.dropped, step.in_progress) for name, step in standing.items()} == {
        "red": (1, 0),
        "blue": (0, 1),
    }
    assert outcomes.counts(found)[0].in_progress == 1


def test_steps_in_any_order_are_named_by_how_many() -> None:
    counted = outcomes.counts(of({"ann": "B@0 A@1"}, asked("A B", 100, order=Order.ANY)))
    assert [(step.name, step.count) for step in counted] == [("any 1 of 2", 1), ("any 2 of 2", 1)]


def test_mature_is_whose_time_would_be_over_converted_or_not() -> None:
    found = of({"converted": "A@0 B@10 C@30", "fast": "A@150 B@151 C@152", "left": "A@99", "edge": "A@100"})
    assert sorted(found.customers.filter(pa.array(found.mature)).to_pylist()) == ["converted", "left"]


events = st.tuples(st.sampled_from(["A", "B", "C", "X"]), st.integers(0, 250)).map(lambda told: f"{told[0]}@{told[1]}")
logs = st.dictionaries(
    st.sampled_from([f"c{n}" for n in range(8)]), st.lists(events, min_size=1, max_size=9).map(" ".join), min_size=1
)


@settings(deadline=None, max_examples=80)
@given(people=logs, reentry=st.sampled_from(Reentry), drops=st.booleans())
def test_two_halves_of_the_customers_add_up_to_the_whole(people: dict[str, str], reentry: Reentry, drops: bool) -> None:
    exclusions = (excluding("X", 1, 3),) if drops else ()
    funnel = asked("A B C", 60, reentry=reentry, exclusions=exclusions)
    names = sorted(people)
    halves = [{name: people[name] for name in names[start::2]} for start in (0, 1)]
    rows = [outcomes.rows(block(half), funnel=funnel) for half in halves]
    together = outcomes.of(pa.concat_tables(rows), funnel, AS_OF)
    assert outcomes.counts(together) == outcomes.counts(of(people, funnel))
    assert together.cases.tolist() == [len(people)]


@settings(deadline=None, max_examples=80)
@given(people=logs, reentry=st.sampled_from(Reentry), steps=st.sampled_from(["A B C", "A B? C", "A A B"]))
def test_at_every_step_reached_is_converted_and_dropped_and_in_progress(
    people: dict[str, str], reentry: Reentry, steps: str
) -> None:
    for step in outcomes.counts(of(people, asked(steps, 60, reentry=reentry))):
        assert step.count == step.converted + step.dropped + step.in_progress


@pytest.mark.parametrize("steps", ["A B C", "A B? C"])
def test_no_block_at_all_counts_nothing(steps: str) -> None:
    funnel = asked(steps, 60)
    found = outcomes.of(outcomes.schema(funnel).empty_table(), funnel, AS_OF)
    assert [step.count for step in outcomes.counts(found)] == [0, 0, 0]


@pytest.mark.spark
@pytest.mark.parametrize(
    "by",
    [
        None,
        Breakdown(attribute="channel"),
        Breakdown(attribute="channel", attribution=Attribution.STEP, step=2, named=("web",)),
        Breakdown(attribute="channel", attribution=Attribution.ALL),
    ],
    ids=["whole", "first", "step", "all"],
)
def test_spark_gives_the_same_outcomes(spark: Engine, by: Breakdown | None) -> None:
    people = {f"c{n}": f"A@{n % 7} X@{n % 3 + 2} B@{n % 11} A@{n % 5 + 4} B@{n % 13 + 3} C@12" for n in range(40)}
    told = event_rows(people)
    told = [{**row, "channel": ("web", "app", "branch", None)[place % 4]} for place, row in enumerate(told)]
    funnel = asked("A B C", 10, exclusions=(excluding("X", 1, 2),))

    def found(engine: Engine) -> tuple[StepCount, ...]:
        log = event_log(engine, told)
        rows = log.map_blocks(
            engine, partial(outcomes.rows, funnel=funnel, by=by), AS_OF, attributes=["channel"], ordered=False
        )
        whole = outcomes.of(rows, funnel, AS_OF)
        return tuple(step for name in whole.groups for step in outcomes.counts(whole.of_group(name)))

    with DuckDBEngine(threads=1) as duckdb:
        assert found(duckdb) == found(spark)
