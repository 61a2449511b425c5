"""How the scorecard holds on loans booked after those it learned from, with intervals that say how little is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.risk import RiskSettings
from engine.numerics.ratios import or_none
from engine.risk import calibration, metrics
from engine.risk.metrics import Estimate
from engine.risk.scorecard import NAME as SCORECARD

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Scored loans with their outcome."""

    name: str
    log_odds: Floats
    probability: Floats
    bad: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure of one model on one sample; `note` says why a value is missing or what limits it."""

    model: str = SCORECARD
    sample: str
    measure: str
    estimate: Estimate
    rows: int
    bads: int | None
    note: str | None

    def to_row(self) -> dict[str, Any]:
        """Return the row of the RISK_VALIDATION mart."""
        return {
            "model": self.model,
            "sample": self.sample,
            "measure": self.measure,
            "value": or_none(self.estimate.value),
            "lower": or_none(self.estimate.lower),
            "upper": or_none(self.estimate.upper),
            "rows": self.rows,
            "bads": self.bads,
            "note": self.note,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Measure:
        """Return the measure that `to_row` wrote."""
        ends = {name: nan if row[name] is None else row[name] for name in ("value", "lower", "upper")}
        kept = {name: row[name] for name in ("model", "sample", "measure", "rows", "bads", "note")}
        return cls(estimate=Estimate(**ends), **kept)


def split(loans: pa.Table, settings: RiskSettings) -> tuple[pa.Table, pa.Table]:
    """Part loans, sorted by booking, into earlier and later; loans of one instant stay together.

    All are earlier when too few of the earlier ones went bad to learn from them alone.
    """
    if loans.num_rows == 0:
        return loans, loans
    first_later = int(loans.num_rows * (1 - settings.out_of_time_share))
    boundary = loans["booked_at"][min(first_later, loans.num_rows - 1)]
    is_earlier = pc.less(loans["booked_at"], boundary)
    earlier, later = loans.filter(is_earlier), loans.filter(pc.invert(is_earlier))
    if (pc.sum(earlier["bad"]).as_py() or 0) < settings.minimum_bads:
        return loans, loans.slice(0, 0)
    return earlier, later


def measures(sample: Sample, small: int) -> list[Measure]:
    """Measure separation and truth of one sample."""
    rows, bads = len(sample.bad), int(sample.bad.sum())
    area = metrics.auc(-sample.log_odds, sample.bad)
    level = calibration.level(sample.probability, sample.bad)
    separation = {
        "auc": area,
        "ks": Estimate(value=metrics.ks(-sample.log_odds, sample.bad)),
        "gini": metrics.gini(area),
    }
    truth = {
        "brier": Estimate(value=metrics.brier(sample.probability, sample.bad)),
        "mean_predicted": Estimate(value=level.predicted),
        "observed_rate": level.observed,
        "calibration_error": Estimate(value=metrics.calibration_error(sample.probability, sample.bad)),
    }
    one_class = _one_class(rows, bads)
    few = None if bads >= small else f"small sample: {bads} defaults among {rows} loans"
    return [
        *_noted(sample.name, separation, rows, bads, one_class or few),
        *_noted(sample.name, truth, rows, bads, one_class if rows == 0 else few),
    ]


def shift_to_latest(latest: Sample, settings: RiskSettings) -> tuple[float, list[str]]:
    """Return how far to move the log-odds so that the level is that of the latest loans, and why; 0 within chance.

    Without a window of fixed length nothing is moved: the latest loans have had less time to go bad than the earlier.
    """
    if settings.outcome == "ever":
        return 0.0, ["default at any time: later loans had less time to go bad, their lower rate does not count"]
    level = calibration.level(latest.probability, latest.bad)
    shift = calibration.intercept_shift(latest.log_odds, latest.bad) if level.is_off else 0.0
    if shift == 0.0:
        return 0.0, []
    said = f"predicted {level.predicted:.2%}, observed {level.observed.value:.2%}"
    return shift, [f"level moved to that of the latest loans ({said}): log-odds {shift:+.3f}"]


def _noted(sample: str, values: Mapping[str, Estimate], rows: int, bads: int, note: str | None) -> list[Measure]:
    return [
        Measure(sample=sample, measure=name, estimate=value, rows=rows, bads=bads, note=note)
        for name, value in values.items()
    ]


def _one_class(rows: int, bads: int) -> str | None:
    if rows == 0:
        return "no loans were held back: too few defaults to learn from the earlier ones alone"
    if bads == 0:
        return "undefined: none of these loans went bad"
    if bads == rows:
        return "undefined: all of these loans went bad"
    return None
