"""Flows: how paths run on, place by place, and where they stop; what a Sankey diagram draws.

Every path is at one event at each of its places. From there it goes on to the next, has arrived where it was to lead,
or stops: a drop-off. So at each place what reached an event = dropped + arrived + went on, and what went on is what
reaches the events of the next place. Trimming for a picture joins events into `OTHER` and changes no total.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.domain.errors import SettingsFault
from journeys import breakdown, histories, outcomes, paths, patterns, sums
from journeys.histories import Coded, Histories, Ints
from journeys.outcomes import Status
from journeys.paths import GROUP, Paths, Wanted
from journeys.spec import Funnel

PLACE, EVENT, NEXT, FATE, COUNT, CUSTOMERS = "place", "event", "next", "fate", "paths", "customers"

WENT_ON, ARRIVED, DROPPED = "went_on", "arrived", "dropped"

OTHER: Final = "(other)"

COUNTED: Final = pa.schema(
    [
        (PLACE, pa.int64()),
        (EVENT, pa.string()),
        (FATE, pa.string()),
        (NEXT, pa.string()),
        (COUNT, pa.int64()),
        (CUSTOMERS, pa.int64()),
    ]
)
"""A block's flows: paths, and different customers, per place, event, what came of it and the next event, if any.

Places count from 0, the path's anchor: its first event, or the one that it leads to, with the places before below 0.
"""

_FATES: Final = (WENT_ON, ARRIVED, DROPPED)


class Side(StrEnum):
    """Which part of a customer's history to follow, seen from a step of a funnel."""

    AFTER = "after"
    """From the event that reached the step to the customer's last."""

    BEFORE = "before"
    """From the customer's first event to the one that reached the step."""

    BETWEEN = "between"
    """From the event that reached the required step before to the one that reached the step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtStep:
    """Whose paths to follow: of those who reached a step of a funnel, numbered from 1, all or those of one status."""

    funnel: Funnel
    step: int
    as_of: datetime
    status: Status = Status.REACHED
    side: Side = Side.AFTER


def count_block(block: pa.Table, wanted: Wanted, first: int, last: int) -> pa.Table:
    """Count a block of events, as `histories.of` reads it, per group, at the places from first to last."""
    return _counted(paths.of(histories.of(block), wanted), wanted.by, first, last)


def count_block_at_step(block: pa.Table, wanted: Wanted, at_step: AtStep, first: int, last: int) -> pa.Table:
    """Count the paths around a step of a funnel in a block of all events of its customers.

    Of what is wanted, the rewriting and the groups count here. A path of which the rewriting leaves nothing is none.
    """
    of = paths.rewritten(at_step_of(histories.of(block), at_step), wanted.rewriting)
    return _counted(of, wanted.by, first, last)


def _counted(of: Paths, by: str | None, first: int, last: int) -> pa.Table:
    def of_group(part: Paths) -> pa.Table:
        return count(part, first, last)

    return paths.per_group(of, by, of_group)


def at_step_of(of: Histories, at_step: AtStep) -> Paths:
    """Return the paths around a step of a funnel: exactly one for each attempt that the funnel counts there.

    Raises
    ------
    SettingsFault
        What leads from the step before to the first step is asked for.
    """
    everybody = breakdown.everybody(of, at_step.funnel)
    found = everybody.attempts
    outcome = outcomes.of(outcomes.rows_of(everybody, at_step.funnel), at_step.funnel, at_step.as_of)
    # the rows of the excluded, who have reached nothing, come after those of the attempts
    chosen = np.flatnonzero(outcome.having(at_step.step, at_step.status)[: len(found.depth)])
    customer, row = found.customer[chosen], found.row[chosen, at_step.step - 1]
    first, last = row, row
    if at_step.side is Side.AFTER:
        last = of.starts[customer + 1] - 1
    elif at_step.side is Side.BEFORE:
        first = of.starts[customer]
    else:
        before = outcomes.step_before(at_step.funnel, at_step.step)
        if before is None:
            raise SettingsFault("between steps", ["nothing comes before the first step: name a later one"])
        # events of one instant may count in the order of the steps, whatever theirs
        first, last = np.minimum(found.row[chosen, before - 1], row), np.maximum(found.row[chosen, before - 1], row)
    return paths.stretches(
        of,
        customer=customer,
        first=first,
        last=last,
        anchor=last if at_step.side is Side.BEFORE else first,
        arrived=np.full(len(chosen), at_step.side is not Side.AFTER),
    )


def count(of: Paths, first: int, last: int) -> pa.Table:
    """Count the paths at each event at the places from first to last; returns a table of `COUNTED`."""
    return pa.concat_tables([COUNTED.empty_table(), *(_at(of, place) for place in range(first, last + 1))])


def _at(of: Paths, place: int) -> pa.Table:
    codes, values = of.histories.event.codes, of.histories.event.values
    rows = of.anchor + place
    here = np.flatnonzero((rows >= of.starts) & (rows < of.ends))
    rows = rows[here]
    ends = rows == of.ends[here] - 1
    fate = np.where(ends, np.where(of.arrived[here], _FATES.index(ARRIVED), _FATES.index(DROPPED)), 0)
    following = np.where(ends, -1, codes[np.minimum(rows + 1, len(codes) - 1)])
    key = (codes[rows].astype(np.int64) * len(_FATES) + fate) * (len(values) + 1) + following + 1
    flows, flow = np.unique(key, return_inverse=True)
    event, fates = np.divmod(flows // (len(values) + 1), len(_FATES))
    return pa.table(
        [
            pa.array(np.full(len(flows), place, dtype=np.int64)),
            _names(event, values),
            pa.array(np.array(_FATES)[fates], pa.string()),
            _names(flows % (len(values) + 1) - 1, values),
            pa.array(np.bincount(flow, minlength=len(flows))),
            pa.array(sums.distinct(flow, of.customer[here], len(flows))),
        ],
        schema=COUNTED,
    )


def _names(codes: Ints, values: tuple[str, ...]) -> pa.Array:
    return Coded(codes=codes.astype(np.int32), values=values).texts()


def table(blocks: pa.Table) -> pa.Table:
    """Return the flows of all blocks together, in order of group, place, event, fate and next event."""
    return sums.added(blocks, [GROUP, PLACE, EVENT, FATE, NEXT], [COUNT, CUSTOMERS])


def nodes(flows: pa.Table) -> pa.Table:
    """Return what came to each event at each place and what became of it, the most frequent of a place first.

    Returns
    -------
    table : one row per group, place and event: reached = went_on + arrived + dropped, all numbers of paths.
    """
    keys = [GROUP, PLACE, EVENT]
    columns = {"reached": flows.column(COUNT)}
    for fate in _FATES:
        columns[fate] = pc.if_else(pc.equal(flows.column(FATE), fate), flows.column(COUNT), 0)
    rows = flows.select(keys)
    for name, column in columns.items():
        rows = rows.append_column(name, column)
    made = sums.added(rows, keys, list(columns))
    order = [(GROUP, "ascending"), (PLACE, "ascending"), ("reached", "descending"), (EVENT, "ascending")]
    return made.take(pc.sort_indices(made, [(*key, "at_start") for key in order]))


def trimmed(flows: pa.Table, top: int) -> pa.Table:
    """Return the flows with all but the most frequent events of each group and place joined into `OTHER`.

    For a picture: every path is still in it. An event that has that very name gets another pair of parentheses.
    """
    named = flows
    for name in (EVENT, NEXT):
        texts = [patterns.beside(text, (OTHER,)) for text in named.column(name).to_pylist()]
        named = named.set_column(named.column_names.index(name), name, pa.array(texts, pa.string()))
    kept: dict[tuple[str | None, int], set[str]] = {}
    for node in nodes(named).to_pylist():
        shown = kept.setdefault((node[GROUP], node[PLACE]), set())
        if len(shown) < top:
            shown.add(node[EVENT])
    last = pc.max(named.column(PLACE)).as_py()
    rows = named.to_pylist()
    for row in rows:
        if row[EVENT] not in kept[row[GROUP], row[PLACE]]:
            row[EVENT] = OTHER
        # beyond the last place nothing is counted, so nothing is left out there either
        if row[NEXT] is not None and row[PLACE] < last and row[NEXT] not in kept[row[GROUP], row[PLACE] + 1]:
            row[NEXT] = OTHER
    return table(pa.Table.from_pylist(rows, schema=flows.schema))
