"""What one arm of an experiment says about one metric: a value and how sure it is. Every method ends here."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from experiments.moments import Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEstimate:
    """An estimate from n units. `variance` is that of the estimate itself, not of a unit.

    degrees : of freedom behind the variance; infinite where it is taken as known.
    """

    value: float
    variance: float
    n: int
    degrees: float = inf


def mean(moments: Moments) -> ArmEstimate | None:
    """Estimate a mean from the moments of its column; None with fewer than two units."""
    if moments.mean is None or moments.variance is None:
        return None
    return ArmEstimate(
        value=moments.mean, variance=moments.variance / moments.n, n=moments.n, degrees=float(moments.n - 1)
    )


def proportion(moments: Moments) -> ArmEstimate | None:
    """Estimate a share, its spread being p (1 - p); None without units."""
    share = moments.mean
    if share is None:
        return None
    return ArmEstimate(value=share, variance=share * (1 - share) / moments.n, n=moments.n)
