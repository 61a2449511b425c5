"""Find the attempts at steps in any order of which each must lie within the window of the one before it.

For every set of steps the kernel keeps the events with which exactly these steps can be completed, the latest event
before it being the best to come from. There are 2^n sets of n different steps, fewer where steps are of one kind.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from journeys import instants as instants_of
from journeys.chosen import NEVER
from journeys.histories import Codes, Ints
from journeys.instants import NOWHERE, Instants
from journeys.plan import Plan

State = tuple[int, ...]
"""How many steps of each kind are done."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Arrivals:
    """The events with which a state is reached, in order, the latest event before each, and the kind it adds."""

    events: Ints
    before: Ints
    kind: NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chains:
    """One attempt per customer: owner, how many steps, the places of its events in `instants.rows`, in time."""

    owner: Codes
    depth: Codes
    events: Ints
    open_until: Ints


def find(instants: Instants, plan: Plan, *, first_entry_only: bool) -> Chains:
    """Return the attempt of each customer with the most steps, of those the first to get there."""
    kinds = sorted(set(plan.steps))
    instant_of = np.repeat(np.arange(len(instants), dtype=np.int32), np.diff(instants.first_row))
    owner, at = instants.owner[instant_of], instants.at[instant_of]
    counts = Counter(plan.steps)
    states = sorted(product(*(range(counts[kind] + 1) for kind in kinds)), key=lambda state: (sum(state), state))[1:]
    fitting = [instants.rows_of(kind) for kind in kinds]
    reached: dict[State, _Arrivals] = {}
    customers = int(owner[-1]) + 1 if len(owner) else 0
    depth = np.zeros(customers, dtype=np.int32)
    open_until = np.full(customers, NEVER, dtype=np.int64)
    starts = fitting
    if first_entry_only:
        begins = instants_of.firsts(instants.owner)[instant_of]
        starts = [events[begins[events]] for events in fitting]
    for state in states:
        if sum(state) == 1:
            arrivals = _begun(starts[state.index(1)], state.index(1))
        else:
            arrivals = _arrivals(state, reached, fitting, _Times(owner=owner, at=at, window=plan.window))
        reached[state] = arrivals
        who = owner[arrivals.events]
        depth[who] = sum(state)
        if sum(state) < len(plan.steps):
            latest = np.full(customers, NEVER, dtype=np.int64)
            latest[who] = at[arrivals.events] + plan.window  # in order of time: the last write is the latest
            np.maximum(open_until, latest, out=open_until)
    who = np.flatnonzero(depth).astype(np.int32)
    events = _way(reached, depth, owner, who, len(plan.steps))
    return Chains(owner=who, depth=depth[who], events=events, open_until=open_until[who])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Times:
    """The customer and the microseconds of every event, and the window in microseconds."""

    owner: Codes
    at: Ints
    window: int


def _begun(events: Ints, kind: int) -> _Arrivals:
    return _Arrivals(events=events, before=events, kind=np.full(len(events), kind, dtype=np.int8))


def _arrivals(state: State, reached: dict[State, _Arrivals], fitting: list[Ints], times: _Times) -> _Arrivals:
    """Return the events that reach a state from the states of one step less; `fitting` are those of each kind."""
    before = np.full(len(times.at), NOWHERE, dtype=np.int64)
    kind_of = np.full(len(times.at), NOWHERE, dtype=np.int8)
    for kind, done in enumerate(state):
        if not done:
            continue
        came, here = reached[_less(state, kind)].events, fitting[kind]
        rank = np.searchsorted(came, here)
        here, there = here[rank > 0], came[rank[rank > 0] - 1]
        in_time = (times.owner[there] == times.owner[here]) & (times.at[here] - times.at[there] <= times.window)
        here, there = here[in_time], there[in_time]
        later = there > before[here]
        before[here[later]] = there[later]
        kind_of[here[later]] = kind
    events = np.flatnonzero(kind_of >= 0)
    return _Arrivals(events=events, before=before[events], kind=kind_of[events])


def _less(state: State, kind: int) -> State:
    return (*state[:kind], state[kind] - 1, *state[kind + 1 :])


def _way(reached: dict[State, _Arrivals], depth: Codes, owner: Codes, who: Codes, steps: int) -> Ints:
    """Return the events of each customer's attempt, from the first event that completes the most steps back."""
    row_of = np.full(len(depth), NOWHERE, dtype=np.int64)
    row_of[who] = np.arange(len(who))
    way = np.full((len(who), steps), NOWHERE, dtype=np.int64)
    taken: dict[State, Ints] = {}
    for state, arrivals in reached.items():
        ending = arrivals.events[depth[owner[arrivals.events]] == sum(state)]
        ending = ending[instants_of.firsts(owner[ending])]
        rows = row_of[owner[ending]]
        column = sum(state) - 1
        earlier = (way[rows, column] == NOWHERE) | (ending < way[rows, column])
        rows, ending = rows[earlier], ending[earlier]
        way[rows, column] = ending
        taken = {other: np.setdiff1d(ends, rows) for other, ends in taken.items()} | {state: rows}
    for state in sorted(reached, key=sum, reverse=True):
        rows, arrivals = taken[state], reached[state]
        column = sum(state) - 1
        if column == 0 or not len(rows):
            continue
        place = np.searchsorted(arrivals.events, way[rows, column])
        way[rows, column - 1] = arrivals.before[place]
        for kind in np.unique(arrivals.kind[place]).tolist():
            less = _less(state, kind)
            taken[less] = np.concatenate([taken[less], rows[arrivals.kind[place] == kind]])
    return way
