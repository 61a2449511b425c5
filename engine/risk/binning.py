"""Cut a characteristic into bins whose evidence for good or bad is monotone, the same way on every run.

Numbers: quantile pre-bins, pooled until the bad rate is monotone (pool adjacent violators, in the direction that
keeps the more information), then merged where the least information is lost until every bin is large enough and
there are few enough. Categories: ordered by bad rate, then merged likewise. Missing values and declared special values
never join another bin: each carries its own evidence.

Weight of evidence is ln(share of goods / share of bads): positive is safer than the whole sample.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import isnan
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.risk import BinningSettings
from engine.risk import cuts

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
MISSING_INDEX = -1
"""How the bin of missing values is numbered in tables; inside arrays it is the last bin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """The bins of one characteristic and what was seen in them.

    Order of `goods`, `bads`, `evidence`: the ordinary bins, then one per special value, then missing.
    A number x falls in the first bin whose upper edge is >= x. A category never seen falls in missing.
    """

    name: str
    kind: Literal["number", "category"]
    edges: tuple[float, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    specials: tuple[float, ...] = ()
    goods: tuple[int, ...]
    bads: tuple[int, ...]
    evidence: tuple[float, ...]
    information: tuple[float, ...]

    @property
    def ordinary(self) -> int:
        """How many bins hold ordinary values."""
        return len(self.edges) + 1 if self.kind == "number" else len(self.groups)

    @property
    def size(self) -> int:
        """How many bins there are in all, special and missing included."""
        return len(self.evidence)

    @property
    def information_value(self) -> float:
        """The information value of the characteristic: below 0.02 next to nothing, above 0.5 suspiciously much."""
        return float(sum(self.information))

    def codes(self, values: pa.ChunkedArray | pa.Array) -> Codes:
        """Return the bin of every value."""
        if self.kind == "number":
            return _number_codes(as_floats(values), self.edges, self.specials)
        return _category_codes(values, self.groups, len(self.groups))

    def code(self, value: object) -> int:
        """Return the bin of one value; the same as `codes` of a column that holds it."""
        missing = self.size - 1
        if value is None:
            return missing
        if self.kind == "category":
            return next((at for at, group in enumerate(self.groups) if value in group), missing)
        number = float(value)  # type: ignore[arg-type]
        if isnan(number):
            return missing
        if number in self.specials:
            return self.ordinary + self.specials.index(number)
        return bisect_left(self.edges, number)

    def label(self, code: int) -> str:
        """Return the range or the values of a bin, in words."""
        if code == self.size - 1:
            return "missing"
        if code >= self.ordinary:
            return f"= {_figure(self.specials[code - self.ordinary])}"
        if self.kind == "category":
            return ", ".join(self.groups[code])
        return _range(self.edges, code)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly."""
        return {field: _plain(getattr(self, field)) for field in self.__slots__}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Bins:
        """Return the bins that `to_dict` described."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        plain["groups"] = tuple(tuple(group) for group in values["groups"])
        return cls(**plain)


def fit(name: str, values: pa.ChunkedArray | pa.Array, bad: NDArray[np.bool_], settings: BinningSettings) -> Bins:
    """Return the bins of a column: numbers in order, text by bad rate."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type) or pa.types.is_dictionary(values.type):
        return _fit_category(name, values, bad, settings)
    return _fit_number(name, as_floats(values), bad, settings)


def weigh(goods: Floats, bads: Floats, smoothing_bads: float) -> tuple[Floats, Floats]:
    """Return weight of evidence and information value per bin.

    Every bin is given `smoothing_bads` bads more and the goods that match them in the whole sample, so that a bin
    with no rows says nothing (0) and a bin with few says little. With 0 the plain formula holds, and a bin
    with one class only has infinite evidence.
    """
    all_goods, all_bads = goods.sum(), bads.sum()
    pseudo_goods = smoothing_bads * all_goods / all_bads
    total = 1 + smoothing_bads * len(goods) / all_bads
    share_of_goods = (goods + pseudo_goods) / (all_goods * total)
    share_of_bads = (bads + smoothing_bads) / (all_bads * total)
    with np.errstate(divide="ignore", invalid="ignore"):
        evidence = np.log(share_of_goods / share_of_bads)
        information = (share_of_goods - share_of_bads) * evidence
    nobody = goods + bads == 0
    return np.where(nobody, 0.0, evidence), np.where(nobody, 0.0, information)


def as_floats(values: pa.ChunkedArray | pa.Array) -> Floats:
    """Return a column as float64 with `nan` for missing."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    floats: Floats = whole.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return floats


def _fit_number(name: str, values: Floats, bad: NDArray[np.bool_], settings: BinningSettings) -> Bins:
    specials = tuple(sorted(settings.special_values))
    plain = ~(np.isnan(values) | np.isin(values, specials))
    edges = cuts.quantiles(values[plain], settings.prebins)
    goods, bads = _count(np.searchsorted(edges, values[plain], side="left"), bad[plain], len(edges) + 1)
    found = _merge(cuts.monotone(goods, bads), goods, bads, settings, len(values))
    kept = tuple(float(edges[cut - 1]) for cut in found[1:-1])
    codes = _number_codes(values, kept, specials)
    return _weighed(name, "number", codes, bad, settings, edges=kept, specials=specials)


def _fit_category(
    name: str, values: pa.ChunkedArray | pa.Array, bad: NDArray[np.bool_], settings: BinningSettings
) -> Bins:
    seen = tuple(sorted(value for value in pc.unique(values).to_pylist() if value is not None))
    codes = _category_codes(values, tuple((value,) for value in seen), len(seen))
    known = codes < len(seen)
    goods, bads = _count(codes[known], bad[known], len(seen))
    # a category seen three times has no bad rate worth ordering by: half a bad pulls it towards the whole
    rate = (bads + 0.5) / (goods + bads + 0.5 * len(bad) / max(1, int(bad.sum())))
    order = np.argsort(rate, kind="stable")
    found = _merge(list(range(len(seen) + 1)), goods[order], bads[order], settings, len(bad))
    groups = tuple(tuple(sorted(seen[at] for at in order[start:end])) for start, end in pairwise(found))
    return _weighed(name, "category", _category_codes(values, groups, len(groups)), bad, settings, groups=groups)


def _weighed(
    name: str,
    kind: Literal["number", "category"],
    codes: Codes,
    bad: NDArray[np.bool_],
    settings: BinningSettings,
    *,
    edges: tuple[float, ...] = (),
    groups: tuple[tuple[str, ...], ...] = (),
    specials: tuple[float, ...] = (),
) -> Bins:
    size = (len(edges) + 1 if kind == "number" else len(groups)) + len(specials) + 1
    goods, bads = _count(codes, bad, size)
    evidence, information = weigh(goods, bads, settings.smoothing_bads)
    return Bins(
        name=name,
        kind=kind,
        edges=edges,
        groups=groups,
        specials=specials,
        goods=tuple(int(count) for count in goods),
        bads=tuple(int(count) for count in bads),
        evidence=tuple(float(weight) for weight in evidence),
        information=tuple(float(part) for part in information),
    )


def _merge(found: list[int], goods: Floats, bads: Floats, settings: BinningSettings, rows: int) -> list[int]:
    return cuts.merge(found, goods, bads, smallest=settings.min_bin_share * rows, most=settings.max_bins)


def _count(codes: Codes, bad: NDArray[np.bool_], size: int) -> tuple[Floats, Floats]:
    bads = np.bincount(codes[bad], minlength=size).astype(np.float64)
    return np.bincount(codes, minlength=size) - bads, bads


def _number_codes(values: Floats, edges: tuple[float, ...], specials: tuple[float, ...]) -> Codes:
    codes = np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="left")
    for at, special in enumerate(specials):
        codes[values == special] = len(edges) + 1 + at
    codes[np.isnan(values)] = len(edges) + 1 + len(specials)
    return codes


def _category_codes(values: pa.ChunkedArray | pa.Array, groups: tuple[tuple[str, ...], ...], missing: int) -> Codes:
    place = {value: at for at, group in enumerate(groups) for value in group}
    encoded = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    encoded = encoded if pa.types.is_dictionary(encoded.type) else encoded.dictionary_encode()
    lookup = np.array(
        [place.get(value, missing) for value in encoded.dictionary.to_pylist()] + [missing], dtype=np.intp
    )
    indices = encoded.indices.fill_null(len(lookup) - 1).to_numpy(zero_copy_only=False)
    codes: Codes = lookup[indices]
    return codes


def _range(edges: tuple[float, ...], code: int) -> str:
    if not edges:
        return "any"
    if code == 0:
        return f"up to {_figure(edges[0])}"
    if code == len(edges):
        return f"above {_figure(edges[-1])}"
    return f"above {_figure(edges[code - 1])} to {_figure(edges[code])}"


def _figure(number: float) -> str:
    return f"{number:,.0f}" if number == round(number) else f"{number:.4g}"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
