"""What if customers everywhere went on from a step as often as those of the best group do?

The group with the highest rate seen is partly the luckiest one, the more so the more groups there are and the smaller
they are. So rates are estimated together: each group's is drawn towards that of all, by as much as the groups' spread
is no more than chance would make it (a beta-binomial hierarchy, its own uncertainty included), which allows for having
picked the best of several. A group that truly stands out among equals would be drawn too far: intervals therefore also
take in what the groups' own numbers alone say. They cover at their rate or more whether the groups are all alike,
differ at random, or one stands out.

The groups differ in more than what a bank can change: the answer is what closing the gap would be worth, not that it
can be closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

from engine.numerics.intervals import Interval

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_DRAWS: Final = 2_000
_FEWEST: Final = 30
"""A group of fewer customers is no benchmark, and sets no example."""

_MEANS: Final = np.linspace(0.01, 0.99, 50)
_STRENGTHS: Final = np.linspace(1.0, 0.01, 40) ** -2.0
"""Grid of the common rate, and of how many customers' worth it counts for: from 1, where they share little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What would follow if every other group went on as often as the benchmark.

    rate, benchmark_rate : of the other groups together and of the benchmark, the latter drawn towards that of all.
    more_going_on, more_converters : customers who would take the next step, and complete the journey, beyond those who
        do. extra_minor : what these would be worth net, minor units; None where that is unknown.
    others : customers at the step in the other groups.
    """

    benchmark: str
    others: int
    rate: float
    benchmark_rate: float
    benchmark_interval: Interval
    more_going_on: float
    more_going_on_interval: Interval
    more_converters: float
    more_converters_interval: Interval
    extra_minor: int | None
    extra_interval_minor: tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """Groups of customers at one step whose window has closed, each an element.

    reached, went_on : who reached the step, and of them the next. completed : of these, the journey.
    value, value_error : mean net worth of a conversion, minor units, and its standard error; nan where unknown.
    """

    names: Sequence[str]
    reached: Counts
    went_on: Counts
    completed: Counts
    value: Floats
    value_error: Floats

    def large(self) -> Groups:
        """Return the groups that are large enough to be compared."""
        kept = self.reached >= _FEWEST
        return Groups(
            names=[name for name, keep in zip(self.names, kept, strict=True) if keep],
            reached=self.reached[kept],
            went_on=self.went_on[kept],
            completed=self.completed[kept],
            value=self.value[kept],
            value_error=self.value_error[kept],
        )


def best_of(groups: Groups, seed: int) -> WhatIf | None:
    """Return what closing the gap to the best group would bring; None with fewer than two groups to compare."""
    known = groups.large()
    if len(known.names) < 2:
        return None
    rng = np.random.default_rng([seed, 41])
    rates = posterior(known.went_on, known.reached, rng)
    best = int(rates.mean(axis=0).argmax())
    others = np.arange(len(known.names)) != best
    together = _closed(known, best, rates, posterior(known.completed, known.went_on, rng), rng)
    alone = _closed(
        known, best, _own(known.went_on, known.reached, rng), _own(known.completed, known.went_on, rng), rng
    )
    rate, going_on, converters = (_hull(together[name], alone[name]) for name in ("rate", "going_on", "converters"))
    valued = "extra" in together
    return WhatIf(
        benchmark=known.names[best],
        others=int(known.reached[others].sum()),
        rate=float(known.went_on[others].sum() / known.reached[others].sum()),
        benchmark_rate=float(together["rate"].mean()),
        benchmark_interval=rate,
        more_going_on=float(together["going_on"].mean()),
        more_going_on_interval=going_on,
        more_converters=float(together["converters"].mean()),
        more_converters_interval=converters,
        extra_minor=round(float(together["extra"].mean())) if valued else None,
        extra_interval_minor=_whole(_hull(together["extra"], alone["extra"])) if valued else None,
    )


def posterior(successes: Counts, trials: Counts, rng: np.random.Generator) -> Floats:
    """Draw the groups' true rates given what was seen, shape (draws, groups).

    The rates come from one beta distribution, whose mean and strength are not known either: both are drawn first, from
    their posterior on a grid that is flat in the mean and in the spread, which is one over the root of the strength.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 5.3.
    """
    alpha = (_MEANS[:, None] * _STRENGTHS)[..., None]
    beta = ((1 - _MEANS[:, None]) * _STRENGTHS)[..., None]
    failures = trials - successes
    log = (betaln(alpha + successes, beta + failures) - betaln(alpha, beta)).sum(axis=-1).ravel()
    weight = np.exp(log - log.max())
    cell = rng.choice(len(weight), size=_DRAWS, p=weight / weight.sum())
    one, other = alpha.ravel()[cell][:, None], beta.ravel()[cell][:, None]
    return np.asarray(rng.beta(one + successes, other + failures), dtype=np.float64)


def _own(successes: Counts, trials: Counts, rng: np.random.Generator) -> Floats:
    """Draw each group's rate from its own numbers alone (Jeffreys prior), shape (draws, groups)."""
    return np.asarray(rng.beta(successes + 0.5, trials - successes + 0.5, size=(_DRAWS, len(trials))), dtype=np.float64)


def _closed(known: Groups, best: int, rates: Floats, onward: Floats, rng: np.random.Generator) -> dict[str, Floats]:
    """Draw what closing the gap brings: the benchmark's rate, customers going on, converters, and their worth."""
    others = np.arange(len(known.names)) != best
    gap = (rates[:, [best]] - rates[:, others]) * known.reached[others]
    converters = gap * onward[:, others]
    drawn = {"rate": rates[:, best], "going_on": gap.sum(axis=1), "converters": converters.sum(axis=1)}
    if not np.isnan(known.value[others]).any():
        worth = rng.normal(known.value[others], np.nan_to_num(known.value_error[others]), size=converters.shape)
        drawn["extra"] = (converters * worth).sum(axis=1)
    return drawn


def _hull(one: Floats, other: Floats) -> Interval:
    """Return the interval that holds the middle 95 % of either."""
    ends = np.quantile([one, other], [0.025, 0.975], axis=1)
    return Interval(lower=float(ends[0].min()), upper=float(ends[1].max()))


def _whole(interval: Interval) -> tuple[int, int]:
    return round(interval.lower), round(interval.upper)
