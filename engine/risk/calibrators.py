"""Set a model's probabilities right from predictions on rows that it had not seen.

"sigmoid" is a logistic regression on the predicted log-odds: level and slope move, the order of customers stays.
"isotonic" is the best rising step function: it can bend anywhere, and makes ties. Neither is ever learned from what the
model says of its own training rows, where every model flatters itself.

References
----------
Platt (1999), Probabilistic outputs for support vector machines; Zadrozny and Elkan (2002), Transforming classifier
scores into accurate multiclass probability estimates; Cox (1958) on slope and level as a test of calibration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from engine.config.risk import TierSettings
from engine.domain.words import RiskTier
from engine.risk import metrics, tiers
from engine.risk.calibration import Level, level
from engine.risk.metrics import Estimate
from engine.risk.scorecard import default_probability

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
SURE: Final = 1e-9
"""No probability is taken as nearer to 0 or 1 than this: its log-odds would be infinite."""
_RIDGE: Final = 1e-6
"""Keeps the slope finite where the classes part perfectly; beside ten rows it is nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrator:
    """How a predicted probability becomes a calibrated one.

    Log-odds of being good times `slope` plus `shift`; for the isotonic method then linear between `knots`, pairs of
    predicted and calibrated probability.
    """

    method: Literal["sigmoid", "isotonic", "none"]
    slope: float = 1.0
    shift: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def apply(self, probability: Floats) -> Floats:
        """Return the calibrated probabilities."""
        if self.method == "none":
            return probability
        if self.method == "sigmoid":
            return default_probability(self.slope * log_odds(probability) + self.shift)
        places, values = np.array(self.knots).T
        return np.asarray(np.interp(probability, places, values))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly."""
        knots = [list(knot) for knot in self.knots]
        return {"method": self.method, "slope": self.slope, "shift": self.shift, "knots": knots}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibrator:
        """Return what `to_dict` described."""
        return cls(**{**values, "knots": tuple((place, value) for place, value in values["knots"])})


AS_PREDICTED: Final = Calibrator(method="none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One group of a reliability table: rows alike in predicted probability, or of one tier."""

    group: str
    rows: int
    bads: int
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """Slope and shift of the log-odds as observed: 1 and 0 when true. Below 1, the predictions are too far apart.

    `p_value` is Spiegelhalter's: how often chance alone gives a Brier score as far from what the probabilities
    themselves expect. `nan` with one class only.
    """

    slope: Estimate
    shift: Estimate
    p_value: float


def log_odds(probability: Floats) -> Floats:
    """Return the log-odds of being good."""
    kept = np.clip(probability, SURE, 1 - SURE)
    return np.asarray(np.log1p(-kept) - np.log(kept))


def fit(
    method: Literal["sigmoid", "isotonic", "none"], unseen: Floats, bad: Bools, weights: Floats | None = None
) -> Calibrator:
    """Learn a calibrator from probabilities of rows that the model had not seen and which of them went bad.

    A slope that is not positive says that the model predicts nothing: then all are given the observed rate. With one
    class only nothing can be learned, and the probabilities stay as predicted.
    """
    if method == "none" or bad.all() or not bad.any():
        return AS_PREDICTED
    if method == "isotonic":
        steps = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(unseen, bad, sample_weight=weights)
        places, values = steps.X_thresholds_.tolist(), steps.y_thresholds_.tolist()
        return Calibrator(method="isotonic", knots=tuple(zip(places, values, strict=True)))
    slope, shift = _line(log_odds(unseen), bad, weights)
    if slope <= 0:
        rate = float(np.average(bad, weights=weights))
        return Calibrator(method="sigmoid", slope=0.0, shift=log((1 - rate) / rate))
    return Calibrator(method="sigmoid", slope=slope, shift=shift)


def reliability(probability: Floats, bad: Bools, groups: int) -> tuple[Line, ...]:
    """Compare predicted and observed over equal-sized groups by predicted probability, the lowest first.

    Rows of one probability stay in one group, so that there may be fewer groups than asked for.
    """
    if not len(bad):
        return ()
    of = metrics.groups_by_rank(probability, groups)
    return tuple(_line_of(str(at + 1), probability, bad, of == at) for at in np.unique(of))


def by_tier(probability: Floats, bad: Bools, settings: TierSettings) -> tuple[Line, ...]:
    """Compare predicted and observed tier by tier, by cut-offs of the default probability; a tier without rows too."""
    tier = tiers.codes(probability, np.ones(len(bad), dtype=bool), settings)
    known = [one for one in tiers.TIERS if one is not RiskTier.UNKNOWN]
    return tuple(_line_of(one.value, probability, bad, tier == at) for at, one in enumerate(known))


def assess(probability: Floats, bad: Bools) -> Tested:
    """Test whether the probabilities are true, from rows that neither model nor calibrator had seen."""
    if bad.all() or not bad.any():
        nothing = Estimate(value=np.nan)
        return Tested(slope=nothing, shift=nothing, p_value=np.nan)
    own = log_odds(probability)
    slope, shift = _line(own, bad, None)
    spread = _spread(own, default_probability(slope * own + shift))
    kept = np.clip(probability, SURE, 1 - SURE)
    score = float(((bad - kept) * (1 - 2 * kept)).sum())
    variance = float(((1 - 2 * kept) ** 2 * kept * (1 - kept)).sum())
    return Tested(
        slope=_around(slope, spread[0]),
        shift=_around(shift, spread[1]),
        p_value=float(2 * norm.sf(abs(score) / sqrt(variance))) if variance > 0 else np.nan,
    )


def _line(own: Floats, bad: Bools, weights: Floats | None) -> tuple[float, float]:
    """Return slope and level of a logistic regression of being good on log-odds."""
    with threadpool_limits(1):
        model = LogisticRegression(C=1 / _RIDGE, solver="newton-cholesky", tol=1e-10, max_iter=100)
        model.fit(own[:, None], ~bad, sample_weight=weights)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def _spread(own: Floats, fitted: Floats) -> tuple[float, float]:
    """Return the standard errors of slope and level: from the inverse of the information of the regression."""
    mass = fitted * (1 - fitted)
    total, first, second = float(mass.sum()), float(mass @ own), float(mass @ own**2)
    determinant = total * second - first**2
    if determinant <= 0:
        return np.nan, np.nan
    return sqrt(total / determinant), sqrt(second / determinant)


def _around(value: float, error: float) -> Estimate:
    return Estimate(value=value, lower=value - metrics.Z95 * error, upper=value + metrics.Z95 * error)


def _line_of(group: str, probability: Floats, bad: Bools, rows: Bools) -> Line:
    own = probability[rows]
    return Line(
        group=group,
        rows=len(own),
        bads=int(bad[rows].sum()),
        level=level(own, bad[rows]),
    )
