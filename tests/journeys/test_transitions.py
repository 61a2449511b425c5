"""The transition graph: counts, customers, waits, shares, begin and end."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from journeys import transitions
from journeys.paths import Wanted
from journeys.patterns import Rewriting
from tests.journeys.path_builders import block, in_two_halves, logs

PEOPLE = {"ann": "A@0 B@10 A@30 B@100", "ben": "A@5 B@9", "cid": "B@7 B@8"}


def graph(people: dict[str, str], **wanted: Any) -> dict[tuple[str, str], dict[str, Any]]:
    rows = transitions.graph(transitions.count_block(block(people), Wanted(**wanted))).to_pylist()
    return {
        (transitions.written(row["from"], transitions.START), transitions.written(row["to"], transitions.END)): row
        for row in rows
    }


def test_a_transition_counts_each_time_and_its_customers_once() -> None:
    edges = graph(PEOPLE)
    assert {edge: (row["count"], row["customers"]) for edge, row in edges.items()} == {
        ("(start)", "A"): (2, 2),
        ("(start)", "B"): (1, 1),
        ("A", "B"): (3, 2),
        ("B", "A"): (1, 1),
        ("B", "B"): (1, 1),
        ("B", "(end)"): (3, 3),
    }


def test_percentiles_of_the_wait_are_those_of_all_waits() -> None:
    """A to B took 10 and 70 seconds with ann and 4 with ben: 4, 10, 70."""
    row = graph(PEOPLE)["A", "B"]
    assert row["median_seconds"] == 10
    assert row["p25_seconds"] == 7  # half way from 4 to 10
    assert row["p75_seconds"] == 40  # half way from 10 to 70
    assert row["p95_seconds"] == pytest.approx(64)  # nine tenths of the way
    assert graph(PEOPLE)["(start)", "A"]["median_seconds"] is None
    assert graph(PEOPLE)["B", "(end)"]["p95_seconds"] is None


def test_shares_are_of_all_that_leaves_and_of_all_that_comes() -> None:
    """B occurs 5 times: 3 times from A, once from B, once first; then 3 times nothing, once A, once B."""
    edges = graph(PEOPLE)
    assert edges["A", "B"]["share_out"] == 1
    assert edges["A", "B"]["share_in"] == pytest.approx(3 / 5)
    assert edges["B", "(end)"]["share_out"] == pytest.approx(3 / 5)
    assert edges["(start)", "A"]["share_out"] == pytest.approx(2 / 3)


def test_events_named_like_the_marks_are_told_from_them() -> None:
    assert set(graph({"ann": "(start)@0 (end)@1"})) == {
        ("(start)", "((start))"),
        ("((start))", "((end))"),
        ("((end))", "(end)"),
    }


def test_sessions_count_a_customer_once_per_transition() -> None:
    row = graph({"ann": "A@0 B@1 A@500 B@501"}, session_gap_seconds=100)
    assert (row["(start)", "A"]["count"], row["(start)", "A"]["customers"]) == (2, 1)
    assert (row["A", "B"]["count"], row["A", "B"]["customers"]) == (2, 1)
    assert ("B", "A") not in row


def test_groups_are_counted_apart() -> None:
    people = {"ann": "A/web@0 B/app@1", "ben": "A/app@0 B/app@9"}
    rows = transitions.graph(transitions.count_block(block(people), Wanted(by="channel"))).to_pylist()
    waits = {row["group"]: row["median_seconds"] for row in rows if row["from"] == "A"}
    assert waits == {"web": 1, "app": 9}
    assert all(row["share_out"] == 1 for row in rows)


def test_nothing_is_left_of_an_empty_log_and_of_one_event() -> None:
    assert graph({}) == {}
    assert {edge: row["count"] for edge, row in graph({"ann": "A@0"}).items()} == {
        ("(start)", "A"): 1,
        ("A", "(end)"): 1,
    }
    assert graph({"ann": "A@0"}, rewriting=Rewriting(exclude=("A",))) == {}


def expected(people: dict[str, str]) -> dict[tuple[str | None, str | None], tuple[int, int, list[float]]]:
    """The transitions by a loop over customers and events."""
    waits: dict[Any, list[float]] = defaultdict(list)
    counts: Counter[Any] = Counter()
    whose: dict[Any, set[str]] = defaultdict(set)
    for customer, told in people.items():
        words = [(float(word.split("@")[1]), place, word.split("@")[0]) for place, word in enumerate(told.split())]
        events = sorted(words)
        for before, after in pairwise([(0.0, -1, None), *events, (0.0, -1, None)]):
            if before[2] is None and after[2] is None:
                continue
            edge = before[2], after[2]
            counts[edge] += 1
            whose[edge].add(customer)
            if None not in edge:
                waits[edge].append(after[0] - before[0])
    return {edge: (counts[edge], len(whose[edge]), sorted(waits[edge])) for edge in counts}


@given(logs())
@settings(max_examples=150, deadline=None)
def test_counts_and_percentiles_are_those_of_a_loop_over_the_events_in_one_block_or_two(people: dict[str, str]) -> None:
    found = transitions.graph(transitions.count_block(block(people), Wanted()))
    assert found.equals(transitions.graph(in_two_halves(people, partial(transitions.count_block, wanted=Wanted()))))
    by_hand = expected(people)
    rows = found.to_pylist()
    assert {(row["from"], row["to"]): (row["count"], row["customers"]) for row in rows} == {
        edge: counts[:2] for edge, counts in by_hand.items()
    }
    for row in rows:
        waits = by_hand[row["from"], row["to"]][2]
        for name, share in transitions.PERCENTILES.items():
            assert row[name] == (pytest.approx(np.quantile(waits, share)) if waits else None)


def test_more_names_than_a_table_of_pairs_holds_are_counted_all_the_same() -> None:
    """3,000 names follow each other in turn twice: each pair twice, the one across once."""
    n = 3_000
    told = " ".join(f"e{place % n:04d}@{place}" for place in range(2 * n))
    edges = graph({"ann": told, "ben": "e0001@0 e0000@4"})
    assert len(edges) == n + 5
    assert edges["e0000", "e0001"]["count"] == 2
    assert edges["e2999", "e0000"]["count"] == 1
    assert edges["e0001", "e0000"]["median_seconds"] == 4


def test_waits_too_long_to_share_a_number_with_their_transition_are_sorted_all_the_same() -> None:
    """Hundreds of thousands of years in microseconds take 60 bits, 90 events 13 more."""
    far = 2**60
    rows = [("ann", f"e{place % 90:02d}", place * (far // 200)) for place in range(200)]
    names, times = [row[1] for row in rows], [row[2] for row in rows]
    table = pa.table({"customer": [row[0] for row in rows], "event": names, "at": pa.array(times, pa.timestamp("us"))})
    found = transitions.graph(transitions.count_block(table, Wanted()))
    inner = [row for row in found.to_pylist() if row["median_seconds"] is not None]
    assert sum(row["count"] for row in inner) == 199
    assert {row["median_seconds"] for row in inner} == {far // 200 / 1e6}
