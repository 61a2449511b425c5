"""The share to which nothing has happened yet, over time, when some have not been watched long enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survival:
    """The Kaplan-Meier curve: one place per different time at which something happened, ascending.

    at : times, in the unit of what was given.
    at_risk, events : who had not had it just before that time and was still watched, and to whom it happened then.
    share : the share to whom it has not happened by that time, that time included; 1 before the first.
    lower, upper : its interval, by Greenwood's variance on the log-minus-log scale; nan where the share is 0.
    n, n_events : how many were watched, and to how many it happened.
    """

    at: Floats
    at_risk: Whole
    events: Whole
    share: Floats
    lower: Floats
    upper: Floats
    n: int
    n_events: int

    def share_at(self, times: ArrayLike) -> Floats:
        """Return the share at some times, as long after the last event as asked; nan when nobody was watched."""
        return self._read(self.share, times)

    def interval_at(self, time: float) -> tuple[float, float]:
        """Return the interval at a time; nan where nothing has happened by then, or where all are gone."""
        if not len(self.at) or time < self.at[0]:
            return float("nan"), float("nan")
        return float(self._read(self.lower, [time])[0]), float(self._read(self.upper, [time])[0])

    def median(self) -> float:
        """Return the first time by which it has happened to half or more; nan when the curve does not get there."""
        return self.quantile(0.5)

    def quantile(self, share: float) -> float:
        """Return the first time by which it has happened to a share or more; nan when the curve stays above."""
        # 1 - share in binary may lie a hair below the curve's own value
        reached = np.flatnonzero(self.share <= 1 - share + 1e-12)
        return float(self.at[reached[0]]) if len(reached) else float("nan")

    def _read(self, values: Floats, times: ArrayLike) -> Floats:
        if not self.n:
            return np.full(np.shape(times), np.nan)
        places = np.searchsorted(self.at, np.asarray(times, dtype=np.float64), side="right")
        read: Floats = np.concatenate([[1.0], values])[places]
        return read


def kaplan_meier(times: ArrayLike, happened: ArrayLike, level: float = 0.95) -> Survival:
    """Estimate the curve from how long each was watched and whether it happened then or the watch ended.

    Parameters
    ----------
    times : how long, 0 or more, shape (n,). Who leaves at the very time of an event was still at risk for it.
    happened : true where it happened at that time, false where the watch ended (censored), shape (n,).

    References
    ----------
    Kaplan and Meier (1958), JASA 53; interval: Kalbfleisch and Prentice (1980), The Statistical Analysis of Failure
    Time Data, on the log-minus-log scale, which stays within 0 and 1.
    """
    time = np.asarray(times, dtype=np.float64)
    event = np.asarray(happened, dtype=np.bool_)
    at, counts = np.unique(time[event], return_counts=True)
    at_risk = len(time) - np.searchsorted(np.sort(time), at, side="left")
    share: Floats = np.cumprod(1 - counts / at_risk, dtype=np.float64)
    lower, upper = _log_minus_log(share, at_risk, counts, level)
    return Survival(
        at=at,
        at_risk=at_risk.astype(np.int64),
        events=counts.astype(np.int64),
        share=share,
        lower=lower,
        upper=upper,
        n=len(time),
        n_events=int(counts.sum()),
    )


def _log_minus_log(share: Floats, at_risk: Whole, events: Whole, level: float) -> tuple[Floats, Floats]:
    """Return the ends of the interval of each share; nan where the share is 0."""
    z = float(norm.ppf(1 - (1 - level) / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(events / (at_risk * (at_risk - events)))
        half = z * np.sqrt(greenwood) / -np.log(share)
        lower, upper = share ** np.exp(half), share ** np.exp(-half)
    defined = (share > 0) & (share < 1)
    return np.where(defined, lower, np.nan), np.where(defined, upper, np.nan)
