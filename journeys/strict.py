"""Follow every entry of a strict funnel: each next step at the same instant or at the customer's very next one.

A try stands at one instant after the other, whatever their events. Which steps it can have reached there is a set,
since steps may be shared out over instants in several ways; all ways are followed at once. Of the ways to its deepest
step the first to get there counts, or the first that no excluded event taints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from journeys import instants as instants_of
from journeys.histories import Codes, Ints
from journeys.instants import NOWHERE, Bools, Instants, Rivals
from journeys.plan import Plan
from journeys.tries import Tries


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stand:
    """The tries that have got as many instants past their entries, in order.

    begun : per step that can be reached here the last step that can be the first one taken here, `NOWHERE` for a
        step that cannot be reached here, shape (n_required, n_tries).
    """

    tries: Ints
    begun: NDArray[np.int8]


def follow(instants: Instants, plan: Plan, entries: Codes, *, from_previous: bool) -> Tries:
    """Follow every entry as far as it goes; `instants` are those of all events, not only of the funnel's."""
    levels, n = len(plan.levels), len(entries)
    stands = _stands(instants, plan, entries, from_previous=from_previous)
    depth, live = np.zeros(n, dtype=np.int32), np.zeros(n, dtype=np.bool_)
    for past, stand in enumerate(stands):
        deepest = levels - np.argmax(stand.begun[::-1] >= 0, axis=0).astype(np.int32)
        depth[stand.tries] = np.maximum(depth[stand.tries], deepest)
        live[stand.tries] |= entries[stand.tries] + past == instants.last[entries[stand.tries]]
    completed = depth == levels
    live &= ~completed
    arrived, over = np.full(n, NOWHERE, dtype=np.int32), np.full(n, NOWHERE, dtype=np.int32)
    tainted, spared = np.zeros(n, dtype=np.bool_), live | completed
    for past, stand in enumerate(stands):
        arrives = stand.begun[depth[stand.tries] - 1, np.arange(len(stand.tries))] >= 0
        tries = stand.tries[arrives]
        hit, drops = _excluded(instants, plan, entries[tries], depth[tries], past, from_previous=from_previous)
        chosen = (arrived[tries] == NOWHERE) | (tainted[tries] & ~drops)
        arrived[tries[chosen]], tainted[tries[chosen]] = past, drops[chosen]
        spared[tries] |= ~hit
        over[tries] = entries[tries] + np.int32(past + 1)
    over[spared] = NOWHERE
    over[completed] = (entries + arrived)[completed]
    return Tries(
        owner=instants.owner[entries],
        entered_at=instants.at[entries],
        depth=depth,
        reached=_way(stands, entries, depth, arrived, levels),
        live=live,
        tainted=tainted,
        shown=depth,
        over=over,
    )


def _stands(instants: Instants, plan: Plan, entries: Codes, *, from_previous: bool) -> list[_Stand]:
    levels = len(plan.levels)
    rivals = instants_of.rivals(instants, plan.levels)
    start = np.zeros((levels, len(entries)), dtype=np.bool_)
    start[0] = True
    tries = np.arange(len(entries))
    stands: list[_Stand] = []
    for past in range(levels):
        here = entries[tries] + np.int32(past)
        if past:
            on_time = _on_time(instants, plan, entries[tries], here, from_previous=from_previous)
            start[1:] = stands[-1].begun[:-1] >= 0
            start[0] = False
            tries, here, start = tries[on_time], here[on_time], start[:, on_time]
        begun = _begun(instants, plan, rivals, here, start)
        goes_on = (begun >= 0).any(axis=0)
        stands.append(_Stand(tries=tries[goes_on], begun=begun[:, goes_on]))
        tries, start = tries[goes_on], start[:, goes_on]
    return stands


def _on_time(instants: Instants, plan: Plan, entries: Codes, here: Codes, *, from_previous: bool) -> Bools:
    """Whether a place is still the customer's and within the window."""
    on_time = here <= instants.last[entries]
    since = here - 1 if from_previous else entries
    on_time[on_time] = instants.at[here[on_time]] - instants.at[since[on_time]] <= plan.window
    return on_time


def _begun(instants: Instants, plan: Plan, rivals: list[Rivals], here: Codes, start: Bools) -> NDArray[np.int8]:
    """Return per step the last step from which on all up to it can be taken at an instant; see `_Stand`."""
    holds = [instants.hold((kind,))[here] for kind in plan.levels]
    served = [group.served[here] for group in rivals]
    begun = np.full(start.shape, NOWHERE, dtype=np.int8)
    for first in range(len(plan.levels)):
        run = start[first].copy()
        used = [0] * len(rivals)
        for level in range(first, len(plan.levels)):
            used = [used[g] + (plan.levels[level] in group.kinds) for g, group in enumerate(rivals)]
            run &= holds[level]
            for g in range(len(rivals)):
                run &= used[g] <= served[g]
            if not run.any():
                break
            begun[level, run] = first
    return begun


def _way(stands: list[_Stand], entries: Codes, depth: Codes, arrived: Codes, levels: int) -> Codes:
    """Return where each step was reached on the way to the deepest one, with as few steps at its last instants as can
    be.
    """
    reached = np.full((levels, len(entries)), NOWHERE, dtype=np.int32)
    level = depth - 1
    for past in reversed(range(len(stands))):
        tries = np.flatnonzero(arrived >= past)
        stand = stands[past]
        begun = stand.begun[level[tries], np.searchsorted(stand.tries, tries)]
        for step in range(levels):
            here = tries[(begun <= step) & (step <= level[tries])]
            reached[step, here] = entries[here] + past
        level[tries] = begun - 1
    return reached


def _excluded(
    instants: Instants, plan: Plan, entries: Codes, depth: Codes, past: int, *, from_previous: bool
) -> tuple[Bools, Bools]:
    """Whether the instant after one so many past the entries holds an excluded event, and one that drops the customer.

    An instant that is later than the window, or another customer's, does not count; nor does one after the last step.
    """
    hit, drops = np.zeros(len(entries), dtype=np.bool_), np.zeros(len(entries), dtype=np.bool_)
    following = entries + np.int32(past + 1)
    for level in range(1, len(plan.levels)):
        stopped = np.flatnonzero((depth == level) & (following <= instants.last[entries]))
        since = following[stopped] - 1 if from_previous else entries[stopped]
        stopped = stopped[instants.at[following[stopped]] - instants.at[since] <= plan.window]
        drops[stopped] = instants.hold(plan.drops[level - 1])[following[stopped]]
        hit[stopped] = drops[stopped] | instants.hold(plan.ends[level - 1])[following[stopped]]
    return hit, drops
