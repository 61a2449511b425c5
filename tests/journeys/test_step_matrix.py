"""The step matrix: shares of the paths at each event, place by place."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys import step_matrix
from journeys.paths import Wanted
from tests.journeys.path_builders import block, in_two_halves, logs

PEOPLE = {"ann": "A@0 B@1 C@2", "ben": "A@0 C@1", "cid": "B@0", "dan": "C@0 A@1"}


def matrix(
    people: dict[str, str], first: int, last: int, *, centre: tuple[str, ...] = (), **wanted: Any
) -> dict[tuple[int, str], float]:
    """Shares by place and event, or by place and what became of the others."""
    rows = step_matrix.matrix(step_matrix.count_block(block(people), Wanted(**wanted), centre, first, last)).to_pylist()
    return {(row["place"], row["event"] or row["fate"]): row["share"] for row in rows}


def test_shares_of_each_place_are_of_all_paths_also_of_those_that_have_ended() -> None:
    assert matrix(PEOPLE, 0, 2) == {
        (0, "A"): 2 / 4,
        (0, "B"): 1 / 4,
        (0, "C"): 1 / 4,
        (1, "A"): 1 / 4,
        (1, "B"): 1 / 4,
        (1, "C"): 1 / 4,
        (1, "ended"): 1 / 4,
        (2, "C"): 1 / 4,
        (2, "ended"): 3 / 4,
    }


def test_centred_on_an_event_only_paths_that_have_it_count_with_the_first_at_place_0() -> None:
    assert matrix(PEOPLE, -1, 1, centre=("C",)) == {
        (-1, "A"): pytest.approx(1 / 3),
        (-1, "B"): pytest.approx(1 / 3),
        (-1, "not_begun"): pytest.approx(1 / 3),
        (0, "C"): 1,
        (1, "A"): pytest.approx(1 / 3),
        (1, "ended"): pytest.approx(2 / 3),
    }


def test_groups_have_their_own_shares() -> None:
    people = {"ann": "A/web@0", "ben": "B/web@0", "cid": "A/app@0"}
    rows = step_matrix.matrix(step_matrix.count_block(block(people), Wanted(by="channel"), (), 0, 0)).to_pylist()
    assert [(row["group"], row["event"], row["share"]) for row in rows] == [
        ("app", "A", 1),
        ("web", "A", 0.5),
        ("web", "B", 0.5),
    ]


@given(logs(), st.integers(-3, 0), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_shares_add_up_to_one_at_every_place_in_one_block_or_two(people: dict[str, str], first: int, last: int) -> None:
    count = partial(step_matrix.count_block, wanted=Wanted(), centre=("A",), first=first, last=last)
    found = step_matrix.matrix(count(block(people)))
    assert found.equals(step_matrix.matrix(in_two_halves(people, count)))
    paths = sum("A" in told for told in people.values())
    for place in range(first, last + 1):
        here = [row for row in found.to_pylist() if row["place"] == place]
        assert sum(row["share"] for row in here) == (pytest.approx(1) if paths else 0)
        assert sum(row["count"] for row in here) == paths
