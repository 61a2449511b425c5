"""Lay what customers did along the steps they should have gone, at the least cost, and tell what deviates.

Only events that some step names are looked at. The model of a case is its steps up to the deepest that it has events
for, or all of them where every case must be complete. A case costs one for every event that the model does not
expect there and one for every required step of the model without an event; optional steps cost nothing. Its fitness
is 1 - cost / (events + required steps of the model): 1 when it went exactly along the steps, 0 when nothing fits.

References
----------
Adriansyah (2014), Aligning observed and modeled behavior: alignments with unit costs. For steps in one order they are
the longest common subsequence, found here for all different cases at once by dynamic programming.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.domain.errors import SettingsFault
from journeys.histories import Codes, Histories, Ints
from journeys.signals import reaches
from journeys.spec import Step

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

MOST_STEPS: Final = 62
"""Steps of one model: which of them an event reaches is kept in the bits of one number."""

_CELLS: Final = 20_000_000  # cells of the tables of one batch of different cases, two bytes each


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aligned:
    """Cases along the steps, one row per customer with an event of some step.

    customer : place in `histories.ids`. events : how many of its events some step names.
    deepest : the last step of its model, from 1. cost, fitness : as the module says.
    met : steps with an event in its place, shape (n, K). skipped : required steps of its model without any event to
    spare. misplaced : required steps of its model whose events all came at another place. repeats : how many events
    of a step came beyond the one in its place.
    """

    customer: Codes
    events: Ints
    deepest: Codes
    cost: Codes
    fitness: Floats
    met: Bools
    skipped: Bools
    misplaced: Bools
    repeats: Codes

    def take(self, rows: Ints) -> dict[str, NDArray[np.generic]]:
        """Return all but the customer and the events at some rows, by name."""
        names = ("deepest", "cost", "fitness", "met", "skipped", "misplaced", "repeats")
        return {name: getattr(self, name)[rows] for name in names}


def align(histories: Histories, steps: Sequence[Step], *, complete: bool = False) -> Aligned:
    """Align every customer's events with the steps; events of one instant in the order in which they stand.

    Raises
    ------
    SettingsFault
        There are no steps, or more than `MOST_STEPS`.
    """
    if not 1 <= len(steps) <= MOST_STEPS:
        raise SettingsFault("The intended journey", [f"{len(steps)} steps: expected 1 to {MOST_STEPS}."])
    bits = np.zeros(histories.n_events, dtype=np.int64)
    for place, step in enumerate(steps):
        bits |= reaches(histories, step).astype(np.int64) << place
    rows = np.flatnonzero(bits)
    counted = np.bincount(histories.owners()[rows], minlength=len(histories))
    offsets = np.concatenate([[0], np.cumsum(counted)]).astype(np.int64)
    cases = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(histories), [None, pa.py_buffer(offsets * 8), pa.py_buffer(bits[rows])]
    ).dictionary_encode()
    different = np.asarray(cases.indices, dtype=np.int64)
    _, example = np.unique(different, return_index=True)
    found = _align_different(bits[rows], offsets[example], counted[example], steps, complete)
    customers = np.flatnonzero(counted)
    return Aligned(customer=customers.astype(np.int32), events=counted[customers], **found.take(different[customers]))  # type: ignore[arg-type]


def _align_different(bits: Ints, starts: Ints, lengths: Ints, steps: Sequence[Step], complete: bool) -> Aligned:
    """Align cases that are all different, longest first, as many at once as fit."""
    n_steps = len(steps)
    made = Aligned(
        customer=np.zeros(0, dtype=np.int32),
        events=lengths,
        deepest=np.zeros(len(starts), dtype=np.int32),
        cost=np.zeros(len(starts), dtype=np.int32),
        fitness=np.ones(len(starts)),
        met=np.zeros((len(starts), n_steps), dtype=np.bool_),
        skipped=np.zeros((len(starts), n_steps), dtype=np.bool_),
        misplaced=np.zeros((len(starts), n_steps), dtype=np.bool_),
        repeats=np.zeros((len(starts), n_steps), dtype=np.int32),
    )
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    while len(order):
        fits = max(1, _CELLS // (int(lengths[order[0]]) * (n_steps + 1)))
        batch, order = order[:fits], order[fits:]
        _align_batch(made, batch, _laid_out(bits, starts[batch], lengths[batch], n_steps), steps, complete=complete)
    return made


def _laid_out(bits: Ints, starts: Ints, lengths: Ints, n_steps: int) -> Bools:
    """Return which steps each event of each case reaches, shape (n_cases, longest, n_steps)."""
    place = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    table = np.zeros((len(lengths), int(lengths[0])), dtype=np.int64)
    table[np.repeat(np.arange(len(lengths)), lengths), place] = bits[np.repeat(starts, lengths) + place]
    return np.asarray((table[:, :, None] >> np.arange(n_steps)) & 1 == 1)


def _align_batch(made: Aligned, batch: Ints, reached: Bools, steps: Sequence[Step], *, complete: bool) -> None:
    """Fill in the rows of one batch of cases, in order of falling length."""
    lengths, n_steps = made.events[batch], len(steps)
    required = np.array([not step.optional for step in steps])
    deepest = np.full(len(batch), n_steps) if complete else _deepest(reached, steps)
    # the best worth of each beginning of the case against each beginning of the model: 2 for a required step in its
    # place, which spares its event and itself, 1 for an optional one
    worth = np.where(required, 2, 1).astype(np.int16)
    best = np.zeros((int(lengths[0]) + 1, len(batch), n_steps + 1), dtype=np.int16 if n_steps < 2**14 else np.int32)
    active = np.searchsorted(-lengths, -np.arange(int(lengths[0])), side="left")
    for event in range(int(lengths[0])):
        here, before = best[event + 1], best[event]
        here[:] = before
        rows = slice(0, active[event])
        paired = before[rows, :-1] + reached[rows, event] * worth
        np.maximum(here[rows, 1:], paired, out=here[rows, 1:])
        np.maximum.accumulate(here[rows], axis=1, out=here[rows])
    every = np.arange(len(batch))
    expected = np.concatenate([[0], np.cumsum(required)])[deepest]
    cost = lengths + expected - best[-1][every, deepest]
    met, used = _traced(best, reached, deepest, active)
    of_model = np.arange(n_steps) < deepest[:, None]
    spare = (reached & ~used[:, :, None]).sum(axis=1)
    missing = of_model & required & ~met
    # a spare event counts as a repeat of the first step in its place that it could have been
    first_met = np.argmax(reached & met[:, None, :], axis=2)
    is_repeat = ~used & (reached & met[:, None, :]).any(axis=2)
    repeats = np.zeros((len(batch), n_steps), dtype=np.int32)
    np.add.at(repeats, (np.nonzero(is_repeat)[0], first_met[is_repeat]), 1)
    made.deepest[batch], made.cost[batch] = deepest, cost
    made.fitness[batch] = 1 - cost / (lengths + expected)
    made.met[batch], made.repeats[batch] = met, repeats
    made.misplaced[batch], made.skipped[batch] = missing & (spare > 0), missing & (spare == 0)


def _deepest(reached: Bools, steps: Sequence[Step]) -> Ints:
    """Return the deepest step of each case that it has enough events for, given the steps of the same events before."""
    deepest = np.zeros(len(reached), dtype=np.int64)
    for place, step in enumerate(steps):
        alike = [other for other in range(place + 1) if steps[other].overlaps(step)]
        same = [other for other in alike if _kind(steps[other]) == _kind(step)]
        enough = reached[:, :, place].sum(axis=1) >= len(same)
        enough &= reached[:, :, alike].any(axis=2).sum(axis=1) >= len(alike)
        deepest[enough] = place + 1
    return deepest


def _kind(step: Step) -> tuple[frozenset[str], frozenset[tuple[str, tuple[str, ...]]]]:
    return frozenset(step.events), frozenset((name, tuple(sorted(values))) for name, values in step.where.items())


def _traced(best: NDArray[np.signedinteger], reached: Bools, deepest: Ints, active: Ints) -> tuple[Bools, Bools]:
    """Return which steps have an event in their place, and which events are in the place of a step.

    Of several best alignments the one with the earliest events is taken.
    """
    cases, longest, n_steps = reached.shape
    met, used = np.zeros((cases, n_steps), dtype=np.bool_), np.zeros((cases, longest), dtype=np.bool_)
    level = deepest.copy()
    for event in range(longest - 1, -1, -1):
        rows = np.arange(active[event])
        after, value = best[event + 1], best[event + 1][rows, level[rows]]
        taken = rows[best[event][rows, level[rows]] < value]
        # the step is the least beginning of the model that is worth as much
        step = np.argmax(after[taken] == value[taken, None], axis=1) - 1
        used[taken, event] = True
        met[taken, step] = True
        level[taken] = step
    return met, used
