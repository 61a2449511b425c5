"""Movement between two dates: by hand, by law, and over ten months of which the seventh splits a group."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.load import load
from engine.config.segments import SegmentSettings
from engine.segments import movement
from engine.segments.assign import Earlier, Segmentation, assign

SETTINGS = load(SegmentSettings, "segments")
MOVE = SETTINGS.movement
NAMES = {name: (name.upper(), name) for name in "abcdxy"}


def _table(groups: Sequence[str | None], first: int = 0) -> pa.Table:
    ids = [f"C{at:04d}" for at in range(first, first + len(groups))]
    return pa.table({"customer_id": ids, "group": pa.array(groups, pa.string())})


def _flow(before: str, after: str) -> movement.Flow:
    return movement.flow(*(_table([None if one == "." else one for one in side]) for side in (before, after)))


def test_stayed_entered_and_left_are_those_counted_by_hand() -> None:
    # C0 a-a, C1 a-b, C2 b-b, C3 b-gone, C4 none-b; C5 is new
    before, after = _table(["a", "a", "b", "b", None]), _table(["a", "b", "b", None, "b", "a"])
    moved = movement.flow(before, after)
    assert {(row["before"], row["after"]): row["customers"] for row in movement.migration(moved)} == {
        ("a", "a"): 1,
        ("a", "b"): 1,
        ("b", "b"): 1,
        ("b", ""): 1,
        ("", "a"): 1,
        ("", "b"): 1,
    }
    of_a, of_b = movement.balance(moved)
    assert of_a == {"group": "a", "before": 2, "after": 2, "stayed": 1, "entered": 1, "left": 1, "stayed_share": 0.5}
    assert of_b == {"group": "b", "before": 2, "after": 3, "stayed": 1, "entered": 2, "left": 1, "stayed_share": 0.5}


def test_index_is_the_one_worked_out_by_hand() -> None:
    # shares 3/4, 1/4 and 2/4, 2/4: -1/4 ln(2/3) + 1/4 ln 2 = 0.25 (0.405465 + 0.693147)
    assert movement.stability_index(_flow("aaab", "aabb")) == pytest.approx(0.274653, abs=1e-6)
    assert movement.stability_index(_flow("ab", "ba")) == 0
    assert movement.stability_index(_flow("ab", "aa")) == math.inf
    assert math.isnan(movement.stability_index(_flow("..", "ab")))


def test_groups_are_matched_so_that_all_together_overlap_most() -> None:
    # x overlaps a by 3/5 and b by 2/6; y is all of b that is left: greedy or not, x is a and y is b
    assert movement.matched(_flow("aaaabbbb", "xxxyxyyy"), MOVE) == {"x": "a", "y": "b"}
    # nobody of c is left together
    assert movement.matched(_flow("aaaacccc", "xxxxxyzw"), MOVE) == {"x": "a"}


def test_a_split_a_merger_a_dissolution_and_a_shift_are_noticed_with_their_names() -> None:
    split = movement.notices(_flow("aaaabbbb", "aaxxbbbb"), MOVE, NAMES)
    assert [(one["kind"], one["group"], one["others"]) for one in split if one["kind"] == "split"] == [
        ("split", "a", ["a", "x"])
    ]
    assert split[0]["sentence_en"] == "A splits: its customers go to A, X."
    assert split[0]["sentence_zh"] == "“a”正在分裂：客户流向a、x。"
    merged = movement.notices(_flow("aaaabbbb", "xxxxxxxx"), MOVE, NAMES)
    assert ("merged", ["a", "b"]) in [(one["kind"], one["others"]) for one in merged]
    lost = movement.notices(_flow("aaaabbbbccccdddd", "abcdbbbbccccdddd"), MOVE, NAMES)
    assert [(one["kind"], one["group"], one["share"]) for one in lost if one["kind"] == "dissolving"] == [
        ("dissolving", "a", 0.25)
    ]
    assert "at most 25%" in next(one["sentence_en"] for one in lost if one["kind"] == "dissolving")
    gone = movement.notices(_flow("aaaaaaaabbbb", "aaaaa...bbbb"), MOVE, NAMES)
    assert [(one["kind"], one["group"], one["share"]) for one in gone] == [("shrinking", "a", pytest.approx(3 / 8))]


def test_nothing_is_noticed_where_nobody_moved() -> None:
    assert movement.notices(_flow("aabb", "aabb"), MOVE, NAMES) == []


groups = st.lists(st.tuples(st.sampled_from("abc."), st.sampled_from("abcd.")), min_size=1, max_size=60)


@given(groups)
def test_everybody_is_counted_once_and_renaming_changes_no_pairing(rows: list[tuple[str, str]]) -> None:
    before, after = ("".join(side) for side in zip(*rows, strict=True))
    moved = _flow(before, after)
    somewhere = sum(row != (".", ".") for row in rows)
    assert sum(row["customers"] for row in movement.migration(moved)) == somewhere
    for row in movement.balance(moved):
        assert row["before"] == row["stayed"] + row["left"] == before.count(row["group"])
        assert row["after"] == row["stayed"] + row["entered"] == after.count(row["group"])
    same = movement.matched(moved, MOVE)
    assert len(set(same.values())) == len(same)
    # a division compared with itself matches itself
    alone = movement.matched(_flow(before, before), MOVE)
    assert all(one == other for one, other in alone.items())


KINDS = np.array([(60, 900_000, 12, 1, 4), (25, 9_000_000, 5, 2, 7), (6, 300_000, 1, 12, 2), (20, 100_000, 120, 1, 1)])
APART = np.array((90, 800_000, 1, 1, 9))  # what half of the first group becomes
MONTHS, SPLIT_IN, CUSTOMERS = 10, 7, 900


@functools.cache
def months(splits: bool) -> tuple[list[Segmentation], list[np.ndarray]]:
    """Ten monthly segmentations, each told of the one before, and the true group of everybody in each month."""
    draw = np.random.default_rng(3)
    few = {"resamples": 4, "restarts": 2, "most": 6, "silhouette_customers": 600}
    settings = SETTINGS.model_copy(update={"clusters": SETTINGS.clusters.model_copy(update=few)})
    group = draw.choice(4, CUSTOMERS, p=[0.4, 0.15, 0.2, 0.25])
    moves = draw.random(CUSTOMERS) < 0.5
    found: list[Segmentation] = []
    truth = []
    for month in range(1, MONTHS + 1):
        changed = draw.random(CUSTOMERS) < 0.02
        group = np.where(changed, draw.choice(4, CUSTOMERS), group)
        centre = KINDS[group] * (1 + 0.02 * month)
        apart = (group == 0) & moves & splits & (month >= SPLIT_IN)
        centre = np.where(apart[:, None], APART, centre)
        noisy = np.rint(centre * np.exp(draw.normal(0, 0.2, centre.shape))).astype(np.int64)
        names = ("transactions_90d", "money_in_90d_minor", "events_app_90d", "events_branch_90d", "products_held")
        table = {"customer_id": [f"C{at:05d}" for at in range(CUSTOMERS)], "transactions_365d": noisy[:, 0] * 4}
        features = pa.table({**table, **{name: noisy[:, at] for at, name in enumerate(names)}})
        earlier = None
        if found:
            profile = found[-1].profiles.to_pylist()
            called = {row["cluster_id"]: (row["cluster_name"], row["cluster_name_zh"]) for row in profile}
            earlier = Earlier(members=found[-1].members.select(["customer_id", "cluster_id"]), names=called)
        found.append(assign(features, settings, month, earlier))
        truth.append(np.where(apart, 4, group))
    return found, truth


def _by_group(found: Segmentation, truth: np.ndarray, column: str) -> dict[int, object]:
    """The commonest number or name of each true group."""
    values = np.array(found.members[column].to_pylist(), dtype=object)
    return {
        one: max(set(values[truth == one]), key=list(values[truth == one]).count) for one in np.unique(truth).tolist()
    }


def test_numbers_and_names_stay_with_the_same_group_over_ten_months() -> None:
    found, truth = months(splits=False)
    first = _by_group(found[0], truth[0], "cluster_id")
    assert len(set(first.values())) == 4
    named = _by_group(found[0], truth[0], "cluster_name")
    for month in range(1, MONTHS):
        assert _by_group(found[month], truth[month], "cluster_id") == first, f"month {month + 1}"
        assert _by_group(found[month], truth[month], "cluster_name") == named, f"month {month + 1}"


def test_a_group_that_splits_in_month_seven_is_noticed_by_month_eight_and_no_other_ever() -> None:
    found, truth = months(splits=True)
    told: dict[int, list[str]] = {}
    for month in range(1, MONTHS):
        sides = (
            found[at].members.select(["customer_id", "cluster_id"]).rename_columns(["customer_id", "group"])
            for at in (month - 1, month)
        )
        said = movement.notices(movement.flow(*sides), MOVE, {})
        told |= {month + 1: [f"{one['kind']} {one['group']}" for one in said if one["kind"] != "shifted"]}
    of_first = _by_group(found[0], truth[0], "cluster_id")[0]
    assert {month for month, said in told.items() if said} <= {SPLIT_IN, SPLIT_IN + 1}
    assert f"split {of_first}" in told[SPLIT_IN] + told[SPLIT_IN + 1]
    # those who stayed in their group keep its number
    last = _by_group(found[-1], truth[-1], "cluster_id")
    assert {one: last[one] for one in (1, 2, 3)} == {
        one: _by_group(found[0], truth[0], "cluster_id")[one] for one in (1, 2, 3)
    }
    assert len(set(last.values())) == 5
