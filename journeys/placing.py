"""Name the events of attempts: where optional steps were done, and which event reached each step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from journeys import instants as instants_of
from journeys.histories import Codes, Ints
from journeys.instants import NOWHERE, Bools, Instants, Rivals
from journeys.plan import Plan


def add_optional(instants: Instants, plan: Plan, places: Codes, until: Ints) -> None:
    """Write into `places` (the instant of each step, shape (n, n_steps)) where optional steps were done.

    An optional step counts when an event that no other step of the attempt uses lies between the required step
    before and the required step after it, or by `until` where that was not reached; behind the optional steps
    counted before it, and as early as can be.
    """
    rivals = instants_of.rivals(instants, plan.steps)
    for before, after in zip(plan.required, plan.required[1:], strict=False):
        here = places[:, before].copy()
        for step in range(before + 1, after):
            attempts = np.flatnonzero(here >= 0)
            if len(attempts):
                found = _optional(
                    instants, plan, rivals, places[attempts], step, after, here[attempts], until[attempts]
                )
                places[attempts, step] = found
                here[attempts] = np.where(found >= 0, found, here[attempts])


def _optional(
    instants: Instants, plan: Plan, rivals: list[Rivals], places: Codes, step: int, after: int, here: Codes, until: Ints
) -> Codes:
    """Return where an optional step is done from an instant on; `NOWHERE` where it is not."""
    kind, end = plan.steps[step], places[:, after]
    holding = instants.hold((kind,))
    stays = holding[here] & _room(plan, rivals, places, kind, here)
    there = instants_of.marked(holding).after(here)
    possible = there <= instants.last[here]
    reached = end >= 0
    possible &= ~reached | (there <= end)
    possible[possible] = reached[possible] | (instants.at[there[possible]] <= until[possible])
    at_end = possible & reached & (there == end)
    possible[at_end] = _room(plan, rivals, places[at_end], kind, there[at_end])
    return np.where(stays, here, np.where(possible, there, np.int32(NOWHERE)))


def _room(plan: Plan, rivals: list[Rivals], places: Codes, kind: int, here: Codes) -> Bools:
    """Whether an instant that holds a kind has an event of it left beside those of the steps done there."""
    room = np.ones(len(here), dtype=np.bool_)
    for group in rivals:
        if kind in group.kinds:
            used = sum((places[:, step] == here).astype(np.int64) for step in _of(plan, group.kinds))
            room &= used < group.served[here]
    return room


def _of(plan: Plan, kinds: frozenset[int]) -> list[int]:
    return [step for step, kind in enumerate(plan.steps) if kind in kinds]


def events(instants: Instants, plan: Plan, places: Codes) -> Ints:
    """Return the row of the event that reached each step, -1 where it was not reached, shape (n, n_steps).

    It is the first event of the instant that fits the step; where steps of one instant compete, they choose in their
    order, each the first event that leaves enough for the others.
    """
    rows = np.full(places.shape, NOWHERE, dtype=np.int64)
    for step, kind in enumerate(plan.steps):
        done = np.flatnonzero(places[:, step] >= 0)
        here = places[done, step]
        rows[done, step] = instants.first_row[here]
        several = np.flatnonzero(instants.first_row[here + 1] - instants.first_row[here] > 1)
        if len(several):
            fitting = instants.rows_of(kind)
            first = np.searchsorted(fitting, instants.first_row[here[several]])
            rows[done[several], step] = fitting[first]
    rivals = instants_of.rivals(instants, plan.steps, least=1)
    if rivals:
        steps = _of(plan, frozenset().union(*(group.kinds for group in rivals)))
        crowded = np.flatnonzero(_meet(places, steps))
        if len(crowded):
            rows[np.ix_(crowded, steps)] = _shared_out(instants, plan, rivals, steps, places[crowded])
    return np.where(rows >= 0, instants.rows[rows], NOWHERE)


def _meet(places: Codes, steps: Sequence[int]) -> Bools:
    """Mark the attempts of which two of these steps were done at one instant."""
    ordered = np.sort(places[:, steps], axis=1)
    meet: Bools = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    return meet


def _shared_out(instants: Instants, plan: Plan, rivals: list[Rivals], steps: Sequence[int], places: Codes) -> Ints:
    """Return a different event for each of some steps, shape (n, len(steps)).

    Events of one mixture of kinds are alike: only how many of each are taken matters.
    """
    n = len(places)
    mixtures = [bits for bits in instants.mixtures if any(bits >> plan.steps[step] & 1 for step in steps)]
    of_mixture = [np.flatnonzero(instants.row_kinds == bits) for bits in mixtures]
    chosen = np.full((n, len(steps)), NOWHERE, dtype=np.int64)
    beyond = len(instants.rows)
    rows = np.full((n, len(steps)), NOWHERE, dtype=np.int64)
    for number, step in enumerate(steps):
        here = places[:, step]
        best = np.full(n, beyond, dtype=np.int64)
        for mixture, bits in enumerate(mixtures):
            if not bits >> plan.steps[step] & 1:
                continue
            together = [places[:, other] == here for other in steps[:number]]
            taken = sum((met & (chosen[:, other] == mixture)).astype(np.int64) for other, met in enumerate(together))
            alike = of_mixture[mixture]
            nth = np.searchsorted(alike, instants.first_row[here]) + taken
            event = np.append(alike, beyond)[np.minimum(nth, len(alike))]
            possible = (here >= 0) & (event < instants.first_row[here + 1]) & (event < best)
            possible &= _leaves_enough(plan, rivals, steps, number, places, chosen, mixtures, mixture)
            best[possible] = event[possible]
            chosen[possible, number] = mixture
        rows[:, number] = np.where(best < beyond, best, NOWHERE)
    return rows


def _leaves_enough(
    plan: Plan,
    rivals: list[Rivals],
    steps: Sequence[int],
    number: int,
    places: Codes,
    chosen: Ints,
    mixtures: Sequence[int],
    mixture: int,
) -> Bools:
    """Whether the later steps of the instant still have their events if a step takes one of a mixture of kinds."""
    here = places[:, steps[number]]
    enough = np.ones(len(here), dtype=np.bool_)
    for group in rivals:
        serves = np.array([any(bits >> kind & 1 for kind in group.kinds) for bits in mixtures] + [False])
        taken = np.full(len(here), int(serves[mixture]))
        for other in range(number):
            taken += (places[:, steps[other]] == here) & serves[chosen[:, other]]
        needed = np.zeros(len(here), dtype=np.int64)
        for step in steps[number + 1 :]:
            if plan.steps[step] in group.kinds:
                needed += places[:, step] == here
        enough &= (needed == 0) | (taken + needed <= group.served[here])
    return enough
