"""Behavioural clusters: k-means on a sample, the number of clusters chosen by silhouette, everybody then assigned.

The same customers give the same clusters in whatever order they come: rows are taken by customer, draws by seed,
and clusters are numbered by size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from engine.config.segments import ClusterFeature, ClusterSettings
from engine.domain.errors import NotEnoughData
from engine.segments.columns import has_values, values_of

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

BLOCK: Final = 200_000
"""Customers assigned at once: memory stays flat."""
UNCLUSTERED: Final = -1
_SAMPLE, _SILHOUETTE = 1, 2  # streams of the seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How one feature is brought to a scale on which customers can be compared."""

    feature: ClusterFeature
    unit: float
    fill: float
    lower: float
    upper: float
    centre: float
    spread: float

    def __call__(self, values: Floats) -> Floats:
        """Return the values filled, put on the logarithm, cut at the limits, in overall standard deviations."""
        bent = _bend(values, self.feature.logarithm, self.unit)
        filled = np.where(np.isnan(bent), self.fill, bent)
        return (np.clip(filled, self.lower, self.upper) - self.centre) / self.spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A number of clusters that was tried, and its mean silhouette."""

    clusters: int
    silhouette: float
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """The cluster of every customer (`UNCLUSTERED` without activity), the centres, and how they were found."""

    labels: Labels
    centres: Floats
    scales: tuple[Scale, ...]
    choices: tuple[Choice, ...]
    passed_over: tuple[str, ...]


def fit(features: pa.Table, settings: ClusterSettings, seed: int) -> Clustering:
    """Cluster the active customers of a feature table that is sorted by customer.

    Raises
    ------
    NotEnoughData
        Too few active customers, or fewer than two features that differ between them.
    """
    active = np.flatnonzero(_active(features, settings))
    if len(active) < settings.minimum_customers:
        have = f"{len(active)} customers with any activity"
        raise NotEnoughData("behavioural clusters", have, f"{settings.minimum_customers} or more")
    sample = _draw(active, settings.sample_customers, seed, _SAMPLE)
    scales = _scales(features, sample, settings)
    if len(scales) < 2:
        have = f"{len(scales)} of {len(settings.features)} features differ between customers"
        raise NotEnoughData("behavioural clusters", have, "two or more")
    points = _points(features, sample, scales)
    centres, choices = _choose(points, settings, seed)
    labels, centres = _by_size(_assign(features, active, scales, centres), centres)
    everyone = np.full(features.num_rows, UNCLUSTERED, dtype=np.int64)
    everyone[active] = labels
    used = {scale.feature.name for scale in scales}
    return Clustering(
        labels=everyone,
        centres=centres,
        scales=scales,
        choices=choices,
        passed_over=tuple(feature.name for feature in settings.features if feature.name not in used),
    )


def blocks(features: pa.Table, rows: NDArray[np.intp], scales: Iterable[Scale]) -> Iterator[tuple[slice, Floats]]:
    """Go through customers block by block: which of `rows`, and their scaled features."""
    scales = tuple(scales)
    for start in range(0, len(rows), BLOCK):
        part = slice(start, min(start + BLOCK, len(rows)))
        yield part, _points(features, rows[part], scales)


def _active(features: pa.Table, settings: ClusterSettings) -> NDArray[np.bool_]:
    told = [name for name in settings.activity if has_values(features, name)]
    if not told:
        raise NotEnoughData(
            "behavioural clusters", "no feature tells activity", f"one of {', '.join(settings.activity)}"
        )
    active: NDArray[np.bool_] = np.logical_or.reduce([np.nan_to_num(values_of(features, name)) > 0 for name in told])
    return active


def _draw(rows: NDArray[np.intp], most: int, seed: int, stream: int) -> NDArray[np.intp]:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng([seed, stream]).choice(rows, most, replace=False))


def _scales(features: pa.Table, sample: NDArray[np.intp], settings: ClusterSettings) -> tuple[Scale, ...]:
    present = [feature for feature in settings.features if has_values(features, feature.name)]
    found = (_scale(feature, _take(features, feature.name, sample), settings.winsor_share) for feature in present)
    return tuple(scale for scale in found if scale is not None)


def _scale(feature: ClusterFeature, values: Floats, winsor_share: float) -> Scale | None:
    """Return the scale of a feature, learned from a sample; None when it does not differ between customers."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    # in units of a usual amount, so that the logarithm bends a few fen and a few million alike
    sizes = np.abs(known[known != 0])
    unit = float(np.median(sizes)) if feature.logarithm and len(sizes) else 1.0
    bent = _bend(values, feature.logarithm, unit)
    limits = np.nanquantile(bent, [winsor_share, 1 - winsor_share, 0.5])
    fill = {"zero": 0.0, "median": float(limits[2]), "highest": float(limits[1])}[feature.missing]
    filled = np.where(np.isnan(bent), fill, bent)
    lower, upper = (float(limit) for limit in np.quantile(filled, [winsor_share, 1 - winsor_share]))
    cut = np.clip(filled, lower, upper)
    spread = float(cut.std())
    if spread < 1e-9:
        return None
    return Scale(
        feature=feature, unit=unit, fill=fill, lower=lower, upper=upper, centre=float(cut.mean()), spread=spread
    )


def _bend(values: Floats, logarithm: bool, unit: float) -> Floats:
    return np.sign(values) * np.log1p(np.abs(values) / unit) if logarithm else values


def _take(features: pa.Table, name: str, rows: NDArray[np.intp]) -> Floats:
    return values_of(features.select([name]).take(pa.array(rows)), name)


def _points(features: pa.Table, rows: NDArray[np.intp], scales: tuple[Scale, ...]) -> Floats:
    return np.column_stack([scale(_take(features, scale.feature.name, rows)) for scale in scales])


def _choose(points: Floats, settings: ClusterSettings, seed: int) -> tuple[Floats, tuple[Choice, ...]]:
    """Try every number of clusters and return the centres of the one with the highest silhouette, fewer in a tie."""
    judged = _draw(np.arange(len(points)), settings.silhouette_customers, seed, _SILHOUETTE)
    # ten customers a cluster at least, and never more clusters than different customers
    most = min(settings.most, len(points) // 10, len(np.unique(points, axis=0)) - 1)
    tried: list[tuple[float, int, Floats]] = []
    for clusters in range(settings.fewest, most + 1):
        centres = _k_means(points, clusters, settings.restarts, seed)
        labels = _nearest(points[judged], centres)
        if len(np.unique(labels)) == clusters:
            tried.append((_silhouette(points[judged], labels), clusters, centres))
    if not tried:
        have = f"{len(np.unique(points, axis=0))} different customers among {len(points)}"
        raise NotEnoughData("behavioural clusters", have, f"enough for {settings.fewest} clusters")
    _, chosen, centres = max(tried, key=lambda one: (one[0], -one[1]))
    choices = (Choice(clusters=k, silhouette=silhouette, chosen=k == chosen) for silhouette, k, _ in tried)
    return centres, tuple(choices)


def _k_means(points: Floats, clusters: int, restarts: int, seed: int) -> Floats:
    # one thread: sums in one order give one result, to the last bit
    with threadpool_limits(1):
        found = KMeans(clusters, n_init=restarts, random_state=np.random.RandomState([seed, clusters])).fit(points)
    centres: Floats = found.cluster_centers_
    return centres


def _silhouette(points: Floats, labels: Labels) -> float:
    with threadpool_limits(1):
        # rounded: the last digits of a mean of distances say nothing, and must not decide
        return round(float(silhouette_score(points, labels)), 9)


def _nearest(points: Floats, centres: Floats) -> Labels:
    with threadpool_limits(1):
        # |x - c|^2 less |x|^2, which is the same for every centre
        distance = (centres**2).sum(axis=1) - 2 * points @ centres.T
    nearest: Labels = distance.argmin(axis=1)
    return nearest


def _assign(features: pa.Table, rows: NDArray[np.intp], scales: tuple[Scale, ...], centres: Floats) -> Labels:
    labels = np.empty(len(rows), dtype=np.int64)
    for part, points in blocks(features, rows, scales):
        labels[part] = _nearest(points, centres)
    return labels


def _by_size(labels: Labels, centres: Floats) -> tuple[Labels, Floats]:
    """Number the clusters from the largest, equal sizes by centre; a centre nearest to nobody goes."""
    sizes = np.bincount(labels, minlength=len(centres))
    order = sorted((at for at in range(len(centres)) if sizes[at]), key=lambda at: (-sizes[at], tuple(centres[at])))
    number = np.full(len(centres), UNCLUSTERED, dtype=np.int64)
    number[order] = np.arange(len(order))
    return number[labels], centres[order]
