"""Time until something happens where not everyone was watched to the end: Kaplan-Meier curves and the log-rank test.

Someone watched for t seconds without the event is *censored* at t: known to have lasted at least t, and at risk up to
and including t. Events and censorings of one instant: the events come first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtri

from engine.numerics import multiplicity

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

HALF: Final = 0.5
_ROUNDING: Final = 1e-12
"""A product of shares that is 1/2 in theory is a little more or less in floating point."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SurvivalCurve:
    """The share that the event has not happened to, by time since the start; constant between `times`.

    times : distinct times at which the event happened to someone, rising, in seconds, shape (k,).
    at_risk, events : how many were still watched just before each time, and to how many it happened then.
    survival : share left just after each time; before the first it is 1.
    low, high : pointwise interval of `survival`; nan where it is 0, of which the method can say nothing.
    n : how many were watched at all.
    last : the longest time that anyone was watched; nan for nobody.
    """

    times: Floats
    at_risk: Counts
    events: Counts
    survival: Floats
    low: Floats
    high: Floats
    n: int
    last: float

    def at(self, seconds: float) -> float | None:
        """Return the share left just after a time; None beyond what anyone was watched for, unless none is left."""
        return self._at(self.survival, seconds)

    def interval_at(self, seconds: float) -> tuple[float, float] | None:
        """Return the interval of `at`; None where that is None or where the interval is undefined."""
        low, high = self._at(self.low, seconds), self._at(self.high, seconds)
        return None if low is None or high is None or math.isnan(low) or math.isnan(high) else (low, high)

    def median(self) -> float | None:
        """Return the time by which the event has happened to half; None when that was not reached."""
        return self.quantile(HALF)

    def quantile(self, share: float) -> float | None:
        """Return the first time by which the event has happened to a share; None when that was not reached."""
        return self._first(self.survival, share)

    def quantile_interval(self, share: float) -> tuple[float | None, float | None]:
        """Return the interval of `quantile`; an end is None when the data do not bound it.

        References
        ----------
        Brookmeyer and Crowley (1982), Biometrics 38, 29-41, on the transformed scale of `low` and `high`.
        """
        # where nobody is left the interval is undefined, but the time has certainly come
        high = np.where(np.isnan(self.high), self.survival, self.high)
        low = np.where(np.isnan(self.low), self.survival, self.low)
        return self._first(low, share), self._first(high, share)

    def _at(self, values: Floats, seconds: float) -> float | None:
        gone = len(self.survival) > 0 and self.survival[-1] == 0
        if not self.n or (seconds > self.last and not gone):
            return None
        place = int(np.searchsorted(self.times, seconds, side="right")) - 1
        return 1.0 if place < 0 else float(values[place])

    def _first(self, left: Floats, share: float) -> float | None:
        if not 0 < share < 1:
            raise ValueError(f"share = {share}: expected a share between 0 and 1, such as 0.5 for the median")
        reached = np.flatnonzero(left <= 1 - share + _ROUNDING)
        return float(self.times[reached[0]]) if len(reached) else None


def kaplan_meier(seconds: Floats, happened: NDArray[np.bool_], *, confidence: float = 0.95) -> SurvivalCurve:
    """Estimate the share that the event has not happened to, from times of which some are censored.

    Parameters
    ----------
    seconds : time from the start to the event or, without it, for how long one was watched; 0 or more, shape (n,).
    happened : whether the event ended it, shape (n,).
    confidence : of the pointwise intervals, which are Greenwood's on the scale of log(-log), so never leave 0 to 1.

    Returns
    -------
    SurvivalCurve
        Of no times for nobody, or when the event happened to nobody.

    Raises
    ------
    ValueError
        A time that is negative or not a number, shapes that differ, a confidence outside 0 to 1.

    References
    ----------
    Kaplan and Meier (1958), JASA 53, 457-481; Greenwood (1926); the scale: Kalbfleisch and Prentice (1980).
    """
    seconds, happened = _checked(seconds, happened)
    times, events, at_risk = _table(seconds, happened)
    last = float(seconds.max()) if len(seconds) else math.nan
    return curve(times, at_risk, events, n=len(seconds), last=last, confidence=confidence)


def curve(
    times: Floats, at_risk: Counts, events: Counts, *, n: int, last: float, confidence: float = 0.95
) -> SurvivalCurve:
    """Return the curve of counts that have been made already; the parts are those of `SurvivalCurve`.

    Raises
    ------
    ValueError
        A confidence outside 0 to 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence = {confidence}: expected a share between 0 and 1, such as 0.95")
    survival = np.asarray(np.cumprod(1 - events / at_risk), dtype=np.float64)
    variance = greenwood(events, at_risk)
    z = float(ndtri(HALF + confidence / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(survival)
        reach = np.exp(z * np.sqrt(variance) / np.abs(log))
        low, high = survival**reach, survival ** (1 / reach)
    undefined = survival == 0
    return SurvivalCurve(
        times=times,
        at_risk=at_risk,
        events=events,
        survival=survival,
        low=np.where(undefined, np.nan, low),
        high=np.where(undefined, np.nan, high),
        n=n,
        last=last,
    )


def greenwood(events: Counts, at_risk: Counts) -> Floats:
    """Return the running sum d / (n (n - d)): the variance of log survival; infinite once nobody is left."""
    left = at_risk - events
    terms = np.full(len(events), np.inf)
    np.divide(events, at_risk * left.astype(np.float64), out=terms, where=left > 0)
    return np.cumsum(terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRank:
    """Whether groups differ in how soon the event happens.

    observed, expected : events per group, and how many there would be if the groups did not differ.
    statistic, p_value : None, with `reason`, where there is nothing to compare.
    """

    groups: tuple[str, ...]
    observed: tuple[int, ...]
    expected: tuple[float, ...]
    statistic: float | None
    degrees_of_freedom: int
    p_value: float | None
    reason: str | None = None


def log_rank(seconds: Floats, happened: NDArray[np.bool_], group: NDArray[np.integer], names: Sequence[str]) -> LogRank:
    """Test whether the event comes equally soon in all groups; exact with ties (hypergeometric variance).

    Parameters
    ----------
    seconds, happened : as for `kaplan_meier`.
    group : each one's place in `names`, shape (n,); below 0 is left out.

    References
    ----------
    Mantel (1966), Cancer Chemotherapy Reports 50; Peto and Peto (1972), JRSS A 135.
    """
    kept = np.asarray(group) >= 0
    seconds, happened = _checked(np.asarray(seconds)[kept], np.asarray(happened)[kept])
    codes = np.asarray(group)[kept]
    times, _, _ = _table(seconds, happened)
    # a column per group: how many are at risk at each time at which anything happens, and to how many it does
    risk, died = np.zeros((len(times), len(names))), np.zeros((len(times), len(names)))
    for place in range(len(names)):
        own = codes == place
        ordered = np.sort(seconds[own])
        risk[:, place] = len(ordered) - np.searchsorted(ordered, times, side="left")
        died[:, place] = np.bincount(np.searchsorted(times, seconds[own & happened]), minlength=len(times))
    observed = tuple(int(count) for count in died.sum(axis=0))
    n, d = risk.sum(axis=1), died.sum(axis=1)
    share = risk / np.maximum(n, 1)[:, None]
    expected = (share * d[:, None]).sum(axis=0)
    spread = d * np.divide(n - d, n - 1, out=np.zeros(len(n)), where=n > 1)
    compared = int(((share * (1 - share) * spread[:, None]).sum(axis=0) > _ROUNDING).sum())
    shown = tuple(float(value) for value in expected)
    if compared < 2:
        return LogRank(
            groups=tuple(names),
            observed=observed,
            expected=shown,
            statistic=None,
            degrees_of_freedom=0,
            p_value=None,
            reason="fewer than two groups were at risk together while the event happened",
        )
    covariance = np.diag((share * spread[:, None]).sum(axis=0)) - (share * spread[:, None]).T @ share
    difference = np.array(observed) - expected
    # singular, since the differences add up to 0: its rank is one less than the number of groups
    statistic = float(difference @ np.linalg.pinv(covariance, hermitian=True) @ difference)
    rank = int(np.linalg.matrix_rank(covariance, hermitian=True))
    return LogRank(
        groups=tuple(names),
        observed=observed,
        expected=shown,
        statistic=statistic,
        degrees_of_freedom=rank,
        p_value=float(chdtrc(rank, statistic)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedLogRank:
    """Two groups compared; `adjusted_p_value` allows for the number of pairs (Holm). None where undefined."""

    one: str
    other: str
    statistic: float | None
    p_value: float | None
    adjusted_p_value: float | None
    reason: str | None


def pairwise_log_rank(
    seconds: Floats, happened: NDArray[np.bool_], group: NDArray[np.integer], names: Sequence[str]
) -> tuple[PairedLogRank, ...]:
    """Compare every two groups; the p-values are adjusted together by Holm's method."""
    codes = np.asarray(group)
    tests = {}
    for one in range(len(names)):
        for other in range(one + 1, len(names)):
            pair = np.select([codes == one, codes == other], [0, 1], -1)
            tests[one, other] = log_rank(seconds, happened, pair, (names[one], names[other]))
    defined = {pair: test.p_value for pair, test in tests.items() if test.p_value is not None}
    adjusted = dict(zip(defined, multiplicity.holm(list(defined.values())).tolist(), strict=True))
    return tuple(
        PairedLogRank(
            one=names[one],
            other=names[other],
            statistic=test.statistic,
            p_value=test.p_value,
            adjusted_p_value=adjusted.get((one, other)),
            reason=test.reason,
        )
        for (one, other), test in tests.items()
    )


def _checked(seconds: Floats, happened: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    seconds, happened = np.asarray(seconds, dtype=np.float64), np.asarray(happened, dtype=np.bool_)
    if seconds.ndim != 1 or seconds.shape != happened.shape:
        raise ValueError(f"shapes {seconds.shape} and {happened.shape}: expected one time and one mark for each")
    wrong = int((~(seconds >= 0) | np.isinf(seconds)).sum())
    if wrong:
        raise ValueError(f"{wrong} of {len(seconds)} times are negative, infinite or not a number; expected 0 or more")
    return seconds, happened


def _table(seconds: Floats, happened: NDArray[np.bool_]) -> tuple[Floats, Counts, Counts]:
    """Return the distinct times of events, the events at each, and how many were watched just before each."""
    times, events = np.unique(seconds[happened], return_counts=True)
    at_risk = len(seconds) - np.searchsorted(np.sort(seconds), times, side="left")
    return times, events.astype(np.int64), at_risk.astype(np.int64)
