"""Does the model still hold once the outcomes have matured: separation and level, cohort by cohort of booking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from math import isfinite, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from engine.config.risk_oversight import StabilitySettings
from engine.numerics.intervals import wilson
from engine.numerics.ratios import or_none
from engine.risk import metrics
from engine.risk.metrics import Z95, Estimate
from engine.risk.stability import SCORE, Shift, judged, worded
from engine.risk.validation import Sample

AUC_LOSS: Final = "auc_loss"
LEVEL: Final = "default_level"
LOANS: Final = "loans"


def cohorts(
    sample: Sample,
    booked_at: NDArray[np.datetime64],
    edges: Sequence[datetime],
    base: Estimate,
    *,
    base_rows: int,
    settings: StabilitySettings,
) -> list[Shift]:
    """Compare each cohort of loans with what was measured when the model was made, and with its own predictions.

    Parameters
    ----------
    sample, booked_at : scored loans whose outcome is known, best none that the model learned from.
    edges : instants that cut the cohorts, rising; a cohort begins at one and ends before the next.
    base : area under the curve to compare with; with its interval, else a loss is never beyond chance.

    Returns
    -------
    list
        Two shifts a cohort: the loss of area under the curve (a gain is negative and no drift), and observed over
        predicted default rate, less 1. Too few loans or defaults are not checked.
    """
    found = []
    for begins, ends in pairwise(edges):
        first, last = (np.datetime64(each.replace(tzinfo=None), "us") for each in (begins, ends))
        inside = (booked_at >= first) & (booked_at < last)
        blank = Shift(
            population=LOANS, what=SCORE, measure=AUC_LOSS, begins=begins, ends=ends, rows=int(inside.sum()),
            reference_rows=base_rows, verdict="not_checked",
        )  # fmt: skip
        own = Sample(
            name="cohort",
            log_odds=sample.log_odds[inside],
            probability=sample.probability[inside],
            bad=sample.bad[inside],
        )
        found += [worded(_separation(blank, own, base, settings)), worded(_level(blank, own, settings))]
    return found


def _separation(blank: Shift, own: Sample, base: Estimate, settings: StabilitySettings) -> Shift:
    reason = _unchecked(blank, own, settings)
    area = metrics.auc(-own.log_odds, own.bad)
    if reason or not isfinite(area.lower) or not isfinite(base.lower):
        return replace(blank, reason=reason or "no_reference")
    spread = sqrt(_spread(area) ** 2 + _spread(base) ** 2)
    loss = base.value - area.value
    shown = replace(blank, value=loss, lower=loss - Z95 * spread, upper=loss + Z95 * spread)
    found = judged(shown, _quantile(settings) * spread, settings.material_auc)
    return replace(found, verdict="drifted" if loss > (found.limit or 0.0) else "stable")


def _level(blank: Shift, own: Sample, settings: StabilitySettings) -> Shift:
    """Compare the defaults with the sum of the probabilities; were they true, the variance would be sum p (1 - p)."""
    blank = replace(blank, measure=LEVEL)
    expected = float(own.probability.sum())
    if blank.rows < settings.smallest or expected == 0:
        return replace(blank, reason="few_rows")
    bads = int(own.bad.sum())
    reach = wilson(bads, blank.rows)
    predicted = expected / blank.rows
    chance = _quantile(settings) * sqrt(float((own.probability * (1 - own.probability)).sum())) / expected
    shown = replace(
        blank,
        value=bads / expected - 1,
        lower=or_none(reach.lower / predicted - 1),
        upper=or_none(reach.upper / predicted - 1),
    )
    return judged(shown, chance, settings.material_level)


def _unchecked(blank: Shift, own: Sample, settings: StabilitySettings) -> str | None:
    if blank.rows < settings.smallest:
        return "few_rows"
    if int(own.bad.sum()) < settings.smallest_bads:
        return "few_bads"
    return "one_class" if own.bad.all() else None


def _spread(area: Estimate) -> float:
    """Return the standard error that DeLong's interval was made of; one end may have been cut at 0 or 1."""
    return max(area.upper - area.value, area.value - area.lower) / Z95


def _quantile(settings: StabilitySettings) -> float:
    return float(ndtri(1 - settings.significance / 2))
