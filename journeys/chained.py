"""Find the attempts at an ordered funnel of which each step must lie within the window of the step before it.

At every instant and for every step the kernel keeps the latest instant at which the step before was reached: a later
one is never too early for what comes after, so no other need be remembered. An attempt exists if any choice of
events makes one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from journeys import instants as instants_of
from journeys.chosen import Chosen
from journeys.histories import Codes, Ints
from journeys.instants import NOWHERE, Bools, Instants, Rivals
from journeys.plan import Plan

_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Level:
    """How one required step can be reached at each instant.

    before : the latest instant of the step before, when this step is the first one taken at the instant; for the
        first step the instant itself; `NOWHERE` where it cannot be, shape (n_instants,).
    begun : the earliest step from which on all up to this one can be taken at the instant, `NOWHERE` where this step
        cannot be reached there, shape (n_instants,).
    """

    before: Codes
    begun: NDArray[np.int8]


def find(instants: Instants, plan: Plan, entries: Codes) -> Chosen:
    """Return the attempt of each customer that counts, begun at one of the entries.

    It is the deepest, of those the first to get there; its earlier steps are as late as can be.
    """
    levels = _levels(instants, plan, entries)
    depth = _deepest(instants, levels)
    counted: list[tuple[Codes, int]] = []
    excluded: list[Codes] = []
    for level in range(len(levels)):
        arrivals = np.flatnonzero(levels[level].begun >= 0).astype(np.int32)
        arrivals = arrivals[depth[instants.owner[arrivals]] == level]
        hit, shown_deeper = _tainted(instants, plan, level, arrivals)
        dropped = np.unique(instants.owner[arrivals[shown_deeper]])
        clean = arrivals[~hit]
        clean = clean[~np.isin(instants.owner[clean], dropped)]
        first = clean[instants_of.firsts(instants.owner[clean])]
        counted.append((first, level))
        excluded.append(np.setdiff1d(instants.owner[arrivals], instants.owner[first]))
    ends = np.concatenate([first for first, _ in counted])
    end_levels = np.concatenate([np.full(len(first), level) for first, level in counted])
    order = np.argsort(ends)
    ends, end_levels = ends[order], end_levels[order]
    owner = instants.owner[ends]
    return Chosen(
        owner=owner,
        depth=(end_levels + 1).astype(np.int32),
        places=_way(levels, ends, end_levels),
        until=instants.at[ends] + plan.window,
        open_until=_open_until(instants, plan, levels)[owner],
        excluded=np.sort(np.concatenate(excluded)).astype(np.int32),
    )


def _levels(instants: Instants, plan: Plan, entries: Codes) -> list[_Level]:
    n = len(instants)
    rivals = instants_of.rivals(instants, plan.levels)
    crowded = np.flatnonzero(np.diff(instants.first_row) > 1) if rivals else np.zeros(0, dtype=np.int64)
    found: list[_Level] = []
    for level, kind in enumerate(plan.levels):
        before = np.full(n, NOWHERE, dtype=np.int32)
        if level == 0:
            before[entries] = entries
        else:
            here = np.flatnonzero(instants.hold((kind,))).astype(np.int32)
            there = _latest(instants, plan, level, here, found[-1].begun >= 0)
            before[here] = there
        begun = np.where(before >= 0, np.int8(level), np.int8(NOWHERE))
        if level and not rivals:
            together = instants.hold((kind,)) & (found[-1].begun >= 0)
            begun[together] = found[-1].begun[together]
        elif level:
            befores = [*(one.before for one in found), before]
            _take_together(instants, plan, rivals, before=befores, crowded=crowded, begun=begun)
        found.append(_Level(before=before, begun=begun))
    return found


def _latest(instants: Instants, plan: Plan, level: int, here: Codes, reached: Bools) -> Codes:
    """Return the latest earlier instant at which the step before was reached, `NOWHERE` where there is none in time."""
    there = instants_of.marked(reached).until(here)
    possible = there >= 0
    possible[possible] = instants.owner[there[possible]] == instants.owner[here[possible]]
    possible[possible] = instants.at[here[possible]] - instants.at[there[possible]] <= plan.window
    kinds = plan.ends[level - 1] | plan.drops[level - 1]
    if kinds:
        possible &= instants_of.marked(instants.hold(kinds)).until(here) <= there
    return np.where(possible, there, np.int32(NOWHERE))


def _take_together(
    instants: Instants,
    plan: Plan,
    rivals: list[Rivals],
    *,
    before: list[Codes],
    crowded: Ints,
    begun: NDArray[np.int8],
) -> None:
    """Write into `begun` from which earlier step on all up to the last one can be taken at crowded instants."""
    level = len(before) - 1
    run = instants.hold((plan.levels[level],))[crowded]
    used = [int(plan.levels[level] in group.kinds) for group in rivals]
    served = [group.served[crowded] for group in rivals]
    for first in reversed(range(level)):
        run = run & instants.hold((plan.levels[first],))[crowded]
        for g, group in enumerate(rivals):
            used[g] += plan.levels[first] in group.kinds
            run &= used[g] <= served[g]
        if not run.any():
            return
        begun[crowded[run & (before[first][crowded] >= 0)]] = first


def _deepest(instants: Instants, levels: list[_Level]) -> Codes:
    """Return the deepest step of each customer, from 0; `NOWHERE` of who reached none."""
    customers = int(instants.owner[-1]) + 1 if len(instants) else 0
    depth = np.full(customers, NOWHERE, dtype=np.int32)
    for level, one in enumerate(levels):
        depth[instants.owner[one.begun >= 0]] = level
    return depth


def _tainted(instants: Instants, plan: Plan, level: int, arrivals: Codes) -> tuple[Bools, Bools]:
    """Mark the arrivals at customers' deepest step that an event dropping the customer follows within the window, and
    those of them whose next step still comes within it.
    """
    nobody = np.zeros(len(arrivals), dtype=np.bool_)
    if level + 1 == len(plan.levels) or not plan.drops[level]:
        return nobody, nobody
    drop, dropped = _within(instants, plan, plan.drops[level], arrivals)
    end, _ = _within(instants, plan, plan.ends[level], arrivals)
    hit = dropped & (drop <= end)
    _, goes_on = _within(instants, plan, plan.levels[level + 1 : level + 2], arrivals)
    return hit, hit & goes_on


def _within(
    instants: Instants, plan: Plan, kinds: frozenset[int] | tuple[int, ...], since: Codes
) -> tuple[Codes, Bools]:
    """Return the first instant of some kinds after others, and whether it is the customer's and in the window."""
    following = instants_of.marked(instants.hold(kinds)).after(since)
    within = following <= instants.last[since]
    within[within] = instants.at[following[within]] - instants.at[since[within]] <= plan.window
    return np.where(within, following, np.int32(len(instants))), within


def _open_until(instants: Instants, plan: Plan, levels: list[_Level]) -> Ints:
    """Return per customer the latest arrival that can still go on, plus the window."""
    customers = int(instants.owner[-1]) + 1 if len(instants) else 0
    latest = np.full(customers, _NEVER, dtype=np.int64)
    for level, one in enumerate(levels[:-1]):
        here = np.flatnonzero(one.begun >= 0).astype(np.int32)
        _, over = _within(instants, plan, plan.ends[level] | plan.drops[level], here)
        here = here[~over]
        owner = instants.owner[here]
        # in order of time within each customer: the last write is the latest arrival
        own = np.full(customers, _NEVER, dtype=np.int64)
        own[owner] = instants.at[here] + plan.window
        latest = np.maximum(latest, own)
    return latest


def _way(levels: list[_Level], ends: Codes, end_levels: Ints) -> Codes:
    """Return where each step was reached, going back from the last one through the latest steps before."""
    places = np.full((len(ends), len(levels)), NOWHERE, dtype=np.int32)
    here = ends.copy()
    begun = np.full(len(ends), len(levels), dtype=np.int64)
    for level in reversed(range(len(levels))):
        on_way = np.flatnonzero(end_levels >= level)
        fresh = on_way[(begun[on_way] > level)]
        begun[fresh] = levels[level].begun[here[fresh]]
        places[on_way, level] = here[on_way]
        leaving = on_way[begun[on_way] == level]
        here[leaving] = levels[level].before[here[leaving]]
        begun[leaving] = len(levels)
    return places
