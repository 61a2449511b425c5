"""Charge-offs, defaults and complaints by a horizon, from customers many of whom have not got that far yet.

Counting those who have not had the time as if they had understates every rate, and calls a variant worse that only
moves events earlier; leaving them out waits for months. Kaplan-Meier uses each customer for the days they were
watched. All it needs is, for each day since exposure, how many were watched that day and to how many it happened.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.numerics import survival
from engine.numerics.survival import SurvivalCurve
from experiments import effects
from experiments.effects import ALPHA, SMALL, Effect
from experiments.estimates import ArmEstimate
from experiments.exact import Counts

FEWEST: Final = 10
"""Customers who must have been watched to the horizon without the event for the rate by then to be told."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DailyCounts:
    """The days of one arm since exposure; day 0 is the first 24 hours.

    at_risk : customers watched for the whole of each day to whom the event had not happened before, shape (days,).
    events : to how many of them it happened that day, shape (days,).
    n : all customers of the arm, also those not watched for one whole day.
    """

    at_risk: Ints
    events: Ints
    n: int

    @classmethod
    def of_ends(cls, happened: ArrayLike, unfinished: ArrayLike) -> DailyCounts:
        """Make the counts from how customers' histories end; sums of rows in a backend.

        happened : customers whose event came on each day, that day being over for them, shape (days,).
        unfinished : customers without it, by the number of whole days they were watched, shape (days + 1,): the first
            is those watched for less than a day, the last those watched for the whole horizon or longer.
        """
        events, ends = np.asarray(happened, dtype=np.int64), np.asarray(unfinished, dtype=np.int64)
        if ends.shape != (len(events) + 1,):
            raise ValueError(f"{len(events)} days of events and {len(ends)} of ends: expected one end more than days")
        n = int(events.sum() + ends.sum())
        gone = np.concatenate(([0], np.cumsum(events)[:-1])) if len(events) else events
        return cls(at_risk=n - gone - np.cumsum(ends[:-1]), events=events, n=n)

    @classmethod
    def of_customers(cls, event_day: ArrayLike, watched_days: ArrayLike, horizon_days: int) -> DailyCounts:
        """Make the counts from customers.

        event_day : days from exposure to the event, nan without one, shape (n,).
        watched_days : days from exposure to as_of, shape (n,), also of accounts that were closed or paid back before:
            those can have no event any more, and to stop watching them would overstate the rate. An event on a day
            that is not over does not count yet: those to whom it will still happen that day are not known either.
        """
        when = np.floor(np.asarray(event_day, dtype=np.float64))
        watched = np.minimum(np.floor(np.asarray(watched_days, dtype=np.float64)), horizon_days)
        seen = when < watched
        happened = np.bincount(when[seen].astype(np.int64), minlength=horizon_days)
        unfinished = np.bincount(watched[~seen].astype(np.int64), minlength=horizon_days + 1)
        return cls.of_ends(happened, unfinished)

    def __add__(self, other: DailyCounts) -> DailyCounts:
        """Return the counts of both together; raises ValueError when they do not span the same days."""
        if len(self.events) != len(other.events):
            raise ValueError(f"counts of {len(self.events)} and of {len(other.events)} days do not add up")
        return DailyCounts(at_risk=self.at_risk + other.at_risk, events=self.events + other.events, n=self.n + other.n)

    def until(self, horizon_days: int) -> DailyCounts:
        """Return the counts of the days before a horizon; raises ValueError when they do not reach it."""
        if not 0 < horizon_days <= len(self.events):
            raise ValueError(f"horizon_days = {horizon_days}: expected 1 to {len(self.events)}, the days counted")
        return replace(self, at_risk=self.at_risk[:horizon_days], events=self.events[:horizon_days])

    @property
    def is_complete(self) -> bool:
        """Whether everyone was watched until the event or until the last day: nothing is left to wait for."""
        left = np.concatenate(([self.n], self.at_risk - self.events))
        return bool((self.at_risk == left[:-1]).all())


def curve(counts: DailyCounts, *, confidence: float = 0.95) -> SurvivalCurve:
    """Return the share without the event by days since exposure, with Greenwood's intervals on the log-log scale."""
    days = np.flatnonzero(counts.events)
    watched = np.flatnonzero(counts.at_risk)
    return survival.curve(
        (days + 1).astype(np.float64),  # an event of day 0 has happened by the end of it, after one day
        counts.at_risk[days],
        counts.events[days],
        n=counts.n,
        last=float(watched[-1] + 1) if len(watched) else nan,
        confidence=confidence,
    )


def rate(counts: DailyCounts, horizon_days: int) -> ArmEstimate | None:
    """Estimate the share to whom the event happens within the horizon, by Kaplan-Meier with Greenwood's variance.

    None when fewer than `FEWEST` customers were watched to the horizon without it.
    """
    days = counts.until(horizon_days)
    if days.at_risk[-1] - days.events[-1] < FEWEST:
        return None
    left = float(np.prod(1 - days.events / days.at_risk))
    spread = float(survival.greenwood(days.events, days.at_risk)[-1])
    return ArmEstimate(value=1 - left, variance=left**2 * spread, n=counts.n)


def compare(variant: DailyCounts, control: DailyCounts, horizon_days: int, *, alpha: float = ALPHA) -> Effect:
    """Compare the rates by a horizon of two arms while customers still mature.

    With fewer than `SMALL` events in an arm the normal approximation is not trusted: counts of arms that are complete
    are tested exactly, and of others nothing is said yet.
    """
    arms = variant.until(horizon_days), control.until(horizon_days)
    if all(arm.n and arm.is_complete for arm in arms):
        counts = Counts(
            successes=int(arms[0].events.sum()),
            n=variant.n,
            control_successes=int(arms[1].events.sum()),
            control_n=control.n,
        )
        if counts.smallest < SMALL:
            return effects.of_counts(counts, "fisher", alpha=alpha)
    one, other = rate(variant, horizon_days), rate(control, horizon_days)
    if one is None or other is None:
        return Effect(method="kaplan_meier", reason=_too_soon(horizon_days))
    if min(int(arm.events.sum()) for arm in arms) < SMALL:
        few = f"fewer than {SMALL} events in a group, and customers who still mature"
        return Effect(method="kaplan_meier", reason=few)
    return effects.contrast(one, other, method="kaplan_meier", alpha=alpha)


def _too_soon(horizon_days: int) -> str:
    return f"fewer than {FEWEST} customers in a group have been watched for {horizon_days} days without the event"
