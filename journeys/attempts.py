"""Find the attempts of customers at a journey: which steps they reached, when and by which event.

The unit of time is the instant: all events of a customer at one time. Events of one instant may count in the order of
the steps, whatever their own; each event is used once in an attempt. The window's edge is included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from journeys import instants as instants_of
from journeys import plan as plan_of
from journeys import spec, tries
from journeys.histories import Codes, Histories, Ints
from journeys.instants import NOWHERE, Instants
from journeys.plan import Plan
from journeys.tries import Tries

MISSING: Final = int(np.iinfo(np.int64).min)
"""The time of what never happened."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attempts:
    """The attempts that count: one per customer unless every attempt does; in order of customer and entry.

    customer : place of the customer in `histories.ids`, shape (n,).
    depth : the deepest required step reached, as its place among all steps, from 1; with `Order.ANY` how many steps.
    at : microseconds at which each step was reached, `MISSING` where not, shape (n, n_steps); with `Order.ANY` the
        j-th column is the j-th step in time.
    row : the row of the histories of the event that reached it, -1 where not, shape (n, n_steps).
    open_until : the latest entry of the customer that can still go on (arrival, when the window runs from the
        previous step), plus the window; `MISSING` when nothing can go on any more, shape (n,).
    excluded : places of the customers whom an exclusion dropped altogether, sorted; no row is theirs.
    """

    customer: Codes
    depth: Codes
    at: Ints
    row: Ints
    open_until: Ints
    excluded: Codes


def find(histories: Histories, funnel: spec.Funnel) -> Attempts:
    """Return the attempts at a funnel that count."""
    plan = plan_of.of(funnel)
    instants = instants_of.of(histories, plan.kinds)
    entries = np.flatnonzero(instants.hold(plan.levels[:1])).astype(np.int32)
    followed = tries.follow(instants, plan, entries, superseding=True)
    return _best(histories, instants, plan, followed)


def _best(histories: Histories, instants: Instants, plan: Plan, followed: Tries) -> Attempts:
    """Keep one attempt per customer: the deepest, of those the first to get there, of those the latest entry."""
    if not len(followed.owner):
        return _none(len(plan.steps))
    begins = np.flatnonzero(instants_of.firsts(followed.owner))
    group = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(followed.owner)))
    deepest = np.maximum.reduceat(followed.depth, begins)
    chosen = np.flatnonzero(followed.depth == deepest[group])
    arrived = followed.reached[followed.depth[chosen] - 1, chosen]
    order = np.lexsort((-chosen, arrived, group[chosen]))
    chosen = chosen[order[instants_of.firsts(group[chosen][order].astype(np.int32))]]
    places = np.full((len(chosen), len(plan.steps)), NOWHERE, dtype=np.int32)
    places[:, list(plan.required)] = followed.reached[:, chosen].T
    open_until = np.maximum.reduceat(np.where(followed.live, followed.entered_at + plan.window, MISSING), begins)
    row = _rows(instants, plan, places)
    return Attempts(
        customer=followed.owner[chosen],
        depth=np.array(plan.required, dtype=np.int32)[followed.depth[chosen] - 1] + np.int32(1),
        at=np.where(row >= 0, histories.at[row], MISSING),
        row=row,
        open_until=open_until,
        excluded=np.zeros(0, dtype=np.int32),
    )


def _rows(instants: Instants, plan: Plan, places: Codes) -> Ints:
    rows = np.full(places.shape, -1, dtype=np.int64)
    for step, kind in enumerate(plan.steps):
        there = np.flatnonzero(places[:, step] >= 0)
        fits = instants.rows_of(kind)
        nth = sum(
            (places[there, other] == places[there, step]).astype(np.int64)
            for other in range(step)
            if plan.steps[other] == kind
        )
        rows[there, step] = instants.rows[fits[np.searchsorted(fits, instants.first_row[places[there, step]]) + nth]]
    return rows


def _none(n_steps: int) -> Attempts:
    return Attempts(
        customer=np.zeros(0, dtype=np.int32),
        depth=np.zeros(0, dtype=np.int32),
        at=np.zeros((0, n_steps), dtype=np.int64),
        row=np.zeros((0, n_steps), dtype=np.int64),
        open_until=np.zeros(0, dtype=np.int64),
        excluded=np.zeros(0, dtype=np.int32),
    )
