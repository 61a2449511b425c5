"""How a challenger sees a characteristic: as one of a few hundred steps, special values and missing apart.

Whatever a row holds becomes a small whole number, the same for every model here. So a model is tables over these
numbers: nothing infinite, unseen or missing can surprise it, and it is written down exactly in JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config.risk import BinningSettings
from engine.risk import binning, cuts
from engine.risk.binning import Bins, Codes

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The steps of one characteristic, in the order of `Bins`: ordinary, one per special value, missing.

    `missing_as` is the step that a missing value counts as: its own where the training rows had any, else the typical
    step, since nothing was learned of a value that was never missing. A category never seen is missing.
    """

    bins: Bins
    missing_as: int

    @property
    def name(self) -> str:
        """The characteristic."""
        return self.bins.name

    @property
    def size(self) -> int:
        """How many steps there are in all."""
        return self.bins.size

    def codes(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Codes:
        """Return the step of every row; a column that is not there is missing."""
        if self.name not in columns:
            return np.full(rows, self.missing_as, dtype=np.intp)
        codes = self.bins.codes(columns[self.name])
        if self.missing_as != self.size - 1:
            codes[codes == self.size - 1] = self.missing_as
        return codes

    def ordered(self) -> Floats:
        """Return, by step, its place among ordinary values; `nan` for special values and missing."""
        places = np.full(self.size, np.nan)
        places[: self.bins.ordinary] = np.arange(self.bins.ordinary)
        return places

    def special(self) -> Floats:
        """Return, by step, which special value it is; `nan` for ordinary values and missing."""
        places = np.full(self.size, np.nan)
        places[self.bins.ordinary : -1] = np.arange(len(self.bins.specials))
        return places

    def joined(self, starts: Sequence[int], smoothing_bads: float) -> Scale:
        """Return the scale with ordinary steps joined; `starts` holds the first step of every block, 0 included."""
        blocks = list(pairwise([*starts, self.bins.ordinary]))
        of_block = [at for at, (start, end) in enumerate(blocks) for _ in range(start, end)]
        places = np.array(of_block + [len(blocks) + at for at in range(self.size - self.bins.ordinary)])
        goods, bads = (
            np.bincount(places, weights=counts).astype(np.float64) for counts in (self.bins.goods, self.bins.bads)
        )
        bins = _weighed(replace(self.bins, **_joined(self.bins, blocks)), goods, bads, smoothing_bads)
        return Scale(bins=bins, missing_as=int(places[self.missing_as]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly."""
        return {"bins": self.bins.to_dict(), "missing_as": self.missing_as}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scale:
        """Return what `to_dict` described."""
        return cls(bins=Bins.from_dict(values["bins"]), missing_as=values["missing_as"])


def fit(
    columns: Mapping[str, pa.ChunkedArray],
    bad: Bools,
    cutting: BinningSettings,
    most: int,
    weights: Floats | None = None,
) -> tuple[Scale, ...]:
    """Return the scale of every characteristic that differs among the rows, in the order of the columns.

    Numbers are cut at up to `most` quantiles. Categories are grouped by bad rate as for the scorecard, since
    a category seen three times has no place of its own in an order.
    """
    mass = np.ones(len(bad)) if weights is None else weights
    found = ((values, binning.fit(name, values, bad, cutting, weights)) for name, values in columns.items())
    scales = (_scale(_fine(bins, values, bad, mass, cutting=cutting, most=most)) for values, bins in found)
    return tuple(scale for scale in scales if scale is not None)


def _fine(
    found: Bins, values: pa.ChunkedArray, bad: Bools, mass: Floats, *, cutting: BinningSettings, most: int
) -> Bins:
    """Return the bins of numbers with the steps of a challenger for edges; groups of categories stay as found."""
    if found.kind == "category":
        return found
    numbers = binning.as_floats(values, found.name)
    plain = numbers[~(np.isnan(numbers) | np.isin(numbers, found.specials))]
    fine = replace(found, edges=tuple(float(edge) for edge in _edges(plain, most)))
    size = len(fine.edges) + 1 + len(fine.specials) + 1
    fine = replace(fine, evidence=(0.0,) * size)
    codes = fine.codes(values)
    goods, bads = (np.bincount(codes[rows], mass[rows], minlength=size).astype(np.float64) for rows in (~bad, bad))
    return _weighed(fine, goods, bads, cutting.smoothing_bads)


def _edges(values: Floats, most: int) -> Floats:
    seen: Floats = np.unique(values)
    if len(seen) <= most + 1:
        return seen[:-1][np.isfinite(seen[:-1])]
    return cuts.quantiles(np.sort(values), most + 1)


def _weighed(bins: Bins, goods: Floats, bads: Floats, smoothing_bads: float) -> Bins:
    evidence, information = binning.weigh(goods, bads, smoothing_bads)
    return replace(
        bins,
        goods=_counts(goods),
        bads=_counts(bads),
        evidence=tuple(float(weight) for weight in evidence),
        information=tuple(float(part) for part in information),
    )


def _counts(counts: Floats) -> tuple[float, ...]:
    """Return counts, whole where they are: rows may count with weights."""
    return tuple(int(count) if count.is_integer() else float(count) for count in counts)


def _scale(bins: Bins) -> Scale | None:
    counts = np.array(bins.goods) + np.array(bins.bads)
    if (counts > 0).sum() < 2:
        return None
    if counts[-1] > 0:
        return Scale(bins=bins, missing_as=bins.size - 1)
    return Scale(bins=bins, missing_as=_typical(bins, counts))


def _typical(bins: Bins, counts: Floats) -> int:
    """Return the step of the median, or for categories and where most are special the most frequent one."""
    if bins.kind == "number" and counts[: bins.ordinary].sum() * 2 > counts.sum():
        ordinary = np.cumsum(counts[: bins.ordinary])
        return int(np.searchsorted(ordinary, ordinary[-1] / 2))
    return int(np.argmax(counts))


def _joined(bins: Bins, blocks: list[tuple[int, int]]) -> dict[str, Any]:
    if bins.kind == "number":
        return {"edges": tuple(bins.edges[end - 1] for _, end in blocks[:-1])}
    return {"groups": tuple(tuple(sorted(sum(bins.groups[start:end], ()))) for start, end in blocks)}
