"""Behavioural clusters: k-means on a sample, everybody then assigned; how many is chosen in `choosing`.

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

from engine.config.segments import ClusterFeature, ClusterSettings
from engine.domain.errors import NotEnoughData
from engine.segments import choosing
from engine.segments.choosing import Choice
from engine.segments.columns import feature_values, has_values, signed_log, values_of

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

BLOCK: Final = 200_000
"""Customers assigned at once: memory stays flat."""
UNCLUSTERED: Final = -1
_SAMPLE: Final = 1  # stream of the seed


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

    def __call__(self, values: Floats, *, cut: bool = True) -> Floats:
        """Return the values filled, on the logarithm, cut at the limits, in overall standard deviations x weight."""
        bent = _bend(values, self.feature.logarithm, self.unit)
        filled = np.where(np.isnan(bent), self.fill, bent)
        kept = np.clip(filled, self.lower, self.upper) if cut else filled
        return (kept - self.centre) * (self.feature.weight / self.spread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What assigns any customer: the centres, shape (clusters, features), the scales, and how far is unlike all.

    `fences` : per cluster, the distance from its centre beyond which a customer is like nobody.
    """

    centres: Floats
    scales: tuple[Scale, ...]
    fences: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """The cluster of every customer (`UNCLUSTERED` without activity), the centres, and how they were found.

    `outliers` marks who has a cluster, since one is the nearest, but is too far from its centre to be like it.
    """

    labels: Labels
    outliers: NDArray[np.bool_]
    model: Model
    choices: tuple[Choice, ...]
    passed_over: tuple[str, ...]

    @property
    def centres(self) -> Floats:
        """The centres, by number of cluster."""
        return self.model.centres

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The scales of the features."""
        return self.model.scales


def fit(features: pa.Table, settings: ClusterSettings, seed: int, *, before: int | None = None) -> Clustering:
    """Cluster the active customers of a feature table that is sorted by customer.

    `before` is the number of clusters of an earlier run, which stays unless another separates better.

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
    centres, choices = choosing.choose(_points(features, sample, scales), settings, seed, before)
    centres = _by_size(_nearest_of(features, active, scales, centres), centres)
    model = Model(centres=centres, scales=scales, fences=_fences(features, sample, scales, centres, settings))
    labels, outliers = assigned(features, settings, model)
    used = {scale.feature.key for scale in scales}
    return Clustering(
        labels=labels,
        outliers=outliers,
        model=model,
        choices=choices,
        passed_over=tuple(feature.key for feature in settings.features if feature.key not in used),
    )


def assigned(features: pa.Table, settings: ClusterSettings, model: Model) -> tuple[Labels, NDArray[np.bool_]]:
    """Return the nearest cluster of every active customer of any feature table, and who is like none of them."""
    everyone = np.full(features.num_rows, UNCLUSTERED, dtype=np.int64)
    outliers = np.zeros(features.num_rows, dtype=bool)
    active = np.flatnonzero(_active(features, settings))
    for part, points in blocks(features, active, model.scales):
        rows = active[part]
        near = choosing.nearest(points, model.centres)
        everyone[rows] = near
        whole = _points(features, rows, model.scales, cut=False)
        outliers[rows] = _distances(whole, model.centres, near) > model.fences[near]
    return everyone, outliers


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
    found = (_scale(feature, _take(features, feature, sample), settings.winsor_share) for feature in present)
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
    return signed_log(values, unit) if logarithm else values


def _take(features: pa.Table, feature: ClusterFeature, rows: NDArray[np.intp]) -> Floats:
    return feature_values(features.select([feature.name]).take(pa.array(rows)), feature.name, feature.equals)


def _points(features: pa.Table, rows: NDArray[np.intp], scales: tuple[Scale, ...], *, cut: bool = True) -> Floats:
    return np.column_stack([scale(_take(features, scale.feature, rows), cut=cut) for scale in scales])


def _nearest_of(features: pa.Table, rows: NDArray[np.intp], scales: tuple[Scale, ...], centres: Floats) -> Labels:
    labels = np.empty(len(rows), dtype=np.int64)
    for part, points in blocks(features, rows, scales):
        labels[part] = choosing.nearest(points, centres)
    return labels


def _by_size(labels: Labels, centres: Floats) -> Floats:
    """Return the centres from the largest cluster on, equal sizes by centre; one nearest to nobody goes."""
    sizes = np.bincount(labels, minlength=len(centres))
    order = sorted((at for at in range(len(centres)) if sizes[at]), key=lambda at: (-sizes[at], tuple(centres[at])))
    return centres[order]


def _fences(
    features: pa.Table, sample: NDArray[np.intp], scales: tuple[Scale, ...], centres: Floats, settings: ClusterSettings
) -> Floats:
    """Return per cluster the median distance from its centre plus so many robust standard deviations of it."""
    near = choosing.nearest(_points(features, sample, scales), centres)
    away = _distances(_points(features, sample, scales, cut=False), centres, near)
    fences = np.full(len(centres), np.inf)
    for cluster in range(len(centres)):
        own = away[near == cluster]
        if len(own):
            middle = float(np.median(own))
            # 1.4826 x the median deviation is the standard deviation of a normal
            fences[cluster] = middle + settings.outlier_spreads * 1.4826 * float(np.median(np.abs(own - middle)))
    return fences


def _distances(points: Floats, centres: Floats, near: Labels) -> Floats:
    return np.asarray(np.sqrt(((points - centres[near]) ** 2).sum(axis=1)), dtype=np.float64)
