"""Metrics of units that were randomised in groups: transactions of customers, customers of branches.

A row of the moments is a cluster: the sum over its units, how many it has, and perhaps the sum of their squares. The
metric is the ratio of the first two, so that what happens inside a cluster may hang together in any way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from experiments import effects, estimates
from experiments.effects import ALPHA, Effect
from experiments.estimates import ArmEstimate
from experiments.moments import Moments

TOTAL: Final = "total"
SIZE: Final = "size"
SQUARES: Final = "squares"


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What randomising clusters costs, in one arm.

    effective_clusters : as many clusters of one size say as much; fewer than `clusters` when sizes differ.
    mean_size : units per cluster; `weighted_size` is the size of the cluster that a unit finds itself in on average.
    design_effect : the variance of the mean over what as many units randomised singly would give.
    intra_cluster_correlation : of two units of a cluster, from design effect = 1 + (weighted size - 1) correlation;
        None when every cluster has one unit.
    """

    clusters: int
    effective_clusters: float
    units: int
    mean_size: float
    weighted_size: float
    design_effect: float
    intra_cluster_correlation: float | None


def mean(moments: Moments) -> ArmEstimate | None:
    """Estimate the mean over units from the columns `total` and `size` of clusters.

    A proportion is the mean of units that are 0 or 1. None with fewer than two clusters, or without any unit.

    The delta method's variance, which is the cluster-robust one, is too small when a few clusters hold most units: with
    (sum of sizes)^2 / (sum of squared sizes) = c effective clusters it uses c / (c - 1) and c - 1 degrees of freedom.
    For clusters of one size that is n / (n - 1) and n - 1.

    References
    ----------
    Deng, Lu and Qin (2021), arXiv:2105.14705; Carter, Schnepel and Steigerwald (2017), Review of Economics and
    Statistics 99, for the effective number of clusters.
    """
    found = estimates.ratio(moments, TOTAL, SIZE)
    if found is None:
        return None
    effective = _effective(moments)
    if effective <= 1:
        return None
    factor = effective / (effective - 1) * (moments.n - 1) / moments.n
    return replace(found, variance=found.variance * factor, degrees=effective - 1)


def _effective(moments: Moments) -> float:
    """Return (sum of sizes)^2 / (sum of squared sizes), at most the number of clusters."""
    size = moments.take(SIZE)
    middle, spread = float(size.means[0]), float(size.covariance[0, 0])
    return size.n / (1 + spread * (size.n - 1) / size.n / middle**2)


def compare(variant: Moments, control: Moments, *, alpha: float = ALPHA) -> Effect:
    """Compare the means over units of two arms whose clusters were randomised."""
    one, other = mean(variant), mean(control)
    if one is None or other is None:
        return Effect(method="clustered", reason="fewer than two clusters in a group, or clusters without any unit")
    return effects.contrast(one, other, method="clustered", alpha=alpha)


def design(moments: Moments) -> Design | None:
    """Describe the clusters of one arm from the columns `total`, `size` and `squares`.

    squares : per cluster, the sum of the squares of its units' values; for a proportion that is its total again.

    None with fewer than two clusters or two units, or when the units' spread is lost beside their mean.
    """
    found = mean(moments)
    if found is None:
        return None
    of = moments.take(TOTAL, SIZE, SQUARES)
    total, size, squares = (float(value) for value in of.means)
    units = round(size * of.n)
    spread = squares / size - (total / size) ** 2
    # squares about 0 cannot tell a spread this small beside the mean; the estimate itself does not need them
    if units < 2 or spread <= 1e-9 * (total / size) ** 2:
        return None
    single = spread * units / (units - 1) / units
    effective = _effective(of)
    weighted = units / effective
    effect = found.variance / single
    return Design(
        clusters=of.n,
        effective_clusters=effective,
        units=units,
        mean_size=size,
        weighted_size=weighted,
        design_effect=effect,
        intra_cluster_correlation=(effect - 1) / (weighted - 1) if weighted > 1 + 1e-12 else None,
    )
