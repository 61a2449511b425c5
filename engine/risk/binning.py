"""Cut a characteristic into bins whose evidence for good or bad is monotone, the same way on every run.

Numbers: quantile pre-bins, pooled until the bad rate is monotone (pool adjacent violators, in the direction that
settings name or else that keeps the more information), then merged where the least information is lost until every bin
is large enough and there are few enough, and until the evidence, which says little of small bins, is monotone too.
Categories: the rare ones share a bin, the others are ordered by bad rate and merged likewise. Missing values and
declared special values never join another bin: each carries its own evidence.

Rows may count with weights, such as those of applications whose outcome is inferred.

Weight of evidence is ln(share of goods / share of bads): positive is safer than the whole sample.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isnan
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config.risk import BinningSettings
from engine.domain.errors import UnusableColumn
from engine.risk import cuts
from engine.risk.cuts import Trend

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.integer[Any]]
Column: TypeAlias = pa.ChunkedArray | pa.Array
MISSING_INDEX = -1
"""How the bin of missing values is numbered in tables; inside arrays it is the last bin."""
RARE: Final = "\0rare"
"""What stands among the categories of a group for all that are too rare to be named; no text of a bank begins so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The bin of every value of a column, and how many values were missing, of no named category, or infinite."""

    codes: Codes
    missing: int = 0
    unknown: int = 0
    infinite: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """The bins of one characteristic and what was seen in them.

    Order of `goods`, `bads`, `evidence`: the ordinary bins, then one per special value, then missing.
    A number x falls in the first bin whose upper edge is >= x; infinite ones fall in the first and the last.
    `pooled` counts the categories too rare for evidence of their own: they count as one, which `groups` calls `RARE`,
    and one never seen falls there too; without such a group it falls in missing. Counts are whole unless rows were
    weighted.
    `trend` says whether the bad rate rises or falls with a number.
    """

    name: str
    kind: Literal["number", "category"]
    edges: tuple[float, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    pooled: int = 0
    specials: tuple[float | str, ...] = ()
    trend: Trend | None = None
    goods: tuple[float, ...]
    bads: tuple[float, ...]
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
    def unknown(self) -> int:
        """The bin of a category that none of the bins names."""
        return next((at for at, group in enumerate(self.groups) if RARE in group), self.size - 1)

    @property
    def information_value(self) -> float:
        """The information value of the characteristic: below 0.02 next to nothing, above 0.5 suspiciously much."""
        return float(sum(self.information))

    @property
    def auc(self) -> float:
        """How often a bad lies in a bin of worse evidence than a good, a tie counting half; 0.5 tells nothing."""
        order = np.argsort(self.evidence, kind="stable")
        goods, bads = np.array(self.goods)[order], np.array(self.bads)[order]
        won = (bads * (goods.sum() - np.cumsum(goods) + goods / 2)).sum()
        return float(won / (goods.sum() * bads.sum()))

    @property
    def place(self) -> dict[str, int]:
        """The bin of every category that has one named."""
        named = {value: at for at, group in enumerate(self.groups) for value in group if value != RARE}
        return named | {str(special): self.ordinary + at for at, special in enumerate(self.specials)}

    def codes(self, values: Column) -> Codes:
        """Return the bin of every value.

        Raises
        ------
        UnusableColumn
            The column is of another kind than the one that the bins were learned from.
        """
        return self.read(values).codes

    def read(self, values: Column) -> Read:
        """Return the bin of every value, and how many were no ordinary ones; raises as `codes` does."""
        if self.kind == "number":
            floats = as_floats(values, self.name)
            codes = number_codes(floats, self.edges, self._codes_of_numbers)
            return Read(codes=codes, missing=_rows_in(codes, self.size - 1), infinite=int(np.isinf(floats).sum()))
        words, rows = _encoded(self.name, values)
        place = self.place
        named = [None if word is None else place.get(word) for word in words] + [None]
        codes = np.array([self.unknown if code is None else code for code in named], dtype=np.uint16)
        codes[[at for at, word in enumerate((*words, None)) if word is None]] = self.size - 1
        counts = np.bincount(rows, minlength=len(named))
        is_unknown = [word is not None and code is None for word, code in zip((*words, None), named, strict=True)]
        is_missing = [word is None for word in (*words, None)]
        return Read(codes=codes[rows], missing=int(counts[is_missing].sum()), unknown=int(counts[is_unknown].sum()))

    def code(self, value: object) -> int:
        """Return the bin of one value; the same as `codes` of a column that holds it."""
        missing = self.size - 1
        if value is None:
            return missing
        if self.kind == "category":
            return self.place.get(str(value), self.unknown)
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
            special = self.specials[code - self.ordinary]
            return f"= {special if isinstance(special, str) else _figure(special)}"
        if self.kind == "number":
            return _range(self.edges, code)
        rare = f"rare ({self.pooled:,} categories) or never seen"
        return ", ".join(rare if value == RARE else value for value in self.groups[code])

    @property
    def _codes_of_numbers(self) -> tuple[float, ...]:
        return tuple(float(special) for special in self.specials)

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


def fit(name: str, values: Column, bad: Bools, settings: BinningSettings, weights: Floats | None = None) -> Bins:
    """Return the bins of a column: numbers in order, text by bad rate.

    Parameters
    ----------
    bad : which rows went bad; both kinds must be there.
    weights : what each row counts, not negative; 1 each when left out.

    Raises
    ------
    UnusableColumn
        The column is neither numbers nor text.
    """
    if _is_text(values.type):
        return _fit_category(name, values, bad, settings, weights)
    return _fit_number(name, as_floats(values, name), bad, settings, weights)


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


def as_floats(values: Column, name: str = "values") -> Floats:
    """Return a column as float64 with `nan` for missing; raises UnusableColumn for what is no number."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if pa.types.is_temporal(whole.type):
        raise UnusableColumn(name, str(whole.type), "numbers")
    try:
        floats: Floats = whole.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as fault:
        raise UnusableColumn(name, str(whole.type), "numbers") from fault
    return floats


def number_codes(values: Floats, edges: tuple[float, ...], specials: tuple[float, ...]) -> Codes:
    """Return the bin of every number: how many edges lie below it, or its special value's, or missing."""
    if len(edges) > _FEW_EDGES:
        codes = np.searchsorted(np.asarray(edges), values, side="left").astype(np.uint16)
    else:
        codes = np.zeros(len(values), dtype=np.uint16)
        for edge in edges:
            codes += values > edge
    for at, special in enumerate(specials):
        codes[values == special] = len(edges) + 1 + at
    codes[np.isnan(values)] = len(edges) + 1 + len(specials)
    return codes


_FEW_EDGES = 24  # up to so many comparisons of whole columns are faster than a search for each value


def _fit_number(name: str, values: Floats, bad: Bools, settings: BinningSettings, weights: Floats | None) -> Bins:
    specials = tuple(sorted(special for special in settings.specials(name) if not isinstance(special, str)))
    plain = ~(np.isnan(values) | np.isin(values, specials)) if specials else ~np.isnan(values)
    edges, goods, bads = _prebins(values, bad, plain, settings.prebins, weights)
    found, trend = cuts.monotone(goods, bads, settings.direction(name))
    found = _merge(found, goods, bads, settings, _rows(bad, weights))
    found = cuts.agree(found, goods, bads, trend, _pseudo(bad, settings, weights))
    kept = tuple(float(edges[cut - 1]) for cut in found[1:-1])
    blank = Bins(
        name=name, kind="number", edges=kept, specials=specials, trend=trend if kept else None,
        goods=(), bads=(), evidence=(), information=(),
    )  # fmt: skip
    return _weighed(blank, number_codes(values, kept, specials), bad, settings, weights)


def _prebins(
    values: Floats, bad: Bools, plain: Bools, parts: int, weights: Floats | None
) -> tuple[Floats, Floats, Floats]:
    """Return the edges of the pre-bins of plain values, and the goods and bads in each."""
    if weights is not None:
        order = np.flatnonzero(plain)[np.argsort(values[plain], kind="stable")]
        edges = cuts.quantiles(values[order], parts, weights[order])
        codes = np.searchsorted(edges, values[order], side="left").astype(np.uint16)
        return edges, *_count(codes, bad[order], len(edges) + 1, weights[order])
    # counted from sorted columns: a fast sort and fifty look-ups are cheaper than a look-up for every row
    ordered, ordered_bads = np.sort(values[plain]), np.sort(values[plain & bad])
    edges = cuts.quantiles(ordered, parts)
    everybody, bads = (_below(side, edges) for side in (ordered, ordered_bads))
    return edges, everybody - bads, bads


def _below(ordered: Floats, edges: Floats) -> Floats:
    ends = np.append(np.searchsorted(ordered, edges, side="right"), len(ordered))
    return np.diff(ends, prepend=0).astype(np.float64)


def _fit_category(name: str, values: Column, bad: Bools, settings: BinningSettings, weights: Floats | None) -> Bins:
    words, codes = _encoded(name, values)
    goods, bads = (side[:-1] for side in _count(codes, bad, len(words) + 1, weights))
    specials = tuple(sorted(special for special in settings.specials(name) if isinstance(special, str)))
    seen = [at for at in np.flatnonzero(goods + bads > 0) if words[at] is not None and words[at] not in specials]
    rows = _rows(bad, weights)
    rare = [at for at in seen if goods[at] + bads[at] < settings.min_category_share * rows]
    named = {words[at]: [at] for at in sorted(set(seen) - set(rare), key=words.__getitem__)} | (
        {RARE: rare} if rare else {}
    )
    goods, bads = (np.array([side[places].sum() for places in named.values()]) for side in (goods, bads))
    order = _by_bad_rate(goods, bads, bad)
    found = _merge(list(range(len(order) + 1)), goods[order], bads[order], settings, rows)
    names = list(named)
    groups = tuple(tuple(sorted(names[at] for at in order[start:end])) for start, end in pairwise(found))
    blank = Bins(
        name=name, kind="category", groups=groups, pooled=len(rare), specials=specials,
        goods=(), bads=(), evidence=(), information=(),
    )  # fmt: skip
    missing = blank.ordinary + len(specials)
    place, unknown = blank.place, next((at for at, group in enumerate(groups) if RARE in group), missing)
    lookup = [missing if word is None else place.get(word, unknown) for word in (*words, None)]
    return _weighed(blank, np.array(lookup, dtype=np.uint16)[codes], bad, settings, weights)


def _by_bad_rate(goods: Floats, bads: Floats, bad: Bools) -> NDArray[np.intp]:
    """Return the order from the safest; those of one rate stay as they are."""
    # a category seen three times has no bad rate worth ordering by: half a bad pulls it towards the whole
    rate = (bads + 0.5) / (goods + bads + 0.5 * len(bad) / max(1, int(bad.sum())))
    return np.argsort(rate, kind="stable")


def _weighed(blank: Bins, codes: Codes, bad: Bools, settings: BinningSettings, weights: Floats | None) -> Bins:
    """Return the bins with what was seen in them and the evidence of it."""
    goods, bads = _count(codes, bad, blank.ordinary + len(blank.specials) + 1, weights)
    evidence, information = weigh(goods, bads, settings.smoothing_bads)
    return replace(
        blank,
        goods=_counts(goods, weights),
        bads=_counts(bads, weights),
        evidence=tuple(float(weight) for weight in evidence),
        information=tuple(float(part) for part in information),
    )


def _counts(counts: Floats, weights: Floats | None) -> tuple[float, ...]:
    return tuple(float(count) if weights is not None else int(count) for count in counts)


def _rows(bad: Bools, weights: Floats | None) -> float:
    return float(len(bad) if weights is None else weights.sum())


def _pseudo(bad: Bools, settings: BinningSettings, weights: Floats | None) -> tuple[float, float]:
    """Return the goods and bads that `weigh` adds to every bin."""
    bads = float(bad.sum() if weights is None else weights[bad].sum())
    goods = _rows(bad, weights) - bads
    return (settings.smoothing_bads * goods / bads, settings.smoothing_bads) if bads else (0.0, 0.0)


def _merge(found: list[int], goods: Floats, bads: Floats, settings: BinningSettings, rows: float) -> list[int]:
    return cuts.merge(found, goods, bads, smallest=settings.min_bin_share * rows, most=settings.max_bins)


def _count(codes: Codes, bad: Bools, size: int, weights: Floats | None) -> tuple[Floats, Floats]:
    everybody = np.bincount(codes, weights, minlength=size).astype(np.float64)
    bads = np.bincount(codes[bad], None if weights is None else weights[bad], minlength=size).astype(np.float64)
    return np.maximum(everybody - bads, 0.0), bads


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))


def _encoded(name: str, values: Column) -> tuple[list[str], NDArray[Any]]:
    """Return the words of a column of text, each once, and the place of every row's; missing is beyond the last."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if pa.types.is_null(whole.type) or pa.types.is_integer(whole.type):
        whole = whole.cast(pa.string())
    if not _is_text(whole.type):
        raise UnusableColumn(name, str(whole.type), "text")
    whole = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    words = whole.dictionary.to_pylist()
    return words, whole.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)


def _rows_in(codes: Codes, code: int) -> int:
    return int(np.count_nonzero(codes == code))


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
