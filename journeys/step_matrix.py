"""The step matrix: what part of the paths is at which event, place by place.

Places count from 0, the path's anchor: its first event, or the event that the matrix is centred on, with the places
before it below 0. At a place before its first event a path has not begun, at one after its last it has ended.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from journeys import histories, paths, sums
from journeys.coding import Ints, counted
from journeys.histories import NOTHING, Coded
from journeys.paths import GROUP, Paths, Wanted

PLACE, EVENT, FATE, COUNT = "place", "event", "fate", "count"

AT_EVENT, NOT_BEGUN, ENDED = "at_event", "not_begun", "ended"
"""Where a path is at a place."""

COUNTED: Final = pa.schema([(PLACE, pa.int64()), (EVENT, pa.string()), (FATE, pa.string()), (COUNT, pa.int64())])
"""A block's counts: paths per place and event; `event` is null for those that have not begun or have ended."""


def count_block(block: pa.Table, wanted: Wanted, centre: tuple[str, ...], first: int, last: int) -> pa.Table:
    """Count a block of events, as `histories.of` reads it, per group, at the places from first to last.

    centre : patterns of the event at place 0; none: the path's own anchor. Paths without such an event do not count.
    """
    of = paths.of(histories.of(block), wanted)
    of = paths.around(of, centre) if centre else of

    def of_group(part: Paths) -> pa.Table:
        return count(part, first, last)

    return paths.per_group(of, wanted.by, of_group)


def count(of: Paths, first: int, last: int) -> pa.Table:
    """Count the paths at each event at the places from first to last; returns a table of `COUNTED`."""
    values, made = of.histories.event.values, [COUNTED.empty_table()]
    for place in range(first, last + 1):
        rows = of.anchor + place
        begun, ended = rows >= of.starts, rows >= of.ends
        counts = counted(of.histories.event.codes[rows[begun & ~ended]], len(values))
        made.append(_rows(place, np.flatnonzero(counts), counts[counts > 0], values, AT_EVENT))
        for fate, marks in ((NOT_BEGUN, ~begun), (ENDED, ended)):
            elsewhere = np.array([marks.sum()] if marks.any() else [], dtype=np.int64)
            made.append(_rows(place, np.full(len(elsewhere), NOTHING), elsewhere, values, fate))
    return pa.concat_tables(made)


def _rows(place: int, codes: Ints, counts: Ints, values: tuple[str, ...], fate: str) -> pa.Table:
    names = Coded(codes=codes.astype(np.int32), values=values).texts()
    n = len(codes)
    return pa.table([pa.array([place] * n, pa.int64()), names, pa.array([fate] * n, pa.string()), counts], COUNTED)


def matrix(blocks: pa.Table) -> pa.Table:
    """Return the step matrix of all blocks together.

    Returns
    -------
    table : one row per group, place and event, in that order: group, place, event, fate, count, and share, which is
        of all the group's paths; at each place the shares add up to 1.
    """
    rows = sums.added(blocks, [GROUP, PLACE, FATE, EVENT], [COUNT])
    keys = list(zip(rows.column(GROUP).to_pylist(), rows.column(PLACE).to_pylist(), strict=True))
    counts = rows.column(COUNT).to_pylist()
    whole: dict[tuple[str | None, int], int] = {}
    for key, number in zip(keys, counts, strict=True):
        whole[key] = whole.get(key, 0) + number
    shares = [number / whole[key] for key, number in zip(keys, counts, strict=True)]
    return rows.append_column("share", pa.array(shares, pa.float64()))
