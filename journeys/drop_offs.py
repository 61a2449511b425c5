"""Where customers leave a journey, how long after the step, for which channel, what they do next, and what it costs.

Counts are those of the funnel: whoever still has time has not dropped off. Rates are of those alone whose window has
closed: of the others it is known who was quick to go on, and not yet who will leave.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrik

from engine.numerics.intervals import UNDEFINED, Interval, wilson
from journeys import value, what_if
from journeys.attempts import MISSING
from journeys.friction import strata_of
from journeys.histories import NOTHING, Coded, Codes, Ints
from journeys.stays import DROPPED, IN_PROGRESS, Stays
from journeys.value import Stake, Worth
from journeys.what_if import Groups, WhatIf

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ALL: Final = "all"
UNKNOWN: Final = "unknown"
NOTHING_MORE: Final = "nothing"
"""What customers do next, and where, who do nothing more."""

_MOST: Final = 5
_FEWEST_ONWARD: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """How many of those who dropped off are alike in something; share: of all who dropped off there."""

    value: str
    customers: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Median:
    """A median in seconds and its interval; nan where there is nothing to take it of."""

    seconds: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class DropOff:
    """The drop-off at one step, of all customers or of one group.

    reached = went_on + dropped + in_progress. settled: of those who reached it, whose window has closed; rate: share of
    these who did not go on.
    last_seen : from the step to the customer's last event within the window. came_back: to the first later event of any
    kind, of those who did something later.
    left_from, next_channels, next_events : the most frequent channels of the step, and what and where came next.
    """

    step: int
    next_step: int
    breakdown: str
    group: str
    reached: int
    went_on: int
    dropped: int
    in_progress: int
    settled: int
    rate: float
    rate_interval: Interval
    last_seen: Median
    came_back: Median
    left_from: tuple[Part, ...]
    next_channels: tuple[Part, ...]
    next_events: tuple[Part, ...]
    stake: Stake


def summarise(
    stays: Stays,
    worths: Worth | None,
    breakdowns: Mapping[str, Coded],
    steps: Sequence[tuple[int, int]],
    *,
    seed: int,
    group: Codes | None = None,
) -> tuple[DropOff, ...]:
    """Return the drop-off at every step, of all customers and of every group, the costliest step of each first.

    A group has no row of a step that none of it reached.

    Parameters
    ----------
    stays : the view COUNTED.
    worths : of each stay's customer, shape (n,); None where nothing is known of money.
    breakdowns : the group of each stay, by breakdown; a missing value counts as "unknown".
    steps : every step that can be left, with the one after it (`stays.transitions`).
    group : the group of each stay within which it is estimated what those who dropped off would have done; the channel
        of the step is always taken into account.
    """
    chance = onward_chance(stays, group, seed)
    gone = stays.outcome == DROPPED
    left = _Left(
        stays=stays.take(gone), chance=chance[gone], worths=None if worths is None else worths.take(gone), gone=gone
    )
    everyone = Coded(codes=np.zeros(len(stays), dtype=np.int32), values=(ALL,))
    found: list[DropOff] = []
    for name, column in {ALL: everyone, **breakdowns}.items():
        found += _of_breakdown(stays, left, steps, name, column)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Left:
    """The stays that ended with a drop-off, an element each; `gone` marks them among all stays."""

    stays: Stays
    chance: Floats
    worths: Worth | None
    gone: Bools


def _of_breakdown(
    stays: Stays, left: _Left, steps: Sequence[tuple[int, int]], name: str, column: Coded
) -> list[DropOff]:
    """Return the drop-offs of every group; only those who dropped off are looked at one by one."""
    place = {step: number for number, (step, _) in enumerate(steps)}
    level = np.array([place.get(step, 0) for step in range(max(place) + 1)], dtype=np.int64)[stays.step]
    cell = (column.codes.astype(np.int64) + 1) * len(steps) + level
    size = (len(column.values) + 1) * len(steps)
    counts = {
        "reached": np.bincount(cell, minlength=size),
        "went_on": np.bincount(cell[stays.went_on], minlength=size),
        "in_progress": np.bincount(cell[stays.outcome == IN_PROGRESS], minlength=size),
        "settled": np.bincount(cell[stays.settled], minlength=size),
        "stayed": np.bincount(cell[stays.settled & ~stays.went_on], minlength=size),
    }
    own = cell[left.gone]
    order = np.argsort(own, kind="stable")
    ends = np.searchsorted(own[order], np.arange(size + 1))
    found: list[DropOff] = []
    for code, group in enumerate([UNKNOWN, *column.values]):
        each = []
        for number, transition in enumerate(steps):
            one = code * len(steps) + number
            counted = {measure: int(values[one]) for measure, values in counts.items()}
            if counted["reached"] or (name == ALL and group == ALL):
                each.append(_at_step(left, order[ends[one] : ends[one + 1]], transition, (name, group), counted))
        found += _ranked(each)
    return found


def onward_chance(stays: Stays, group: Codes | None, seed: int) -> Floats:
    """Return the chance to complete the journey of each stay, had it gone on as those of its channel and group did.

    Learned from those who went on and whose window has closed; groups are estimated together, so that one of few
    customers is drawn towards the others (`what_if.posterior`). nan where fewer than ten went on. To go on to the last
    step is to complete the journey.
    """
    completed, last = completes(stays), int(stays.next_step.max(initial=0))
    strata = strata_of(stays, group)
    chance = np.full(len(stays), np.nan)
    for step in np.unique(stays.step):
        here = stays.step == step
        went_on = here & stays.settled & stays.went_on
        if went_on.sum() < _FEWEST_ONWARD:
            continue
        if (stays.next_step[here] == last).all():
            chance[here] = 1.0
            continue
        own, place = np.unique(strata[here], return_inverse=True)
        moved = _counts(np.searchsorted(own, strata[went_on]), len(own))
        done = _counts(np.searchsorted(own, strata[went_on & completed]), len(own))
        rng = np.random.default_rng([seed, 40, int(step)])
        chance[here] = what_if.posterior(done, moved, rng).mean(axis=0)[place]
    return chance


def completes(stays: Stays) -> Bools:
    """Mark the stays whose attempt completed the journey."""
    if not len(stays):
        return np.zeros(0, dtype=np.bool_)
    last = stays.next_step == stays.next_step.max()
    done = np.zeros(int(stays.attempt.max()) + 1, dtype=np.bool_)
    done[stays.attempt[last & stays.went_on]] = True
    return np.asarray(done[stays.attempt], dtype=np.bool_)


def completed_share(stays: Stays) -> Floats:
    """Return, by step, which share of the settled stays that went on completed the journey; nan of none."""
    completed = completes(stays)
    share = np.full(int(stays.step.max(initial=0)) + 1, np.nan)
    for step in np.unique(stays.step):
        went_on = (stays.step == step) & stays.settled & stays.went_on
        if went_on.any():
            share[step] = completed[went_on].mean()
    return share


def what_if_best(stays: Stays, worths: Worth | None, column: Coded, *, seed: int) -> dict[int, WhatIf]:
    """Return, by place of the step, what closing the gap to the best group of a breakdown would bring.

    Steps at which fewer than two groups are large enough to compare are left out, as are customers of unknown group.
    """
    completed, found = completes(stays), {}
    net = None if worths is None else worths.margin - worths.loss
    for step in np.unique(stays.step).tolist():
        here = (stays.step == step) & stays.settled & (column.codes != NOTHING)
        codes, n = column.codes[here], len(column.values)
        means = [_mean(None if net is None else net[here][codes == code]) for code in range(n)]
        compared = what_if.best_of(
            Groups(
                names=column.values,
                reached=_counts(codes, n),
                went_on=_counts(codes[stays.went_on[here]], n),
                completed=_counts(codes[completed[here]], n),
                value=np.array([mean for mean, _ in means]),
                value_error=np.array([error for _, error in means]),
            ),
            seed,
        )
        if compared is not None:
            found[step] = compared
    return found


def _counts(codes: Codes | Ints, n: int) -> NDArray[np.int64]:
    return np.bincount(codes, minlength=n).astype(np.int64)


def _mean(values: Floats | None) -> tuple[float, float]:
    """Return the mean of the known values and its standard error; nan for none."""
    known = np.zeros(0) if values is None else values[~np.isnan(values)]
    if not len(known):
        return math.nan, math.nan
    return float(known.mean()), float(known.std(ddof=1) / math.sqrt(len(known))) if len(known) > 1 else math.nan


def _at_step(
    left: _Left, rows: Ints, transition: tuple[int, int], group: tuple[str, str], counted: Mapping[str, int]
) -> DropOff:
    gone = left.stays.take(rows)
    later = gone.next_at != MISSING
    settled, stayed = counted["settled"], counted["stayed"]
    return DropOff(
        step=transition[0],
        next_step=transition[1],
        breakdown=group[0],
        group=group[1],
        reached=counted["reached"],
        went_on=counted["went_on"],
        dropped=len(gone),
        in_progress=counted["in_progress"],
        settled=settled,
        rate=stayed / settled if settled else math.nan,
        rate_interval=wilson(stayed, settled),
        last_seen=median((gone.last_at - gone.reached_at) / 1e6),
        came_back=median((gone.next_at[later] - gone.reached_at[later]) / 1e6),
        left_from=_parts(gone.channel, UNKNOWN),
        next_channels=_parts(gone.next_channel, NOTHING_MORE),
        next_events=_parts(gone.next_event, NOTHING_MORE),
        stake=value.at_stake(left.chance[rows], None if left.worths is None else left.worths.take(rows)),
    )


def median(seconds: Floats) -> Median:
    """Return the median and the interval of it that the order of the values gives, whatever their distribution."""
    n = len(seconds)
    if not n:
        return Median(seconds=math.nan, interval=UNDEFINED)
    ordered = np.sort(seconds)
    low = max(_heads(n, 0.025) - 1, 0)
    return Median(
        seconds=float(np.median(ordered)),
        interval=Interval(lower=float(ordered[low]), upper=float(ordered[n - 1 - low])),
    )


def _heads(n: int, share: float) -> int:
    """Return the quantile of how many of n throws of a fair coin are heads."""
    above = math.ceil(float(bdtrik(share, n, 0.5)))
    # where the sum up to the number before reaches the share but for rounding, that one is the quantile
    return above - 1 if above > 0 and float(bdtr(above - 1, n, 0.5)) >= share else above


def _parts(column: Coded, missing: str) -> tuple[Part, ...]:
    """Return the most frequent values, the most frequent first; of equals, in order of the alphabet."""
    n = len(column.codes)
    counted = np.bincount(column.codes + 1, minlength=len(column.values) + 1)
    named = sorted(zip([missing, *column.values], counted.tolist(), strict=True), key=lambda one: (-one[1], one[0]))
    return tuple(Part(value=name, customers=count, share=count / n) for name, count in named[:_MOST] if count)


def _ranked(found: Sequence[DropOff]) -> list[DropOff]:
    """Order by what is at stake net; where no value is known, by how many dropped off."""
    return sorted(
        found,
        key=lambda one: (
            one.stake.net_minor is None,
            0 if one.stake.net_minor is None else -one.stake.net_minor,
            -one.dropped,
            one.step,
        ),
    )
