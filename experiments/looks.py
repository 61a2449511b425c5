"""Judge an effect at a look: what it takes to call it when the experiment is looked at more than once.

Three designs answer the same two questions (which critical value now, which p-value now), so that every interval,
p-value and verdict of an experiment comes from one of them:

- `AnyTime` holds at every moment at once. It needs no plan and is the default: whoever looks daily is safe.
- `Planned` spends the error along a plan of looks: more power, for those who keep to the plan.
- `Fixed` is the plain test. It holds at one look at the planned end, and only there.

Intervals redrawn at the critical value are the repeated confidence intervals of the design; absolute and relative
interval use one critical value and give one verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, inf, log, sqrt
from typing import Final, Literal, Protocol

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri

from engine.config.experiments import LookSettings
from experiments import effects, sequential
from experiments.effects import ALPHA, Effect, OneSided, Side

Design = Literal["fixed", "planned", "any_time"]

TIGHTEST_AT: Final = 5_000
"""Units of all arms at which the always valid interval is tightest unless a plan says how many there will be."""

TOO_EARLY = "it is too early: this look may not call anything yet"

_HIGHEST: Final = 0.98  # p-values above it are reported as 1; nothing is decided up there
_FAR: Final = 12.0  # standard errors; what `sequential.bounds` takes for never


class Looks(Protocol):
    """How often an experiment may be looked at, and what that costs at the present look."""

    @property
    def design(self) -> Design:
        """Which of the three it is."""

    def critical(self, alpha: float, sides: int = 2) -> float:
        """Return how many standard errors an effect must be from none to be called now; inf when none may be."""

    def p_value(self, raw: float, sides: int = 2) -> float:
        """Return the smallest alpha at which an effect with this p-value of the plain test would be called now."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """One look, at the planned end."""

    @property
    def design(self) -> Design:
        """The plain test."""
        return "fixed"

    def critical(self, alpha: float, sides: int = 2) -> float:
        """Return the normal critical value."""
        return float(-ndtri(alpha / sides))

    def p_value(self, raw: float, sides: int = 2) -> float:
        """Return the p-value as it is."""
        return raw


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyTime:
    """Looked at whenever one likes, for as long as one likes: an asymptotic confidence sequence.

    units : units of the two arms so far.
    tightest_at : units at which the interval is tightest, chosen before the start; a design that moves it along with
        the data is not valid.
    tuned_for : alpha for which it is tightest there. Other levels use the same sequence, so that intervals of several
        levels lie within one another.

    References
    ----------
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Annals of Statistics 52; Howard, Ramdas, McAuliffe and
    Sekhon (2021), Annals of Statistics 49, for the one-sided bound.
    """

    units: int
    tightest_at: int = TIGHTEST_AT
    tuned_for: float = ALPHA

    @property
    def design(self) -> Design:
        """Always valid."""
        return "any_time"

    def critical(self, alpha: float, sides: int = 2) -> float:
        """Return the boundary of the normal mixture at this many units, in standard errors."""
        if not self.units:
            return inf
        return sequential.mixture_bound(self.units, alpha, self._precision(sides), sides=sides) / sqrt(self.units)

    def p_value(self, raw: float, sides: int = 2) -> float:
        """Return 1 over the mixture's likelihood ratio, at most 1: the boundary solved for alpha."""
        if not self.units:
            return 1.0
        precision = self._precision(sides)
        whole = self.units + precision
        z = _statistic(raw, sides)
        if not z < inf:
            return 0.0
        growth = z**2 * self.units / (2 * whole)
        if sides == 2:
            return min(1.0, exp(0.5 * log(whole / precision) - growth))
        tail = float(log_ndtr(z * sqrt(self.units / whole)))
        return min(1.0, exp(min(0.5 * log(whole / (4 * precision)) - growth - tail, 0.0)))

    def _precision(self, sides: int) -> float:
        return sequential.mixture_precision(self.tightest_at, self.tuned_for, sides=sides)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Looks of a plan, of which the last one given is now.

    information : at every look so far, in any unit (units, or inverse squared standard errors), rising. It sets how
        much the looks have in common, and may run ahead of the plan or behind it.
    spent_at : share of the plan behind each look, 0 to 1, by which the error is spent; 1 at the final look.

    Both empty: no look is due yet.
    """

    spending: Literal["obrien_fleming", "pocock", "power"] = "obrien_fleming"
    exponent: float = 2.0
    information: tuple[float, ...]
    spent_at: tuple[float, ...]

    @property
    def design(self) -> Design:
        """Alpha spending."""
        return "planned"

    @property
    def look(self) -> int:
        """The number of the present look; 0 before the first."""
        return len(self.information)

    @property
    def final(self) -> bool:
        """Whether all of the error is spent by now."""
        return bool(self.spent_at) and self.spent_at[-1] >= 1

    def critical(self, alpha: float, sides: int = 2) -> float:
        """Return the bound of the present look."""
        return self.bounds(alpha, sides)[-1] if self.information else inf

    def bounds(self, alpha: float, sides: int = 2) -> tuple[float, ...]:
        """Return the bounds of all looks so far."""
        return _solved(self, alpha, sides)

    def p_value(self, raw: float, sides: int = 2) -> float:
        """Return the repeated p-value: the alpha whose bound at this look is the statistic.

        References
        ----------
        Jennison and Turnbull (2000), Group Sequential Methods, section 9.5.
        """
        if not self.information:
            return 1.0
        z = min(_statistic(raw, sides), _FAR)
        lowest = _statistic(_HIGHEST, sides)

        def short_by(quantile: float) -> float:
            # a bound that is infinite lies beyond any statistic, the largest ones included
            return min(self.critical(sides * float(ndtr(-quantile)), sides), _FAR + 1) - z

        if z <= lowest or short_by(lowest) >= 0:
            return 1.0
        if short_by(z) <= 0:
            return raw  # the only look so far has spent everything
        # looking more than once never makes a p-value smaller, so that the plain one is an end of the search
        return sides * float(ndtr(-float(brentq(short_by, lowest, z, xtol=1e-9, rtol=1e-12))))


ONCE: Final = Fixed()
"""The plain test, valid at the planned end."""


def of_plan(
    plan: LookSettings | None,
    *,
    units: int,
    day: int,
    planned_units: int | None = None,
    units_by_day: Sequence[int] = (),
    ended: bool = False,
    alpha: float = ALPHA,
) -> Looks:
    """Return the design of the present look.

    Parameters
    ----------
    plan : None for an experiment that states no looks: then it is safe to look at any time.
    units, planned_units : of all arms so far, and at the end of the plan; without the latter, calendar days count.
    day : days since the start, 1 on the first day.
    units_by_day : units so far at the end of each day until today; without it they are taken to come in evenly.
    ended : the experiment was ended for a reason that is not its results, so that this is the last look.

    Daily looks are taken to have happened on each day of the plan, and one at or after its end. Between two looks of
    a plan by shares, the earlier one is taken to happen now. Several looks after the end are more than was planned.
    """
    if plan is None:
        return AnyTime(units=units, tightest_at=planned_units or TIGHTEST_AT, tuned_for=alpha)
    looks = _daily(plan, units, day, planned_units, units_by_day) if plan.shares == "daily" else None
    if looks is None:
        done = units / planned_units if planned_units else day / plan.days
        shares = [float(share) for share in plan.shares if not isinstance(share, str)]
        due = [share for share in [*shares, 1.0] if share <= done + 1e-9]
        looks = [(share, share) for share in due[:-1] if share < 1] + [(done, done)] if due else []
    rising = [
        (known, min(share, 1.0))
        for place, (known, share) in enumerate(looks)
        if known > 0 and all(known < later for later, _ in looks[place + 1 :])
    ]
    if ended and rising:
        rising[-1] = rising[-1][0], 1.0
    return Planned(
        spending=plan.spending,
        exponent=plan.exponent,
        information=tuple(known for known, _ in rising),
        spent_at=tuple(share for _, share in rising),
    )


def at_look(effect: Effect, looks: Looks, alpha: float = ALPHA) -> Effect:
    """Return the effect as it may be called now: both intervals and the p-value of the design.

    Takes the plain effect of `experiments.effects`; its p-value is below alpha exactly when both intervals leave out 0.
    When nothing may be called yet the intervals are None, with the reason.
    """
    if effect.p_value is None:
        return effect
    p_value = looks.p_value(effect.p_value)
    critical = looks.critical(alpha)
    if critical == inf:
        return replace(without_intervals(effect, TOO_EARLY), p_value=p_value)
    return replace(at_level(effect, 2 * float(ndtr(-critical))), p_value=p_value)


def at_level(effect: Effect, level: float) -> Effect:
    """Return the plain effect with intervals of confidence 1 - level, on Student's t where it has degrees of freedom.

    A critical value of many looks is carried to small samples by its two-sided level.
    """
    degrees = inf if effect.degrees is None else effect.degrees
    return effects.redraw(effect, effects.critical_value(level, degrees))


def without_intervals(effect: Effect, reason: str) -> Effect:
    """Return the effect with no bounds at all, and why."""
    return replace(effect, lower=None, upper=None, relative_lower=None, relative_upper=None, reason=reason)


def one_sided(
    effect: Effect, side: Side, looks: Looks, *, margin: float = 0.0, relative: bool = False, alpha: float = ALPHA
) -> OneSided:
    """Test at this look whether the variant is beyond control + margin on one side only, as guardrails ask.

    The bound is the one-sided repeated (or always valid) bound; all error is spent on the one side.
    """
    critical = looks.critical(alpha, sides=1)
    level = alpha if critical == inf else float(ndtr(-critical))
    found = effects.one_sided(effect, side, margin=margin, relative=relative, alpha=level)
    if found.p_value is None:
        return found
    found = replace(found, p_value=looks.p_value(found.p_value, sides=1))
    return replace(found, bound=None, reason=TOO_EARLY) if critical == inf else found


def _daily(
    plan: LookSettings, units: int, day: int, planned_units: int | None, units_by_day: Sequence[int]
) -> list[tuple[float, float]]:
    """Return the information and the share of the plan at the end of each day, and now."""
    if len(units_by_day) not in (0, day):
        raise ValueError(f"units_by_day: day {day} needs {day} counts, got {len(units_by_day)}")
    known = [float(count) for count in units_by_day] or [units * passed / day for passed in range(1, day + 1)]
    shares = [
        count / planned_units if planned_units else passed / plan.days for passed, count in enumerate(known, start=1)
    ]
    # when the days of the plan have passed, the look is the last one however many units came
    final = 1.0 if day >= plan.days else shares[-1]
    earlier = [(count, share) for count, share in zip(known[:-1], shares[:-1], strict=True) if share < 1]
    return [*earlier[: plan.days - 1], (known[-1], final)]


def _statistic(raw: float, sides: int) -> float:
    """Return the normal statistic that has this p-value, in absolute value for two sides."""
    return float(-ndtri(raw / sides))


@lru_cache(maxsize=512)
def _solved(plan: Planned, alpha: float, sides: int) -> tuple[float, ...]:
    spend = _spending(plan, alpha, sides)
    spent = [spend(share) for share in plan.spent_at]
    times = [known / plan.information[-1] for known in plan.information]
    found = sequential.bounds(times, spent, None if sides == 2 else np.zeros(len(spent)))
    return tuple(float(bound) for bound in found.upper)


def _spending(plan: Planned, alpha: float, sides: int) -> sequential.Spending:
    if plan.spending == "obrien_fleming":
        return sequential.obrien_fleming(alpha, sides=sides)
    return sequential.pocock(alpha) if plan.spending == "pocock" else sequential.power(alpha, plan.exponent)
