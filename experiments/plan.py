"""Before the start: how many units, how small an effect, how likely, how long.

All three questions are one equation, solved for another unknown: `power` of a design at an effect and a number of
units. It is the power of the test that the analysis will make: each arm's own spread, Student's t where the analysis
uses it, the bounds of the planned looks, the correction for several comparisons. Power is the probability of calling
the effect in its own direction, for the comparison that is hardest to make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, copysign, floor, inf, isnan, sqrt
from typing import Final, Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import nctdtr, ndtr, ndtri

from engine.config.experiments import LookSettings
from experiments import estimates, look_power
from experiments.adjustment import Term, adjust
from experiments.effects import ALPHA, Direction, critical_value
from experiments.estimates import DENOMINATOR, NUMERATOR
from experiments.looks import AnyTime, Planned
from experiments.moments import VALUE, Moments
from experiments.multiplicity import dunnett_critical

Kind = Literal["proportion", "mean", "ratio"]
Looks = LookSettings | Literal["any_time"] | None

POWER: Final = 0.8
MOST_UNITS: Final = 1e12
"""More than any experiment has; a plan that needs more cannot be met."""

_FARTHEST: Final = 40.0  # standard errors; beyond them an effect is called for certain, or never
_FEWEST: Final = 2.0  # units (or clusters) per arm: with fewer there is no spread to judge by


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A metric in control: its value, and the variance of one unit.

    A unit's share of a ratio is (numerator - ratio x denominator) / mean denominator: its variance is the delta
    method's.
    """

    kind: Kind
    value: float
    variance: float

    @classmethod
    def proportion(cls, share: float) -> Outcome:
        """Return a proportion, whose spread its value says."""
        return cls(kind="proportion", value=share, variance=share * (1 - share))

    @classmethod
    def mean(cls, value: float, standard_deviation: float) -> Outcome:
        """Return a mean with the standard deviation of its units."""
        return cls(kind="mean", value=value, variance=standard_deviation**2)

    def variance_at(self, value: float) -> float:
        """Return the variance of a unit where the metric has another value; only a proportion's changes."""
        return max(value * (1 - value), 0.0) if self.kind == "proportion" else self.variance


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """How the experiment will be made and judged.

    weights : planned split in any unit; the first arm is control.
    margin : above 0 for non-inferiority: worse than control by less than this, tested on one side at alpha; None asks
        whether there is a difference, on two sides. `margin_is` says whether it is a share of control's value.
    variance_removed : share of the variance that covariates take out (R squared).
    cluster_size, cluster_spread, intra_cluster_correlation : units per randomised cluster, the standard deviation of
        that number as a share of it, and how alike two units of a cluster are.
    looks : None for one look at the end; a plan of looks; or "any_time" for an always valid interval looked at daily.
    metrics : as many metrics share the error; with several variants every comparison counts once more.
    correction : "holm" plans for its first and hardest step, which is Bonferroni's; "dunnett" knows that variants share
        control (over several looks Sidak's level, as the analysis takes it; on one side Bonferroni's).
    spread : "each" arm's own, as the analysis takes it; "control" gives both arms control's under no effect, as many
        calculators do.
    """

    outcome: Outcome
    weights: Mapping[str, float]
    alpha: float = ALPHA
    direction: Direction = "increase"
    margin: float | None = None
    margin_is: Literal["absolute", "relative"] = "absolute"
    variance_removed: float = 0.0
    cluster_size: float = 1.0
    cluster_spread: float = 0.0
    intra_cluster_correlation: float = 0.0
    looks: Looks = None
    metrics: int = 1
    correction: Literal["none", "holm", "dunnett"] = "holm"
    spread: Literal["each", "control"] = "each"

    @property
    def control(self) -> str:
        """The arm that the others are compared with."""
        return next(iter(self.weights))

    @property
    def shares(self) -> dict[str, float]:
        """The share of each arm, adding up to 1."""
        whole = sum(self.weights.values())
        return {name: weight / whole for name, weight in self.weights.items()}

    @property
    def sides(self) -> int:
        """Sides of the test."""
        return 2 if self.margin is None else 1

    @property
    def design_effect(self) -> float:
        """What clusters multiply the variance by (Kish 1965; Donner and Klar 2000 for clusters of unequal size)."""
        met = self.cluster_size * (1 + self.cluster_spread**2)
        return 1 + (met - 1) * self.intra_cluster_correlation

    @property
    def level(self) -> float:
        """The alpha of one comparison."""
        shares = self.shares
        others = np.array([share for name, share in shares.items() if name != self.control])
        each = self.alpha / self.metrics
        if self.correction == "none":
            return self.alpha
        if self.correction == "holm" or len(others) == 1 or self.sides == 1:
            return each / len(others)
        if self.looks is not None:
            return float(-np.expm1(np.log1p(-each) / len(others)))
        return _dunnett_level(shares[self.control], tuple(others), each)

    @property
    def margin_size(self) -> float:
        """The margin in the metric's own unit; 0 without one."""
        if self.margin is None:
            return 0.0
        return self.margin * abs(self.outcome.value) if self.margin_is == "relative" else self.margin


@dataclass(frozen=True, slots=True, kw_only=True)
class LookCost:
    """What the looks cost: bounds in z per look, and units compared with one look at the end."""

    information: tuple[float, ...]
    critical: tuple[float, ...]
    inflation: float
    expected_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answer: units of all arms and of each, the effect and how likely it is to be called, and the calendar.

    relative_effect : a share of the size of control; None where control is 0.
    clusters_by_arm : None where units are randomised singly.
    looks : None for one look. `expected_units` is after how many the looks stop on average under the effect.
    enrolment_days, days : None without traffic; `days` counts until the last unit has matured.
    """

    units: int
    units_by_arm: Mapping[str, int]
    clusters_by_arm: Mapping[str, int] | None
    effect: float
    relative_effect: float | None
    power: float
    alpha: float
    design_effect: float
    variance_removed: float
    looks: LookCost | None
    expected_units: int
    enrolment_days: int | None
    maturity_days: int
    days: int | None


class CannotBePlanned(ValueError):
    """No number of units, or no effect, does what was asked; the sentence says why."""


def power(design: Design, effect: float, units: float) -> float:
    """Return the probability that the hardest comparison is called, at the planned end or at a look before it.

    effect : of variant minus control, in the metric's unit.
    units : of all arms together; need not be whole.

    Raises
    ------
    CannotBePlanned
        The units leave an arm with fewer than two, or fewer than two clusters.
    """
    if units < _least_units(design) * (1 - 1e-9):
        what = "clusters" if design.cluster_size > 1 else "units"
        raise CannotBePlanned(f"{units:.0f} units leave an arm with fewer than two {what}: no spread to judge by")
    cost = _bounds(design)
    if cost is None:
        return _one_look(design, effect, units)
    return look_power.crossing(*cost, _drift(design, effect, units)).power


def units(design: Design, effect: float, wanted: float = POWER) -> float:
    """Return the units of all arms together, not rounded, that call the effect with this power.

    Raises
    ------
    CannotBePlanned
        The effect is none, or lies beyond the margin, or needs more units than there are.
    """
    distance = _distance(design, effect)
    if distance <= 0 and design.margin is not None:
        raise CannotBePlanned(
            "the effect itself is as bad as the margin or worse, so that no number of units can show it to be safe"
        )
    if not distance:
        raise CannotBePlanned("an effect of 0 is never found; give the smallest one that matters")
    low = _least_units(design)
    if power(design, effect, low) >= wanted:
        return low
    high = 2 * low
    while power(design, effect, high) < wanted:
        high *= 4
        if high > MOST_UNITS:
            raise CannotBePlanned(f"more than {MOST_UNITS:.0e} units would be needed; ask for a larger effect")
    return float(brentq(lambda n: power(design, effect, n) - wanted, low, high, xtol=1e-6, rtol=1e-13))


def detectable(design: Design, available: float, wanted: float = POWER, *, sign: float = 1.0) -> float:
    """Return the smallest effect, of this sign, that so many units of all arms call with this power.

    With a margin: the effect nearest to the margin's bad side that is still shown to be safe, which may be below 0.

    Raises
    ------
    CannotBePlanned
        There are too few units for any effect that the metric can have.
    """
    toward = sign if design.margin is None else _good(design)
    start = 0.0 if design.margin is None else -toward * design.margin_size
    value = design.outcome.value
    room = (1 - value if toward > 0 else value) if design.outcome.kind == "proportion" else inf
    step = sqrt(design.outcome.variance) or abs(value) or 1.0
    while power(design, start + toward * min(step, room - 1e-12), available) < wanted:
        if step >= room or step > 1e15:
            raise CannotBePlanned(f"no effect that the metric can have is called with a power of {wanted:.0%}")
        step *= 2
    far = start + toward * min(step, room - 1e-12)
    near = start + toward * 1e-12 * abs(far - start)
    return float(brentq(lambda effect: power(design, effect, available) - wanted, near, far, xtol=1e-15, rtol=1e-13))


def make(
    design: Design,
    effect: float,
    whole: float,
    *,
    units_per_day: float | None = None,
    maturity_days: int = 0,
    given: bool = False,
) -> Plan:
    """Return the plan of an experiment of so many units.

    given : there are no more units than these, so that arms are rounded down to whole units (or clusters); else up.
    """
    by_arm = {name: _rounded(design, whole * share, down=given) for name, share in design.shares.items()}
    total = sum(by_arm.values())
    looks = _look_cost(design, effect, whole)
    enrolment = None if units_per_day is None else ceil(total / units_per_day)
    value = design.outcome.value
    return Plan(
        units=total,
        units_by_arm=by_arm,
        clusters_by_arm={name: ceil(count / design.cluster_size) for name, count in by_arm.items()}
        if design.cluster_size > 1
        else None,
        effect=effect,
        relative_effect=effect / abs(value) if value else None,
        power=power(design, effect, whole),
        alpha=design.level,
        design_effect=design.design_effect,
        variance_removed=design.variance_removed,
        looks=looks,
        expected_units=total if looks is None else ceil(looks.expected_share * total - 1e-9),
        enrolment_days=enrolment,
        maturity_days=maturity_days,
        days=None if enrolment is None else enrolment + maturity_days,
    )


def from_history(moments: Moments, kind: Kind, covariates: Sequence[Term] = ()) -> tuple[Outcome, float]:
    """Return the outcome and the share of its variance that covariates remove (R squared), from units of the past.

    moments : of "value" or "numerator" and "denominator", and of the covariates.

    Raises
    ------
    CannotBePlanned
        Fewer than two units, or a denominator that adds up to 0.
    """
    ratio = kind == "ratio"
    term: Term = (NUMERATOR, DENOMINATOR) if ratio else VALUE
    made = adjust({"all": moments}, term, list(covariates))
    plain = estimates.ratio(moments) if ratio else estimates.mean(moments.take(VALUE))
    if made is None or plain is None:
        raise CannotBePlanned("the history has fewer than two units, or a denominator that adds up to 0")
    if kind == "proportion":
        outcome = Outcome.proportion(plain.value)
    else:
        outcome = Outcome(kind=kind, value=plain.value, variance=plain.variance * plain.n)
    # the spread about the regression is over n - 1 - covariates; R squared compares sums of squares
    left = made.adjusted["all"].degrees / plain.degrees
    removed = 1 - left * made.own["all"] / plain.variance if made.used and plain.variance > 0 else 0.0
    return outcome, max(removed, 0.0)


@lru_cache(maxsize=64)
def _dunnett_level(control: float, others: tuple[float, ...], alpha: float) -> float:
    shares = np.array(others)
    return 2 * float(ndtr(-dunnett_critical(np.sqrt(shares / (shares + control)), inf, alpha)))


def _good(design: Design) -> float:
    return 1.0 if design.direction == "increase" else -1.0


def _distance(design: Design, effect: float) -> float:
    """Return how far the effect is from what the test must rule out, above 0 where it can be ruled out."""
    return abs(effect) if design.margin is None else _good(design) * effect + design.margin_size


def _least_units(design: Design) -> float:
    return _FEWEST * design.cluster_size / min(design.shares.values())


def _one_look(design: Design, effect: float, whole: float) -> float:
    shares = design.shares
    return min(
        _comparison_power(design, effect, whole * share, whole * shares[design.control])
        for name, share in shares.items()
        if name != design.control
    )


def _drift(design: Design, effect: float, whole: float) -> float:
    """Return the drift of the plain test, which knows Student's t, as it is carried over to the bounds of looks."""
    plain = _one_look(design, effect, whole)
    return float(np.clip(_edge(design) + ndtri(plain), -_FARTHEST, _FARTHEST))


def _edge(design: Design) -> float:
    return float(-ndtri(design.level / design.sides))


def _look_cost(design: Design, effect: float, whole: float) -> LookCost | None:
    bounds = _bounds(design)
    if bounds is None:
        return None
    drift = _drift(design, effect, whole)
    crossed = look_power.crossing(*bounds, drift)
    # inflation hardly depends on power, but has none at the ends
    likely = float(np.clip(crossed.power, 0.5, 0.99))
    return LookCost(
        information=bounds[0],
        critical=bounds[1],
        inflation=(look_power.drift(*bounds, likely) / (_edge(design) + float(ndtri(likely)))) ** 2,
        expected_share=crossed.expected_information,
    )


def _comparison_power(design: Design, effect: float, variant: float, control: float) -> float:
    """Return the power of one comparison at one look, of arms with so many units."""
    outcome = design.outcome
    kept = (1 - design.variance_removed) * design.design_effect
    # against a relative margin the variant is compared with a multiple of control
    relative = design.margin is not None and design.margin_is == "relative"
    factor = 1 - copysign(1.0, outcome.value) * _good(design) * (design.margin or 0.0) if relative else 1.0
    of_control = factor**2 * kept * outcome.variance / control
    of_variant = kept * outcome.variance_at(outcome.value + effect) / variant
    error = sqrt(of_control + of_variant)
    distance = _distance(design, effect)
    if not error:
        return 1.0 if distance > 0 else 0.0
    assumed = (
        sqrt(kept * outcome.variance * (factor**2 / control + 1 / variant)) if design.spread == "control" else error
    )
    degrees = inf
    if outcome.kind != "proportion" or design.cluster_size > 1:
        own = [(of_control, control / design.cluster_size - 1), (of_variant, variant / design.cluster_size - 1)]
        degrees = error**4 / sum(part**2 / freedom for part, freedom in own)
    level = design.level * 2 / design.sides
    edge = critical_value(level, degrees) * assumed / error
    if degrees == inf:
        return float(ndtr(distance / error - edge))
    return _noncentral_tail(distance / error, edge, degrees)


def _noncentral_tail(centre: float, edge: float, degrees: float) -> float:
    """Return the probability that noncentral t lies above an edge."""
    below = float(nctdtr(degrees, centre, edge))
    # far from the edge the series does not converge; there the normal approximation is 0 or 1 as well
    return float(ndtr((centre - edge) / sqrt(1 + edge**2 / (2 * degrees)))) if isnan(below) else 1 - below


def _rounded(design: Design, count: float, *, down: bool) -> int:
    size = design.cluster_size
    # 1e-9: an answer that is whole up to rounding stays as it is
    if down:
        return floor(floor(count / size * (1 + 1e-9)) * size)
    return ceil(ceil(count / size * (1 - 1e-9)) * size)


_Bounds = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]


def _bounds(design: Design) -> _Bounds | None:
    """Return the information at the looks, the bounds above and those below; None for one look."""
    if design.looks is None:
        return None
    plan = design.looks
    if plan == "any_time":
        return _any_time(design.level, design.sides, design.alpha)
    if isinstance(plan.shares, str):
        shares = tuple((day + 1) / plan.days for day in range(plan.days))
    else:
        shares = tuple(sorted({*plan.shares, 1.0}))
    return _spent(shares, plan.spending, plan.exponent, design.level, design.sides)


@lru_cache(maxsize=64)
def _spent(
    shares: tuple[float, ...],
    spending: Literal["obrien_fleming", "pocock", "power"],
    exponent: float,
    alpha: float,
    sides: int,
) -> _Bounds:
    planned = Planned(spending=spending, exponent=exponent, information=shares, spent_at=shares)
    upper = planned.bounds(alpha, sides)
    return shares, upper, tuple(-bound for bound in upper) if sides == 2 else (-inf,) * len(upper)


_ANY_TIME_LOOKS: Final = 28
_ANY_TIME_UNITS: Final = 1_000_000  # the sequence is tuned for the planned end, so that only shares of it matter


@lru_cache(maxsize=64)
def _any_time(alpha: float, sides: int, tuned_for: float) -> _Bounds:
    shares = tuple((look + 1) / _ANY_TIME_LOOKS for look in range(_ANY_TIME_LOOKS))
    upper = tuple(
        AnyTime(units=round(share * _ANY_TIME_UNITS), tightest_at=_ANY_TIME_UNITS, tuned_for=tuned_for).critical(
            alpha, sides
        )
        for share in shares
    )
    return shares, upper, tuple(-bound for bound in upper) if sides == 2 else (-inf,) * len(upper)
