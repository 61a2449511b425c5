"""Groups of a broken-down funnel: who stands where, and that nobody is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys import attempts, breakdown, histories, outcomes, slices
from journeys.breakdown import OTHER, UNKNOWN, Attribution, Breakdown
from journeys.outcomes import Outcomes
from journeys.spec import Funnel
from tests.journeys.builders import LATER, asked, block, people_of

STEPS = asked("A B")


def of(people: dict[str, str], by: Breakdown | None, funnel: Funnel = STEPS, limit: int | None = None) -> Outcomes:
    return outcomes.of(outcomes.rows(block(people), funnel=funnel, by=by), funnel, LATER, limit)


def reached(found: Outcomes) -> dict[str, list[int]]:
    return {name: [step.count for step in outcomes.counts(found.of_group(name))] for name in found.groups}


def page(attribution: Attribution = Attribution.FIRST, **more: int) -> Breakdown:
    return Breakdown(attribute="page", attribution=attribution, **more)


def test_first_and_last_take_the_value_of_the_attempts_own_events() -> None:
    people = {"ann": "A:red@0 X:green@1 B:blue@2"}
    assert reached(of(people, page()))["red"] == [1, 1]
    assert reached(of(people, page(Attribution.LAST)))["blue"] == [1, 1]


def test_value_that_is_missing_at_the_first_step_is_that_of_the_next_one_known() -> None:
    assert reached(of({"ann": "A@0 B:blue@2"}, page()))["blue"] == [1, 1]


def test_attempt_whose_events_say_nothing_is_unknown_whatever_its_customer_did_elsewhere() -> None:
    assert reached(of({"ann": "A@0 B@2 X:green@3"}, page())) == {UNKNOWN: [1, 1]}


def test_customer_without_an_attempt_counts_among_the_cases_of_the_value_of_all_events() -> None:
    people = {"ann": "X@0 X:green@1 X:red@2", "bob": "X@0"}
    first, last = of(people, page()), of(people, page(Attribution.LAST))
    assert dict(zip(first.groups, first.cases, strict=True)) == {"green": 1, UNKNOWN: 1}
    assert dict(zip(last.groups, last.cases, strict=True)) == {"red": 1, UNKNOWN: 1}


def test_step_group_of_whoever_never_did_the_step_is_unknown() -> None:
    by = page(Attribution.STEP, step=2)
    assert reached(of({"ann": "A:red@0"}, by)) == {UNKNOWN: [1, 0]}


def test_step_group_counts_an_attempt_that_only_the_value_makes_possible() -> None:
    # the blue B comes too early, so blue stops at A; the red one converts
    by = page(Attribution.STEP, step=2)
    assert reached(of({"ann": "B:blue@0 A@1 B:red@2"}, by)) == {"blue": [1, 0], "red": [1, 1]}


def test_step_narrows_only_its_own_event_where_two_steps_are_of_one_kind() -> None:
    # the second A must be red, the first may be any
    by = page(Attribution.STEP, step=2)
    found = reached(of({"ann": "A:blue@0 A:red@1"}, by, asked("A A")))
    assert found == {"blue": [1, 0], "red": [1, 1]}


def test_values_that_are_not_named_are_one_group_that_counts_a_customer_once() -> None:
    by = Breakdown(attribute="page", attribution=Attribution.STEP, step=2, named=("red",))
    found = of({"ann": "A@0 B:blue@1 B:green@2", "bob": "A@0 B:red@1"}, by)
    assert reached(found) == {"red": [1, 1], OTHER: [1, 1]}
    assert dict(zip(found.groups, found.cases, strict=True)) == {"red": 1, OTHER: 1}


def test_what_to_name_is_told_by_the_steps_own_events_only() -> None:
    # yellow is frequent, but never at step 2
    people = people_of({"ann": "A:yellow@0 B:red@1 B:red@2", "bob": "A:yellow@0 X:yellow@1 B:red@3 B:blue@4"})
    by = page(Attribution.STEP, step=2)
    assert breakdown.values_at_step(people, STEPS, by) == {"red": 2, "blue": 1}


def test_groups_beyond_the_limit_go_to_other_by_how_many_entered() -> None:
    people = {f"r{n}": "A:red@0" for n in range(3)} | {f"b{n}": "A:blue@0 B@1" for n in range(2)}
    people |= {"g": "A:green@0 B@1", "y": "A:yellow@0", "n": "A@0", "x": "X:pink@0"}
    found = of(people, page(), limit=1)
    # green and yellow entered once, blue twice; pink never, but its customer is a case
    assert reached(found) == {"red": [3, 0], OTHER: [4, 3], UNKNOWN: [1, 0]}
    assert dict(zip(found.groups, found.cases, strict=True)) == {"red": 3, OTHER: 5, UNKNOWN: 1}


def test_without_more_groups_than_the_limit_there_is_no_other() -> None:
    assert of({"a": "A:red@0", "b": "A:blue@0"}, page(), limit=2).groups == ("blue", "red")


def test_copies_in_pieces_give_what_one_piece_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    people = {f"c{n}": "A:red@0 B:blue@1 A:blue@2 B:red@3 B:green@4" for n in range(7)}
    by = page(Attribution.STEP, step=2)
    whole = reached(of(people, by))
    monkeypatch.setattr(slices, "_EVENTS_AT_ONCE", 8)
    assert reached(of(people, by)) == whole == {"blue": [7, 7], "green": [7, 7], "red": [7, 7]}


def test_empty_block_gives_no_group() -> None:
    for by in (None, page(), page(Attribution.STEP, step=1), page(Attribution.ALL)):
        found = of({}, by)
        assert (len(found), found.groups) == (0, ())


events = st.tuples(
    st.sampled_from(["A", "B", "X"]), st.sampled_from(["", ":red", ":blue", ":green"]), st.integers(0, 8)
).map(lambda told: f"{told[0]}{told[1]}@{told[2]}")
logs = st.dictionaries(
    st.sampled_from(["ann", "bob", "eve", "kim"]), st.lists(events, min_size=1, max_size=7).map(" ".join), min_size=1
)


@settings(deadline=None, max_examples=60)
@given(people=logs, last=st.booleans(), limit=st.integers(1, 3))
def test_groups_by_own_value_add_up_to_the_whole(people: dict[str, str], last: bool, limit: int) -> None:
    funnel = asked("A B", window_seconds=4)
    whole = of(people, None, funnel)
    by = page(Attribution.LAST if last else Attribution.FIRST)
    grouped = of(people, by, funnel, limit)
    parts = reached(grouped)
    assert [sum(step) for step in zip(*parts.values(), strict=True)] == reached(whole)["all"]
    assert sum(grouped.cases) == len(people) == whole.cases[0]


@settings(deadline=None, max_examples=60)
@given(people=logs, step=st.integers(1, 2))
def test_whoever_converts_does_so_with_the_value_of_some_event_of_the_step(people: dict[str, str], step: int) -> None:
    funnel = asked("A B", window_seconds=4)
    whole = of(people, None, funnel)
    grouped = of(people, page(Attribution.STEP, step=step), funnel)
    converted = {name: set(found.customers.filter(found.completed).to_pylist()) for name, found in _each(grouped)}
    assert set().union(*converted.values()) == set(whole.customers.filter(whole.completed).to_pylist())


@settings(deadline=None, max_examples=60)
@given(people=logs)
def test_property_held_constant_is_the_funnel_of_the_events_with_that_value(people: dict[str, str]) -> None:
    funnel = asked("A B", window_seconds=4)
    grouped = reached(of(people, page(Attribution.ALL), funnel))
    for value in ("red", "blue", "green"):
        own = {who: " ".join(word for word in told.split() if f":{value}@" in word) for who, told in people.items()}
        own = {who: told for who, told in own.items() if told}
        expected = attempts.find(histories.of(block(own)), funnel).depth if own else []
        assert grouped.get(value, [0, 0]) == [sum(depth >= step for depth in expected) for step in (1, 2)]


@settings(deadline=None, max_examples=60)
@given(people=logs, step=st.integers(1, 2))
def test_step_group_is_the_funnel_whose_step_is_narrowed_to_the_value(people: dict[str, str], step: int) -> None:
    name = "AB"[step - 1]
    grouped = reached(of(people, page(Attribution.STEP, step=step), asked("A B", window_seconds=4)))
    for value in ("red", "blue", "green"):
        narrowed = asked(f"A:{value} B" if step == 1 else f"A B:{value}", window_seconds=4)
        own = {who: told for who, told in people.items() if f"{name}:{value}@" in told}
        expected = attempts.find(histories.of(block(own)), narrowed).depth if own else []
        assert grouped.get(value, [0, 0]) == [sum(depth >= level for depth in expected) for level in (1, 2)]


def _each(found: Outcomes) -> list[tuple[str, Outcomes]]:
    return [(name, found.of_group(name)) for name in found.groups]
