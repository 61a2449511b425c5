"""Run thousands of experiments whose truth is known through the whole path, and count how often the answer is right.

The path is that of a real experiment: units are assigned by hashing their id, some of them are exposed, on one day or
another, their values become moments by day and arm, and the effects of the moments so far are judged at every look,
until one calls a difference or the last one has passed; the split is checked before anything is told. Values are drawn
from a distribution, or from the units of the past. Without an effect it tells the rate of false alarms; with one, the
power.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from engine.config.experiments import LookSettings
from engine.numerics.intervals import wilson
from experiments import clusters, effects, looks, sample_ratio
from experiments.adjustment import Term, adjust
from experiments.assignment import bucket_ranges, buckets, choose
from experiments.effects import ALPHA, Effect
from experiments.estimates import DENOMINATOR, NUMERATOR
from experiments.moments import VALUE, Moments
from experiments.plan import Kind, Outcome

Floats = NDArray[np.float64]
Looks = LookSettings | Literal["any_time"] | None

LEVEL: Final = 0.99
"""Of the intervals around the rates: a method that keeps its promise is outside in one of a hundred simulations."""

_BATCH: Final = 1_000_000
"""Units drawn at a time."""

_SCHEME: Final = "growthbook_v2"  # the same spread as sha256 at a fifth of the time; see assignment.buckets


class Population(Protocol):
    """Where units come from. A row is what is randomised: a unit, or a cluster as its total and its size."""

    @property
    def kind(self) -> Kind:
        """The kind of metric."""

    @property
    def clustered(self) -> bool:
        """Whether a row is a cluster."""

    @property
    def outcome(self) -> Outcome:
        """The metric of a unit without any effect."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a row, those of the metric first."""

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """Return so many rows, shape (count, columns)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Units of a distribution: proportions, amounts above 0 (gamma), or normal values where the mean is not above 0.

    shared : share of the variance that units of a cluster have in common (the intra-cluster correlation); or, without
        clusters, that a covariate explains. cluster_size : units per cluster, 1 for none.
    """

    outcome: Outcome
    shared: float = 0.0
    cluster_size: int = 1

    @property
    def kind(self) -> Kind:
        """The kind of metric."""
        return self.outcome.kind

    @property
    def clustered(self) -> bool:
        """Whether a row is a cluster."""
        return self.cluster_size > 1

    @property
    def columns(self) -> tuple[str, ...]:
        """The value, and a covariate where one explains anything; of clusters total and size."""
        if self.clustered:
            return clusters.TOTAL, clusters.SIZE
        return (VALUE, "covariate_1") if self.shared else (VALUE,)

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """Return so many rows, shape (count, columns)."""
        common, own = self._parts(rng, count)
        if self.clustered:
            return np.column_stack([own.sum(axis=1), np.full(count, float(self.cluster_size))])
        return np.column_stack([own[:, 0], common]) if self.shared else own

    def _parts(self, rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
        """Return what is common in each row, shape (count,), and the values of its units, shape (count, units)."""
        value, variance = self.outcome.value, self.outcome.variance
        shape = (count, self.cluster_size)
        if self.kind == "proportion":
            if not self.shared:
                return np.full(count, value), (rng.random(shape) < value).astype(np.float64)
            strength = 1 / self.shared - 1  # a beta whose variance is this share of value (1 - value)
            chance = rng.beta(value * strength, (1 - value) * strength, size=count)
            return chance, (rng.random(shape) < chance[:, None]).astype(np.float64)
        if value > 0:
            size, scale = value**2 / variance, variance / value
            common = rng.gamma(self.shared * size, scale, size=count) if self.shared else np.zeros(count)
            return common, common[:, None] + rng.gamma((1 - self.shared) * size, scale, size=shape)
        deviation = np.sqrt(variance)
        common = value + rng.normal(size=count) * deviation * np.sqrt(self.shared)
        return common, common[:, None] + rng.normal(size=shape) * deviation * np.sqrt(1 - self.shared)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resampled:
    """Units of the past, drawn with replacement, covariates and all.

    rows : shape (units, columns): the metric's columns, then covariates; or total and size of clusters.
    """

    kind: Kind
    outcome: Outcome
    columns: tuple[str, ...]
    rows: Floats

    @property
    def clustered(self) -> bool:
        """Whether a row is a cluster."""
        return self.columns[0] == clusters.TOTAL

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """Return so many rows, shape (count, columns)."""
        return self.rows[rng.integers(0, len(self.rows), size=count)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One experiment, to be run many times.

    rows : randomised units, or clusters, of each experiment. `weights` the planned split, control first; `real_weights`
        is the split that really happens, where assignment has a fault.
    effect : added to every variant, in the metric's unit.
    days : over which units come in evenly; `maturity_days` later their value is known.
    exposed_rate : share of those assigned who are exposed and count.
    """

    population: Population
    rows: int
    weights: Mapping[str, float]
    effect: float = 0.0
    days: int = 1
    maturity_days: int = 0
    exposed_rate: float = 1.0
    looks: Looks = None
    alpha: float = ALPHA
    real_weights: Mapping[str, float] | None = None

    @property
    def control(self) -> str:
        """The arm that the others are compared with."""
        return next(iter(self.weights))


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How often something happened, with Wilson's interval."""

    count: int
    of: int
    rate: float | None
    lower: float | None
    upper: float | None

    @classmethod
    def counted(cls, count: int, of: int, level: float) -> Share:
        """Return the share; undefined of nothing."""
        found = wilson(count, of, level)
        if not of:
            return cls(count=count, of=of, rate=None, lower=None, upper=None)
        return cls(count=count, of=of, rate=count / of, lower=found.lower, upper=found.upper)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What came of the experiments; those that the check of the split withholds count nowhere else.

    called : experiments that called some difference: false alarms without an effect. With one, `right` called it in its
        own direction, `wrong` in the other.
    covered : comparisons whose interval, as it was shown when the experiment ended, covers the truth.
    mean_day : on which experiments ended, maturity included.
    """

    experiments: int
    withheld: Share
    called: Share
    right: Share
    wrong: Share
    covered: Share
    undefined: int
    mean_day: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """How one experiment ended."""

    day: int
    withheld: bool
    signs: tuple[int, ...]
    covered: int
    compared: int


def run(scenario: Scenario, experiments: int, seed: int, *, level: float = LEVEL) -> Simulation:
    """Run a scenario many times; the same seed gives the same answer.

    level : of the Wilson intervals.
    """
    ended = list(_experiments(scenario, experiments, seed))
    shown = [one for one in ended if not one.withheld]
    toward = 1 if scenario.effect >= 0 else -1
    return Simulation(
        experiments=experiments,
        withheld=Share.counted(len(ended) - len(shown), len(ended), level),
        called=Share.counted(sum(any(one.signs) for one in shown), len(shown), level),
        right=Share.counted(sum(toward in one.signs for one in shown), len(shown), level),
        wrong=Share.counted(sum(-toward in one.signs for one in shown), len(shown), level),
        covered=Share.counted(sum(one.covered for one in shown), sum(one.compared for one in shown), level),
        undefined=sum(len(one.signs) - one.compared for one in shown),
        mean_day=float(np.mean([one.day for one in shown])) if shown else None,
    )


def _experiments(scenario: Scenario, experiments: int, seed: int) -> Iterator[_Ended]:
    rng = np.random.default_rng(seed)
    plan = _looks(scenario)
    ids = [f"u{number}" for number in range(scenario.rows)]
    batch = max(1, _BATCH // scenario.rows)
    for start in range(0, experiments, batch):
        count = min(batch, experiments - start)
        # one salt per experiment, as every experiment has its own
        split = dict(scenario.real_weights or scenario.weights)
        whole = sum(split.values())
        ranges = bucket_ranges(len(split), weights=[weight / whole for weight in split.values()])
        arms = np.stack(
            [choose(buckets(ids, f"{seed}:{start + place}", _SCHEME), ranges) for place in range(count)]
        ).astype(np.int64)
        yield from _judged(scenario, plan, _cells(scenario, arms, rng))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cells:
    """Sums up to the end of each day: n (experiments, days, arms), total (..., columns), products (..., pairs)."""

    centre: Floats
    n: NDArray[np.int64]
    total: Floats
    products: Floats
    pairs: tuple[tuple[int, int], ...]


def _cells(scenario: Scenario, arms: NDArray[np.int64], rng: np.random.Generator) -> _Cells:
    experiments, rows = arms.shape
    arm = arms.ravel()
    values = scenario.population.draw(rng, arm.size)
    treated = arm > 0
    values[treated] = _with_effect(scenario, values[treated], rng)
    day = np.tile(np.arange(rows) * scenario.days // rows, experiments)
    cell = (np.repeat(np.arange(experiments), rows) * scenario.days + day) * len(scenario.weights) + arm
    if scenario.exposed_rate < 1:
        exposed = rng.random(arm.size) < scenario.exposed_rate
        values, cell = values[exposed], cell[exposed]
    shape = experiments, scenario.days, len(scenario.weights)
    size = experiments * scenario.days * len(scenario.weights)
    centre = values[: min(len(values), 1000)].mean(axis=0) if len(values) else np.zeros(values.shape[1])
    moved = values - centre
    pairs = tuple((i, j) for i in range(values.shape[1]) for j in range(i, values.shape[1]))

    def summed(weights: Floats | None) -> Floats:
        return np.bincount(cell, weights, minlength=size).reshape(shape).cumsum(axis=1)

    return _Cells(
        centre=centre,
        n=summed(None).astype(np.int64),
        total=np.stack([summed(moved[:, place]) for place in range(values.shape[1])], axis=-1),
        products=np.stack([summed(moved[:, i] * moved[:, j]) for i, j in pairs], axis=-1),
        pairs=pairs,
    )


def _with_effect(scenario: Scenario, rows: Floats, rng: np.random.Generator) -> Floats:
    """Return treated rows: values moved by the effect; of a proportion, units turned until its mean has.

    Which units turn is drawn for each on its own, so that clusters come out a little less alike.
    """
    effect = scenario.effect
    if not effect:
        return rows
    made = rows.copy()
    population = scenario.population
    size = rows[:, 1] if population.clustered or population.kind == "ratio" else np.ones(len(rows))
    if population.kind != "proportion":
        made[:, 0] += effect * size
        return made
    share = population.outcome.value
    if effect > 0:
        made[:, 0] += rng.binomial((size - rows[:, 0]).astype(np.int64), min(effect / (1 - share), 1.0))
    else:
        made[:, 0] -= rng.binomial(rows[:, 0].astype(np.int64), min(-effect / share, 1.0))
    return made


def _looks(scenario: Scenario) -> tuple[tuple[int, float], ...]:
    """Return the day of each look, counted by the units it sees, and its critical value in standard errors."""
    alpha = scenario.alpha / (len(scenario.weights) - 1)
    if scenario.looks is None:
        return ((scenario.days, looks.ONCE.critical(alpha)),)
    if scenario.looks == "any_time":
        expected = scenario.rows * scenario.exposed_rate
        return tuple(
            (
                day,
                looks.AnyTime(
                    units=max(round(expected * day / scenario.days), 1), tightest_at=round(expected), tuned_for=alpha
                ).critical(alpha),
            )
            for day in range(1, scenario.days + 1)
        )
    plan = scenario.looks
    if isinstance(plan.shares, str):
        days = list(range(1, scenario.days + 1))
    else:
        days = sorted({max(round(share * scenario.days), 1) for share in plan.shares} | {scenario.days})
    shares = tuple(day / scenario.days for day in days)
    planned = looks.Planned(spending=plan.spending, exponent=plan.exponent, information=shares, spent_at=shares)
    return tuple(zip(days, planned.bounds(alpha), strict=True))


def _judged(scenario: Scenario, plan: Sequence[tuple[int, float]], cells: _Cells) -> Iterator[_Ended]:
    names = tuple(scenario.weights)
    for experiment in range(len(cells.n)):
        for look, (day, critical) in enumerate(plan):
            last = look == len(plan) - 1
            if critical == np.inf and not last:
                continue
            arms = {name: _moments(scenario, cells, (experiment, day - 1, place)) for place, name in enumerate(names)}
            level, found = 2 * float(ndtr(-critical)), _effects(scenario, arms)
            # the p-value of the plain test is below the level of the look exactly when its interval leaves out 0
            if last or any(effect.p_value is not None and effect.p_value < level for effect in found):
                yield _end(scenario, arms, [looks.at_level(effect, level) for effect in found], day)
                break


def _end(scenario: Scenario, arms: Mapping[str, Moments], found: Sequence[Effect], day: int) -> _Ended:
    split = sample_ratio.ratio_test({name: moments.n for name, moments in arms.items()}, scenario.weights)
    told = [(effect.lower, effect.upper) for effect in found if effect.lower is not None and effect.upper is not None]
    return _Ended(
        day=day + scenario.maturity_days,
        withheld=split is None or split.p_value < sample_ratio.ALARM,
        signs=tuple(_sign(effect) for effect in found),
        covered=sum(lower <= scenario.effect <= upper for lower, upper in told),
        compared=len(told),
    )


def _moments(scenario: Scenario, cells: _Cells, place: tuple[int, int, int]) -> Moments:
    p = len(cells.centre)
    products = np.empty((p, p))
    for (i, j), value in zip(cells.pairs, cells.products[place], strict=True):
        products[i, j] = products[j, i] = value
    return Moments(
        columns=scenario.population.columns,
        n=int(cells.n[place]),
        shift=cells.centre,
        total=cells.total[place],
        products=products,
    )


def _effects(scenario: Scenario, arms: Mapping[str, Moments]) -> list[Effect]:
    """Return the effect of every variant by the method that the analysis takes."""
    population, control = scenario.population, arms[scenario.control]
    variants = [name for name in arms if name != scenario.control]
    if population.clustered:
        return [clusters.compare(arms[name], control) for name in variants]
    ratio = population.kind == "ratio"
    covariates = population.columns[2 if ratio else 1 :]
    if covariates:
        term: Term = (NUMERATOR, DENOMINATOR) if ratio else VALUE
        made = adjust(arms, term, covariates)
        if made is None:
            return [Effect(method="adjusted", reason="fewer than two customers in a group") for _ in variants]
        return [made.effect(name, scenario.control).adjusted for name in variants]
    if ratio:
        return [effects.ratios(arms[name], control) for name in variants]
    compare = effects.proportions if population.kind == "proportion" else effects.means
    return [compare(arms[name], control) for name in variants]


def _sign(effect: Effect) -> int:
    """Return 1 or -1 where the interval calls a difference, 0 where it does not."""
    if effect.lower is None or effect.upper is None:
        return 0
    return 1 if effect.lower > 0 else -1 if effect.upper < 0 else 0
