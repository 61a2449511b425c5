"""Share out the next batch of units by what is known of each arm: Thompson sampling, every chance known exactly.

The chance that an arm is the best is an integral, not a simulation, and the share of an arm is a formula of these
chances. The share that a unit's arm had when the unit got it is therefore its exact propensity: log it, and what the
batches showed can be judged without bias afterwards (`experiments.off_policy`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, betaln, log_ndtr, ndtri

from engine.numerics.hashing import shares_of
from experiments.effects import Direction
from experiments.estimates import ArmEstimate

Floats = NDArray[np.float64]

_EVERYONE: Final = "all units"
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(12)
# where the panels of the integral end: dense enough that on each of them every arm's curve is smooth
_LEVELS: Final = np.array([1e-15, 1e-10, 1e-6, 1e-4, 2e-3, 0.02, 0.1, 0.25, 0.5])
_MOST_PANELS: Final = 1_500
_TAIL: Final = 0.025  # below and above the interval of what is believed


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the next batch is shared out, fixed before the start.

    direction : "decrease" where less is better, such as complaints: then the best arm is the lowest.
    floor : the least share of any arm, so that no arm is ever given up for good and every propensity is above 0.
    uniform : share of the units that are spread evenly whatever is known; they are a plain experiment of their own.
    top_two : share half by the chance to be the best and half by the chance to be the best but one, which tells the
        two leading arms apart sooner.
    least : units that an arm needs before it is judged; until then it gets its even part.
    prior : successes and failures that every arm of a proportion starts with.
    """

    direction: Direction = "increase"
    floor: float = 0.01
    uniform: float = 0.0
    top_two: bool = False
    least: int = 30
    prior: tuple[float, float] = (1.0, 1.0)

    def check(self, arms: int) -> None:
        """Raise ValueError with the first rule that cannot be kept."""
        if arms < 2:
            raise ValueError(f"{arms} arm: a bandit chooses between at least two")
        if not 0 <= self.floor <= 1 / arms:
            raise ValueError(f"floor {self.floor:g}: with {arms} arms it is a share between 0 and {1 / arms:.4g}")
        if not 0 <= self.uniform <= 1:
            raise ValueError(f"uniform {self.uniform:g}: expected a share between 0 and 1")
        if not all(0 < start < inf for start in self.prior):
            raise ValueError("prior: successes and failures to start with are numbers above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmShare:
    """One row of the table of the next batch.

    value : the mean of what is believed of the arm; None without units.
    lower, upper : where the arm's mean lies with a chance of 95 %, as believed; None without units or without spread.
    best : the chance that it is the best arm; None where it has too few units to be judged.
    share : of the next batch, the propensity of the arm. The shares of all arms add up to 1.
    """

    arm: str
    n: int
    value: float | None
    lower: float | None = None
    upper: float | None = None
    best: float | None
    share: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The next batch: one row per arm, in the order of the arms."""

    rows: tuple[ArmShare, ...]
    uniform: float = 0.0
    evidence: str = _EVERYONE

    @property
    def shares(self) -> dict[str, float]:
        """The propensity of every arm."""
        return {row.arm: row.share for row in self.rows}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draws:
    """One row per unit of a batch: what has to be logged.

    propensity : the chance that the unit had to get the arm it got, over both ways of drawing.
    propensities : shape (n_units, n_arms), of every arm.
    is_uniform : whether the unit belongs to the evenly spread part.
    """

    arms: tuple[str, ...]
    arm: NDArray[np.int64]
    propensity: Floats
    propensities: Floats
    is_uniform: NDArray[np.bool_]


def share_proportions(counts: Mapping[str, tuple[int, int]], rules: Rules | None = None) -> Allocation:
    """Share out by successes and units of every arm, by arm.

    References
    ----------
    Thompson (1933), Biometrika 25; Scott (2010), A modern Bayesian look at the multi-armed bandit.
    """
    rules = rules or Rules()
    if wrong := [arm for arm, (successes, n) in counts.items() if not 0 <= successes <= n]:
        raise ValueError(f'"{wrong[0]}": successes lie between 0 and the number of units')
    more, fewer = rules.prior
    beliefs = {arm: (successes + more, n - successes + fewer) for arm, (successes, n) in counts.items()}
    judged = [arm for arm, (_, n) in counts.items() if n >= rules.least]
    chances = best_of_betas([beliefs[arm] for arm in judged], rules.direction)
    facts = {arm: _believed(n, *beliefs[arm]) for arm, (_, n) in counts.items()}
    return _shared(facts, dict(zip(judged, chances, strict=True)), rules)


def share_means(estimates: Mapping[str, ArmEstimate | None], rules: Rules | None = None) -> Allocation:
    """Share out by the estimate of every arm, such as an adjusted mean; None for an arm without one.

    What is believed is the normal distribution of the estimate; an estimate without spread cannot be judged.
    """
    rules = rules or Rules()
    judged = [
        arm
        for arm, one in estimates.items()
        if one is not None and one.n >= rules.least and one.variance > 0 and isfinite(one.value + one.variance)
    ]
    known = [one for one in (estimates[arm] for arm in judged) if one is not None]
    chances = best_of_normals([(one.value, sqrt(one.variance)) for one in known], rules.direction)
    facts = {arm: _estimated(one) for arm, one in estimates.items()}
    return _shared(facts, dict(zip(judged, chances, strict=True)), rules)


def share_by_segment(
    counts: Mapping[str, Mapping[str, tuple[int, int]]], rules: Rules | None = None
) -> dict[str, Allocation]:
    """Share out each segment by its own successes and units, by segment and arm.

    A segment in which an arm has fewer than `least` units is shared out by all segments together, and says so.
    """
    rules = rules or Rules()
    arms = tuple(dict.fromkeys(arm for one in counts.values() for arm in one))
    whole = {
        arm: (
            sum(one.get(arm, (0, 0))[0] for one in counts.values()),
            sum(one.get(arm, (0, 0))[1] for one in counts.values()),
        )
        for arm in arms
    }
    pooled = share_proportions(whole, rules) if counts else None
    made: dict[str, Allocation] = {}
    for segment, one in counts.items():
        own = {arm: one.get(arm, (0, 0)) for arm in arms}
        if pooled is not None and min(n for _, n in own.values()) < rules.least:
            made[segment] = pooled
        else:
            made[segment] = replace(share_proportions(own, rules), evidence=f'segment "{segment}"')
    return made


def draw(allocation: Allocation, units: Sequence[str], salt: str) -> Draws:
    """Give every unit of the next batch its arm, by hash: the same units, shares and salt give the same arms.

    salt : a new one for each batch, or a unit that comes back would be drawn by the same hash as before.
    """
    arms = tuple(allocation.shares)
    shares = np.array([allocation.shares[arm] for arm in arms])
    even = allocation.uniform
    is_uniform = shares_of(units, f"{salt}:uniform") < even
    place = shares_of(units, f"{salt}:arm")
    by_belief = _of_belief(shares, even)
    arm = np.where(is_uniform, _chosen(np.full(len(arms), 1 / len(arms)), place), _chosen(by_belief, place))
    return Draws(
        arms=arms,
        arm=arm,
        propensity=shares[arm],
        propensities=np.broadcast_to(shares, (len(units), len(arms))),
        is_uniform=is_uniform,
    )


def _of_belief(shares: Floats, even: float) -> Floats:
    """Return the chances in the part that is not spread evenly, so that both parts together give the shares."""
    if even >= 1:
        return np.full(len(shares), 1 / len(shares))
    return np.maximum((shares - even / len(shares)) / (1 - even), 0.0)


def _chosen(chances: Floats, place: Floats) -> NDArray[np.int64]:
    ends = np.cumsum(chances)[:-1]
    return np.searchsorted(ends, place, side="right")


# The chance to be the best


def best_of_betas(beliefs: Sequence[tuple[float, float]], direction: Direction = "increase") -> Floats:
    """Return the chance that each of several independent Beta variables is the largest (or the smallest)."""
    pairs = np.array(beliefs, dtype=np.float64).reshape(-1, 2)
    a, b = (pairs.T if direction == "increase" else pairs.T[::-1])[..., None]  # 1 - x of Beta(a, b) is Beta(b, a)

    # over the angle t with x = sin(t)^2, where also the densities that are infinite at 0 or 1 are smooth
    def density(t: Floats) -> Floats:
        return np.asarray((2 * a - 1) * np.log(np.sin(t)) + (2 * b - 1) * np.log(np.cos(t)) + np.log(2) - betaln(a, b))

    def below(t: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(betainc(a, b, np.sin(t) ** 2)))

    levels = np.concatenate([_LEVELS, 1 - _LEVELS[:-1]])
    return _best(np.arcsin(np.sqrt(betaincinv(a, b, levels))), density, below)


def best_of_normals(beliefs: Sequence[tuple[float, float]], direction: Direction = "increase") -> Floats:
    """Return the chance that each of several independent normal variables (mean, standard deviation) is the largest."""
    pairs = np.array(beliefs, dtype=np.float64).reshape(-1, 2)
    mean = (pairs[:, 0] if direction == "increase" else -pairs[:, 0])[:, None]
    mean = mean - mean.max(initial=-np.inf)  # so that a small spread beside a large mean is not lost in rounding
    spread = pairs[:, 1][:, None]

    def density(x: Floats) -> Floats:
        return np.asarray(-0.5 * ((x - mean) / spread) ** 2 - np.log(spread * sqrt(2 * np.pi)))

    def below(x: Floats) -> Floats:
        return np.asarray(log_ndtr((x - mean) / spread))

    levels = np.concatenate([ndtri(_LEVELS), -ndtri(_LEVELS[:-1])])
    return _best(mean + spread * levels, density, below)


def _best(edges: Floats, density: Callable[[Floats], Floats], below: Callable[[Floats], Floats]) -> Floats:
    """Integrate, for each arm, its density times the chance of all others to be below, over panels between edges."""
    arms = len(edges)
    if arms < 2:
        return np.ones(arms)
    # below the highest of the lowest ends some arm is surely not, so nothing there is the best
    ends = np.unique(edges[edges >= edges.min(axis=1).max()])
    ends = ends[np.linspace(0, len(ends) - 1, min(len(ends), _MOST_PANELS)).round().astype(int)]
    half, middle = np.diff(ends)[:, None] / 2, (ends[1:] + ends[:-1])[:, None] / 2
    points, weights = (middle + half * _NODES).ravel(), (half * _NODE_WEIGHTS).ravel()
    known = (weights > 0) & (points > ends[0]) & (points < ends[-1])
    points, weights = points[known], weights[known]
    made = np.zeros(arms)
    for start in range(0, len(points), 512):  # in blocks: 500 arms on all points at once would take gigabytes
        block = slice(start, start + 512)
        logs = below(points[block])
        others = np.where(np.isfinite(logs), logs.sum(axis=0) - np.where(np.isfinite(logs), logs, 0.0), -np.inf)
        made += np.exp(density(points[block]) + others) @ weights[block]
    return np.asarray(made / made.sum())


# From chances to shares


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of an arm beside its chance to be the best."""

    n: int
    value: float | None = None
    lower: float | None = None
    upper: float | None = None


def _believed(n: int, a: float, b: float) -> _Known:
    if not n:
        return _Known(0)
    return _Known(n, a / (a + b), float(betaincinv(a, b, _TAIL)), float(betaincinv(a, b, 1 - _TAIL)))


def _estimated(one: ArmEstimate | None) -> _Known:
    if one is None:
        return _Known(0)
    if not one.variance > 0:
        return _Known(one.n, one.value)
    half = float(-ndtri(_TAIL)) * sqrt(one.variance)
    return _Known(one.n, one.value, one.value - half, one.value + half)


def _shared(facts: Mapping[str, _Known], chances: Mapping[str, np.float64], rules: Rules) -> Allocation:
    rules.check(len(facts))
    arms = tuple(facts)
    wanted = np.full(len(arms), 1 / len(arms))
    judged = np.array([arm in chances for arm in arms])
    if judged.sum() > 1:
        best = np.array([float(chances[arm]) for arm in arms if judged[arms.index(arm)]])
        wanted[judged] = (with_second(best) if rules.top_two else best) * judged.mean()
    raised = with_floor(wanted, rules.floor)
    shares = (1 - rules.uniform) * raised + rules.uniform / len(arms)
    several = judged.sum() > 1
    rows = [
        ArmShare(
            arm=arm,
            n=facts[arm].n,
            value=facts[arm].value,
            lower=facts[arm].lower,
            upper=facts[arm].upper,
            best=float(chances[arm]) if judged[place] and several else None,
            share=float(shares[place]),
            reason=_reason(bool(judged[place] and several), bool(raised[place] > wanted[place]), facts[arm].n, rules),
        )
        for place, arm in enumerate(arms)
    ]
    top = max((row.best for row in rows if row.best is not None), default=None)
    rows = [replace(row, reason="most likely the best") if row.best == top and top is not None else row for row in rows]
    return Allocation(rows=tuple(rows), uniform=rules.uniform)


def _reason(judged: bool, is_raised: bool, n: int, rules: Rules) -> str:
    if not judged:
        few = f"{n} units, fewer than the {rules.least} that a judgement needs"
        return f"its even part: {few if n < rules.least else 'nothing to judge it by or to compare it with'}"
    if is_raised:
        return f"kept at the floor of {rules.floor:.3g}"
    return "by its chance to be the best" + (" or the best but one" if rules.top_two else "")


def with_second(best: Floats) -> Floats:
    """Return half the chance to be the best and half that of being drawn second, in closed form.

    References
    ----------
    Russo (2020), Oper. Res. 68, Simple Bayesian algorithms for best-arm identification.
    """
    rest = np.maximum(1 - best, 1e-300)
    second = best * ((best / rest).sum() - best / rest)
    # an arm that is surely the best leaves nothing to draw a second by: then the others share evenly
    missing = 1 - second.sum()
    if missing > 1e-9:
        second = second + missing * (best < best.max()) / max((best < best.max()).sum(), 1)
    return np.asarray(0.5 * best + 0.5 * second / second.sum())


def with_floor(wanted: Floats, floor: float) -> Floats:
    """Raise shares to a floor and take what that costs from the others in proportion; they still add up to 1."""
    low = np.zeros(len(wanted), dtype=bool)
    made = wanted / wanted.sum()
    while ((made < floor) & ~low).any():
        low |= made < floor
        free = 1 - floor * low.sum()
        rest = wanted[~low].sum()
        made = np.where(low, floor, wanted * (free / rest if rest > 0 else 0.0))
    return np.asarray(made)
