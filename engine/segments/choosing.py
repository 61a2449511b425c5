"""How many clusters there are: the finest division that comes out again when other customers are drawn.

For each number k-means is run on bootstrap samples. How far their divisions agree with that of all (adjusted Rand
index), and how much of the cluster that fares worst is found again (Jaccard), says whether the data hold that many
groups or the method made them. Beside both stands the silhouette, so that a crowd cut in stable halves does not count.

References
----------
Ben-Hur, Elisseeff and Guyon (2002), A stability based method for discovering structure in clustered data; Hennig
(2007), Cluster-wise assessment of cluster stability; Hubert and Arabie (1985) for the index; Rousseeuw (1987) for the
silhouette, whose values above 0.5 stand for a reasonable structure in Kaufman and Rousseeuw (1990).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from threadpoolctl import ThreadpoolController

from engine.config.segments import ClusterSettings
from engine.domain.errors import NotEnoughData

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

_JUDGED, _RESAMPLED = 2, 3  # streams of the seed
_RESTARTS: Final = 2  # of each resample: one start alone would show the luck of the start
_NOTICEABLY: Final = 0.01  # of silhouette, by which another number must separate better than the one of before


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A number of clusters that was tried, its mean silhouette, and how far resamples agree (1: the same division).

    `weakest` is the mean overlap of the cluster that resamples reproduce worst with what they find for it, 0 to 1.
    """

    clusters: int
    silhouette: float
    stability: float
    weakest: float
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    clusters: int
    silhouette: float
    stability: float
    weakest: float
    centres: Floats


def choose(
    points: Floats, settings: ClusterSettings, seed: int, before: int | None = None
) -> tuple[Floats, tuple[Choice, ...]]:
    """Return the centres of the chosen number of clusters, and all numbers that were tried.

    `before` is the number that an earlier run had: it stays, as long as it is as good as any, unless another separates
    noticeably better.

    Raises
    ------
    NotEnoughData
        The customers are too few or too alike for the fewest clusters.
    """
    draw = np.random.default_rng([seed, _JUDGED])
    judged = points
    if len(points) > settings.silhouette_customers:
        judged = points[np.sort(draw.choice(len(points), settings.silhouette_customers, replace=False))]
    different = len(np.unique(points, axis=0))
    # ten customers a cluster at least, and never more clusters than different customers
    most = min(settings.most, len(points) // 10, different - 1)
    tried = [
        one
        for clusters in range(settings.fewest, most + 1)
        if (one := _try(points, judged, clusters, settings, seed)) is not None
    ]
    if not tried:
        have = f"{different} different customers among {len(points)}"
        raise NotEnoughData("behavioural clusters", have, f"enough for {settings.fewest} clusters")
    chosen = _best(tried, settings, before)
    choices = (
        Choice(
            clusters=one.clusters,
            silhouette=one.silhouette,
            stability=one.stability,
            weakest=one.weakest,
            chosen=one is chosen,
        )
        for one in tried
    )
    return chosen.centres, tuple(choices)


def _best(tried: list[_Tried], settings: ClusterSettings, before: int | None) -> _Tried:
    stable = [
        one for one in tried if one.stability >= settings.stable_agreement and one.weakest >= settings.stable_cluster
    ]
    if not stable:
        # nothing comes out again: the number that separates best, fewer in a tie
        return max(tried, key=lambda one: (one.silhouette, -one.clusters))
    best = max(one.silhouette for one in stable)
    # groups that stand apart are as many as separate best; where they overlap, fewest always do, and tell nothing
    least = best if best >= settings.clear_silhouette else settings.silhouette_share * best
    apart = [one for one in stable if one.silhouette >= least]
    kept = next((one for one in stable if one.clusters == before and one.silhouette >= least - _NOTICEABLY), None)
    if kept is not None:
        apart = [one for one in apart if one.silhouette > kept.silhouette + _NOTICEABLY] or [kept]
    return max(apart, key=lambda one: one.clusters)


def _try(points: Floats, judged: Floats, clusters: int, settings: ClusterSettings, seed: int) -> _Tried | None:
    centres = k_means(points, clusters, settings.restarts, [seed, clusters])
    labels = nearest(judged, centres)
    if len(np.unique(labels)) < clusters:
        return None
    draw = np.random.default_rng([seed, _RESAMPLED, clusters])
    agreements, overlaps = [], np.zeros(clusters)
    for again in range(settings.resamples):
        rows = draw.integers(0, len(points), min(len(points), settings.silhouette_customers))
        found = k_means(points[rows], clusters, _RESTARTS, [seed, clusters, again + 1])
        other = nearest(judged, found)
        agreements.append(adjusted_rand_score(labels, other))
        overlaps += _overlaps(labels, other, clusters) / settings.resamples
    with _threads().limit(limits=1):
        # rounded: the last digits of a mean of distances say nothing, and must not decide
        silhouette = round(float(silhouette_score(judged, labels)), 9)
    return _Tried(
        clusters=clusters,
        silhouette=silhouette,
        stability=round(float(np.mean(agreements)), 9),
        weakest=round(float(overlaps.min()), 9),
        centres=centres,
    )


def _overlaps(labels: Labels, others: Labels, clusters: int) -> Floats:
    """Return for each cluster the largest overlap (Jaccard) that any of the others has with it."""
    both = np.zeros((clusters, clusters))
    np.add.at(both, (labels, others), 1)
    either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
    overlap: Floats = (both / either).max(axis=1)
    return overlap


def k_means(points: Floats, clusters: int, restarts: int, seed: list[int]) -> Floats:
    """Return the centres that k-means finds, the best of so many starts."""
    # one thread: sums in one order give one result, to the last bit
    with _threads().limit(limits=1):
        found = KMeans(clusters, n_init=restarts, random_state=np.random.RandomState(seed)).fit(points)
    centres: Floats = found.cluster_centers_
    return centres


def nearest(points: Floats, centres: Floats) -> Labels:
    """Return for each point the number of the nearest centre."""
    with _threads().limit(limits=1):
        # |x - c|^2 less |x|^2, which is the same for every centre
        distance = (centres**2).sum(axis=1) - 2 * points @ centres.T
    near: Labels = distance.argmin(axis=1)
    return near


@functools.cache
def _threads() -> ThreadpoolController:
    # to look for the libraries of a process takes longer than to cluster a few hundred customers
    return ThreadpoolController()
