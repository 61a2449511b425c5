"""Variants: the different ways that paths run, told apart exactly whatever their digests."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys import coding, variants
from journeys.paths import Wanted
from journeys.patterns import Rewriting
from journeys.variants import Variants
from tests.journeys.path_builders import block, in_two_halves, logs

NAMES = ("A", "B", "C")

PEOPLE = {
    "ann": "A@0 B@10",
    "ben": "A@0 B@30",
    "cid": "B@0 A@5",
    "dan": "A@0 B@20",
    "eve": "A@0",
    "fay": "A@0 A@1 B@100",
}


def most_frequent(people: dict[str, str], top: int = 10, **wanted: Any) -> Variants:
    blocks = variants.count_block(block(people), Wanted(**wanted), NAMES)
    return variants.most_frequent(blocks, NAMES, top)[None]


def counts(found: Variants) -> dict[str, int]:
    return {" ".join(one.path): one.count for one in found.top}


def test_paths_of_the_same_events_in_the_same_order_are_one_variant() -> None:
    found = most_frequent(PEOPLE)
    assert (found.cases, found.variants) == (6, 4)
    assert [(" ".join(one.path), one.count) for one in found.top] == [("A B", 3), ("A", 1), ("A A B", 1), ("B A", 1)]
    first = found.top[0]
    assert (first.customers, first.share, first.median_seconds) == (3, 3 / 6, 20)
    # 10, 30, 5, 20, 0 and 100 seconds from first to last event
    assert found.mean_seconds == pytest.approx(165 / 6)
    assert found.median_seconds == 15


def test_merged_repeats_make_one_variant_of_two() -> None:
    found = most_frequent(PEOPLE, rewriting=Rewriting(merge_repeats=True))
    assert counts(found) == {"A B": 4, "A": 1, "B A": 1}


def test_the_top_changes_nothing_but_how_many_are_told_and_equally_frequent_ones_come_by_name() -> None:
    found = most_frequent(PEOPLE, top=3)
    assert (found.cases, found.variants) == (6, 4)
    assert list(counts(found)) == ["A B", "A", "A A B"]


def test_groups_have_their_own_variants() -> None:
    people = {"ann": "A/web@0 B@1", "ben": "A/app@0 B@1", "cid": "B/app@0", "dan": "B/app@0"}
    found = variants.most_frequent(variants.count_block(block(people), Wanted(by="channel"), NAMES), NAMES, 5)
    assert {value: counts(one) for value, one in found.items()} == {"web": {"A B": 1}, "app": {"B": 2, "A B": 1}}
    assert found["app"].top[0].share == pytest.approx(2 / 3)


def test_no_paths_have_no_variant_and_no_time() -> None:
    assert most_frequent({}) == Variants(cases=0, variants=0, mean_seconds=None, median_seconds=None, top=())


@given(logs(most=6), st.integers(0, 8))
@settings(max_examples=150, deadline=None)
def test_variants_are_those_of_a_loop_over_the_customers_in_one_block_or_two(people: dict[str, str], top: int) -> None:
    took: dict[str, list[float]] = defaultdict(list)
    for told in people.values():
        words = [(float(word[2:]), place, word[0]) for place, word in enumerate(told.split())]
        if words:
            events = sorted(words)
            took[" ".join(name for _, _, name in events)].append(events[-1][0] - events[0][0])
    ranked = sorted(took, key=lambda path: (-len(took[path]), path.split()))[:top]

    found = most_frequent(people, top)
    assert [(" ".join(one.path), one.count, one.median_seconds) for one in found.top] == [
        (path, len(took[path]), median(took[path])) for path in ranked
    ]
    assert (found.cases, found.variants) == (sum(map(len, took.values())), len(took))
    halves = in_two_halves(people, lambda half: variants.count_block(half, Wanted(), NAMES))
    assert variants.most_frequent(halves, NAMES, top)[None] == found


DIGESTS: dict[str, Callable[[Any, Any], Any]] = {
    "all alike": lambda starts, codes: np.zeros(len(starts) - 1, dtype=np.uint64),
    "the length": lambda starts, codes: np.diff(starts).astype(np.uint64),
    "the first event": lambda starts, codes: codes[starts[:-1]].astype(np.uint64),
}


@pytest.mark.parametrize("digest", DIGESTS)
@given(paths=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), max_size=12))
@settings(max_examples=60, deadline=None)
def test_paths_of_one_digest_that_differ_are_never_counted_together(digest: str, paths: list[list[int]]) -> None:
    starts = np.cumsum([0, *map(len, paths)])
    codes = np.array([code for path in paths for code in path], dtype=np.int32)
    first, variant = variants.classes(starts, codes, DIGESTS[digest])
    assert [paths[leader] for leader in first] == list(map(list, dict.fromkeys(map(tuple, paths))))
    assert [paths[first[number]] for number in variant] == paths


def test_a_hundred_thousand_events_of_one_customer_are_one_variant_beside_short_ones() -> None:
    n = coding.PIECE + 5
    names = np.array(["A", "B"])[np.arange(n) % 2]
    long = pa.table({"customer": ["x"] * n, "event": names, "at": pa.array(np.arange(n), pa.timestamp("us"))})
    short = pa.table({"customer": ["y", "z"], "event": ["A", "A"], "at": pa.array([0, 1], pa.timestamp("us"))})
    found = variants.most_frequent(variants.count_block(pa.concat_tables([long, short]), Wanted(), NAMES), NAMES, 9)[
        None
    ]
    assert [(len(one.path), one.count) for one in found.top] == [(1, 2), (n, 1)]


def test_digests_tell_random_paths_apart_and_anagrams_too() -> None:
    """Were they bad, the answer would be right but slow: here no two different paths may share one."""
    rng = np.random.default_rng(1)
    paths = {tuple(rng.permutation(12).tolist()) for _ in range(5_000)}
    starts = np.arange(len(paths) + 1) * 12
    codes = np.array(list(paths), dtype=np.int32).ravel()
    assert Counter(Counter(variants.digests(starts, codes).tolist()).values()) == {1: len(paths)}
