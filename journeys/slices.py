"""Parts of histories: the events of a customer from one row to another, as a history of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from journeys.histories import Codes, Histories, Ints

# events of copied histories in memory at once
_EVENTS_AT_ONCE: Final = 4_000_000


def pieces(sizes: Ints) -> Iterator[slice]:
    """Yield runs of histories of these sizes that together stay within what is copied at once, one at the least."""
    until = np.cumsum(sizes)
    begin = 0
    while begin < len(sizes):
        done = until[begin - 1] if begin else 0
        end = max(int(np.searchsorted(until, done + _EVENTS_AT_ONCE, side="right")), begin + 1)
        yield slice(begin, end)
        begin = end


def copied(histories: Histories, customers: Ints | Codes, begins: Ints, ends: Ints) -> tuple[Histories, Ints]:
    """Return rows begins[i] to ends[i] of the customers as histories of their own, and the row that each event was."""
    sizes = ends - begins
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    rows = np.repeat(begins - starts[:-1], sizes) + np.arange(starts[-1])
    copies = Histories(
        ids=histories.ids.take(customers),
        starts=starts,
        at=histories.at[rows],
        event=histories.event.take(rows),
        attributes={name: values.take(rows) for name, values in histories.attributes.items()},
    )
    return copies, rows


def ends(histories: Histories, customers: Codes, until: Ints) -> Ints:
    """Return the row after the last event of each of some customers up to an instant, that instant included.

    Parameters
    ----------
    customers : places in `histories.ids`, as often as asked.
    until : microseconds since 1970, one for each.
    """
    owner = np.concatenate([histories.owners(), customers])
    at = np.concatenate([histories.at, until])
    asked = np.arange(len(owner)) >= histories.n_events
    order = np.lexsort((asked, at, owner))
    before = np.empty(len(owner), dtype=np.int64)
    before[order] = np.cumsum(~asked[order])
    return before[histories.n_events :]
