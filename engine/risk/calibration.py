"""Is the predicted default probability as high as what happens, and by how much must it move if not."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from engine.risk.metrics import Estimate, observed_rate
from engine.risk.scorecard import default_probability

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Mean predicted against observed default rate of one sample."""

    predicted: float
    observed: Estimate

    @property
    def is_off(self) -> bool:
        """Whether the predicted rate lies outside what the observed defaults allow at 95 %; false without rows."""
        return bool(self.predicted < self.observed.lower or self.predicted > self.observed.upper)


def level(probability: Floats, bad: Bools) -> Level:
    """Compare the level of a sample's probabilities with its defaults."""
    predicted = float(probability.mean()) if len(probability) else nan
    return Level(predicted=predicted, observed=observed_rate(bad))


def intercept_shift(log_odds: Floats, bad: Bools) -> float:
    """Return what to add to the log-odds of being good so that predicted and observed defaults are equally many.

    The order of customers stays, only the level moves. 0 where nobody or everybody defaulted: no finite shift
    would do.
    """
    if not bad.any() or bad.all():
        return 0.0
    low, high = -50.0, 50.0
    wanted = float(bad.mean())
    # the mean probability falls steadily with the shift: halve until floats cannot tell the ends apart
    for _ in range(100):
        middle = (low + high) / 2
        if float(default_probability(log_odds + middle).mean()) > wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2
