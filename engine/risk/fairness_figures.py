"""One group's value of one measure, held against another group's: a ratio or a difference with interval and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, isfinite, log, nan, sqrt
from typing import Any, Final, Literal

from scipy.special import ndtr

from engine.config.risk_oversight import FairnessSettings
from engine.numerics import multiplicity
from engine.numerics.intervals import newcombe, wilson
from engine.numerics.ratios import or_none, ratio
from engine.risk.fairness_words import told
from engine.risk.metrics import Z95

Verdict = Literal["pass", "below", "differs", "no_difference_shown", "reference", "insufficient", "not_assessable",
                  "suppressed", "described"]  # fmt: skip
Standard = Literal["four_fifths", "difference", "zero", "nothing"]
"""What a measure is held against: the best group's rate, the largest group's value, 0, or nothing."""
NOT_RECORDED: Final = "not recorded"
_TOLERANCE: Final = 1e-9
"""A ratio that is four fifths but for the last bit of a float passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measure of one group at one stage, against the group it is compared with.

    rows : cases that the value is taken over; None where nothing about the group is shown.
    ratio : to the reference's value, for shares of who is let through; difference : value minus the reference's.
    For "calibration_gap" the value is predicted minus observed default rate, and is judged against 0.
    adjusted_p_value : corrected for all groups and attributes compared on the same measure (Holm).
    """

    attribute: str
    group: str
    stage: str
    measure: str
    verdict: Verdict
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    rows: int | None = None
    reference: str | None = None
    reference_value: float | None = None
    ratio: float | None = None
    ratio_lower: float | None = None
    ratio_upper: float | None = None
    difference: float | None = None
    difference_lower: float | None = None
    difference_upper: float | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    text: str = ""
    text_zh: str = ""

    def to_row(self) -> dict[str, Any]:
        """Return the row of the RISK_FAIRNESS mart."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one measure knows of one group; `spread` is the standard error of a mean."""

    group: str
    rows: int
    value: float
    lower: float = nan
    upper: float = nan
    hits: int = 0
    spread: float = nan


def share(group: str, hits: int, rows: int) -> Sample:
    """Return a share of a group with Wilson's interval; nan without rows."""
    reach = wilson(hits, rows)
    return Sample(group=group, rows=rows, value=ratio(hits, rows), lower=reach.lower, upper=reach.upper, hits=hits)


def blank_of(attribute: str, stage: str, measure: str) -> Figure:
    """Return the figure of no group yet."""
    return Figure(attribute=attribute, group="", stage=stage, measure=measure, verdict="suppressed")


def worded(figure: Figure, settings: FairnessSettings) -> Figure:
    """Return the figure with its sentence in English and Chinese."""
    text, text_zh = told(figure.to_row(), settings)
    return replace(figure, text=text, text_zh=text_zh)


def judged(blank: Figure, samples: Sequence[Sample], standard: Standard, settings: FairnessSettings) -> list[Figure]:
    """Return a figure for every sample; `blank` carries the attribute, the stage and the measure."""
    reference = _reference(samples, standard, settings)
    figures = []
    for sample in samples:
        figure = replace(blank, group=sample.group)
        if sample.rows >= settings.smallest_shown:
            figure = _held_against(figure, sample, reference, standard, settings)
        figures.append(figure)
    return figures


def _reference(samples: Sequence[Sample], standard: Standard, settings: FairnessSettings) -> Sample | None:
    """Return the group that others are compared with: the highest rate for four fifths, else the largest group."""
    fit = [
        one
        for one in samples
        if one.rows >= settings.smallest_assessed and isfinite(one.value) and one.group != NOT_RECORDED
    ]
    if not fit:
        return None
    return max(fit, key=lambda one: one.value if standard == "four_fifths" else one.rows)


def _held_against(
    figure: Figure, sample: Sample, reference: Sample | None, standard: Standard, settings: FairnessSettings
) -> Figure:
    shown = replace(
        figure,
        rows=sample.rows,
        value=or_none(sample.value),
        lower=or_none(sample.lower),
        upper=or_none(sample.upper),
        verdict="described",
    )
    if standard == "nothing" or sample.rows < settings.smallest_assessed:
        return shown if standard == "nothing" else replace(shown, verdict="insufficient")
    if standard == "zero":
        return replace(shown, verdict="no_difference_shown", p_value=_two_sided(sample.value, sample.spread))
    if reference is None or not isfinite(sample.value) or (standard == "four_fifths" and reference.value == 0):
        return replace(shown, verdict="not_assessable")
    named = replace(shown, reference=reference.group, reference_value=reference.value)
    if sample.group == reference.group:
        return replace(named, verdict="reference")
    compare = _four_fifths if standard == "four_fifths" else _gap
    return compare(named, sample, reference, settings)


def _four_fifths(figure: Figure, sample: Sample, reference: Sample, settings: FairnessSettings) -> Figure:
    found = sample.value / reference.value
    lower, upper = _ratio_interval(sample, reference)
    return replace(
        _gap(figure, sample, reference, settings),
        verdict="pass" if found >= settings.four_fifths - _TOLERANCE else "below",
        ratio=found,
        ratio_lower=or_none(lower),
        ratio_upper=or_none(upper),
    )


def _ratio_interval(sample: Sample, reference: Sample) -> tuple[float, float]:
    """Return the interval of the ratio of two shares on the log scale (Katz and others, 1978); nan with no hits."""
    if not sample.hits or not reference.hits:
        return nan, nan
    spread = sqrt(1 / sample.hits - 1 / sample.rows + 1 / reference.hits - 1 / reference.rows)
    middle = log(sample.value / reference.value)
    return exp(middle - Z95 * spread), exp(middle + Z95 * spread)


def _gap(figure: Figure, sample: Sample, reference: Sample, settings: FairnessSettings) -> Figure:
    """Add the difference to the reference: of two shares by Newcombe, of two means by their standard errors."""
    difference = sample.value - reference.value
    if figure.measure in ("mean_score", "mean_rate", "auc"):
        spread = sqrt(sample.spread**2 + reference.spread**2)
        lower, upper, p_value = difference - Z95 * spread, difference + Z95 * spread, _two_sided(difference, spread)
    else:
        reach = newcombe(sample.hits, sample.rows, reference.hits, reference.rows)
        lower, upper, p_value = reach.lower, reach.upper, _two_shares(sample, reference)
    return replace(
        figure,
        verdict="no_difference_shown",
        difference=difference,
        difference_lower=or_none(lower),
        difference_upper=or_none(upper),
        p_value=p_value,
    )


def _two_shares(sample: Sample, reference: Sample) -> float | None:
    pooled = (sample.hits + reference.hits) / (sample.rows + reference.rows)
    spread = sqrt(pooled * (1 - pooled) * (1 / sample.rows + 1 / reference.rows))
    return _two_sided(sample.value - reference.value, spread)


def _two_sided(difference: float, spread: float) -> float | None:
    """Return the p-value of a difference under the normal; None where the spread is not known."""
    if not isfinite(spread) or not isfinite(difference):
        return None
    if spread == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * ndtr(-abs(difference) / spread))


def corrected(figures: Sequence[Figure], settings: FairnessSettings) -> list[Figure]:
    """Correct the p-values of one measure together, and name a difference that is beyond chance."""
    adjusted = multiplicity.holm([nan if one.p_value is None else one.p_value for one in figures])
    found = []
    for one, value in zip(figures, adjusted, strict=True):
        p_value = or_none(float(value))
        beyond = p_value is not None and p_value < settings.significance
        verdict: Verdict = "differs" if beyond and one.verdict == "no_difference_shown" else one.verdict
        found.append(replace(one, adjusted_p_value=p_value, verdict=verdict))
    return found
