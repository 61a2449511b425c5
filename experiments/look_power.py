"""What looking more than once costs: how likely an effect of a given size crosses the bounds, and when.

An effect is a drift: how many standard errors it will be from none at the end of the plan. At information t, a share
of that at the end, the process is normal with mean drift x t and variance t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from experiments.sequential import quadrature

Floats = NDArray[np.float64]

_FAR: Final = 12.0  # standard deviations, beyond which nothing lies


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """The probability of crossing each bound for the first time at each look, shape (looks,)."""

    information: Floats
    upper: Floats
    lower: Floats

    @property
    def power(self) -> float:
        """The probability of having crossed the upper bound by the last look."""
        return float(self.upper.sum())

    @property
    def expected_information(self) -> float:
        """Information at which the experiment stops on average, if it stops at whichever bound it crosses first."""
        stopped = self.upper + self.lower
        return float(stopped @ self.information + (1 - stopped.sum()) * self.information[-1])


def crossing(information: Sequence[float], upper: Sequence[float], lower: Sequence[float], drift: float) -> Crossing:
    """Return how an effect crosses the bounds, by integration of the process look by look.

    information : at the looks, rising to 1.
    upper, lower : critical z-values per look; infinite where a look may call nothing on that side.

    References
    ----------
    Jennison and Turnbull (2000), Group Sequential Methods, chapter 19.
    """
    times = np.asarray(information, dtype=np.float64)
    over, under = np.empty(len(times)), np.empty(len(times))
    points, mass, before = np.zeros(1), np.ones(1), 0.0
    for look, time in enumerate(times):
        step = sqrt(time - before)
        ends = [float(np.clip(bound, -_FAR, _FAR)) * sqrt(time) for bound in (lower[look], upper[look])]
        means = points + drift * (time - before)
        # a bound that nothing reaches is drawn where the drift cannot carry the process either
        if upper[look] == np.inf:
            ends[1] += max(drift * time, 0.0)
        if lower[look] == -np.inf:
            ends[0] += min(drift * time, 0.0)
        over[look] = 0.0 if upper[look] == np.inf else mass @ ndtr((means - ends[1]) / step)
        under[look] = 0.0 if lower[look] == -np.inf else mass @ ndtr((ends[0] - means) / step)
        inside, weights = quadrature(ends[0], ends[1], step)
        density = np.exp(-(((inside[:, None] - means) / step) ** 2) / 2) / (step * sqrt(2 * pi))
        points, mass, before = inside, weights * (density @ mass), float(time)
    return Crossing(information=times, upper=over, lower=under)


def drift(information: Sequence[float], upper: Sequence[float], lower: Sequence[float], power: float) -> float:
    """Return the drift that crosses the upper bound with this probability."""
    return float(
        brentq(lambda size: crossing(information, upper, lower, size).power - power, -_FAR, 2 * _FAR, xtol=1e-10)
    )
