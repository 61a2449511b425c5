"""How often each method cries wolf: experiments without any effect, from raw values to the p-value.

`false_alarms` is the small form for tests and the large one for the benchmark: the same function with more runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.numerics.intervals import Interval, wilson
from experiments import clusters, effects
from experiments.adjustment import adjust
from experiments.effects import Effect
from experiments.moments import Moments
from experiments.stratification import post_stratify

Draw = Callable[[np.random.Generator], Effect]

UNITS = 400
"""Per arm on average; the split is 60:40, so that nothing rests on equal arms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """Of `runs` experiments without effect, those whose p-value and relative interval say that there is one."""

    method: str
    runs: int
    by_p_value: int
    by_relative_interval: int

    @property
    def interval(self) -> Interval:
        """The Wilson interval of the rate of false alarms, at 99 %."""
        return wilson(self.by_p_value, self.runs, 0.99)


def false_alarms(method: str, runs: int, seed: int) -> Alarms:
    """Run a method of `METHODS` on experiments without any effect."""
    rng = np.random.default_rng([seed, sorted(METHODS).index(method)])
    drawn = [METHODS[method](rng) for _ in range(runs)]
    return Alarms(
        method=method,
        runs=runs,
        by_p_value=sum(effect.p_value is not None and effect.p_value < effects.ALPHA for effect in drawn),
        by_relative_interval=sum(
            effect.relative_lower is not None
            and effect.relative_upper is not None
            and (effect.relative_lower > 0 or effect.relative_upper < 0)
            for effect in drawn
        ),
    )


def welch(rng: np.random.Generator) -> Effect:
    """Amounts with a long tail, unequal arms."""
    arms = [Moments.of_values(("value",), rng.gamma(1.5, 20.0, size=size)) for size in _sizes(rng)]
    return effects.means(arms[0], arms[1])


def wald(rng: np.random.Generator) -> Effect:
    """A share of 20 %."""
    arms = [Moments.of_count(int(rng.binomial(size, 0.2)), size) for size in _sizes(rng)]
    return effects.proportions(arms[0], arms[1])


def fieller(rng: np.random.Generator) -> Effect:
    """A control so uncertain that delta and log intervals no longer hold: its error is a quarter of it."""
    arms = [Moments.of_values(("value",), rng.normal(1.0, 0.25 * np.sqrt(200), size=200)) for _ in range(2)]
    return effects.means(arms[0], arms[1])


def ratio(rng: np.random.Generator) -> Effect:
    """Orders by session, where who comes often orders at another rate."""
    arms = []
    for size in _sizes(rng):
        sessions = 1 + rng.poisson(rng.gamma(1.0, 2.0, size=size))
        orders = rng.binomial(sessions, rng.beta(2.0, 6.0, size=size) / np.sqrt(sessions))
        arms.append(Moments.of_values(("numerator", "denominator"), np.column_stack([orders, sessions])))
    return effects.ratios(arms[0], arms[1])


def adjusted(rng: np.random.Generator) -> Effect:
    """Three covariates, one of them curved and none of them scaled like another, spread that grows with the first."""
    arms = {}
    for name, size in zip("ba", _sizes(rng), strict=True):
        x = rng.normal(size=(size, 3)) * np.array([1.0, 100.0, 0.01])
        noise = rng.normal(size=size) * np.exp(0.3 * x[:, 0])
        value = 5 + x[:, 0] + 0.3 * x[:, 0] ** 2 + 0.01 * x[:, 1] + noise
        arms[name] = Moments.of_values(("value", "x", "y", "z"), np.column_stack([value, x]))
    found = adjust(arms, "value", ["x", "y", "z"])
    assert found is not None
    return found.effect("b", "a").adjusted


def clustered(rng: np.random.Generator) -> Effect:
    """Sixty clusters in each arm, a third of the spread between them, sizes from 1 to some dozens."""
    arms = []
    for _ in range(2):
        sizes = 1 + rng.geometric(0.1, size=60)
        middles = rng.normal(10.0, 1.0, size=60)
        totals = sizes * middles + rng.normal(size=60) * np.sqrt(2.0 * sizes)
        arms.append(Moments.of_values((clusters.TOTAL, clusters.SIZE), np.column_stack([totals, sizes])))
    return clusters.compare(arms[0], arms[1])


def stratified(rng: np.random.Generator) -> Effect:
    """Five strata of unequal size whose values are far apart."""
    arms = {}
    for name, size in zip("ba", _sizes(rng), strict=True):
        stratum = rng.choice(5, size=size, p=[0.4, 0.3, 0.15, 0.1, 0.05])
        value = rng.normal(3.0 * stratum, 1.0 + stratum)
        arms[name] = {str(one): Moments.of_values(("value",), value[stratum == one]) for one in range(5)}
    found = post_stratify(arms, "value")
    assert found is not None
    return found.effect("b", "a").adjusted


def _sizes(rng: np.random.Generator) -> tuple[int, int]:
    one = int(rng.binomial(2 * UNITS, 0.4))
    return one, 2 * UNITS - one


METHODS: dict[str, Draw] = {
    "welch": welch,
    "wald": wald,
    "fieller": fieller,
    "ratio": ratio,
    "adjusted": adjusted,
    "clustered": clustered,
    "stratified": stratified,
}


def coverage(draw: Draw, truth: float, runs: int, seed: int) -> float:
    """Return how often the interval of the difference covers the truth."""
    rng = np.random.default_rng(seed)
    inside: NDArray[np.bool_] = np.array(
        [
            effect.lower is not None and effect.upper is not None and effect.lower <= truth <= effect.upper
            for effect in (draw(rng) for _ in range(runs))
        ]
    )
    return float(inside.mean())
