"""Every customer's segments: RFM scores, value tier and behavioural cluster, with what the clusters are."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config.segments import SegmentSettings
from engine.domain.errors import NotEnoughData
from engine.domain.marts import SEGMENT_CHOICES, SEGMENT_PROFILES, SEGMENTS
from engine.lake.schema import arrow_schema, empty, to_contract
from engine.numerics.ratios import or_none
from engine.segments import clusters, movement, profiles, rfm, value
from engine.segments.clusters import UNCLUSTERED, Clustering
from engine.segments.profiles import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """The three marts of segments, and what the bank's data could not give."""

    members: pa.Table
    profiles: pa.Table
    choices: pa.Table
    notes: tuple[str, ...]


def columns(settings: SegmentSettings) -> tuple[str, ...]:
    """Return the features that segments look at, so that a large feature table need not be read whole."""
    wanted = (
        "customer_id",
        "is_open",
        *settings.rfm.recency,
        *settings.rfm.frequency,
        *settings.rfm.monetary,
        *settings.value.minor_per_unit,
        *settings.value.share_of_amount,
        *settings.clusters.activity,
        *(feature.name for feature in settings.clusters.features),
    )
    return tuple(dict.fromkeys(wanted))


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """Clusters of an earlier date: `members` has customer_id and cluster_id; names in both languages by number."""

    members: pa.Table
    names: dict[int, tuple[str, str]]


def assign(features: pa.Table, settings: SegmentSettings, seed: int, earlier: Earlier | None = None) -> Segmentation:
    """Segment every customer of a feature table; features it lacks are passed over and noted.

    A cluster that is one of an `earlier` date, by its members, keeps that one's number, and its name for as long as the
    figures bear it out; another gets a number that none of them had.

    Where clusters cannot be found the scores and tiers still stand, every cluster is empty and a note says why.
    """
    ordered = features.select([name for name in columns(settings) if name in features.column_names])
    ordered = ordered.sort_by("customer_id").combine_chunks()
    scores, notes = rfm.score(ordered, settings.rfm)
    worth, unknown = value.yearly_value(ordered, settings.value)
    notes += [f"value tier without {', '.join(unknown)}: the bank's data do not give them"] if unknown else []
    scored = {**scores, "value_tier": pa.array(value.TIERS).take(pa.array(value.tiers(worth, settings.value)))}
    try:
        clustering = clusters.fit(
            ordered, settings.clusters, seed, before=None if earlier is None else len(earlier.names) or None
        )
    except NotEnoughData as fault:
        return _unclustered(ordered, scored, (*notes, fault.sentence))
    described = profiles.profile(ordered, clustering)
    numbers = np.arange(len(clustering.centres))
    kept: dict[int, tuple[str, str]] = {}
    if earlier is not None and earlier.names:
        numbers = _numbers(ordered["customer_id"], clustering.labels, earlier, settings)
        kept = {at: earlier.names[number] for at, number in enumerate(numbers.tolist()) if number in earlier.names}
    named = profiles.names(described, settings.clusters, kept)
    if clustering.passed_over:
        notes.append(f"clusters without {', '.join(clustering.passed_over)}: empty or the same for everybody")
    return Segmentation(
        members=_members(ordered, scored, clustering.labels, clustering.outliers, (named, numbers)),
        profiles=_profiles(described, named, numbers),
        choices=_choices(clustering),
        notes=tuple(notes),
    )


def _members(
    features: pa.Table,
    scored: dict[str, pa.Array],
    labels: clusters.Labels,
    outliers: NDArray[np.bool_],
    called: tuple[list[tuple[str, str]], NDArray[np.int64]],
) -> pa.Table:
    named, numbers = called
    cluster = pa.array(labels, mask=labels == UNCLUSTERED)
    rows = {
        "customer_id": features["customer_id"],
        **scored,
        "cluster_id": pa.array(numbers).take(cluster),
        "cluster_name": pa.array([name for name, _ in named], pa.string()).take(cluster),
        "cluster_name_zh": pa.array([name for _, name in named], pa.string()).take(cluster),
        "cluster_outlier": pa.array(outliers, mask=labels == UNCLUSTERED),
    }
    return to_contract(SEGMENTS, pa.table(rows))


def _unclustered(features: pa.Table, scored: dict[str, pa.Array], notes: tuple[str, ...]) -> Segmentation:
    labels = np.full(features.num_rows, UNCLUSTERED, dtype=np.int64)
    return Segmentation(
        members=_members(features, scored, labels, labels != UNCLUSTERED, ([], np.empty(0, np.int64))),
        profiles=empty(SEGMENT_PROFILES),
        choices=empty(SEGMENT_CHOICES),
        notes=notes,
    )


def _numbers(
    ids: pa.ChunkedArray, labels: clusters.Labels, earlier: Earlier, settings: SegmentSettings
) -> NDArray[np.int64]:
    """Return the number that each cluster goes by: that of the earlier one which it is, else one that is free."""
    group = pa.array(labels, mask=labels == UNCLUSTERED).cast(pa.string())
    now = pa.table({"customer_id": ids, "group": group})
    was = earlier.members.rename_columns(["customer_id", "group"])
    same = movement.matched(movement.flow(was, now), settings.movement)
    free = itertools.count(max(earlier.names) + 1)
    count = int(labels.max()) + 1
    return np.array([int(same[str(at)]) if str(at) in same else next(free) for at in range(count)])


def _profiles(described: Profile, named: list[tuple[str, str]], numbers: NDArray[np.int64]) -> pa.Table:
    rows = [
        {
            "cluster_id": int(numbers[cluster]),
            "cluster_name": name,
            "cluster_name_zh": name_zh,
            "customers": int(described.sizes[cluster]),
            "feature": scale.feature.key,
            "mean": or_none(described.means[cluster, at]),
            "overall_mean": or_none(described.overall[at]),
            "effect_size": or_none(described.effects[cluster, at]),
        }
        for cluster, (name, name_zh) in enumerate(named)
        for at, scale in enumerate(described.scales)
    ]
    return to_contract(SEGMENT_PROFILES, pa.Table.from_pylist(rows, arrow_schema(SEGMENT_PROFILES)))


def _choices(clustering: Clustering) -> pa.Table:
    rows = [
        {
            "clusters": choice.clusters,
            "silhouette": choice.silhouette,
            "stability": choice.stability,
            "weakest_cluster": choice.weakest,
            "chosen": choice.chosen,
        }
        for choice in clustering.choices
    ]
    return to_contract(SEGMENT_CHOICES, pa.Table.from_pylist(rows, arrow_schema(SEGMENT_CHOICES)))
