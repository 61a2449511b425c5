"""Choose, among the tries of each customer, the ones that count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from journeys import instants as instants_of
from journeys.histories import Codes, Ints
from journeys.instants import NOWHERE, Bools, Instants
from journeys.tries import Tries

NEVER = int(np.iinfo(np.int64).min)
"""The time of what never happens."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """The attempts that count, in order of customer and entry, before their events are named.

    owner : place of the customer, shape (n,).
    depth : how many required steps were reached, shape (n,).
    places : where (an instant) each was reached, `NOWHERE` where not, shape (n, n_required).
    until : microseconds until which an optional step after the last one reached may come, shape (n,).
    open_until : see `attempts.Attempts`, shape (n,).
    excluded : places of the customers whom an exclusion dropped, sorted.
    """

    owner: Codes
    depth: Codes
    places: Codes
    until: Ints
    open_until: Ints
    excluded: Codes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """Which tries count (their places among all, in order), until when each is open, and who is excluded."""

    tries: Ints
    open_until: Ints
    excluded: Codes


def deepest(tries: Tries, window: int) -> Choice:
    """Keep one try per customer: the deepest, of those the first to get there, of those the latest entry."""
    if not len(tries.owner):
        return _nobody()
    begins, group = _groups(tries.owner)
    clean, dropped = _clean_of_deepest(tries, begins, group)
    candidates = np.flatnonzero(clean & ~dropped[group] if dropped.any() else clean)
    counted = _latest_of_first(candidates, group[candidates], tries.reached[tries.depth[candidates] - 1, candidates])
    open_until = np.maximum.reduceat(np.where(tries.live, tries.entered_at + window, NEVER), begins)
    return Choice(tries=counted, open_until=open_until[group[counted]], excluded=tries.owner[begins][dropped])


def _latest_of_first(candidates: Ints, group: Ints, arrived: Codes) -> Ints:
    """Return of each group the last candidate among those that arrived first; groups lie together."""
    if not len(candidates):
        return candidates
    begins = np.flatnonzero(instants_of.firsts(group))
    first = np.repeat(np.minimum.reduceat(arrived, begins), np.diff(begins, append=len(group)))
    among = np.flatnonzero(arrived == first)
    ends = np.append(np.flatnonzero(instants_of.firsts(group[among]))[1:], len(among)) - 1
    counted: Ints = candidates[among[ends]]
    return counted


def one_after_another(instants: Instants, tries: Tries, entries: Codes, window: int) -> Choice:
    """Keep every try that begins once the one kept before it has ended: completed, excluded, or out of time."""
    if not len(tries.owner):
        return _nobody()
    out_of_time = _last_until(instants, entries, tries.entered_at + window)
    ended = np.where(tries.over != NOWHERE, tries.over, out_of_time)
    heads = instants_of.firsts(tries.owner)
    following = np.searchsorted(entries, ended, side="right")
    kept = np.flatnonzero(_reachable(heads, following, tries.owner))
    own = Tries(
        owner=tries.owner[kept],
        entered_at=tries.entered_at[kept],
        depth=tries.depth[kept],
        reached=tries.reached[:, kept],
        live=tries.live[kept],
        tainted=tries.tainted[kept],
        shown=tries.shown[kept],
        over=tries.over[kept],
    )
    begins, group = _groups(own.owner)
    _, dropped = _clean_of_deepest(own, begins, group)
    counted = ~own.tainted & ~dropped[group]
    open_until = np.where(own.live, own.entered_at + window, NEVER)
    return Choice(tries=kept[counted], open_until=open_until[counted], excluded=own.owner[begins][dropped])


def _nobody() -> Choice:
    return Choice(
        tries=np.zeros(0, dtype=np.int64),
        open_until=np.zeros(0, dtype=np.int64),
        excluded=np.zeros(0, dtype=np.int32),
    )


def _groups(owner: Codes) -> tuple[Ints, Ints]:
    """Return where each customer's tries begin, and the number of each try's customer."""
    begins = np.flatnonzero(instants_of.firsts(owner))
    return begins, np.repeat(np.arange(len(begins)), np.diff(begins, append=len(owner)))


def _clean_of_deepest(tries: Tries, begins: Ints, group: Ints) -> tuple[Bools, Bools]:
    """Mark the tries that are their customer's deepest and clean, and the customers whom an exclusion drops.

    A customer is dropped when no clean try is as deep as the deepest that any try, tainted or not, shows.
    """
    depth = np.maximum.reduceat(tries.depth, begins)
    at_deepest = tries.depth == depth[group]
    clean = at_deepest & ~tries.tainted
    deeper = at_deepest & tries.tainted & (tries.shown > tries.depth)
    dropped = np.logical_or.reduceat(deeper, begins) | ~np.logical_or.reduceat(clean, begins)
    return clean, dropped


def _last_until(instants: Instants, since: Codes, limit: Ints) -> Codes:
    """Return the last instant of the same customer that is not later than a time, by bisection."""
    low, high = since.copy(), instants.last[since]
    while (low < high).any():
        middle = (low + high + 1) // 2
        early = instants.at[middle] <= limit
        low, high = np.where(early, middle, low), np.where(early, high, middle - 1)
    return low


def _reachable(heads: Bools, following: Ints, owner: Codes) -> Bools:
    """Mark what is reached from the heads by following, in twice as long leaps every round; never to others' tries."""
    n = len(heads)
    same = following < n
    same[same] = owner[following[same]] == owner[same]
    leap = np.append(np.where(same, following, n), n)
    marks = np.append(heads, False)
    while (leap[:-1] < n).any():
        marks[leap[marks]] = True
        leap = leap[leap]
    return marks[:-1]
