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
    last: Codes
    limit: Ints
    used: NDArray[np.uint8]

    def keep(self, marks: Bools) -> _Front:
        return _Front(
            tries=self.tries[marks],
            here=self.here[marks],
            last=self.last[marks],
            limit=self.limit[marks],
            used=self.used[:, marks],
        )

    def arrived(self, there: Codes, used: NDArray[np.uint8]) -> _Front:
        return _Front(tries=self.tries, here=there, last=self.last, limit=self.limit, used=used)


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
    front = _Front(
        tries=np.arange(n),
        here=entries,
        last=instants.last[entries],
        limit=entered_at + plan.window,
        used=_use(rivals, levels[0], np.zeros((len(rivals), n), dtype=np.uint8)),
    )
    for level in range(1, len(levels)):
        onward, came = _next_step(instants, rivals, levels[level], front)
        if superseding:
            superseded = _superseded(front.here, onward.here)
            ended = front.tries[superseded]
            depth[ended], reached[level - 1, ended], live[ended] = level - 1, NOWHERE, False
            front, onward, came = front.keep(~superseded), onward.keep(~superseded), came[~superseded]
        hit_at, drops = _excluded(instants, plan, level, front, np.where(came, onward.here, len(instants)))
        hit = hit_at < len(instants)
        stopped = front.tries[hit]
        over[stopped] = hit_at[hit]
        tainted[stopped] = drops[hit]
        shown[stopped] = np.where(came[hit], level + 1, level)
        front = onward.keep(came & ~hit)
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


def _next_step(instants: Instants, rivals: list[Rivals], kind: int, front: _Front) -> tuple[_Front, Bools]:
    """Return where each try goes for a step of a kind, and whether it comes there in time."""
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
    came = there <= front.last
    came[came] = instants.at[there[came]] <= front.limit[came]
    return front.arrived(there, used), came


def _excluded(instants: Instants, plan: Plan, level: int, front: _Front, until: Codes) -> tuple[Codes, Bools]:
    """Return the first excluded instant after each try's place and before `until`, and whether it drops the customer.

    The number of all instants stands for none. The excluded event must lie within the window, and so at another
    instant than the steps around it.
    """
    none = np.full(len(front.here), len(instants), dtype=np.int32)
    found = []
    for kinds in (plan.drops[level - 1], plan.ends[level - 1]):
        first = none
        if kinds:
            first = instants_of.marked(instants.hold(kinds)).after(front.here)
            within = (first <= front.last) & (first < until)
            within[within] = instants.at[first[within]] <= front.limit[within]
            first = np.where(within, first, none)
        found.append(first)
    drop, end = found
    return np.minimum(drop, end), (drop <= end) & (drop < len(instants))


def _superseded(here: Codes, there: Codes) -> Bools:
    """Mark the tries that wait at an instant for a later one to go on, as a later entry does at the same instant."""
    marks = np.zeros(len(here), dtype=np.bool_)
    marks[:-1] = (here[1:] == here[:-1]) & (there[:-1] != here[:-1])
    return marks
