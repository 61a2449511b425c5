"""Flows: what paths do place by place, where they stop, and that they agree with the funnel they follow."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings

from engine.domain.errors import SettingsFault
from journeys import flows, spec
from journeys.flows import AtStep, Side
from journeys.outcomes import Status
from journeys.paths import Wanted
from journeys.patterns import Rewriting
from tests.journeys.builders import LATER
from tests.journeys.path_builders import block, in_two_halves, logs

PEOPLE = {"ann": "A@0 B@1 C@2", "ben": "A@0 B@1", "cid": "B@0 A@1 C@2", "dan": "A@5"}


def flowed(people: dict[str, str], first: int = 0, last: int = 3, **wanted: Any) -> list[dict[str, Any]]:
    return flows.nodes(flows.table(flows.count_block(block(people), Wanted(**wanted), first, last))).to_pylist()


def nodes(rows: list[dict[str, Any]]) -> dict[tuple[int, str], tuple[int, int, int, int]]:
    """Reached, went on, arrived, dropped by place and event."""
    return {
        (row["place"], row["event"]): (row["reached"], row["went_on"], row["arrived"], row["dropped"]) for row in rows
    }


def test_every_path_goes_on_or_stops_at_each_of_its_places() -> None:
    assert nodes(flowed(PEOPLE)) == {
        (0, "A"): (3, 2, 0, 1),
        (0, "B"): (1, 1, 0, 0),
        (1, "B"): (2, 1, 0, 1),
        (1, "A"): (1, 1, 0, 0),
        (2, "C"): (2, 0, 0, 2),
    }


def test_links_count_paths_and_customers() -> None:
    people = {"ann": "A@0 B@1 A@500 B@501", "ben": "A@0 B@1"}
    rows = flows.table(flows.count_block(block(people), Wanted(session_gap_seconds=60), 0, 0)).to_pylist()
    assert [(row["event"], row["fate"], row["next"], row["paths"], row["customers"]) for row in rows] == [
        ("A", "went_on", "B", 3, 2)
    ]


def test_a_path_that_comes_to_its_end_has_arrived_and_not_dropped() -> None:
    assert nodes(flowed(PEOPLE, start=("A",), end=("C",))) == {
        (0, "A"): (2, 2, 0, 0),
        (1, "B"): (1, 1, 0, 0),
        (1, "C"): (1, 0, 1, 0),
        (2, "C"): (1, 0, 1, 0),
    }


def test_places_before_an_end_count_down_to_it() -> None:
    assert nodes(flowed(PEOPLE, -1, 0, end=("C",))) == {
        (-1, "A"): (1, 1, 0, 0),
        (-1, "B"): (1, 1, 0, 0),
        (0, "C"): (2, 0, 2, 0),
    }


def test_trimming_joins_rare_events_and_loses_no_path() -> None:
    people = {"a": "A@0 X@1", "b": "A@0 X@1", "c": "A@0 Y@1", "d": "B@0 X@1", "e": "(other)@0 Z@1 X@2"}
    whole = flows.table(flows.count_block(block(people), Wanted(), 0, 1))
    small = flows.trimmed(whole, 1)
    assert nodes(flows.nodes(small).to_pylist()) == {
        (0, "A"): (3, 3, 0, 0),
        (0, "(other)"): (2, 2, 0, 0),
        (1, "X"): (3, 0, 0, 3),
        (1, "(other)"): (2, 1, 0, 1),
    }
    links = {(row["event"], row["next"]): row["paths"] for row in small.to_pylist() if row["place"] == 0}
    assert links == {("A", "X"): 2, ("A", "(other)"): 1, ("(other)", "X"): 1, ("(other)", "(other)"): 1}
    # an event of that very name is told from the mark
    assert (0, "((other))") in nodes(flows.nodes(flows.trimmed(whole, 9)).to_pylist())


@given(logs())
@settings(max_examples=100, deadline=None)
def test_what_goes_on_from_a_place_is_what_reaches_the_next_in_one_block_or_two(people: dict[str, str]) -> None:
    found = flows.table(flows.count_block(block(people), Wanted(), 0, 9))
    assert found.equals(
        flows.table(in_two_halves(people, partial(flows.count_block, wanted=Wanted(), first=0, last=9)))
    )
    rows = flows.nodes(found).to_pylist()
    for place in range(9):
        here = [row for row in rows if row["place"] == place]
        beyond = [row for row in rows if row["place"] == place + 1]
        assert sum(row["went_on"] for row in here) == sum(row["reached"] for row in beyond)
        for row in beyond:
            links = [one for one in found.to_pylist() if one["place"] == place and one["next"] == row["event"]]
            assert sum(link["paths"] for link in links) == row["reached"]
    assert sum(row["dropped"] for row in rows) == sum(bool(told) for told in people.values())


def funnel(steps: str, window: float = 1e6) -> spec.Funnel:
    made = tuple(spec.Step(name=name, events=(name,)) for name in steps.split())
    return spec.Funnel(steps=made, window_seconds=window)


def around(people: dict[str, str], steps: str, step: int, **more: Any) -> dict[tuple[int, str], Any]:
    rewriting = more.pop("rewriting", Rewriting())
    first, last = (-9, 0) if more.get("side") is Side.BEFORE else (0, 9)
    at_step = AtStep(funnel=funnel(steps), step=step, as_of=LATER, **more)
    blocks = flows.count_block_at_step(block(people), Wanted(rewriting=rewriting), at_step, first, last)
    return nodes(flows.nodes(flows.table(blocks)).to_pylist())


AT_FUNNEL = {
    "done": "x@0 A@1 y@2 B@3 z@4",
    "left": "A@0 y@1 y@2",
    "again": "A@0 B@1 A@2 B@3",
    "late": "B@0 A@5",
    "none": "B@0 z@1",
}


def test_what_those_who_dropped_did_after_begins_with_the_step_and_counts_them_all() -> None:
    """`left` stopped at A and did y twice more; `late` did A last of all."""
    assert around(AT_FUNNEL, "A B", 1, status=Status.DROPPED) == {
        (0, "A"): (2, 1, 0, 1),
        (1, "y"): (1, 1, 0, 0),
        (2, "y"): (1, 0, 0, 1),
    }


def test_what_led_to_a_step_ends_there() -> None:
    found = around(AT_FUNNEL, "A B", 2, side=Side.BEFORE)
    assert found[0, "B"] == (2, 0, 2, 0)
    assert found[-1, "y"] == (1, 1, 0, 0)
    assert found[-3, "x"] == (1, 1, 0, 0)


def test_what_lies_between_two_steps_runs_from_the_one_to_the_other() -> None:
    """`again` got to B by its first A at once."""
    assert around(AT_FUNNEL, "A B", 2, side=Side.BETWEEN) == {
        (0, "A"): (2, 2, 0, 0),
        (1, "y"): (1, 1, 0, 0),
        (1, "B"): (1, 0, 1, 0),
        (2, "B"): (1, 0, 1, 0),
    }
    with pytest.raises(SettingsFault, match="nothing comes before the first step"):
        around(AT_FUNNEL, "A B", 1, side=Side.BETWEEN)


def test_events_can_be_left_out_and_merged_around_a_step() -> None:
    rewriting = Rewriting(merge_repeats=True)
    assert around(AT_FUNNEL, "A B", 1, status=Status.DROPPED, rewriting=rewriting)[1, "y"] == (1, 0, 0, 1)
    left_out = around(AT_FUNNEL, "A B", 2, side=Side.BEFORE, rewriting=Rewriting(exclude=("y",)))
    assert left_out[0, "B"] == (2, 0, 2, 0)
    assert left_out[-1, "A"] == (2, 2, 0, 0)
