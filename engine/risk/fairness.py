"""How groups fare at each stage of a credit process: applied, scored, approved, priced, defaulted.

Every figure carries its interval, and the p-values of one measure are corrected together for all groups it compares.
The four-fifths ratio is a screening figure: it says where to look, and no law is broken or kept by it alone.

Of a group with very few cases nothing is shown. Shares of applications are taken among the groups shown, so that no
figure here holds a total from which a hidden group could be worked out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import nan, sqrt
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from engine.config.risk_oversight import FairnessSettings
from engine.numerics.intervals import wilson
from engine.risk import metrics
from engine.risk.fairness_figures import (
    NOT_RECORDED,
    Figure,
    Sample,
    Standard,
    blank_of,
    corrected,
    judged,
    share,
    worded,
)
from engine.risk.metrics import Z95

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

BETWEEN: Final = " × "
"""What stands between the two attributes, and the two groups, of an intersection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Credit cases as columns of one length, one row an application.

    groups : by protected attribute, the group of every row; None or "" where it is not recorded.
    score : points, higher is safer; probability : of default; both nan where the case was not scored.
    approved : 1 or 0, nan while undecided or withdrawn; rate : the yearly rate offered, nan where none was.
    bad : 1 or 0, nan where the outcome is not known.
    A column that is left out says that the process has no such stage, or that nobody recorded it.
    """

    groups: Mapping[str, ArrayLike]
    probability: Floats
    score: Floats | None = None
    approved: Floats | None = None
    rate: Floats | None = None
    bad: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """All figures of one set of cases, and what could not be looked at with the reason."""

    figures: tuple[Figure, ...]
    cut_off: float
    notes: tuple[str, ...]

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one plain row per figure."""
        return [figure.to_row() for figure in self.figures]

    @property
    def below_four_fifths(self) -> tuple[Figure, ...]:
        """The figures that the screening points at."""
        return tuple(figure for figure in self.figures if figure.verdict == "below")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measure:
    """A measure: who counts, and how a group's rows become a value. `standard` says what it is held against."""

    stage: str
    name: str
    counts: Bools
    of_group: Callable[[str, Bools], Sample]
    standard: Standard
    note: str | None = field(default=None)


def assess(cases: Cases, settings: FairnessSettings, cut_off: float) -> Fairness:
    """Compare all groups of every attribute, and of the intersections that settings name, at every stage.

    Parameters
    ----------
    cut_off : default probability from which a case is refused; error rates are those of this rule: the true positive
        rate is the share of defaulters it refuses, the false positive rate the share of good payers it refuses.
    """
    labels = _labels(cases.groups, settings)
    measures, notes = _measures(cases, cut_off)
    found = [
        figure
        for measure in measures
        for figure in corrected(
            [one for name, groups in labels.items() for one in _compared(name, groups, measure, settings)], settings
        )
    ]
    return Fairness(
        figures=tuple(worded(one, settings) for one in found),
        cut_off=cut_off,
        notes=tuple(notes),
    )


def screen(selected: Mapping[str, int], rows: Mapping[str, int], settings: FairnessSettings) -> tuple[Figure, ...]:
    """Hold every group's selection rate against the highest: the four-fifths screening from counts alone.

    The highest is looked for among groups large enough to judge. Nothing is assessable when nobody was selected or when
    there is no second group.
    """
    samples = [share(name, selected[name], rows[name]) for name in rows]
    figures = judged(blank_of("group", "approved", "approval_rate"), samples, "four_fifths", settings)
    return tuple(worded(one, settings) for one in corrected(figures, settings))


def age_bands(ages: Floats, settings: FairnessSettings) -> NDArray[np.str_]:
    """Return the age band of every age in years, "" where it is not known."""
    edges = settings.age_bands
    if not edges:
        return np.where(np.isnan(ages), "", "all ages")
    between = [f"{low} to {high - 1}" for low, high in pairwise(edges)]
    names = [f"under {edges[0]}", *between, f"{edges[-1]} and over"]
    band = np.array(names)[np.searchsorted(np.array(edges, dtype=float), ages, side="right")]
    return np.where(np.isnan(ages), "", band)


def _labels(groups: Mapping[str, ArrayLike], settings: FairnessSettings) -> dict[str, NDArray[np.str_]]:
    plain = {name: _named(values) for name, values in groups.items()}
    for one, other in settings.intersections:
        if one in plain and other in plain:
            both = np.char.add(np.char.add(plain[one], BETWEEN), plain[other])
            unknown = (plain[one] == NOT_RECORDED) | (plain[other] == NOT_RECORDED)
            plain[one + BETWEEN + other] = np.where(unknown, NOT_RECORDED, both)
    return plain


def _named(values: ArrayLike) -> NDArray[np.str_]:
    given = np.asarray(values, dtype=object)
    # None, nan and "" all say that nothing was recorded
    missing = pc.is_null(pa.array(given, from_pandas=True)).to_numpy(zero_copy_only=False) | (given == "")
    return np.where(missing, NOT_RECORDED, given.astype(str))


def _measures(cases: Cases, cut_off: float) -> tuple[list[_Measure], list[str]]:
    """Return what can be measured of these cases, and a note for what cannot."""
    scored = np.isfinite(cases.probability)
    everyone = np.ones(len(scored), dtype=bool)
    refused = scored & (cases.probability >= cut_off)
    found = [
        _rate("applied", "share_of_applications", everyone, everyone, "nothing"),
        _rate("scored", "scored_rate", everyone, scored, "four_fifths"),
        *([] if cases.score is None else [_mean("scored", "mean_score", cases.score)]),
        _rate("approved", "pass_rate", scored, ~refused, "four_fifths"),
    ]
    notes = []
    if cases.approved is None:
        notes.append("no decisions are recorded: approval is judged by the cut-off alone")
    else:
        found.append(
            _rate("approved", "approval_rate", np.isfinite(cases.approved), cases.approved == 1, "four_fifths")
        )
    if cases.rate is None:
        notes.append("no price was offered, so that prices are not compared")
    else:
        found.append(_mean("priced", "mean_rate", cases.rate))
    if cases.bad is None:
        notes.append("no outcome is known, so that error rates and calibration are not compared")
    else:
        found += _by_outcome(cases, scored, refused)
        notes.append("outcomes are known only of those to whom money was lent: error rates say nothing of the others")
    return found, notes


def _by_outcome(cases: Cases, scored: Bools, refused: Bools) -> list[_Measure]:
    assert cases.bad is not None
    bad, known = cases.bad == 1, np.isfinite(cases.bad)
    both = scored & known

    def calibration(group: str, rows: Bools) -> Sample:
        return _calibration(group, cases.probability[rows], bad[rows])

    def area(group: str, rows: Bools) -> Sample:
        found = metrics.auc(cases.probability[rows], bad[rows])
        spread = (found.upper - found.lower) / (2 * Z95) if found.lower > 0 and found.upper < 1 else nan
        return Sample(
            group=group, rows=int(rows.sum()), value=found.value, lower=found.lower, upper=found.upper, spread=spread
        )

    return [
        _rate("approved", "true_positive_rate", both & bad, refused, "difference"),
        _rate("approved", "false_positive_rate", both & ~bad, refused, "difference"),
        _rate("defaulted", "default_rate", known, bad, "difference"),
        _Measure(stage="defaulted", name="calibration_gap", counts=both, of_group=calibration, standard="zero"),
        _Measure(stage="defaulted", name="auc", counts=both, of_group=area, standard="difference"),
    ]


def _rate(stage: str, name: str, counts: Bools, hit: Bools, standard: Standard) -> _Measure:
    def of_group(group: str, rows: Bools) -> Sample:
        return share(group, int((rows & hit).sum()), int(rows.sum()))

    return _Measure(stage=stage, name=name, counts=counts, of_group=of_group, standard=standard)


def _mean(stage: str, name: str, values: Floats) -> _Measure:
    def of_group(group: str, rows: Bools) -> Sample:
        own = values[rows]
        spread = float(own.std(ddof=1)) / sqrt(len(own)) if len(own) > 1 else nan
        value = float(own.mean()) if len(own) else nan
        return Sample(
            group=group, rows=len(own), value=value, lower=value - Z95 * spread, upper=value + Z95 * spread,
            spread=spread,
        )  # fmt: skip

    return _Measure(stage=stage, name=name, counts=np.isfinite(values), of_group=of_group, standard="difference")


def _calibration(group: str, probability: Floats, bad: Bools) -> Sample:
    """Compare predicted and observed defaults; were the probabilities true, the sum of p (1 - p) would be the variance.

    The interval is that of the observed rate (Wilson), turned over: it says which predictions the defaults allow.
    """
    rows = len(bad)
    if rows == 0:
        return Sample(group=group, rows=0, value=nan)
    predicted, reach = float(probability.mean()), wilson(int(bad.sum()), rows)
    return Sample(
        group=group,
        rows=rows,
        value=predicted - float(bad.mean()),
        lower=predicted - reach.upper,
        upper=predicted - reach.lower,
        spread=sqrt(float((probability * (1 - probability)).sum())) / rows,
    )


def _compared(
    attribute: str, groups: NDArray[np.str_], measure: _Measure, settings: FairnessSettings
) -> Iterator[Figure]:
    names, codes = np.unique(groups, return_inverse=True)
    samples = [measure.of_group(str(name), measure.counts & (codes == at)) for at, name in enumerate(names)]
    if measure.standard == "nothing":
        samples = _among_shown(samples, settings)
    yield from judged(blank_of(attribute, measure.stage, measure.name), samples, measure.standard, settings)


def _among_shown(samples: list[Sample], settings: FairnessSettings) -> list[Sample]:
    total = sum(one.rows for one in samples if one.rows >= settings.smallest_shown)
    shown = settings.smallest_shown
    return [share(one.group, one.rows, total) if one.rows >= shown else one for one in samples]
