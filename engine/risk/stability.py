"""Has the population moved away from the one that the model was made on: score and characteristics, month by month.

The edges of the bins are those of the reference, never of what is compared with it, and missing values have a bin of
their own. A move is a drift when the index passes both the limit of chance, which fits the numbers of rows, and the
limit of what matters; each result says which of the two was the higher, and so decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import sqrt
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.special import ndtri

from engine.config.risk_oversight import StabilitySettings
from engine.risk import cuts, metrics
from engine.risk.stability_words import told

Floats = NDArray[np.float64]
Verdict = Literal["stable", "drifted", "not_checked"]
SCORE: Final = "score"
"""What the score of the whole card is called beside the characteristics."""
INDEX: Final = "population_stability"
MISSING: Final = "missing_share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """How one column was spread when the model was made.

    edges : inner edges of a number's bins, a value on an edge belonging below it; empty for text.
    values : a text's bins, the most frequent first; every other value shares one bin after them.
    counts : rows per bin; the last is that of missing values.
    """

    what: str
    edges: tuple[float, ...]
    values: tuple[str, ...] | None
    counts: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Rows of the reference, those without a value included."""
        return sum(self.counts)

    def bin(self, column: pa.ChunkedArray) -> NDArray[np.int64]:
        """Return the count of each bin in other rows of the same column."""
        missing = len(self.counts) - 1
        if self.values is None:
            numbers = _numbers(column)
            codes = np.where(np.isnan(numbers), missing, np.searchsorted(np.array(self.edges), numbers, side="left"))
        else:
            known = pa.array(self.values, pa.string())
            found = pc.index_in(column.cast(pa.string()), value_set=known)
            place = pc.fill_null(found, len(self.values)).to_numpy()
            codes = np.where(pc.is_null(column).to_numpy(), missing, place)
        return np.bincount(codes.astype(np.int64), minlength=missing + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How far one column of one period has moved from its reference.

    value : the stability index in nats, the change of the share without a value, the loss of area under the curve, or
        observed over predicted default rate, less 1; None where not checked. The latter two have their 95 % interval.
    chance_limit : what chance alone would pass with `significance`, given both numbers of rows.
    limit : the higher of the two, which `decided_by` names; a drift is beyond it.
    floored_bins : bins whose share was raised to the floor, on either side.
    reason : why it was not checked, in a word: "no_reference", "few_rows".
    """

    population: str
    what: str
    measure: str
    begins: datetime
    ends: datetime
    rows: int
    reference_rows: int
    verdict: Verdict
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    chance_limit: float | None = None
    limit: float | None = None
    decided_by: Literal["chance", "materiality"] | None = None
    bins: int = 0
    floored_bins: int = 0
    reason: str | None = None
    text: str = ""
    text_zh: str = ""

    def to_row(self) -> dict[str, Any]:
        """Return the shift as a plain row."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The rows of one stretch of time: `begins` <= when < `ends`."""

    begins: datetime
    ends: datetime
    columns: Mapping[str, pa.ChunkedArray]


def reference(what: str, column: pa.ChunkedArray, settings: StabilitySettings) -> Reference:
    """Cut one column of the reference into bins of equal share; a text into its most frequent values."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _text_reference(what, column, settings)
    known = _numbers(column)
    edges = tuple(cuts.quantiles(np.sort(known[~np.isnan(known)]), settings.bins).tolist())
    empty = Reference(what=what, edges=edges, values=None, counts=(0,) * (len(edges) + 2))
    return replace(empty, counts=tuple(empty.bin(column).tolist()))


def compare(
    base: Reference, period: Period, settings: StabilitySettings, *, population: str, compared: int = 1
) -> tuple[Shift, Shift]:
    """Return how far a period's column has moved, as a stability index and as the share without a value.

    Parameters
    ----------
    compared : how many columns are looked at in the period; the chance of a false alarm holds for all together.
    """
    counts = base.bin(period.columns[base.what])
    blank = Shift(
        population=population, what=base.what, measure=INDEX, begins=period.begins, ends=period.ends,
        rows=int(counts.sum()), reference_rows=base.rows, verdict="not_checked",
    )  # fmt: skip
    reason = "no_reference" if base.rows < settings.smallest else None
    reason = reason or ("few_rows" if blank.rows < settings.smallest else None)
    if reason:
        unchecked = replace(blank, reason=reason)
        return worded(unchecked), worded(replace(unchecked, measure=MISSING))
    level = 1 - settings.significance / compared
    return (
        worded(_index(blank, np.array(base.counts), counts, settings, level)),
        worded(_missing(blank, np.array(base.counts), counts, settings, level)),
    )


def watch(
    bases: Sequence[Reference], periods: Sequence[Period], settings: StabilitySettings, population: str
) -> list[Shift]:
    """Compare every column of every period with its reference; the score alone, the characteristics together."""
    characteristics = max(1, sum(base.what != SCORE for base in bases))
    return [
        shift
        for period in periods
        for base in bases
        if base.what in period.columns
        for shift in compare(
            base, period, settings, population=population, compared=1 if base.what == SCORE else characteristics
        )
    ]


def since(shifts: Sequence[Shift], last: Shift) -> datetime | None:
    """Return when the drift that `last` is in the midst of began; None when it is no drift.

    The periods before it are looked at backwards as long as each drifted too; one that was not checked breaks nothing
    and proves nothing.
    """
    if last.verdict != "drifted":
        return None
    same = [
        one for one in shifts if (one.population, one.what, one.measure) == (last.population, last.what, last.measure)
    ]
    began = last.begins
    for one in sorted(same, key=lambda each: each.ends, reverse=True):
        if one.ends > last.ends or one.verdict == "not_checked":
            continue
        if one.verdict == "stable":
            break
        began = one.begins
    return began


def _index(
    blank: Shift, expected: NDArray[np.int64], actual: NDArray[np.int64], settings: StabilitySettings, level: float
) -> Shift:
    before, after = expected / expected.sum(), actual / actual.sum()
    used = (before > 0) | (after > 0)
    value = metrics.population_stability(before[used], after[used], settings.floor)
    floored = int(((before[used] < settings.floor) | (after[used] < settings.floor)).sum())
    chance = metrics.stability_limit(blank.reference_rows, blank.rows, int(used.sum()), level)
    return judged(
        replace(blank, value=value, bins=int(used.sum()), floored_bins=floored), chance, settings.material_index
    )


def _missing(
    blank: Shift, expected: NDArray[np.int64], actual: NDArray[np.int64], settings: StabilitySettings, level: float
) -> Shift:
    before, after = expected[-1] / expected.sum(), actual[-1] / actual.sum()
    pooled = (expected[-1] + actual[-1]) / (expected.sum() + actual.sum())
    spread = sqrt(pooled * (1 - pooled) * (1 / expected.sum() + 1 / actual.sum()))
    chance = float(ndtri(1 - (1 - level) / 2)) * spread
    shown = replace(blank, measure=MISSING, value=float(after - before), bins=2)
    return judged(shown, chance, settings.material_missing_share)


def judged(shift: Shift, chance: float, material: float) -> Shift:
    """Return the shift with its limits and its verdict; it must have a value."""
    assert shift.value is not None
    limit = max(chance, material)
    return replace(
        shift,
        chance_limit=chance,
        limit=limit,
        decided_by="chance" if chance > material else "materiality",
        verdict="drifted" if abs(shift.value) > limit else "stable",
    )


def worded(shift: Shift) -> Shift:
    """Return the shift with its sentence in English and Chinese."""
    text, text_zh = told(shift.to_row())
    return replace(shift, text=text, text_zh=text_zh)


def _text_reference(what: str, column: pa.ChunkedArray, settings: StabilitySettings) -> Reference:
    counted = pc.value_counts(column.drop_null()).to_pylist()
    # equally frequent values in the order of the alphabet, so that two runs cut alike
    ordered = sorted(counted, key=lambda one: (-one["counts"], one["values"]))
    values = tuple(one["values"] for one in ordered[: settings.bins])
    empty = Reference(what=what, edges=(), values=values, counts=(0,) * (len(values) + 2))
    return replace(empty, counts=tuple(empty.bin(column).tolist()))


def _numbers(column: pa.ChunkedArray) -> Floats:
    numbers: Floats = column.cast(pa.float64()).to_numpy().astype(np.float64)
    return numbers
