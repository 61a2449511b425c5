"""Laws of paths: they agree with funnels and with each other, and no order of the rows changes them."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys import attempts, flows, histories, outcomes, spec, step_matrix, transitions, variants
from journeys.breakdown import everybody
from journeys.flows import AtStep, Side
from journeys.outcomes import Status
from journeys.paths import Wanted
from journeys.patterns import Rewriting
from tests.journeys.builders import moment
from tests.journeys.path_builders import block, in_two_halves, logs, logs_without_ties

NAMES = ("A", "B", "C")
STEPS = st.lists(st.sampled_from(NAMES), min_size=2, max_size=4)
ENDLESS = 1e9

COUNTS: dict[str, Any] = {
    "transitions": partial(transitions.count_block, wanted=Wanted()),
    "sessions": partial(transitions.count_block, wanted=Wanted(session_gap_seconds=2)),
    "merged": partial(transitions.count_block, wanted=Wanted(rewriting=Rewriting(merge_repeats=True))),
    "between": partial(transitions.count_block, wanted=Wanted(start=("A",), end=("B",))),
    "by channel": partial(transitions.count_block, wanted=Wanted(by="channel")),
}


def funnel(steps: list[str], **more: Any) -> spec.Funnel:
    made = tuple(spec.Step(name=f"{place} {name}", events=(name,)) for place, name in enumerate(steps))
    return spec.Funnel(steps=made, **{"window_seconds": ENDLESS, **more})


def reached(people: dict[str, str], asked: spec.Funnel) -> list[int]:
    depth = attempts.find(histories.of(block(people)), asked).depth
    return [int((depth >= step).sum()) for step in range(1, len(asked.steps) + 1)]


@given(logs_without_ties(), st.sampled_from(NAMES), st.sampled_from(NAMES))
@settings(max_examples=150, deadline=None)
def test_a_strict_funnel_of_two_steps_counts_the_customers_of_that_transition(
    people: dict[str, str], one: str, two: str
) -> None:
    rows = transitions.graph(transitions.count_block(block(people), Wanted())).to_pylist()
    edge = sum(row["customers"] for row in rows if (row["from"], row["to"]) == (one, two))
    assert reached(people, funnel([one, two], order=spec.Order.STRICT))[1] == edge


@given(logs_without_ties(), STEPS)
@settings(max_examples=150, deadline=None)
def test_an_ordered_funnel_counts_the_paths_that_hold_its_steps_in_their_order(
    people: dict[str, str], steps: list[str]
) -> None:
    """The variants of the steps' events alone, told apart and counted, against the funnel of the same events."""
    wanted = Wanted(rewriting=Rewriting(only=tuple(set(steps))))
    names = tuple(sorted(set(steps)))
    found = variants.most_frequent(variants.count_block(block(people), wanted, names), names, 10_000)[None]
    holding = [
        sum(one.count for one in found.top if _holds(one.path, steps[:step])) for step in range(1, len(steps) + 1)
    ]
    assert reached(people, funnel(steps)) == holding


def _holds(path: tuple[str, ...], steps: list[str]) -> bool:
    left = iter(path)
    return all(step in left for step in steps)


FUNNELS = st.builds(
    lambda steps, window, order, reentry: funnel(steps, window_seconds=window, order=order, reentry=reentry),
    STEPS,
    st.integers(1, 12),
    st.sampled_from([spec.Order.ORDERED, spec.Order.STRICT]),
    st.sampled_from(list(spec.Reentry)),
)
UNORDERED = st.builds(
    lambda steps, window: funnel(steps, window_seconds=window, order=spec.Order.ANY),
    st.permutations(NAMES),
    st.integers(1, 12),
)


@given(logs(), FUNNELS | UNORDERED, st.integers(0, 12))
@settings(max_examples=120, deadline=None)
def test_the_flow_around_a_step_has_exactly_the_paths_that_the_funnel_counts_there(
    people: dict[str, str], asked: spec.Funnel, seen: int
) -> None:
    as_of = moment(seen)
    whole = everybody(histories.of(block(people)), asked)
    counted = outcomes.of(outcomes.rows_of(whole, asked), asked, as_of)
    for step in range(1, len(asked.steps) + 1):
        for status in (Status.REACHED, Status.CONVERTED, Status.DROPPED, Status.IN_PROGRESS):
            for side in (Side.AFTER, Side.BEFORE):
                at_step = AtStep(funnel=asked, step=step, as_of=as_of, status=status, side=side)
                rows = flows.count_block_at_step(block(people), Wanted(), at_step, 0, 0)
                assert sum(rows.column("paths").to_pylist()) == counted.having(step, status).sum()


@given(logs())
@settings(max_examples=100, deadline=None)
def test_what_leaves_an_event_and_what_comes_to_it_are_its_occurrences(people: dict[str, str]) -> None:
    occurrences = Counter(word.split("@")[0] for told in people.values() for word in told.split())
    rows = transitions.graph(transitions.count_block(block(people), Wanted())).to_pylist()
    for side in ("from", "to"):
        counted: Counter[str] = Counter()
        for row in rows:
            if row[side] is not None:
                counted[row[side]] += row["count"]
        assert counted == occurrences


@given(logs())
@settings(max_examples=100, deadline=None)
def test_variants_flows_and_the_step_matrix_tell_the_same_of_the_first_places(people: dict[str, str]) -> None:
    asked = block(people)
    found = variants.most_frequent(variants.count_block(asked, Wanted(), NAMES), NAMES, 10_000)[None]
    nodes = flows.nodes(flows.table(flows.count_block(asked, Wanted(), 0, 2))).to_pylist()
    shares = step_matrix.matrix(step_matrix.count_block(asked, Wanted(), (), 0, 2)).to_pylist()
    for place in range(3):
        by_variant: Counter[str] = Counter()
        for one in found.top:
            if len(one.path) > place:
                by_variant[one.path[place]] += one.count
        assert {row["event"]: row["reached"] for row in nodes if row["place"] == place} == by_variant
        here = {row["event"]: row["count"] for row in shares if row["place"] == place and row["event"] is not None}
        assert here == by_variant


@pytest.mark.parametrize("kind", COUNTS)
@given(people=logs(), seed=st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_a_shuffle_of_the_rows_and_a_cut_into_two_halves_change_nothing(
    kind: str, people: dict[str, str], seed: int
) -> None:
    asked = block(people)
    whole = transitions.graph(COUNTS[kind](asked))
    shuffled = asked.take(pa.array(np.random.default_rng(seed).permutation(len(asked))))
    assert transitions.graph(COUNTS[kind](shuffled)).equals(whole)
    assert transitions.graph(in_two_halves(people, COUNTS[kind])).equals(whole)


@given(logs(), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_a_shuffle_of_the_rows_changes_no_variant(people: dict[str, str], seed: int) -> None:
    asked = block(people)
    shuffled = asked.take(pa.array(np.random.default_rng(seed).permutation(len(asked))))
    one, other = (
        variants.most_frequent(variants.count_block(rows, Wanted(), NAMES), NAMES, 50) for rows in (asked, shuffled)
    )
    assert one == other


@given(logs())
@settings(max_examples=60, deadline=None)
def test_one_session_of_endless_patience_is_the_whole_history(people: dict[str, str]) -> None:
    patient = Wanted(session_gap_seconds=ENDLESS)
    assert transitions.count_block(block(people), patient).equals(transitions.count_block(block(people), Wanted()))
