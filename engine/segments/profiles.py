"""What distinguishes each cluster, in figures and then in a name made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config.segments import ClusterSettings
from engine.segments.clusters import UNCLUSTERED, Clustering, Scale, blocks
from engine.segments.columns import feature_values

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Means per cluster and overall, and effect sizes; shape (clusters, features), `nan` where nobody has a value."""

    sizes: NDArray[np.int64]
    means: Floats
    overall: Floats
    effects: Floats
    scales: tuple[Scale, ...]


def profile(features: pa.Table, clustering: Clustering) -> Profile:
    """Describe every cluster by every feature that it was made of.

    The effect size is the difference of the means in overall standard deviations on the scale of clustering (filled,
    logarithm where set, cut at the limits), so that a few very rich customers do not make everyone else alike.
    """
    active = np.flatnonzero(clustering.labels != UNCLUSTERED)
    labels, count = clustering.labels[active], len(clustering.centres)
    sizes = np.bincount(labels, minlength=count)
    sums, squares = np.zeros((count, len(clustering.scales))), np.zeros(len(clustering.scales))
    for part, points in blocks(features, active, clustering.scales):
        for column in range(points.shape[1]):
            sums[:, column] += np.bincount(labels[part], weights=points[:, column], minlength=count)
        squares += (points**2).sum(axis=0)
    centre = sums.sum(axis=0) / len(active)
    spread = np.sqrt(squares / len(active) - centre**2)
    raw = [
        _means(feature_values(features, scale.feature.name, scale.feature.equals)[active], labels, count)
        for scale in clustering.scales
    ]
    return Profile(
        sizes=sizes,
        means=np.column_stack([means for means, _ in raw]),
        overall=np.array([overall for _, overall in raw]),
        effects=(sums / sizes[:, None] - centre) / spread,
        scales=clustering.scales,
    )


def names(
    profile: Profile, settings: ClusterSettings, kept: Mapping[int, tuple[str, str]] | None = None
) -> list[tuple[str, str]]:
    """Return a name per cluster in English and Chinese: its one or two most distinguishing features, never the same.

    Only what differs by `distinct_effect` or more is named, at most one phrase of each theme; where two clusters
    would share a name, the later takes further phrases, weaker ones too if it must, and a number as a last resort.
    `kept` are names of before, which stay for as long as every phrase of them is true.
    """
    found: list[tuple[str, str]] = []
    true = {row: name for row, name in (kept or {}).items() if _still_true(profile, row, name[0], settings)}
    taken: set[str] = {name for name, _ in true.values()}
    for row in range(len(profile.sizes)):
        if row in true:
            found.append(true[row])
            continue
        phrases, distinct = _phrases(profile, row, settings.distinct_effect)
        name, name_zh = _joined(phrases[: min(2, distinct)], settings)
        longer = min(2, distinct) + 1
        while name in taken and longer <= len(phrases):
            name, name_zh = _joined(phrases[:longer], settings)
            longer += 1
        if name in taken:
            name, name_zh = f"{name} ({row + 1})", f"{name_zh}（{row + 1}）"
        taken.add(name)
        found.append((name, name_zh))
    return found


def _still_true(profile: Profile, row: int, name: str, settings: ClusterSettings) -> bool:
    """Whether all that a name says is still so, if no longer quite so clearly."""
    enough = settings.distinct_effect / 2
    effects: dict[str, float] = {}
    for scale, effect in zip(profile.scales, profile.effects[row], strict=True):
        for phrase, size in ((scale.feature.high, float(effect)), (scale.feature.low, -float(effect))):
            effects[phrase.lower()] = max(size, effects.get(phrase.lower(), size))
    said = name.rsplit(" (", 1)[0].lower()
    if said == settings.average.lower():
        return bool(np.abs(profile.effects[row]).max() < 2 * enough)
    return all(effects.get(phrase, -1.0) >= enough for phrase in said.split(", "))


def _phrases(profile: Profile, row: int, distinct_effect: float) -> tuple[list[tuple[str, str]], int]:
    """Return the cluster's phrases, most telling first and one per theme, and how many tell enough to name it."""
    effects = profile.effects[row]
    phrases: dict[str, tuple[str, str]] = {}
    distinct = 0
    for at in np.argsort(-np.abs(effects), kind="stable"):
        feature = profile.scales[at].feature
        if feature.theme in phrases:
            continue
        high = effects[at] > 0
        phrases[feature.theme] = (feature.high, feature.high_zh) if high else (feature.low, feature.low_zh)
        distinct += bool(abs(effects[at]) >= distinct_effect)
    return list(phrases.values()), distinct


def _joined(phrases: list[tuple[str, str]], settings: ClusterSettings) -> tuple[str, str]:
    english = ", ".join(phrase for phrase, _ in phrases) or settings.average
    return english[0].upper() + english[1:], "、".join(phrase for _, phrase in phrases) or settings.average_zh


def _means(values: Floats, labels: NDArray[np.int64], count: int) -> tuple[Floats, float]:
    known = ~np.isnan(values)
    sums = np.bincount(labels[known], weights=values[known], minlength=count)
    rows = np.bincount(labels[known], minlength=count)
    means = np.full(count, np.nan)
    np.divide(sums, rows, out=means, where=rows > 0)
    return means, float(sums.sum() / rows.sum()) if rows.sum() else float("nan")
