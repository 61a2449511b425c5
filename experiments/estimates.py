"""What one arm of an experiment says about one metric: a value and how sure it is. Every method ends here."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from experiments.moments import Moments

NUMERATOR = "numerator"
DENOMINATOR = "denominator"


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
    value, spread = moments.mean, moments.variance
    if value is None or spread is None:
        return None
    return ArmEstimate(value=value, variance=spread / moments.n, n=moments.n, degrees=float(moments.n - 1))


def proportion(moments: Moments) -> ArmEstimate | None:
    """Estimate a share, its spread being p (1 - p); None without units."""
    share = moments.mean
    if share is None:
        return None
    return ArmEstimate(value=share, variance=share * (1 - share) / moments.n, n=moments.n)


def inverse_weighted(
    n: int, weights: float, squared_weights: float, weighted: float, squares: float
) -> ArmEstimate | None:
    """Estimate the mean of an arm from units that each count with the inverse of their chance to get it.

    weights, squared_weights : sums of the weights and of their squares, in any unit.
    weighted : sum of weight x value. squares : sum of squared weight x (value - weighted / weights) squared.

    With weights that are all alike it is the plain mean and its variance. `n` of the result counts effective units,
    (sum of weights) squared / sum of squared weights. None with fewer than two units.

    References
    ----------
    Hajek (1971), on the ratio form of the Horvitz-Thompson estimator.
    """
    if n < 2:
        return None
    effective = min(int(weights**2 / squared_weights * (1 + 1e-12)), n)
    return ArmEstimate(value=weighted / weights, variance=squares / weights**2 * n / (n - 1), n=effective)


def ratio(moments: Moments, numerator: str = NUMERATOR, denominator: str = DENOMINATOR) -> ArmEstimate | None:
    """Estimate the ratio of two columns' means by the delta method: revenue by order, clicks by view.

    None with fewer than two units or a denominator that sums to 0.

    References
    ----------
    Deng, Knoblich and Lu (2018), KDD, Applying the delta method in metric analytics.
    """
    two = moments.take(numerator, denominator)
    if two.n < 2:
        return None
    above, below = (float(value) for value in two.means)
    if below == 0:
        return None
    value = above / below
    spread = two.linear({numerator: 1.0, denominator: -value}).variance
    if spread is None:
        return None
    return ArmEstimate(value=value, variance=spread / below**2 / two.n, n=two.n, degrees=float(two.n - 1))
