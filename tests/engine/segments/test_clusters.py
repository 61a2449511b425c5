"""Clusters: planted ones are found, whatever the order of rows; names say what the figures say."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import adjusted_rand_score

from engine.config.load import load
from engine.config.segments import SegmentSettings
from engine.domain.errors import NotEnoughData
from engine.domain.marts import SEGMENT_CHOICES, SEGMENT_PROFILES, SEGMENTS
from engine.lake.schema import arrow_schema
from engine.segments import clusters
from engine.segments.assign import Segmentation, assign, columns

SETTINGS = load(SegmentSettings, "segments")
# typical payments, inflow, app events, branch events, products of each planted group
GROUPS = {
    "everyday": (60, 900_000, 12, 1, 4),
    "wealthy": (25, 9_000_000, 5, 2, 7),
    "branch": (6, 300_000, 1, 12, 2),
    "student": (20, 100_000, 120, 1, 1),
}


@functools.cache
def _planted(customers: int = 2_000, seed: int = 5) -> tuple[pa.Table, np.ndarray]:
    draw = np.random.default_rng(seed)
    group = draw.choice(len(GROUPS), customers, p=[0.4, 0.1, 0.2, 0.3])
    centre = np.array(list(GROUPS.values()))[group]
    noisy = np.rint(centre * np.exp(draw.normal(0, 0.2, centre.shape))).astype(np.int64)
    names = ("transactions_90d", "money_in_90d_minor", "events_app_90d", "events_branch_90d", "products_held")
    table = {
        "customer_id": [f"C{at:05d}" for at in range(customers)],
        **{name: noisy[:, at] for at, name in enumerate(names)},
        "transactions_365d": noisy[:, 0] * 4,
        "days_since_last_transaction": np.rint(90 / noisy[:, 0]).astype(np.int64),
        "balance_minor": pa.nulls(customers, pa.int64()),
    }
    return pa.table(table), group


@functools.cache
def _segments() -> Segmentation:
    return assign(_planted()[0], SETTINGS, seed=1)


def test_marts_have_the_columns_of_their_contracts_sorted_by_customer() -> None:
    found = _segments()
    assert found.members.schema == arrow_schema(SEGMENTS)
    assert found.profiles.schema == arrow_schema(SEGMENT_PROFILES)
    assert found.choices.schema == arrow_schema(SEGMENT_CHOICES)
    assert found.members["customer_id"].to_pylist() == sorted(_planted()[0]["customer_id"].to_pylist())


def test_planted_groups_and_their_number_are_recovered() -> None:
    found, group = _segments(), _planted()[1]
    assert adjusted_rand_score(group, found.members["cluster_id"].to_numpy()) > 0.9
    chosen = [row["clusters"] for row in found.choices.to_pylist() if row["chosen"]]
    assert chosen == [4]
    rows = {row["clusters"]: row for row in found.choices.to_pylist()}
    assert max(rows.values(), key=lambda row: row["silhouette"])["chosen"]
    # drawn anew, the four come out again; of five one is a chance cut through a group
    assert rows[4]["stability"] > 0.99
    assert rows[4]["weakest_cluster"] > 0.99
    assert rows[5]["weakest_cluster"] < SETTINGS.clusters.stable_cluster


def test_clusters_are_numbered_from_the_largest() -> None:
    sizes = np.bincount(_segments().members["cluster_id"].to_numpy())
    assert sizes.tolist() == sorted(sizes, reverse=True)


def test_the_order_of_rows_changes_nothing() -> None:
    table = _planted()[0]
    shuffled = table.take(pa.array(np.random.default_rng(2).permutation(table.num_rows)))
    again = assign(shuffled, SETTINGS, seed=1)
    for mart in ("members", "profiles", "choices"):
        assert getattr(again, mart).equals(getattr(_segments(), mart))


def test_customers_beyond_the_sample_join_the_nearest_centre() -> None:
    few = SETTINGS.clusters.model_copy(update={"sample_customers": 200, "silhouette_customers": 100})
    found = clusters.fit(_planted()[0], few, seed=3)
    assert adjusted_rand_score(_planted()[1], found.labels) > 0.9


def test_names_differ_and_say_what_the_figures_say() -> None:
    members, group = _segments().members, _planted()[1]
    names = members["cluster_name"].to_pylist()
    assert len(set(names)) == 4
    of_group = {name: names[int(np.flatnonzero(group == at)[0])] for at, name in enumerate(GROUPS)}
    assert "branch visitors" in of_group["branch"].lower()
    assert "high inflows" in of_group["wealthy"].lower()
    assert "app users" in of_group["student"].lower()
    chinese = dict(zip(names, members["cluster_name_zh"].to_pylist(), strict=True))
    assert "常去网点" in chinese[of_group["branch"]]


def test_profiles_hold_plain_means_and_effects_that_cancel_over_all_customers() -> None:
    rows = [row for row in _segments().profiles.to_pylist() if row["feature"] == "events_branch_90d"]
    total = sum(row["customers"] for row in rows)
    assert total == 2_000
    assert sum(row["customers"] * row["effect_size"] for row in rows) == pytest.approx(0, abs=1e-6)
    weighted = sum(row["customers"] * row["mean"] for row in rows) / total
    assert weighted == pytest.approx(rows[0]["overall_mean"])
    assert rows[0]["overall_mean"] == pytest.approx(np.mean(_planted()[0]["events_branch_90d"].to_numpy()))


def test_customers_without_any_activity_have_no_cluster_and_move_no_centre() -> None:
    table = _planted()[0]
    idle = {name: pa.array([0] * 50) for name in table.column_names}
    idle["customer_id"] = pa.array([f"Z{at:05d}" for at in range(50)])
    idle["days_since_last_transaction"] = pa.nulls(50, pa.int64())
    idle["balance_minor"] = pa.nulls(50, pa.int64())
    found = assign(pa.concat_tables([table, pa.table(idle)]), SETTINGS, seed=1)
    assert found.members["cluster_id"].to_pylist()[-50:] == [None] * 50
    assert found.members["cluster_name"].to_pylist()[-1] is None
    assert found.profiles.equals(_segments().profiles)


def test_features_that_are_missing_empty_or_the_same_for_all_are_passed_over_and_noted() -> None:
    said = next(note for note in _segments().notes if note.startswith("clusters without"))
    assert "balance_minor" in said  # empty
    assert "held_deposit" in said  # missing
    assert "transactions_90d" not in said


def test_too_few_active_customers_leave_clusters_empty_and_say_why() -> None:
    found = assign(_planted()[0].slice(0, 49), SETTINGS, seed=1)
    assert found.members["cluster_id"].null_count == 49
    assert found.members["recency_score"].null_count == 0
    assert found.profiles.num_rows == found.choices.num_rows == 0
    assert "49 customers with any activity" in found.notes[-1]


def test_customers_who_are_all_alike_are_not_split() -> None:
    alike = pa.table({"customer_id": [f"C{at}" for at in range(60)], "transactions_365d": [5] * 60})
    with pytest.raises(NotEnoughData, match="0 of 27 features differ"):
        clusters.fit(alike, SETTINGS.clusters, seed=1)


def test_a_bank_that_knows_only_customers_gets_tiers_of_nobody_and_notes() -> None:
    found = assign(pa.table({"customer_id": ["b", "a"], "age_years": [30, 40]}), SETTINGS, seed=1)
    assert found.members["customer_id"].to_pylist() == ["a", "b"]
    assert found.members["value_tier"].to_pylist() == ["none", "none"]
    assert "no feature tells activity" in found.notes[-1]


def test_the_columns_asked_for_are_all_that_is_looked_at() -> None:
    table = _planted()[0].append_column("shoe_size", pa.array(np.arange(2_000)))
    assert "shoe_size" not in columns(SETTINGS)
    assert assign(table, SETTINGS, seed=1).members.equals(_segments().members)


@pytest.mark.parametrize("extreme", [10**15, -(10**15)])
def test_one_extreme_customer_does_not_make_a_cluster_of_his_own(extreme: int) -> None:
    table: Any = _planted()[0].to_pydict()
    table["money_in_90d_minor"][0] = extreme
    found = assign(pa.table({**table, "balance_minor": pa.nulls(2_000, pa.int64())}), SETTINGS, seed=1)
    assert adjusted_rand_score(_planted()[1], found.members["cluster_id"].to_numpy()) > 0.9


def test_a_category_counts_as_a_number_and_is_described_as_a_share() -> None:
    table = _planted()[0]
    work = np.where(_planted()[1] == 2, "self_employed", "employed")
    found = assign(table.append_column("employment", pa.array(work)), SETTINGS, seed=1)
    rows = [row for row in found.profiles.to_pylist() if row["feature"] == "employment_self_employed"]
    assert sorted(round(row["mean"], 6) for row in rows) == [0, 0, 0, 1]
    assert max(rows, key=lambda row: row["mean"])["effect_size"] > 1


def test_a_customer_like_nobody_is_named_an_outlier_of_the_nearest_cluster() -> None:
    table: Any = _planted()[0].to_pydict()
    # a hundred times everybody's inflow, app events and visits at once
    for name in ("money_in_90d_minor", "events_app_90d", "events_branch_90d", "transactions_90d"):
        table[name][7] = 200 * max(table[name])
    found = assign(pa.table({**table, "balance_minor": pa.nulls(2_000, pa.int64())}), SETTINGS, seed=1).members
    unlike = found["cluster_outlier"].to_pylist()
    assert unlike[7]
    assert found["cluster_id"][7].as_py() is not None
    assert sum(unlike) <= 20  # one in a hundred, beyond five robust standard deviations


def test_the_number_of_before_stays_unless_another_separates_better() -> None:
    settings = SETTINGS.clusters.model_copy(
        update={"clear_silhouette": 1.0, "silhouette_share": 0.5, "stable_cluster": 0.3}
    )
    table = _planted()[0]
    assert len(clusters.fit(table, settings, seed=1).centres) > 4
    assert len(clusters.fit(table, settings, seed=1, before=4).centres) == 4
