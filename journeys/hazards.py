"""How likely customers at a step are to go on, period by period since they reached it, and who will drop off.

The hazard of a period is the chance to go on in it of whoever is still at the step when it begins. It is learned by a
logistic regression on periods: which step and period, the channel of the step, the customer's group, and which signals
of friction were met before the period began. The chance to drop off is that of not going on in any period that is left
of the window.

A model is trusted only by its forecasts: learned from what was known at an earlier date, tried on the journeys that
were open at later ones, and used only where it beats the plain Kaplan-Meier curve of the step and the time waited.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import norm, rankdata
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from engine.numerics import survival
from engine.numerics.intervals import Interval, wilson
from engine.numerics.survival import SurvivalCurve
from journeys.attempts import MISSING
from journeys.histories import Codes, Ints
from journeys.stays import Stays

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_QUANTILES: Final = 12
_PERIODS: Final = _QUANTILES + 1
"""Periods of a step at most: as many go on in one as in another, but for the last, which ends with the longest wait."""

_MOST_SIGNALS: Final = 12
_FEWEST: Final = 30
"""Fewer stays than this say nothing about a signal; fewer of either outcome, nothing about a model."""

_MOST_LEARNED: Final = 100_000
_LOOKS_PER_WINDOW: Final = 10
_LOOKS: Final = 4

_HELD_BACK_SHARE: Final = 0.3
"""The part of the time observed, at its end, that a model is tried on."""

_PENALTY: Final = 1.0
"""Ridge: effects of channel, group and signals are taken to be of the size of one in log-odds, unless data say more."""

_FREE: Final = 10.0
"""Scale of the terms of step and period: the penalty hardly holds them back."""

_Z: Final = float(norm.ppf(0.975))


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """One period since reaching a step: `went_on` of the `at_risk` who were still there when it began."""

    step: int
    from_seconds: float
    to_seconds: float
    at_risk: int
    went_on: int

    @property
    def hazard(self) -> float:
        """The share who went on; nan where nobody was left."""
        return self.went_on / self.at_risk if self.at_risk else math.nan

    @property
    def interval(self) -> Interval:
        """The score interval of the hazard."""
        return wilson(self.went_on, self.at_risk)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decile:
    """A tenth of the forecasts, by how likely they said dropping off was, and what came of them."""

    predicted: float
    observed: float
    interval: Interval
    stays: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How forecasts fared on journeys open at later dates; the baseline is the Kaplan-Meier curve of the step.

    learned_until, first_tried_at, last_tried_at : microseconds. stays: forecasts made; dropped: how many of these
        journeys were dropped.
    gain : the baseline's mean squared error (Brier score) less the model's, above 0 where the model is better.
    deciles, deciles_baseline : tenths of the forecasts of either, the lowest first.
    """

    learned_until: int
    first_tried_at: int
    last_tried_at: int
    stays: int
    dropped: int
    auc: float
    auc_interval: Interval
    auc_baseline: float
    brier: float
    brier_baseline: float
    gain: float
    gain_interval: Interval
    deciles: tuple[Decile, ...]
    deciles_baseline: tuple[Decile, ...]

    @property
    def overall(self) -> Decile:
        """All forecasts together, of the method that is used."""
        parts = self.deciles if self.beats_baseline else self.deciles_baseline
        predicted = sum(part.predicted * part.stays for part in parts) / self.stays
        observed = wilson(self.dropped, self.stays)
        return Decile(predicted=predicted, observed=self.dropped / self.stays, interval=observed, stays=self.stays)

    @property
    def beats_baseline(self) -> bool:
        """Whether the model's forecasts are better beyond chance."""
        return self.gain_interval.is_defined and self.gain_interval.lower > 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What a model may know of stays at some moment.

    group : the customer's group as it was known then, shape (n,), all -1 where there is none.
    """

    stays: Stays
    group: Codes
    groups: int = field(default=0)

    def take(self, rows: Ints) -> Known:
        """Return some of the stays."""
        return Known(stays=self.stays.take(rows), group=self.group[rows], groups=self.groups)


def known(stays: Stays, group: Codes | None = None) -> Known:
    """Return stays with the group of each, none by default."""
    codes = np.full(len(stays), -1, dtype=np.int32) if group is None else group
    return Known(stays=stays, group=codes, groups=int(codes.max(initial=-1)) + 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """Fitted hazards.

    edges : per step, the ends of its periods, microseconds since reaching it, the first of them 0.
    chosen : places of the signals that were met often enough to learn from.
    curves : the baseline: Kaplan-Meier of the time to go on, per step.
    regression : None where there was too little to learn from; the baseline stands alone then.
    """

    edges: dict[int, Ints]
    periods: tuple[Period, ...]
    chosen: tuple[int, ...]
    channels: int
    groups: int
    curves: dict[int, SurvivalCurve]
    regression: LogisticRegression | None

    def drop_probability(self, asked: Known, at: Ints) -> Floats:
        """Return the chance that each stay, open at a moment, does not go on before its window closes.

        Parameters
        ----------
        at : microseconds, shape (n,): signals met later are not looked at.
        """
        if self.regression is None:
            return self.baseline(asked.stays, at)
        stays = asked.stays
        waited, left = at - stays.reached_at, stays.closes_at - stays.reached_at
        bits = _bits(stays.met, self.chosen, at)
        steps = list(self.edges)
        log_stay = np.zeros(len(stays))
        for step, edges in self.edges.items():
            here = np.flatnonzero(stays.step == step)
            for period, (start, end) in enumerate(pairwise(edges)):
                part = _part(
                    self.curves[step], np.maximum(waited[here], start), np.minimum(left[here], end), (start, end)
                )
                some = here[part > 0]
                cells = _Cells(
                    step=np.full(len(some), step),
                    period=np.full(len(some), period),
                    channel=stays.channel.codes[some],
                    group=asked.group[some],
                    bits=bits[some],
                )
                if len(some):
                    hazard = self.regression.predict_proba(_design(cells, steps, self.channels, self.groups))[:, 1]
                    log_stay[some] += np.log1p(-np.minimum(hazard, 1 - 1e-12)) * part[part > 0]
        return np.asarray(np.exp(log_stay), dtype=np.float64)

    def baseline(self, stays: Stays, at: Ints) -> Floats:
        """Return the same chance by the step's Kaplan-Meier curve, from the time waited on."""
        waited, left = (at - stays.reached_at) / 1e6, (stays.closes_at - stays.reached_at) / 1e6
        chance = np.full(len(stays), np.nan)
        for step, curve in self.curves.items():
            here = stays.step == step
            survival_ = np.concatenate([[1.0], curve.survival])
            now, then = (
                survival_[np.searchsorted(curve.times, seconds[here], side="right")] for seconds in (waited, left)
            )
            chance[here] = np.divide(then, now, out=np.zeros_like(then), where=now > 0)
        return chance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cells:
    """What a hazard depends on, shape (n,); `bits` has a column per chosen signal: met before or not."""

    step: Ints
    period: Ints
    channel: Ints | Codes
    group: Ints | Codes
    bits: Bools


def fit(asked: Known, as_of: int, signals: int) -> Model:
    """Learn the hazards from the stays of the view FORWARD, as they were known at a moment.

    Stays reached later are not looked at, nor is what happened later in those that are. Of more stays than say anything
    new, every second, third, ... is learned from; they lie in order of the customers, which says nothing of them.
    """
    rows = np.flatnonzero(asked.stays.reached_at <= as_of)
    early = asked.take(rows[:: 1 + len(rows) // _MOST_LEARNED])
    stays = early.stays
    went_on = stays.went_on & (stays.ended_at <= as_of)
    watched = np.minimum(stays.closes_at, as_of) - stays.reached_at
    took = np.where(went_on, stays.ended_at - stays.reached_at, watched)
    chosen = _chosen(stays, as_of, signals)
    edges = {
        int(step): _edges(took[(stays.step == step) & went_on], int(watched[stays.step == step].max()))
        for step in np.unique(stays.step)
    }
    curves = {
        step: survival.kaplan_meier(took[stays.step == step] / 1e6, went_on[stays.step == step]) for step in edges
    }
    cells, through, went, periods = _person_periods(
        early, edges, curves, chosen, _Told(took=took, watched=watched, went_on=went_on)
    )
    channels = len(stays.channel.values)
    enough = min(went_on.sum(), (~went_on).sum()) >= _FEWEST
    regression = _regression(_design(cells, list(edges), channels, asked.groups), through, went) if enough else None
    return Model(
        edges=edges,
        periods=periods,
        chosen=chosen,
        channels=channels,
        groups=asked.groups,
        curves=curves,
        regression=regression,
    )


def try_out(asked: Known, as_of: int, window: int, signals: int) -> Trial | str:
    """Learn from what was known at an earlier date, forecast at later dates, and compare with what came.

    The dates lie a tenth of a window apart, and every window has closed by as_of. A stay that began after the model was
    learned is asked about once: at the first, second, third or fourth date after it began, in turn, if it is still open
    then. So forecasts are independent, and when each is made does not depend on what comes of it.

    Returns
    -------
    Trial, or a sentence that says why there is none.
    """
    stays = asked.stays
    if not len(stays):
        return "Nobody entered the journey."
    begins, last = int(stays.reached_at.min()), as_of - window
    learned_until = last - round(_HELD_BACK_SHARE * max(last - begins, 0))
    if learned_until - begins < window:
        return "The log is too short to learn from one part of it and to try the forecasts on another."
    rows, at = _looks(stays, learned_until, last, window // _LOOKS_PER_WINDOW)
    dropped = ~stays.went_on[rows]
    if min(dropped.sum(), (~dropped).sum()) < _FEWEST:
        return f"{int(dropped.sum())} of {len(rows)} journeys open at later dates were dropped: too few of one kind."
    model = fit(asked, learned_until, signals)
    if model.regression is None:
        return "Too few went on, or stayed, before the date up to which the model may learn."
    later = asked.take(rows)
    chance, plain = model.drop_probability(later, at), model.baseline(later.stays, at)
    sees = np.isfinite(plain)
    return _trial(learned_until, at[sees], dropped[sees], chance[sees], plain[sees])


def _looks(stays: Stays, since: int, until: int, apart: int) -> tuple[Ints, Ints]:
    """Return the stays that are asked about, by their rows, and when."""
    begun = np.flatnonzero((stays.reached_at > since) & stays.settled)
    dates = -(-(stays.reached_at[begun] - since) // apart) + np.arange(len(begun)) % _LOOKS
    at = since + dates * apart
    ends = np.where(stays.went_on, stays.ended_at, stays.closes_at)[begun]
    asked = (at <= until) & (ends > at)
    return begun[asked], at[asked]


def _trial(learned_until: int, at: Ints, dropped: Bools, chance: Floats, plain: Floats) -> Trial:
    y = dropped.astype(np.float64)
    gains = (plain - y) ** 2 - (chance - y) ** 2
    half = _Z * float(gains.std(ddof=1)) / math.sqrt(len(y))
    area, error = auc(chance, dropped)
    return Trial(
        learned_until=learned_until,
        first_tried_at=int(at.min()),
        last_tried_at=int(at.max()),
        stays=len(y),
        dropped=int(dropped.sum()),
        auc=area,
        auc_interval=Interval(lower=max(area - _Z * error, 0.0), upper=min(area + _Z * error, 1.0)),
        auc_baseline=auc(plain, dropped)[0],
        brier=float(((chance - y) ** 2).mean()),
        brier_baseline=float(((plain - y) ** 2).mean()),
        gain=float(gains.mean()),
        gain_interval=Interval(lower=float(gains.mean()) - half, upper=float(gains.mean()) + half),
        deciles=deciles(chance, dropped),
        deciles_baseline=deciles(plain, dropped),
    )


def deciles(chance: Floats, dropped: Bools) -> tuple[Decile, ...]:
    """Return ten groups of about equal size by forecast, the lowest first; fewer where there are fewer stays."""
    parts = np.array_split(np.argsort(chance, kind="stable"), min(10, len(chance)))
    return tuple(
        Decile(
            predicted=float(chance[part].mean()),
            observed=float(dropped[part].mean()),
            interval=wilson(int(dropped[part].sum()), len(part)),
            stays=len(part),
        )
        for part in parts
    )


def auc(score: Floats, happened: Bools) -> tuple[float, float]:
    """Return the chance that one to whom it happened scores higher than one to whom it did not, and its error.

    nan where all or none had it.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, 837-845.
    """
    n, m = int(happened.sum()), int((~happened).sum())
    if not n or not m:
        return math.nan, math.nan
    ranks = rankdata(score)
    above = (ranks[happened] - rankdata(score[happened])) / m
    below = 1 - (ranks[~happened] - rankdata(score[~happened])) / n
    variance = (above.var(ddof=1) / n if n > 1 else 0.0) + (below.var(ddof=1) / m if m > 1 else 0.0)
    return float(above.mean()), math.sqrt(float(variance))


def _chosen(stays: Stays, as_of: int, signals: int) -> tuple[int, ...]:
    """Return the signals that were met often enough by then, the most frequent first, in order of their places."""
    met = [int(((stays.met[:, place] != MISSING) & (stays.met[:, place] <= as_of)).sum()) for place in range(signals)]
    often = sorted((place for place in range(signals) if met[place] >= _FEWEST), key=lambda place: -met[place])
    return tuple(sorted(often[:_MOST_SIGNALS]))


def _edges(took: Ints, longest: int) -> Ints:
    """Return the ends of a step's periods: as many go on in each, the last reaches to the longest wait there was."""
    quantiles = np.quantile(took, np.arange(1, _QUANTILES + 1) / _QUANTILES) if len(took) else np.zeros(0)
    inner = np.unique(np.ceil(quantiles).astype(np.int64))
    inner = inner[(inner > 0) & (inner < longest)]
    return np.concatenate([[0], inner, [max(longest, 1)]]).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Told:
    """What was known of stays: how long they took or were watched, how long they could be watched, who went on."""

    took: Ints
    watched: Ints
    went_on: Bools


def _bits(met_at: Ints, chosen: Sequence[int], at: Ints) -> Bools:
    """Mark the chosen signals that each stay had met by a moment, shape (n, chosen)."""
    met = met_at[:, list(chosen)]
    return np.asarray((met != MISSING) & (met <= at[:, None]), dtype=np.bool_)


def _part(curve: SurvivalCurve, since: Ints | int, until: Ints, period: tuple[int, int]) -> Floats:
    """Return which part of a period's risk to go on lies between two moments in it, as the step's curve spreads it.

    Where nobody went on in the period, its risk spreads evenly. 0 where the moments are in the wrong order.
    """
    start, end = period
    left = np.concatenate([[0.0], np.log(np.maximum(curve.survival, 1e-12))])
    first, last, a, b = (
        left[np.searchsorted(curve.times, np.asarray(at) / 1e6, side="right")] for at in (start, end, since, until)
    )
    even = (until - since) / (end - start)
    part = (a - b) / (first - last) if first > last else even
    return np.asarray(np.where(until > since, part, 0.0), dtype=np.float64)


def _person_periods(
    asked: Known, edges: dict[int, Ints], curves: dict[int, SurvivalCurve], chosen: Sequence[int], told: _Told
) -> tuple[_Cells, Floats, Floats, tuple[Period, ...]]:
    """Count, per combination of what a hazard depends on, who waited through a period and who went on in it.

    Whoever could be watched through a part of a period only counts for that part while they wait. The periods that are
    returned leave them out: to count those who go on in a period cut short would make haste look likely.
    """
    stays = asked.stays
    packing = _Packing(
        steps=max(edges, default=0) + 1, channels=len(stays.channel.values), groups=asked.groups, signals=len(chosen)
    )
    keys, waited, went, periods = [], [], [], []
    for step, ends in edges.items():
        here = np.flatnonzero(stays.step == step)
        for number, (start, end) in enumerate(pairwise(ends.tolist())):
            there = here[told.took[here] > start]
            moved = told.went_on[there] & (told.took[there] <= end)
            bits = _bits(stays.met[there], chosen, stays.reached_at[there] + start)
            keys.append(packing.packed(step, number, stays.channel.codes[there], asked.group[there], bits))
            went.append(moved)
            ended = np.minimum(told.watched[there], end)
            part = _part(curves[step], start, ended, (start, end))
            waited.append(np.where(moved, 0.0, part))
            whole = told.watched[there] >= end
            seconds = {"from_seconds": start / 1e6, "to_seconds": end / 1e6}
            counts = {"at_risk": int(whole.sum()), "went_on": int(moved[whole].sum())}
            periods.append(Period(step=step, **seconds, **counts))
    place, cells = pd.factorize(np.concatenate(keys or [np.zeros(0, np.int64)]), sort=True)
    through = np.bincount(place, np.concatenate(waited or [np.zeros(0)]), len(cells)).astype(np.float64)
    moves = np.bincount(place, np.concatenate(went or [np.zeros(0)]), len(cells)).astype(np.float64)
    return packing.unpacked(cells), through, moves, tuple(periods)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packing:
    """Combinations as one whole number each, which are counted faster than rows of several."""

    steps: int
    channels: int
    groups: int
    signals: int

    def packed(self, step: int, period: int, channel: Codes, group: Codes, bits: Bools) -> Ints:
        """Return the number of each combination; a channel or group of -1 is none."""
        place = np.int64(step * _PERIODS + period) * (self.channels + 1) + channel.astype(np.int64) + 1
        place = place * (self.groups + 1) + group + 1
        return np.asarray((place << self.signals) + bits @ (1 << np.arange(self.signals)), dtype=np.int64)

    def unpacked(self, keys: Ints) -> _Cells:
        """Return the combinations again."""
        bits = (keys[:, None] >> np.arange(self.signals)) & 1
        rest, group = np.divmod(keys >> self.signals, self.groups + 1)
        rest, channel = np.divmod(rest, self.channels + 1)
        step, period = np.divmod(rest, _PERIODS)
        return _Cells(step=step, period=period, channel=channel - 1, group=group - 1, bits=bits > 0)


def _design(cells: _Cells, steps: Sequence[int], channels: int, groups: int) -> sparse.csr_matrix:
    """Return the terms of the regression: step and period together, channel, group, signals, and signals by step."""
    n = len(cells.step)
    place = np.searchsorted(np.asarray(steps, dtype=np.int64), cells.step)
    by_step = np.zeros((n, len(steps), cells.bits.shape[1]), dtype=np.float64)
    by_step[np.arange(n), place] = cells.bits
    parts = [
        _one_hot(place * _PERIODS + cells.period, len(steps) * _PERIODS) * _FREE,
        _one_hot(cells.channel, channels),
        _one_hot(cells.group, groups),
        sparse.csr_matrix(cells.bits.astype(np.float64)),
        sparse.csr_matrix(by_step.reshape(n, -1)),
    ]
    return sparse.hstack(parts).tocsr()


def _one_hot(codes: Ints | Codes, width: int) -> sparse.csr_matrix:
    rows = np.flatnonzero(codes >= 0)
    return sparse.csr_matrix((np.ones(len(rows)), (rows, codes[rows])), shape=(len(codes), width))


def _regression(design: sparse.csr_matrix, through: Floats, went: Floats) -> LogisticRegression:
    """Fit the chance of going on to counts: each combination stands once with who went on, and once with who did not.

    A light ridge keeps combinations in which all or none went on from being taken for certain.
    """
    outcome = np.repeat([1, 0], len(went))
    with threadpool_limits(limits=1):  # the same sums in the same order on every machine
        model = LogisticRegression(C=1 / _PENALTY, solver="newton-cholesky", max_iter=1_000, tol=1e-6)
        return model.fit(sparse.vstack([design, design]), outcome, np.concatenate([went, through]))
