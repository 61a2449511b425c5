"""Follow every entry of an ordered funnel whose window runs from the first step.

An entry is an instant with an event of the first step. From it a try goes on to each next required step at the
earliest instant that has an event left for it: by hops from instant to instant, a step of the funnel at a time, so
that the work grows in proportion to the steps. Arriving as early as can be, with as few events of that instant used
as can be, never harms what comes after; so one try per entry finds whatever can be found from it.

A later entry that waits at the same instant for the same step has more time ahead: it supersedes the earlier try,
which ends before that instant. (A try that can take its next step at the same instant does not wait.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from journeys import instants as instants_of
from journeys.histories import Codes, Ints
from journeys.instants import NOWHERE, Bools, Instants, Rivals
from journeys.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tries:
    """One try per entry, in order of customer and entry.

    owner, entered_at : customer and microseconds of the entry, shape (n,).
    depth : how many required steps it reached, shape (n,).
    reached : where (an instant) each required step was reached, `NOWHERE` where not, shape (n_required, n).
    live : whether it may still go on, as far as its window lasts, and no later one stands in for it, shape (n,).
    tainted : whether an event that drops the customer hit it, shape (n,).
    shown : the depth at which a tainted try shows, shape (n,).
    over : the instant at which it was completed or an exclusion ended it, `NOWHERE` if neither, shape (n,).
    """

    owner: Codes
    entered_at: Ints
    depth: Codes
    reached: Codes
    live: Bools
    tainted: Bools
    shown: Codes
    over: Codes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Front:
    """The tries that have come as far as some step: which they are, where they stand, what they used of it.

    `used[g]` counts the steps of rivals g that the try has taken at the instant where it stands.
    """

    tries: Ints
    here: Codes
    used: NDArray[np.uint8]

    def keep(self, marks: Bools) -> _Front:
        kept = np.flatnonzero(marks)
        return _Front(tries=self.tries[kept], here=self.here[kept], used=self.used[:, kept])


def follow(instants: Instants, plan: Plan, entries: Codes, *, superseding: bool) -> Tries:
    """Follow every entry (an instant that holds the first step) as far as it goes."""
    levels, n = plan.levels, len(entries)
    rivals = instants_of.rivals(instants, levels)
    reached = np.full((len(levels), n), NOWHERE, dtype=np.int32)
    depth, shown = np.ones(n, dtype=np.int32), np.zeros(n, dtype=np.int32)
    over, tainted = np.full(n, NOWHERE, dtype=np.int32), np.zeros(n, dtype=np.bool_)
    live = np.ones(n, dtype=np.bool_)
    reached[0] = entries
    entered_at = instants.at[entries]
    limit = entered_at + plan.window
    used = _use(rivals, levels[0], np.zeros((len(rivals), n), dtype=np.uint8))
    front = _Front(tries=np.arange(n), here=entries, used=used)
    for level in range(1, len(levels)):
        onward, came = _next_step(instants, rivals, levels[level], front, limit)
        until = np.where(came, onward.here, np.int32(len(instants)))
        stopped, stopped_at, drops = _excluded(instants, plan, level, front, until=until, limit=limit)
        if superseding:
            superseded = _superseded(front.here, onward.here)
            came &= ~superseded
            stopped &= ~superseded
            ended = front.tries[superseded]
            depth[ended], reached[level - 1, ended], live[ended] = level - 1, NOWHERE, False
        ended = front.tries[stopped]
        over[ended], tainted[ended], shown[ended] = stopped_at[stopped], drops[stopped], level + came[stopped]
        front = onward.keep(came & ~stopped)
        reached[level, front.tries] = front.here
        depth[front.tries] = level + 1
    live &= (over == NOWHERE) & (depth < len(levels))
    over[front.tries] = front.here
    return Tries(
        owner=instants.owner[entries],
        entered_at=entered_at,
        depth=depth,
        reached=reached,
        live=live,
        tainted=tainted,
        shown=shown,
        over=over,
    )


def _use(rivals: list[Rivals], kind: int, used: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what is used at an instant once a step of a kind has been taken there as well."""
    takes = np.array([kind in group.kinds for group in rivals], dtype=np.uint8).reshape(-1, 1)
    return used + takes


def _next_step(instants: Instants, rivals: list[Rivals], kind: int, front: _Front, limit: Ints) -> tuple[_Front, Bools]:
    """Return where each try goes for a step of a kind, and whether it comes there by its limit in time."""
    holding = instants.hold((kind,))
    places = instants_of.marked(holding)
    competing = [number for number, group in enumerate(rivals) if kind in group.kinds]
    if competing:
        more = _use(rivals, kind, front.used)
        stays = holding[front.here]
        for number in competing:
            stays &= more[number] <= rivals[number].served[front.here]
        there = np.where(stays, front.here, places.after(front.here))
        used = np.where(stays, more, _use(rivals, kind, np.zeros_like(front.used)))
    else:
        there = places.from_(front.here)
        used = np.where(there == front.here, front.used, np.uint8(0)) if rivals else front.used
    came = there <= instants.last[front.here]
    came[came] = instants.at[there[came]] <= limit[front.tries[came]]
    return _Front(tries=front.tries, here=there, used=used), came


def _excluded(
    instants: Instants, plan: Plan, level: int, front: _Front, *, until: Codes, limit: Ints
) -> tuple[Bools, Codes, Bools]:
    """Mark the tries that an excluded event after a level ends before the instant `until` and by the limit in time.

    Returns
    -------
    marks; the instant of the first such event; whether it drops the customer. The excluded event lies at another
    instant than the steps around it.
    """
    beyond = np.int32(len(instants))
    drop, end = (_first_between(instants, kinds[level - 1], front, until, limit) for kinds in (plan.drops, plan.ends))
    first = np.minimum(drop, end)
    return first < beyond, first, drop <= end


def _first_between(instants: Instants, kinds: frozenset[int], front: _Front, until: Codes, limit: Ints) -> Codes:
    """Return the first instant of some kinds after where the tries stand, before `until` and by the limit in time."""
    beyond = np.int32(len(instants))
    if not kinds:
        return np.full(len(until), beyond, dtype=np.int32)
    first = instants_of.marked(instants.hold(kinds)).after(front.here)
    within = (first <= instants.last[front.here]) & (first < until)
    within[within] = instants.at[first[within]] <= limit[front.tries[within]]
    return np.where(within, first, beyond)


def _superseded(here: Codes, there: Codes) -> Bools:
    """Mark the tries that wait at an instant for a later one to go on, as a later entry does at the same instant."""
    marks = np.zeros(len(here), dtype=np.bool_)
    marks[:-1] = (here[1:] == here[:-1]) & (there[:-1] != here[:-1])
    return marks
