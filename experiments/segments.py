"""Whether the effect differs between the segments of a dimension: a table of effects and one test for all of them.

Effects of single segments differ by chance. Only the interaction test, corrected for the number of dimensions that
were looked at, says that they differ at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import nan
from typing import Final

import numpy as np
from scipy.special import chdtrc

from engine.numerics import multiplicity
from experiments.effects import Effect
from experiments.estimates import ArmEstimate

SMALLEST: Final = 20
"""Customers that a segment needs in both groups for an effect of its own to be shown or tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """Whether effects differ more than by chance.

    statistic : Cochran's Q, the weighted squares of their distances from `pooled`, the mean effect by precision.
    heterogeneity_share : the share of the differences between them that chance does not explain (I squared), 0 to 1.
    adjusted_p_value : corrected for the dimensions tested together (Benjamini-Hochberg).

    All None, with `reason`, where fewer than two effects are known.
    """

    segments: int
    statistic: float | None = None
    degrees: int | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    pooled: float | None = None
    heterogeneity_share: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """The effects of one variant within the segments of a dimension, and whether they differ."""

    dimension: str
    effects: Mapping[str, Effect]
    interaction: Interaction


def breakdowns(dimensions: Mapping[str, Mapping[str, Effect]], *, smallest: int = SMALLEST) -> tuple[Breakdown, ...]:
    """Test every dimension for an interaction; the p-values are adjusted together.

    Parameters
    ----------
    dimensions : of each dimension the effect in each of its segments, by any method that gives an estimate per arm.
    smallest : segments with fewer customers in either group keep only the reason why nothing is said of them.
    """
    shown = {
        dimension: {name: without_tiny(effect, smallest) for name, effect in effects.items()}
        for dimension, effects in dimensions.items()
    }
    tests = {dimension: interaction(effects) for dimension, effects in shown.items()}
    p_values = [nan if test.p_value is None else test.p_value for test in tests.values()]
    adjusted = multiplicity.benjamini_hochberg(p_values)
    return tuple(
        Breakdown(dimension=dimension, effects=shown[dimension], interaction=_adjusted(test, float(p_value)))
        for (dimension, test), p_value in zip(tests.items(), adjusted, strict=True)
    )


def interaction(effects: Mapping[str, Effect]) -> Interaction:
    """Test whether the differences of segments are one and the same difference; those without one are not in it.

    References
    ----------
    Cochran (1954), Biometrics 10, 101-129; Higgins and Thompson (2002), Statistics in Medicine 21, for I squared.
    """
    known = [found for found in map(difference, effects.values()) if found is not None]
    if len(known) < 2:
        return Interaction(segments=len(known), reason="fewer than two segments have an effect to compare")
    values = np.array([one.value for one in known])
    precision = 1 / np.array([one.variance for one in known])
    pooled = float((precision * values).sum() / precision.sum())
    statistic = float((precision * (values - pooled) ** 2).sum())
    degrees = len(known) - 1
    return Interaction(
        segments=len(known),
        statistic=statistic,
        degrees=degrees,
        p_value=float(chdtrc(degrees, statistic)),
        pooled=pooled,
        heterogeneity_share=max(0.0, 1 - degrees / statistic) if statistic else 0.0,
    )


def difference(effect: Effect) -> ArmEstimate | None:
    """Return the difference of an effect as an estimate, to be compared with others; None without a spread.

    Of small counts it is that with one success and one failure added to each arm, whose spread is never 0.

    References
    ----------
    Agresti and Caffo (2000), The American Statistician 54, 280-288.
    """
    one, other = effect.variant, effect.control
    if effect.difference is None or one is None or other is None:
        return None
    n = one.n + other.n
    if effect.counts is not None:
        counts = effect.counts
        p, q = (counts.successes + 1) / (counts.n + 2), (counts.control_successes + 1) / (counts.control_n + 2)
        variance = p * (1 - p) / (counts.n + 2) + q * (1 - q) / (counts.control_n + 2)
        return ArmEstimate(value=p - q, variance=variance, n=n)
    if effect.standard_error is None or effect.degrees is None:
        return None
    return ArmEstimate(value=effect.difference, variance=effect.standard_error**2, n=n, degrees=effect.degrees)


def without_tiny(effect: Effect, smallest: int) -> Effect:
    """Return the effect, or only the reason where either group has fewer than `smallest` customers."""
    if effect.variant is None or effect.control is None or min(effect.variant.n, effect.control.n) >= smallest:
        return effect
    return Effect(method=effect.method, reason=f"fewer than {smallest} customers in a group")


def _adjusted(test: Interaction, p_value: float) -> Interaction:
    return test if test.p_value is None else replace(test, adjusted_p_value=p_value)
