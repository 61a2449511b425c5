"""Find the attempts of customers at a journey: which steps they reached, when and by which event.

The unit of time is the instant: all events of a customer at one time. Events of one instant may count in the order of
the steps, whatever their own; each event is used once in an attempt. The window's edge is included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from journeys import chained, placing, spec, strict, tries, unordered, unordered_chained
from journeys import chosen as choosing
from journeys import instants as instants_of
from journeys import plan as plan_of
from journeys.chosen import NEVER, Choice, Chosen
from journeys.histories import Codes, Histories, Ints
from journeys.instants import NOWHERE, Instants
from journeys.plan import Plan
from journeys.spec import Order, Reentry, WindowFrom
from journeys.tries import Tries

MISSING: Final = NEVER
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
    instants = instants_of.of(histories, plan.kinds, every=funnel.order is Order.STRICT)
    if funnel.order is not Order.ANY:
        chosen = _in_order(instants, plan, funnel)
        places = np.full((len(chosen.owner), len(plan.steps)), NOWHERE, dtype=np.int32)
        places[:, list(plan.required)] = chosen.places
        placing.add_optional(instants, plan, places, chosen.until)
        depth = np.array(plan.required, dtype=np.int32)[chosen.depth - 1] + np.int32(1)
        rows = placing.events(instants, plan, places)
        return _named(histories, chosen.owner, depth, rows, chosen.open_until, chosen.excluded)
    if funnel.window_from is WindowFrom.PREVIOUS:
        chains = unordered_chained.find(instants, plan, first_entry_only=funnel.reentry is Reentry.FIRST)
        nobody = np.zeros(0, dtype=np.int32)
        events = _rows_of(instants, chains.events)
        return _named(histories, chains.owner, chains.depth, events, chains.open_until, nobody)
    entries = _entries(instants, plan.steps, funnel)
    found, events = unordered.follow(instants, plan, entries)
    choice = _choice(instants, plan, funnel, found, entries)
    rows = _rows_of(instants, events[:, choice.tries].T)
    owner, depth = found.owner[choice.tries], found.depth[choice.tries]
    return _named(histories, owner, depth, rows, choice.open_until, choice.excluded)


def _in_order(instants: Instants, plan: Plan, funnel: spec.Funnel) -> Chosen:
    entries = _entries(instants, plan.levels[:1], funnel)
    from_previous = funnel.window_from is WindowFrom.PREVIOUS
    if funnel.order is Order.STRICT:
        found = strict.follow(instants, plan, entries, from_previous=from_previous)
    elif from_previous:
        return chained.find(instants, plan, entries)
    else:
        found = tries.follow(instants, plan, entries, superseding=funnel.reentry is Reentry.ANY)
    choice = _choice(instants, plan, funnel, found, entries)
    counted = choice.tries
    depth, places = found.depth[counted], found.reached[:, counted].T
    last = places[np.arange(len(counted)), depth - 1]
    since = instants.at[last] if from_previous else found.entered_at[counted]
    return Chosen(
        owner=found.owner[counted],
        depth=depth,
        places=places,
        until=since + plan.window,
        open_until=choice.open_until,
        excluded=choice.excluded,
    )


def _entries(instants: Instants, kinds: Sequence[int], funnel: spec.Funnel) -> Codes:
    """Return the instants at which attempts may begin."""
    entries = np.flatnonzero(instants.hold(kinds)).astype(np.int32)
    if funnel.reentry is Reentry.FIRST:
        entries = entries[instants_of.firsts(instants.owner[entries])]
    return entries


def _choice(instants: Instants, plan: Plan, funnel: spec.Funnel, found: Tries, entries: Codes) -> Choice:
    if funnel.reentry is Reentry.EVERY:
        return choosing.one_after_another(instants, found, entries, plan.window)
    return choosing.deepest(found, plan.window)


def _rows_of(instants: Instants, events: Ints) -> Ints:
    return np.where(events >= 0, instants.rows[events], NOWHERE) if len(instants) else events


def _named(
    histories: Histories, customer: Codes, depth: Codes, row: Ints, open_until: Ints, excluded: Codes
) -> Attempts:
    at = np.where(row >= 0, histories.at[row], MISSING) if len(row) else row
    return Attempts(customer=customer, depth=depth, at=at, row=row, open_until=open_until, excluded=excluded)
