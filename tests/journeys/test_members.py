"""The customers behind every count, and what they did next."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from journeys import members, outcomes
from journeys.members import Next
from journeys.outcomes import Outcomes, Status
from journeys.spec import Funnel, Order, Reentry
from tests.journeys.builders import asked, block, excluding, moment

AS_OF = moment(200)
STEPS = asked("A B C", 100)


def of(people: dict[str, str], funnel: Funnel = STEPS) -> Outcomes:
    return outcomes.of(outcomes.rows(block(people), funnel=funnel), funnel, AS_OF)


def after(people: dict[str, str], step: int, status: Status, funnel: Funnel = STEPS) -> tuple[Next, ...]:
    followed = members.next_events(block(people), funnel=funnel, step=step)
    return members.after(of(people, funnel), step, status, followed)


def test_customers_of_a_step_are_listed_by_how_it_went_on() -> None:
    found = of({"zoe": "A@0 B@1", "bob": "A@0", "eve": "A@150", "ann": "A@0 B@10 C@20", "kim": "A@1 B@2"})
    assert members.customers(found, 1, Status.REACHED) == ["ann", "bob", "eve", "kim", "zoe"]
    assert members.customers(found, 1, Status.CONVERTED) == ["ann", "kim", "zoe"]
    assert members.customers(found, 1, Status.DROPPED) == ["bob"]
    assert members.customers(found, 1, Status.IN_PROGRESS) == ["eve"]
    assert members.customers(found, 2, Status.DROPPED) == ["kim", "zoe"]
    assert members.customers(found, 3, Status.CONVERTED) == ["ann"]


def test_excluded_customers_are_listed_whatever_the_step() -> None:
    found = of({"ann": "A@0 X@1 B@2", "bob": "A@0"}, asked("A B", 100, exclusions=(excluding("X", 1, 2),)))
    assert members.customers(found, 2, Status.EXCLUDED) == ["ann"]


def test_with_every_attempt_counting_a_customer_is_listed_once_for_each() -> None:
    found = of({"ann": "A@0 B@1 A@2 B@3"}, asked("A B", 100, reentry=Reentry.EVERY))
    assert members.customers(found, 2, Status.CONVERTED) == ["ann", "ann"]


def test_next_event_is_any_that_follows_within_the_window_or_silence() -> None:
    people = {
        "ann": "A@0 error@10",
        "bob": "A@0 error@30 error@40",
        "eve": "A@0 call@100",  # the edge of the window
        "kim": "A@0 call@101",  # beyond it
        "zoe": "A@0",
        "pat": "A@0 B@5",
    }
    assert after(people, 1, Status.DROPPED) == (
        Next(event="error", count=2, share=2 / 5, median_seconds=20),
        Next(event=None, count=2, share=2 / 5, median_seconds=None),
        Next(event="call", count=1, share=1 / 5, median_seconds=100),
    )
    assert after(people, 1, Status.CONVERTED) == (Next(event="B", count=1, share=1, median_seconds=5),)


def test_next_event_is_after_the_one_that_reached_the_step_in_the_attempt_that_counts() -> None:
    # the second entry is the one that converts
    assert after({"ann": "A@0 X@1 A@2 Y@3 B@4 C@5"}, 1, Status.CONVERTED) == (
        Next(event="Y", count=1, share=1, median_seconds=1),
    )


def test_of_several_attempts_each_has_its_own_next_event() -> None:
    funnel = asked("A B", 100, reentry=Reentry.EVERY)
    assert [(one.event, one.count) for one in after({"ann": "A@0 B@1 A@2 X@3 B@4"}, 1, Status.CONVERTED, funnel)] == [
        ("B", 1),
        ("X", 1),
    ]


def test_nobody_at_a_step_did_nothing_next() -> None:
    assert after({"ann": "A@0"}, 3, Status.CONVERTED) == ()


events = st.tuples(st.sampled_from(["A", "B", "C", "X"]), st.integers(0, 250)).map(lambda told: f"{told[0]}@{told[1]}")
logs = st.dictionaries(
    st.sampled_from([f"c{n}" for n in range(8)]), st.lists(events, min_size=1, max_size=9).map(" ".join), min_size=1
)


@settings(deadline=None, max_examples=40)
@given(
    people=logs,
    reentry=st.sampled_from(Reentry),
    order=st.sampled_from([Order.ORDERED, Order.STRICT]),
    steps=st.sampled_from(["A B C", "A B? C", "A A B"]),
)
def test_every_count_opens_to_as_many_customers_and_to_as_many_next_events(
    people: dict[str, str], reentry: Reentry, order: Order, steps: str
) -> None:
    funnel = asked(steps, 60, reentry=reentry, order=order, exclusions=(excluding("X", 1, 3),))
    found = of(people, funnel)
    for number, step in enumerate(outcomes.counts(found), start=1):
        shown = {
            Status.REACHED: step.count,
            Status.CONVERTED: step.converted,
            Status.DROPPED: step.dropped,
            Status.IN_PROGRESS: step.in_progress,
        }
        for status, count in shown.items():
            listed = members.customers(found, number, status)
            assert len(listed) == count
            assert listed == sorted(listed) and set(listed) <= set(people)
            assert sum(one.count for one in after(people, number, status, funnel)) == count
