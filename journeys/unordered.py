"""Follow every entry of a funnel whose steps may come in any order.

The j-th step is reached at the first event with which j different steps have different events. Since a set S of
kinds, for which s of a group's c steps stand, must leave at most c - j of them without an event, j steps are matched
once the (j - c + s)-th event of S has come, for every S (the deficiency form of Hall's theorem). So each arrival is
looked up by the rank of an event, with no search.
"""

from __future__ import annotations

import numpy as np

from journeys import instants as instants_of
from journeys.histories import Codes, Ints
from journeys.instants import NOWHERE, Bools, Instants
from journeys.plan import Plan
from journeys.tries import Tries


def follow(instants: Instants, plan: Plan, entries: Codes) -> tuple[Tries, Codes]:
    """Follow every entry: an instant that holds an event of any step.

    Returns
    -------
    the tries, with the j-th step in time as the j-th column of `reached`; and the place in `instants.rows` of the
    event that reached it, `NOWHERE` where none did, shape (n_steps, n_tries).
    """
    n, steps = len(entries), len(plan.steps)
    first = instants.first_row[entries]
    found = np.concatenate([_arrivals(instants, plan, group, first) for group in _groups(instants, plan)])
    found.sort(axis=0)
    instant_of = np.repeat(np.arange(len(instants), dtype=np.int32), np.diff(instants.first_row))
    last, limit = instants.last[entries], instants.at[entries] + plan.window
    places = np.full((steps, n), NOWHERE, dtype=np.int32)
    for step in range(steps):
        there = np.flatnonzero(found[step] < len(instants.rows))
        place = instant_of[found[step, there]]
        there, place = there[place <= last[there]], place[place <= last[there]]
        in_time = instants.at[place] <= limit[there]
        places[step, there[in_time]] = place[in_time]
    depth, over, tainted, shown = _excluded(instants, plan, entries, places)
    places[np.arange(steps)[:, None] >= depth] = NOWHERE
    completed = depth == steps
    live = (over == NOWHERE) & ~completed
    over[completed] = places[-1, completed]
    tries = Tries(
        owner=instants.owner[entries],
        entered_at=instants.at[entries],
        depth=depth,
        reached=places,
        live=live,
        tainted=tainted,
        shown=shown,
        over=over,
    )
    return tries, np.where(places >= 0, found, np.int32(NOWHERE))


def _groups(instants: Instants, plan: Plan) -> list[list[int]]:
    return instants_of.components(instants_of.links(instants.mixtures, plan.steps))


def _arrivals(instants: Instants, plan: Plan, group: list[int], first: Ints) -> Codes:
    """Return the place of the event from `first` on with which j steps of a group of kinds are matched, for each j.

    Shape (steps of the group, n_tries); the number of all places where there is no such event. Other customers'
    events are not left out.
    """
    size = sum(kind in group for kind in plan.steps)
    found = np.zeros((size, len(first)), dtype=np.int32)
    for kinds in instants_of.full_sets(group, instants.mixtures):
        stand = sum(kind in kinds for kind in plan.steps)
        serving = instants.rows_of(*kinds)
        rank = np.searchsorted(serving, first)
        serving = np.append(serving, np.full(stand, len(instants.rows))).astype(np.int32)
        for matched in range(size - stand, size):
            np.maximum(found[matched], serving[rank + matched - size + stand], out=found[matched])
    return found


def _excluded(instants: Instants, plan: Plan, entries: Codes, places: Codes) -> tuple[Codes, Codes, Bools, Codes]:
    """Return depth, the excluded instant that ended the try, whether it drops the customer, and the depth shown."""
    depth = (places >= 0).sum(axis=0).astype(np.int32)
    shown = depth.copy()
    over = np.full(len(entries), NOWHERE, dtype=np.int32)
    tainted = np.zeros(len(entries), dtype=np.bool_)
    if not any(plan.drops) and not any(plan.ends):
        return depth, over, tainted, shown
    limit, beyond = instants.at[entries] + plan.window, np.int32(len(instants))
    whole = depth.copy()
    for step in reversed(range(len(plan.steps) - 1)):
        tries = np.flatnonzero(whole > step)
        since = places[step, tries]
        until = np.where(places[step + 1, tries] >= 0, places[step + 1, tries], beyond)
        drop, end = (
            _first_between(instants, kinds[step], since, until, limit[tries]) for kinds in (plan.drops, plan.ends)
        )
        hit = np.minimum(drop, end) < beyond
        stopped = tries[hit]
        depth[stopped] = step + 1
        over[stopped] = np.minimum(drop, end)[hit]
        tainted[stopped] = (drop <= end)[hit]
        shown[stopped] = np.where(until[hit] < beyond, step + 2, step + 1)
    return depth, over, tainted, shown


def _first_between(instants: Instants, kinds: frozenset[int], since: Codes, until: Codes, limit: Ints) -> Codes:
    beyond = np.int32(len(instants))
    if not kinds:
        return np.full(len(since), beyond, dtype=np.int32)
    following = instants_of.marked(instants.hold(kinds)).after(since)
    within = (following <= instants.last[since]) & (following < until)
    within[within] = instants.at[following[within]] <= limit[within]
    return np.where(within, following, beyond)
