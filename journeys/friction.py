"""Which friction keeps customers from the next step, and how many it may have cost.

Whoever goes on at once has no time to meet a friction, so that to compare all who met one with all who did not would
credit the friction with their slowness, or their haste with its absence. Here each customer who meets a signal is
compared, from that very moment since the step, with those who then had been at the same step as long and had not met
it: of the same channel and group, and who had, or had not, met an error before. What counts is who goes on afterwards
in what is left of the window.

Nothing here was randomised: an effect is an association, adjusted for what is listed above and for nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from engine.numerics.intervals import UNDEFINED, Interval
from engine.numerics.multiplicity import benjamini_hochberg
from journeys.attempts import MISSING
from journeys.histories import Codes, Ints
from journeys.signals import Kind, Signal
from journeys.stays import Stays

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ASSOCIATION: Final = "An association, not a cause, unless who met it was left to chance."
STRUCTURAL: Final = "Structural: the flow leads nearly everyone who goes on through it."
TOO_FEW: Final = "Too few met it, or nobody comparable did not, to say anything."

_FORCED_SHARE: Final = 0.9
_FEWEST: Final = 30
"""Fewer customers than this, who met a signal and can be compared, say nothing."""

_FEWEST_COMPARED: Final = 20
"""Fewer waiting without the signal at that moment, in the same stratum, are nobody to compare with."""

_FALSE_DISCOVERIES: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one signal at one step goes along with.

    met : how many met it while still at the step; compared: how many of them there was somebody to compare with.
    chance_with, chance_without : of those compared, the share who went on, and who would have, had they gone on as
        often as those whom they are compared with; nan where nobody could be compared.
    difference : with - without. odds_ratio: of going on, with against without within a stratum (Mantel-Haenszel).
    p_value : two-sided, of an odds ratio of 1; q_value: corrected for how many signals and steps were looked at
        (Benjamini and Hochberg).
    lost : how many more of those compared would have reached the next step, and completed: of these, the journey.
    met_before_going_on : share of those who went on that met it first.
    """

    step: int
    signal: Signal
    met: int
    compared: int
    chance_with: float
    chance_without: float
    difference: float
    difference_interval: Interval
    odds_ratio: float
    odds_ratio_interval: Interval
    p_value: float
    q_value: float
    lost: float
    lost_interval: Interval
    completed: float
    met_before_going_on: float

    @property
    def structural(self) -> bool:
        """Whether the flow forces it: nearly all who went on met it first."""
        return self.met_before_going_on >= _FORCED_SHARE

    @property
    def harmful(self) -> bool:
        """Whether fewer go on after it, beyond what chance and the number of comparisons explain."""
        return not self.structural and self.q_value <= _FALSE_DISCOVERIES and self.lost > 0

    @property
    def note(self) -> str:
        """What limits the reading of this effect, in a sentence."""
        if self.structural:
            return STRUCTURAL
        return ASSOCIATION if math.isfinite(self.p_value) else TOO_FEW


def rank(stays: Stays, signals: Sequence[Signal], strata: Codes, complete: Floats) -> tuple[Effect, ...]:
    """Return the effect of every signal at every step where anybody met it, the most harmful first.

    Parameters
    ----------
    stays : the view FORWARD. Only those count whose window has closed: of the others, only who went on is decided.
    strata : what each stay is compared within, shape (n,); see `strata_of`.
    complete : share of those who went on from a stay's step that completed the journey, shape (n_steps + 1,), by the
        place of the step; nan where nobody went on.

    Returns
    -------
    tuple of Effect
        Harmful ones first, by how many customers they cost; then what could be compared; structural ones last.
    """
    settled = stays.take(stays.settled)
    within = strata[stays.settled]
    effects = []
    for step in np.unique(settled.step).tolist():
        here = settled.step == step
        at_step, own = settled.take(here), within[here]
        for place in range(len(signals)):
            if (at_step.met[:, place] != MISSING).any():
                effects.append(_effect(at_step, signals, place, own, float(complete[step])))
    corrected = benjamini_hochberg([effect.p_value for effect in effects])
    named = [replace(effect, q_value=float(q)) for effect, q in zip(effects, corrected, strict=True)]
    return tuple(sorted(named, key=_order))


def strata_of(stays: Stays, group: Codes | None = None) -> Codes:
    """Return a code per combination of the channel of the step and the customer's group."""
    own = np.zeros(len(stays), dtype=np.int64) if group is None else group.astype(np.int64) + 1
    pairs = own * (len(stays.channel.values) + 1) + stays.channel.codes + 1
    return np.asarray(np.unique(pairs, return_inverse=True)[1], dtype=np.int32)


def _order(effect: Effect) -> tuple[bool, bool, bool, float, int, str]:
    cost = effect.lost if math.isfinite(effect.lost) else -math.inf
    return (not effect.harmful, effect.structural, math.isnan(effect.p_value), -cost, effect.step, effect.signal.label)


def _effect(stays: Stays, signals: Sequence[Signal], place: int, strata: Codes, complete: float) -> Effect:
    """Return the effect of one signal among the settled stays at one step."""
    went_on = stays.went_on
    left = np.where(went_on, stays.ended_at, stays.closes_at) - stays.reached_at
    met_at = np.where(stays.met[:, place] == MISSING, np.iinfo(np.int64).max, stays.met[:, place] - stays.reached_at)
    error_at = _earlier_error(stays, signals, place)
    episodes = _episodes(strata, np.minimum(left, met_at), error_at, went_on & (met_at > left))
    who = np.flatnonzero(stays.met[:, place] != MISSING)
    exposed = _Exposed(
        unit=who,
        stratum=_stratum(strata[who], error_at[who] <= met_at[who]),
        at=met_at[who],
        until=stays.closes_at[who] - stays.reached_at[who],
    )
    found = _compare(episodes, exposed, went_on, stays.customer)
    forced = float((stays.met[went_on, place] != MISSING).mean()) if went_on.any() else 0.0
    n = found.compared
    return Effect(
        step=int(stays.step[0]),
        signal=signals[place],
        met=len(who),
        compared=n,
        chance_with=found.chance_with,
        chance_without=found.chance_without,
        difference=found.chance_with - found.chance_without,
        difference_interval=found.difference,
        odds_ratio=found.odds_ratio,
        odds_ratio_interval=found.odds,
        p_value=found.p_value,
        q_value=math.nan,
        lost=n * (found.chance_without - found.chance_with),
        lost_interval=Interval(lower=-n * found.difference.upper, upper=-n * found.difference.lower),
        completed=n * (found.chance_without - found.chance_with) * complete,
        met_before_going_on=forced,
    )


def _earlier_error(stays: Stays, signals: Sequence[Signal], place: int) -> Ints:
    """Return how long after the step each stay met the first error other than this signal; endless where it did not."""
    never = np.iinfo(np.int64).max
    first = np.full(len(stays), never)
    for other, signal in enumerate(signals):
        if other != place and signal.kind is Kind.ERROR:
            since = np.where(stays.met[:, other] == MISSING, never, stays.met[:, other] - stays.reached_at)
            first = np.minimum(first, since)
    return first


def _stratum(strata: Codes, after_error: Bools | bool) -> Ints:
    return np.asarray(2 * strata.astype(np.int64) + after_error, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Episodes:
    """Spans of waiting at a step without the signal, shape (n,): after `start` and up to `end`, in one stratum.

    unit : the stay. goes_on: whether the span ends with the next step.
    """

    unit: Ints
    stratum: Ints
    start: Ints
    end: Ints
    goes_on: Bools


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Exposed:
    """Who met the signal, when since the step, and until when they could go on, shape (n,)."""

    unit: Ints
    stratum: Ints
    at: Ints
    until: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    compared: int = 0
    chance_with: float = math.nan
    chance_without: float = math.nan
    difference: Interval = UNDEFINED
    odds_ratio: float = math.nan
    odds: Interval = UNDEFINED
    p_value: float = math.nan


def _episodes(strata: Codes, end: Ints, error_at: Ints, goes_on: Bools) -> _Episodes:
    """Split the wait of each stay at its first other error: before it and after it, others are like it."""
    later = np.flatnonzero(error_at < end)
    return _Episodes(
        unit=np.concatenate([np.arange(len(end)), later]),
        stratum=np.concatenate([_stratum(strata, False), _stratum(strata[later], True)]),
        start=np.concatenate([np.full(len(end), -1), error_at[later]]),
        end=np.concatenate([np.minimum(end, error_at), end[later]]),
        goes_on=np.concatenate([goes_on & (error_at >= end), goes_on[later]]),
    )


class _Waiting:
    """How those who have not met a signal go on, stratum by stratum: the product-limit estimate from each moment on."""

    def __init__(self, episodes: _Episodes, exposed: _Exposed) -> None:
        times = np.concatenate([episodes.start, episodes.end, exposed.at, exposed.until])
        moments, place = np.unique(times, return_inverse=True)
        strata = [episodes.stratum, episodes.stratum, exposed.stratum, exposed.stratum]
        # stratum and time as one whole number, so that one search finds a moment within a stratum
        keys = np.concatenate(strata) * len(moments) + place
        cuts = np.cumsum([len(one) for one in strata[:-1]])
        self._start, self._end, self._at, self._until = np.split(keys, cuts)
        self._moves, self._went = np.unique(self._end[episodes.goes_on], return_counts=True)
        self._goes_on = episodes.goes_on
        starts, ends = np.sort(self._start), np.sort(self._end)
        self.waiting = np.searchsorted(starts, self._at, "right") - np.searchsorted(ends, self._at, "right")
        self._at_risk = np.searchsorted(starts, self._moves) - np.searchsorted(ends, self._moves)
        # of a stratum in which everybody goes on at once, next to nobody is left
        self._left = np.maximum(self._at_risk - self._went, 1e-9)
        stays = np.concatenate([[0.0], np.cumsum(np.log(self._left / np.maximum(self._at_risk, 1)))])
        gone = stays[np.searchsorted(self._moves, self._until, "right")]
        self.stay = np.exp(gone - stays[np.searchsorted(self._moves, self._at, "right")])

    def contributions(self, weight: Floats) -> Floats:
        """Return what each episode contributes to the error of the weighted sum of 1 - stay."""
        lasting = self._sum(self._at, weight * self.stay) - self._sum(self._until, weight * self.stay)
        each = lasting / self._left
        expected = np.concatenate([[0.0], np.cumsum(each * self._went / np.maximum(self._at_risk, 1))])
        first, last = (np.searchsorted(self._moves, key, "right") for key in (self._start, self._end))
        own = np.zeros(len(self._end))
        own[self._goes_on] = each[np.searchsorted(self._moves, self._end[self._goes_on])]
        return np.asarray(own - (expected[last] - expected[first]), dtype=np.float64)

    def _sum(self, keys: Ints, weight: Floats) -> Floats:
        """Add up, at each move, the weights of the keys before it."""
        order = np.argsort(keys, kind="stable")
        total = np.concatenate([[0.0], np.cumsum(weight[order])])
        return np.asarray(total[np.searchsorted(keys[order], self._moves)], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Several:
    """Whose contributions belong together: the customer of each stay, the stays that met the signal, those compared."""

    customer: Codes
    met: Ints
    compared: Ints

    def spread(self, mine: Floats, theirs: Floats) -> float:
        """Return the standard error of the sum of what those who met it and those compared contribute."""
        n = len(self.customer)
        each = np.bincount(self.met, weights=mine, minlength=n) + np.bincount(
            self.compared, weights=theirs, minlength=n
        )
        return math.sqrt(float((np.bincount(self.customer, weights=each) ** 2).sum()))


def _compare(episodes: _Episodes, exposed: _Exposed, went_on: Bools, customer: Codes) -> _Compared:
    """Compare everyone who met the signal with what those waiting at that moment, and not meeting it, went on to do.

    Who of these meets it later is followed up to then (product-limit estimate), since their further way is no longer
    that of those without. Errors are those of the estimating equations, linearised and summed by customer, who may
    serve in many comparisons.
    """
    waiting = _Waiting(episodes, exposed)
    kept = waiting.waiting >= _FEWEST_COMPARED
    n = int(kept.sum())
    if n == 0:
        return _Compared()
    own = went_on[exposed.unit].astype(np.float64)
    chance = 1 - waiting.stay
    counted = np.asarray(kept, dtype=np.float64)
    several = _Several(customer=customer, met=exposed.unit, compared=episodes.unit)
    with_, without = float(own[kept].mean()), float(chance[kept].mean())
    difference = with_ - without
    found = _Compared(compared=n, chance_with=with_, chance_without=without)
    if n < _FEWEST:
        return found
    spread = several.spread(counted * (own - chance - difference), -waiting.contributions(counted))
    half = float(norm.ppf(0.975)) * spread / n
    found = replace(found, difference=Interval(lower=difference - half, upper=difference + half))
    for_, against = float((counted * own * (1 - chance)).sum()), float((counted * (1 - own) * chance).sum())
    if for_ <= 0 or against <= 0:
        return found
    ratio = for_ / against
    mine = counted * (own * (1 - chance) - ratio * (1 - own) * chance)
    theirs = -waiting.contributions(np.asarray(counted * (own + ratio * (1 - own)), dtype=np.float64))
    error = several.spread(mine, theirs) / for_
    if error == 0:
        return found
    z = float(norm.ppf(0.975))
    return replace(
        found,
        odds_ratio=ratio,
        odds=Interval(lower=ratio * math.exp(-z * error), upper=ratio * math.exp(z * error)),
        p_value=float(2 * norm.sf(abs(math.log(ratio)) / error)),
    )
