"""Name the events of attempts: where optional steps were done, and which event reached each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

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
    for before, after in pairwise(plan.required):
        here = places[:, before].copy()
        for step in range(before + 1, after):
            attempts = np.flatnonzero(here >= 0)
            gap = _Gap(places=places[attempts], here=here[attempts], end=places[attempts, after], until=until[attempts])
            found = _optional(instants, plan, rivals, plan.steps[step], gap)
            places[attempts, step] = found
            here[attempts] = np.where(found >= 0, found, here[attempts])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Gap:
    """Where an optional step may be done in each attempt.

    places : the instant of each step so far, shape (n, n_steps). here : the instant from which on. end : that of the
    next required step, `NOWHERE` where it was not reached; the step then has time `until` these microseconds.
    """

    places: Codes
    here: Codes
    end: Codes
    until: Ints


def _optional(instants: Instants, plan: Plan, rivals: list[Rivals], kind: int, gap: _Gap) -> Codes:
    """Return where a step of a kind is done; `NOWHERE` where it is not."""
    holding = instants.hold((kind,))
    stays = holding[gap.here] & _room(plan, rivals, gap.places, kind, gap.here)
    there = instants_of.marked(holding).after(gap.here)
    possible = there <= instants.last[gap.here]
    reached = gap.end >= 0
    possible &= ~reached | (there <= gap.end)
    possible[possible] = reached[possible] | (instants.at[there[possible]] <= gap.until[possible])
    at_end = possible & reached & (there == gap.end)
    possible[at_end] = _room(plan, rivals, gap.places[at_end], kind, there[at_end])
    return np.where(stays, gap.here, np.where(possible, there, np.int32(NOWHERE)))


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
            rows[crowded[:, None], steps] = _shared_out(instants, plan, rivals, steps, places[crowded])
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
    n, beyond = len(places), len(instants.rows)
    mixtures = [bits for bits in instants.mixtures if any(bits >> plan.steps[step] & 1 for step in steps)]
    alike = [np.append(np.flatnonzero(instants.row_kinds == bits), beyond) for bits in mixtures]
    # per rivals and mixture, whether its events serve them; the last place is that of no event
    serves = [np.array([_serves(bits, group) for bits in mixtures] + [False]) for group in rivals]
    chosen = np.full((n, len(steps)), NOWHERE, dtype=np.int64)
    rows = np.full((n, len(steps)), NOWHERE, dtype=np.int64)
    for number, step in enumerate(steps):
        here = places[:, step]
        together = [places[:, other] == here for other in steps]
        best = np.full(n, beyond, dtype=np.int64)
        for mixture, bits in enumerate(mixtures):
            if not bits >> plan.steps[step] & 1:
                continue
            taken = sum((together[other] & (chosen[:, other] == mixture)).astype(np.int64) for other in range(number))
            nth = np.searchsorted(alike[mixture][:-1], instants.first_row[here]) + taken
            event = alike[mixture][np.minimum(nth, len(alike[mixture]) - 1)]
            possible = (here >= 0) & (event < instants.first_row[here + 1]) & (event < best)
            for group, served in zip(rivals, serves, strict=True):
                needed = sum(
                    together[other].astype(np.int64)
                    for other in range(number + 1, len(steps))
                    if plan.steps[steps[other]] in group.kinds
                )
                used = int(served[mixture]) + sum(
                    (together[other] & served[chosen[:, other]]).astype(np.int64) for other in range(number)
                )
                # the later steps of the instant must still find theirs
                possible &= (needed == 0) | (used + needed <= group.served[here])
            best[possible] = event[possible]
            chosen[possible, number] = mixture
        rows[:, number] = np.where(best < beyond, best, NOWHERE)
    return rows


def _serves(bits: int, group: Rivals) -> bool:
    return any(bits >> kind & 1 for kind in group.kinds)
