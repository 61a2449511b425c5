"""Worked cases of assignment: what GrowthBook publishes for whoever writes an SDK of their own.

Vectors: "hash", "getBucketRange", "chooseVariation", "inNamespace" of cases.json, spec version 0.5.4.
"""

from __future__ import annotations

import numpy as np
import pytest

from engine.config.assignment import NamespaceSlot
from engine.numerics.hashing import share_of
from experiments.assignment import NO_ARM, bucket_ranges, buckets, choose, in_slot

HASHES = [
    ("", "a", "growthbook_v1", 0.22),
    ("", "b", "growthbook_v1", 0.077),
    ("b", "a", "growthbook_v1", 0.946),
    ("ef", "d", "growthbook_v1", 0.652),
    ("asdf", "8952klfjas09ujk", "growthbook_v1", 0.549),
    ("", "123", "growthbook_v1", 0.011),
    ("", '___)((*":&', "growthbook_v1", 0.563),
    ("seed", "a", "growthbook_v2", 0.0505),
    ("seed", "b", "growthbook_v2", 0.2696),
    ("foo", "ab", "growthbook_v2", 0.2575),
    ("foo", "def", "growthbook_v2", 0.2019),
    ("89123klj", "8952klfjas09ujkasdf", "growthbook_v2", 0.124),
    ("90850943850283058242805", "123", "growthbook_v2", 0.7516),
    ("()**(%$##$%#$#", '___)((*":&', "growthbook_v2", 0.0128),
]

RANGES = [
    ("normal 50/50", 2, 1, None, [(0, 0.5), (0.5, 1)]),
    ("reduced coverage", 2, 0.5, None, [(0, 0.25), (0.5, 0.75)]),
    ("zero coverage", 2, 0, None, [(0, 0), (0.5, 0.5)]),
    ("4 variations", 4, 1, None, [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)]),
    ("uneven weights", 2, 1, [0.4, 0.6], [(0, 0.4), (0.4, 1)]),
    ("uneven weights, 3 variations", 3, 1, [0.2, 0.3, 0.5], [(0, 0.2), (0.2, 0.5), (0.5, 1)]),
    ("3 variations, reduced coverage", 3, 0.2, [0.2, 0.3, 0.5], [(0, 0.04), (0.2, 0.26), (0.5, 0.6)]),
    ("negative coverage", 2, -0.2, None, [(0, 0), (0.5, 0.5)]),
    ("coverage above 1", 2, 1.5, None, [(0, 0.5), (0.5, 1)]),
    ("weights sum below 1", 2, 1, [0.4, 0.1], [(0, 0.5), (0.5, 1)]),
    ("weights sum above 1", 2, 1, [0.7, 0.6], [(0, 0.5), (0.5, 1)]),
    ("weights not one per variation", 4, 1, [0.4, 0.4, 0.2], [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)]),
    ("weights almost 1", 2, 1, [0.4, 0.5999], [(0, 0.4), (0.4, 0.9999)]),
]

EVEN, REDUCED, WITH_EMPTY = [(0, 0.5), (0.5, 1)], [(0, 0.25), (0.5, 0.75)], [(0, 0.5), (0.5, 0.5), (0.5, 1)]

CHOICES = [
    *((bucket, EVEN, arm) for bucket, arm in [(0.2, 0), (0.4, 0), (0.6, 1), (0.8, 1), (0.0, 0), (0.5, 1)]),
    *((bucket, REDUCED, arm) for bucket, arm in [(0.2, 0), (0.4, -1), (0.6, 1), (0.8, -1), (0.25, -1), (0.5, 1)]),
    (0.5, WITH_EMPTY, 2),
]

# who is in [0, 0.4); everybody else is in [0.4, 1)
IN_FIRST_SLOT = {"namespace1": set(), "namespace2": {"3", "4"}}


@pytest.mark.parametrize(("seed", "value", "scheme", "expected"), HASHES)
def test_hashes_are_those_that_growthbook_publishes(seed, value, scheme, expected):
    assert buckets([value], seed, scheme)[0] == expected


def test_a_hash_of_version_99_is_refused_as_growthbook_gives_none():
    with pytest.raises(ValueError, match="growthbook_v99"):
        buckets(["def"], "abc", "growthbook_v99")


def test_fnv_by_hand():
    # FNV-1a 32 bit of "a": (0x811c9dc5 xor 0x61) x 0x01000193 mod 2^32 = 0xe40c292c = 3 826 002 220, ends in 220
    assert (0x811C9DC5 ^ 0x61) * 0x01000193 % 2**32 == 3_826_002_220
    assert buckets(["a"], "", "growthbook_v1")[0] == 220 / 1_000


def test_text_outside_ascii_is_hashed_by_its_utf16_units_as_javascript_does():
    def by_hand(text: str) -> float:
        state = 0x811C9DC5
        encoded = text.encode("utf-16-le")
        for place in range(0, len(encoded), 2):
            unit = encoded[place] + 256 * encoded[place + 1]
            state = (state ^ unit) * 0x01000193 % 2**32
        return state % 1_000 / 1_000

    # one of two bytes, one beyond the first 65 536 (two units), plain ones before and behind
    units = ["客户1", "plain", "a😀b", "", "é"]
    assert buckets(units, "盐", "growthbook_v1").tolist() == [by_hand(f"{unit}盐") for unit in units]


@pytest.mark.parametrize(("name", "arms", "coverage", "weights", "expected"), RANGES)
def test_ranges_are_those_that_growthbook_publishes(name, arms, coverage, weights, expected):
    assert np.array(bucket_ranges(arms, coverage, weights)) == pytest.approx(np.array(expected), abs=1e-12)


@pytest.mark.parametrize(("bucket", "ranges", "expected"), CHOICES)
def test_choices_are_those_that_growthbook_publishes(bucket, ranges, expected):
    assert NO_ARM == -1
    assert choose(np.array([bucket]), ranges)[0] == expected


@pytest.mark.parametrize("namespace", ["namespace1", "namespace2"])
def test_namespaces_are_those_that_growthbook_publishes(namespace):
    units = ["1", "2", "3", "4"]
    first = in_slot(units, NamespaceSlot(namespace=namespace, lower=0, upper=0.4), "growthbook_v2")
    second = in_slot(units, NamespaceSlot(namespace=namespace, lower=0.4, upper=1), "growthbook_v2")
    assert {unit for unit, held in zip(units, first, strict=True) if held} == IN_FIRST_SLOT[namespace]
    assert (first != second).all()


def test_the_own_scheme_is_the_share_of_engine_numerics():
    # 0.1887588204034969 for c1 under card_onboarding is pinned there
    assert buckets(["c1"], "card_onboarding", "sha256")[0] == share_of("c1", "card_onboarding") == 0.1887588204034969
