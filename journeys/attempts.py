"""Find the attempts of customers at a journey: which steps they reached, when and by which event.

The unit of time is the instant: all events of a customer at one time. Events of one instant may count in the order of
the steps, whatever their own; each event is used once in an attempt. The window's edge is included.

Ordered, window from the first step
    An entry is an instant with an event of the first step. From it an attempt goes on to each next required step at
    the earliest instant that has an event left for it, within the window of the entry. Where a later entry waits at
    the same instant for the same step, the earlier attempt is superseded and ends before that instant.
Ordered, window from the previous step
    Each required step lies within the window of the one before. An attempt exists if any choice of events makes one;
    its steps before the last are as late as can be.
Strict
    Each next step lies at the same instant or at the customer's very next one of any event. An attempt exists if any
    sharing out of steps over the instants makes one.
Any order
    As many steps as have an event of their own within the window of the first such event. With the window from the
    previous step: as many as a chain of such events has, none later than the window after the one before.

Which count
    Reentry.ANY: of each customer the deepest; of those the first to get there; of those the latest entry. So later
    events never change a conversion that has happened. Reentry.FIRST: the attempt of the first entry. Reentry.EVERY:
    all, one after another; the next begins at the first entry after the one before was completed, was ended by an
    exclusion, or had its window closed.
Exclusions
    They hold between each two neighbouring required steps of their range. An excluded event strictly between the two
    in time, or after the first within the window if the second is not reached, ends the attempt there. With
    Effect.END_ATTEMPT it counts as deep as it got. With Effect.DROP_CUSTOMER it is tainted, and shows as deep as it
    got, or a step deeper if that would still have come in time: a customer is dropped when no other attempt is as
    deep as the deepest that shows. Of two exclusions the event that comes first decides; at one instant, the drop.
Optional steps
    They never change which required steps are reached. One counts when an event that the attempt does not use lies
    between the required step before and the one after (or the end of the window), behind the optional steps counted
    before it, each as early as can be.
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
        return _in_order(histories, instants, plan, funnel)
    if funnel.window_from is WindowFrom.PREVIOUS:
        return _in_any_order_by_gap(histories, instants, plan, funnel)
    return _in_any_order(histories, instants, plan, funnel)


def _in_order(histories: Histories, instants: Instants, plan: Plan, funnel: spec.Funnel) -> Attempts:
    chosen = _chosen(instants, plan, funnel)
    places = np.full((len(chosen.owner), len(plan.steps)), NOWHERE, dtype=np.int32)
    places[:, list(plan.required)] = chosen.places
    placing.add_optional(instants, plan, places, chosen.until)
    rows = placing.events(instants, plan, places)
    return Attempts(
        customer=chosen.owner,
        depth=np.array(plan.required, dtype=np.int32)[chosen.depth - 1] + np.int32(1),
        at=_times(histories, rows),
        row=rows,
        open_until=chosen.open_until,
        excluded=chosen.excluded,
    )


def _in_any_order_by_gap(histories: Histories, instants: Instants, plan: Plan, funnel: spec.Funnel) -> Attempts:
    chains = unordered_chained.find(instants, plan, first_entry_only=funnel.reentry is Reentry.FIRST)
    rows = _rows_of(instants, chains.events)
    return Attempts(
        customer=chains.owner,
        depth=chains.depth,
        at=_times(histories, rows),
        row=rows,
        open_until=chains.open_until,
        excluded=np.zeros(0, dtype=np.int32),
    )


def _in_any_order(histories: Histories, instants: Instants, plan: Plan, funnel: spec.Funnel) -> Attempts:
    entries = _entries(instants, plan.steps, funnel)
    found, events = unordered.follow(instants, plan, entries)
    choice = _choice(instants, plan, funnel, found, entries)
    rows = _rows_of(instants, events[:, choice.tries].T)
    return Attempts(
        customer=found.owner[choice.tries],
        depth=found.depth[choice.tries],
        at=_times(histories, rows),
        row=rows,
        open_until=choice.open_until,
        excluded=choice.excluded,
    )


def _chosen(instants: Instants, plan: Plan, funnel: spec.Funnel) -> Chosen:
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


def _rows_of(instants: Instants, events: Ints | Codes) -> Ints:
    """Return the rows of the histories of events told by their place in `instants.rows`."""
    rows: Ints = np.where(events >= 0, instants.rows[events], NOWHERE) if len(events) else events.astype(np.int64)
    return rows


def _times(histories: Histories, rows: Ints) -> Ints:
    at: Ints = np.where(rows >= 0, histories.at[rows], MISSING) if len(rows) else rows
    return at
