"""Which attempts count, when their steps were reached, and by which events: one customer at a time, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.domain.errors import SettingsFault
from journeys import attempts, histories, spec
from journeys.attempts import MISSING, Attempts
from journeys.spec import Effect, Order, Reentry, WindowFrom
from tests.journeys.builders import START, asked, block, excluding, people_of, reached, seconds


def found(told: str, steps: str | list[str], window: float = 10, **more: object) -> Attempts:
    """The attempts of one customer."""
    return attempts.find(people_of({"ann": told}), asked(steps, window, **more))


def times(told: str, steps: str, window: float = 10, **more: object) -> list[list[float | None]]:
    return seconds(found(told, steps, window, **more))


def open_seconds(one: Attempts) -> list[float | None]:
    first = round(START.timestamp()) * 1_000_000
    return [None if until == MISSING else (until - first) / 1e6 for until in one.open_until.tolist()]


def test_attempt_that_gets_deepest_counts_and_not_the_latest() -> None:
    assert times("A@0 B@1 C@2 A@50 B@51", "A B C") == [[0, 1, 2]]


def test_of_equally_deep_attempts_the_first_to_get_there_counts() -> None:
    assert times("A@0 B@1 A@50 B@54", "A B") == [[0, 1]]


def test_event_carries_on_the_latest_entry_that_waits_for_it() -> None:
    assert times("A@0 A@3 B@5", "A B") == [[3, 5]]


def test_earlier_entry_goes_on_where_it_has_an_event_left_that_the_later_one_used() -> None:
    # the entry at 5 uses one of the two events there and would need a third
    assert times("A@0 A@5 A@5", "A A A") == [[0, 5, 5]]


def test_first_entry_alone_counts_where_only_the_first_is_asked_for() -> None:
    assert times("A@0 A@30 B@31", "A B", reentry=Reentry.FIRST) == [[0, None]]


def test_every_attempt_counts_and_none_begins_before_the_last_has_ended() -> None:
    # the entry at 2 lies within the first attempt; that at 5 comes after its conversion; 12 is within 5's window
    assert times("A@0 A@2 B@3 A@5 A@12 A@16 B@17", "A B", reentry=Reentry.EVERY) == [[0, 3], [5, None], [16, 17]]


def test_window_from_the_previous_step_looks_for_any_choice_that_fits() -> None:
    # the first B is too far from C; the second is too far from the first A, but not from the second
    assert times("A@0 B@4 A@9 B@15 C@24", "A B C", window_from=WindowFrom.PREVIOUS) == [[9, 15, 24]]


def test_strict_step_must_be_at_the_very_next_instant_of_any_event() -> None:
    assert times("A@0 x@1 B@2", "A B", order=Order.STRICT) == [[0, None]]
    assert times("A@0 B@1 x@1 C@2", "A B C", order=Order.STRICT) == [[0, 1, 2]]


def test_strict_steps_are_shared_out_over_instants_in_whatever_way_makes_an_attempt() -> None:
    # B at 0 would leave nothing for the instant 1; B at 1 lets C follow at the very next instant
    assert times("A@0 B@0 B@1 C@2", "A B C", order=Order.STRICT) == [[0, 1, 2]]


def test_steps_in_any_order_are_told_in_the_order_of_time() -> None:
    one = found("C@0 A@4 B@9", "A B C", order=Order.ANY)
    assert (seconds(one), one.row.tolist(), one.depth.tolist()) == ([[0, 4, 9]], [[0, 1, 2]], [3])


def test_steps_in_any_order_each_need_an_event_of_their_own() -> None:
    # two events for the two steps that B reaches, but A only by one of them
    assert reached(found("B@0 B@1", "A|B B", order=Order.ANY)) == [1, 1]
    assert reached(found("B@0", "A|B B", order=Order.ANY)) == [1, 0]


def test_steps_in_any_order_follow_each_other_by_gaps_where_the_window_runs_from_the_previous() -> None:
    assert times("A@0 B@9 C@18", "A B C", order=Order.ANY, window_from=WindowFrom.PREVIOUS) == [[0, 9, 18]]
    # a second A is no step that could bridge the gap between B and C
    assert reached(found("B@0 A@8 A@16 C@24", "A B C", order=Order.ANY, window_from=WindowFrom.PREVIOUS)) == [1, 1, 0]


def test_row_is_the_first_event_of_the_instant_that_fits_and_each_event_is_used_once() -> None:
    # rows in order of name within the instant: A:u is the second of the two A
    one = found("A@0 A:u@0 B@0", "A A B")
    assert one.row.tolist() == [[0, 1, 2]]


def test_step_leaves_the_only_event_that_a_later_step_of_the_instant_can_use() -> None:
    # A fits both steps and comes first, but the second step has no other
    people = people_of({"ann": "A@0 B@0"})
    one = attempts.find(people, asked("A|B A", 10))
    used = [people.event.values[people.event.codes[row]] for row in one.row[0].tolist()]
    assert used == ["B", "A"]


def test_condition_on_an_attribute_decides_which_events_reach_a_step() -> None:
    assert times("A@0 A:u@3 A:v@5", "A:u A:v") == [[3, 5]]


def test_attempt_stays_open_until_the_window_of_the_latest_entry_closes() -> None:
    assert open_seconds(found("A@0 B@1 A@7", "A B C")) == [17]


def test_window_from_the_previous_step_stays_open_from_the_latest_arrival() -> None:
    assert open_seconds(found("A@0 B@8", "A B C", window_from=WindowFrom.PREVIOUS)) == [18]


def test_strict_attempt_is_over_once_something_else_has_happened() -> None:
    assert open_seconds(found("A@0", "A B", order=Order.STRICT)) == [10]
    assert open_seconds(found("A@0 x@1", "A B", order=Order.STRICT)) == [None]


def test_attempt_that_an_exclusion_ended_is_not_open_any_more() -> None:
    ends = (excluding("x", 1, 2, Effect.END_ATTEMPT),)
    assert open_seconds(found("A@0 x@1", "A B", exclusions=ends)) == [None]
    assert open_seconds(found("A@0 x@1 A@2", "A B", exclusions=ends)) == [12]


def test_customer_whom_an_exclusion_drops_is_named_and_counts_at_no_step() -> None:
    people = people_of({"ann": "A@0 x@1 B@2", "bob": "A@0 B@2"})
    one = attempts.find(people, asked("A B", 10, exclusions=(excluding("x", 1, 2),)))
    assert people.ids.take(one.excluded).to_pylist() == ["ann"]
    assert people.ids.take(one.customer).to_pylist() == ["bob"]


def test_exclusion_over_several_steps_holds_between_each_two_of_them() -> None:
    wide = (excluding("x", 1, 3, Effect.END_ATTEMPT),)
    assert times("A@0 x@1 B@2 C@3", "A B C", exclusions=wide) == [[0, None, None]]
    assert times("A@0 B@2 x@2 C@3", "A B C", exclusions=wide) == [[0, 2, 3]]
    assert times("A@0 B@1 x@2 C@3", "A B C", exclusions=wide) == [[0, 1, None]]


def test_any_event_can_be_excluded() -> None:
    alone = (excluding("*", 1, 2),)
    assert asked("A B", exclusions=alone).names() is None
    assert reached(found("A@0 B@1 C@2", "A B", exclusions=alone)) == [1, 1]
    assert found("A@0 C@1 B@2", "A B", exclusions=alone).excluded.tolist() == [0]


def test_of_two_exclusions_the_event_that_comes_first_decides() -> None:
    both = (excluding("x", 1, 2), excluding("y", 1, 2, Effect.END_ATTEMPT))
    assert found("A@0 x@1 y@2", "A B", exclusions=both).excluded.tolist() == [0]
    assert times("A@0 y@1 x@2", "A B", exclusions=both) == [[0, None]]


def test_optional_step_needs_an_event_that_no_required_step_uses() -> None:
    assert times("A@0 B@1", "A B? B") == [[0, None, 1]]
    assert times("A@0 B@1 B@1", "A B? B") == [[0, 1, 1]]


def test_optional_steps_count_in_their_order_up_to_the_next_required_one() -> None:
    assert times("A@0 C@1 B@2 D@3", "A B? C? D") == [[0, 2, None, 3]]
    assert times("A@0 D@1 B@2", "A B? D") == [[0, None, 1]]


def test_optional_step_after_the_last_one_reached_counts_within_the_window() -> None:
    assert times("A@0 B@10", "A B? C") == [[0, 10, None]]
    assert times("A@0 B@11", "A B? C") == [[0, None, None]]


def test_fifteen_steps_and_any_event_between_them_share_the_events_out() -> None:
    steps = ["e0", "*", *(f"e{number}" for number in range(1, 15))]
    tied = " ".join(f"e{number}@0" for number in range(15))
    assert reached(found(tied, steps)) == [1] * 15 + [0]
    assert reached(found(f"{tied} e0@0", steps)) == [1] * 16


def test_funnel_of_one_step_counts_who_entered() -> None:
    assert reached(found("x@0 A@1", "A")) == [1]


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("window_from", WindowFrom)
def test_nobody_gives_no_attempts(order: Order, window_from: WindowFrom) -> None:
    nobody = histories.of(block({}))
    one = attempts.find(nobody, asked("A B", order=order, window_from=window_from))
    assert (one.at.shape, one.row.shape, len(one.customer), len(one.excluded)) == ((0, 2), (0, 2), 0, 0)


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("window_from", WindowFrom)
def test_customer_of_a_hundred_thousand_events_is_answered(order: Order, window_from: WindowFrom) -> None:
    told = [(float(second // 2), "ABC"[second % 3]) for second in range(100_000)]
    one = attempts.find(people_of({"ann": told}), asked("A * A|B C", order=order, window_from=window_from))
    assert one.depth.tolist() == [4]
    assert len(np.unique(one.row)) == 4


@pytest.mark.parametrize(
    ("steps", "more", "said"),
    [
        ("A B", {"window_seconds": 0}, "a window of 0 seconds: expected more than 0"),
        ("A B", {"window_seconds": -1}, "a window of -1 seconds"),
        ("A B", {"window_seconds": float("nan")}, "a window of nan seconds"),
        ("A? B", {}, "the first and the last step must be required"),
        ("A B?", {}, "the first and the last step must be required"),
        ("", {}, "0 steps"),
        (" ".join(["A"] * 61), {}, "61 steps"),
        (" ".join(f"e{place}|A" for place in range(17)), {}, "17 different steps hang together"),
        (" ".join(f"e{place}|A" for place in range(9)), {"order": Order.ANY}, "9 different .* at most 8"),
        ("A B? C", {"order": Order.ANY}, "optional steps need an order"),
        ("A B? C", {"exclusions": (excluding("x", 2, 3),)}, "one of them is optional"),
        ("A B C", {"order": Order.ANY, "exclusions": (excluding("x", 1, 2),)}, "steps in any order have no between"),
        ("A B", {"reentry": Reentry.EVERY, "window_from": WindowFrom.PREVIOUS}, "have no common end"),
        ("A B C D E F G H I", {"order": Order.ANY, "window_from": WindowFrom.PREVIOUS}, "at most 8"),
        (
            "A B",
            {"order": Order.ANY, "window_from": WindowFrom.PREVIOUS, "exclusions": (excluding("x", 1, 2),)},
            "need a window from the first step",
        ),
    ],
)
def test_funnel_that_cannot_be_answered_is_refused_with_a_sentence(
    steps: str, more: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingsFault, match=said):
        asked(steps, **more)


def test_all_faults_of_a_funnel_are_told_together() -> None:
    with pytest.raises(SettingsFault) as fault:
        asked("A? B", 0, exclusions=(excluding("x", 2, 1),))
    assert len(fault.value.faults) == 3


def test_step_that_names_no_event_is_refused() -> None:
    with pytest.raises(SettingsFault, match=r'step 1 \("nothing"\) names no event'):
        spec.Funnel(steps=(spec.Step(name="nothing", events=()),), window_seconds=1)
