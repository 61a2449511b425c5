"""Check the rules of a journey on every customer whom they concern, and keep the evidence of each breach.

A rule is checked once per customer: at the attempt that counts for the kinds that name steps (`mandatory`, `absent`),
at every event for the others, where the first breach is the finding. Events of one instant are in no order: an event
at the instant of a step is before it, and is not between two steps. What may yet be put right at as_of is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.config.journeys import RuleSettings
from journeys.attempts import MISSING, Attempts
from journeys.histories import Codes, Histories, Ints
from journeys.signals import later_instant, next_marked, reaches
from journeys.spec import Funnel, Step

Bools = NDArray[np.bool_]

_DAY: Final = 86_400_000_000  # microseconds


class Breach(StrEnum):
    """How a rule was broken."""

    SKIPPED = "skipped"
    """What had to happen never did."""

    WRONG_ORDER = "wrong_order"
    """It happened, but only afterwards."""

    EXPIRED = "expired"
    """It had happened, but too long before."""

    TOO_LATE = "too_late"
    """It followed, but after the time allowed."""

    FORBIDDEN = "forbidden"
    """It happened and must not."""


BREACHES: Final = tuple(Breach)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checked:
    """One rule on many customers.

    customer : places of the customers whom it concerns, each once, sorted, shape (n,).
    breach : how it was broken, as a place in `BREACHES`; -1 where it was not, shape (n,).
    at : microseconds at which the breach became a fact; `MISSING` where there is none, shape (n,).
    n_open : customers whom it concerns for whom it is not decided, since it may yet be met or since what was due lies
        before the log begins; not among the rows.
    """

    customer: Codes
    breach: Codes
    at: Ints
    n_open: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when to when the log tells what happened, in microseconds. Nothing in the histories is later than as_of."""

    begins: int
    as_of: int


def check(histories: Histories, attempts: Attempts, funnel: Funnel, rule: RuleSettings, span: Span) -> Checked:
    """Check one rule.

    `attempts` are those at the funnel. Their rows must be rows of these histories, in which the events are that no
    step names, too.
    """
    return _CHECKS[rule.kind](histories, attempts, funnel, rule, span)


def as_step(rule: RuleSettings) -> Step:
    """Return the events of a rule as a step."""
    return Step(name=rule.rule, events=rule.events, where=rule.where)


def _mandatory(histories: Histories, attempts: Attempts, funnel: Funnel, rule: RuleSettings, span: Span) -> Checked:
    step = _place(funnel, rule.before)
    came = np.flatnonzero(attempts.row[:, step] >= 0)
    return _needs_before(histories, attempts.customer[came], attempts.row[came, step], rule, span)


def _precedes(histories: Histories, attempts: Attempts, funnel: Funnel, rule: RuleSettings, span: Span) -> Checked:
    then = np.flatnonzero(reaches(histories, Step(name="", events=rule.then or ())))
    return _needs_before(histories, histories.owners()[then], then, rule, span)


def _needs_before(histories: Histories, customer: Codes, rows: Ints, rule: RuleSettings, span: Span) -> Checked:
    """Check that each of these events had one of the rule's at or before its instant.

    Where it is valid for some time, the log must reach back as far to say that there was none. Without, the log is
    taken for the whole past.
    """
    needed = np.flatnonzero(reaches(histories, as_step(rule)))
    until = later_instant(histories)[rows] - 1
    place = np.searchsorted(needed, until, side="right") - 1
    before = np.append(needed, -1)[place]
    begins, ends = histories.starts[customer], histories.starts[customer + 1]
    had = (before >= begins) & (place >= 0)
    afterwards = next_marked(needed, until + 1)
    comes = (afterwards >= 0) & (afterwards < ends)
    breach = np.where(comes, BREACHES.index(Breach.WRONG_ORDER), BREACHES.index(Breach.SKIPPED))
    breach = np.where(had, -1, breach)
    unseen = np.zeros(len(rows), dtype=np.bool_)
    if rule.valid_days is not None:
        valid = round(rule.valid_days * _DAY)
        old = had & (histories.at[rows] - histories.at[before] > valid)
        breach = np.where(old, BREACHES.index(Breach.EXPIRED), breach)
        unseen = (breach >= 0) & (histories.at[rows] - valid < span.begins)
        breach = np.where(unseen, -1, breach)
    return _first_breaches(customer, breach, histories.at[rows], unseen)


def _within(histories: Histories, attempts: Attempts, funnel: Funnel, rule: RuleSettings, span: Span) -> Checked:
    begun = np.flatnonzero(reaches(histories, as_step(rule)))
    customer = histories.owners()[begun]
    then = np.flatnonzero(reaches(histories, Step(name="", events=rule.then or ())))
    # at the same instant or later
    answer = next_marked(then, _first_of_instant(histories)[begun])
    answered = (answer >= 0) & (answer < histories.starts[customer + 1])
    deadline = histories.at[begun] + round((rule.days or 0) * _DAY)
    late = answered & (histories.at[np.maximum(answer, 0)] > deadline)
    is_open = ~answered & (deadline >= span.as_of)
    never = ~answered & ~is_open
    breach = np.where(late, BREACHES.index(Breach.TOO_LATE), np.where(never, BREACHES.index(Breach.SKIPPED), -1))
    return _first_breaches(customer, breach, deadline, is_open)


def _absent(histories: Histories, attempts: Attempts, funnel: Funnel, rule: RuleSettings, span: Span) -> Checked:
    first = 0 if rule.after is None else _place(funnel, rule.after)
    came = np.flatnonzero(attempts.row[:, first] >= 0)
    customer, begins = attempts.customer[came], attempts.row[came, first]
    last = len(funnel.steps) - 1 if rule.before is None else _place(funnel, rule.before)
    reached = attempts.row[came, last]
    # up to the instant of the last step; without it, as long as the attempt may go on
    limit = np.minimum(attempts.at[came, 0] + round(funnel.window_seconds * 1e6), span.as_of)
    before = np.where(reached >= 0, _first_of_instant(histories)[reached], histories.starts[customer + 1])
    forbidden = np.flatnonzero(reaches(histories, as_step(rule)))
    met = next_marked(forbidden, later_instant(histories)[begins])
    at = histories.at[np.maximum(met, 0)]
    broken = (met >= 0) & (met < before) & ((reached >= 0) | (at <= limit))
    undecided = ~broken & (reached < 0) & (attempts.open_until[came] >= span.as_of)
    breach = np.where(broken, BREACHES.index(Breach.FORBIDDEN), -1)
    return _first_breaches(customer, breach, at, undecided)


_CHECKS: Final[dict[str, Callable[[Histories, Attempts, Funnel, RuleSettings, Span], Checked]]] = {
    "mandatory": _mandatory,
    "precedes": _precedes,
    "within": _within,
    "absent": _absent,
}


def _first_breaches(customer: Codes, breach: Ints, at: Ints, is_open: Bools) -> Checked:
    """Keep one row per customer, who come sorted: the first breach; decided if there is any, or if nothing is open."""
    if not len(customer):
        none = np.zeros(0, dtype=np.int64)
        return Checked(customer=customer, breach=none.astype(np.int32), at=none, n_open=0)
    broken = breach >= 0
    order = np.lexsort((at, ~broken, customer))
    first = order[np.concatenate([[True], customer[order][1:] != customer[order][:-1]])]
    undecided = np.zeros(int(customer[-1]) + 1, dtype=np.bool_)
    undecided[customer[is_open]] = True
    kept = broken[first] | ~undecided[customer[first]]
    rows = first[kept]
    return Checked(
        customer=customer[rows],
        breach=breach[rows].astype(np.int32),
        at=np.where(broken[rows], at[rows], MISSING),
        n_open=int((~kept).sum()),
    )


def _first_of_instant(histories: Histories) -> Ints:
    """Return, for every event, the first row of its instant."""
    after = later_instant(histories)
    new = np.concatenate([[True], after[1:] != after[:-1]])[: len(after)]
    place = np.maximum.accumulate(np.where(new, np.arange(len(after)), 0))
    return np.asarray(place, dtype=np.int64)


def _place(funnel: Funnel, name: str | None) -> int:
    return [step.name for step in funnel.steps].index(name or "")


def concerned(rules: Sequence[RuleSettings]) -> tuple[str, ...]:
    """Return the names of the events that rules read beside those of the steps, sorted."""
    return tuple(sorted({name for rule in rules for name in (*rule.events, *(rule.then or ()))}))
