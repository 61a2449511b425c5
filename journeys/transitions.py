"""The transition graph: which event comes straight after which, how often, for how many customers and how soon.

A path of k events has k + 1 transitions: into its first event, k - 1 from event to event, and out of its last one. So
what leaves an event is as much as what comes to it, and both are its occurrences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from journeys import histories, paths, patterns, sums
from journeys.coding import counted
from journeys.histories import NOTHING, Coded, Ints
from journeys.paths import GROUP, Paths, Wanted

START, END = "(start)", "(end)"
"""What stands for the begin and the end of a path where a table is written out.

An event of such a name is written with one more pair of parentheses, so that it is never taken for either.
"""

FROM, TO, COUNT, CUSTOMERS, WAITS = "from", "to", "count", "customers", "waits"

COUNTED: Final = pa.schema(
    [(FROM, pa.string()), (TO, pa.string()), (COUNT, pa.int64()), (CUSTOMERS, pa.int64()), (WAITS, sums.NUMBERS)]
)
"""A block's transitions. `from` is null at the begin of a path, `to` at its end; waits in microseconds, sorted."""

# up to so many event names, each pair of them has its place in a table; beyond, only the pairs that occur
_MOST_SQUARED: Final = 1_000

PERCENTILES: Final = {"p25_seconds": 0.25, "median_seconds": 0.5, "p75_seconds": 0.75, "p95_seconds": 0.95}


def count_block(block: pa.Table, wanted: Wanted) -> pa.Table:
    """Count the transitions of a block of events, as `histories.of` reads it, per group."""
    return paths.per_group(paths.of(histories.of(block), wanted), wanted.by, count)


def count(of: Paths) -> pa.Table:
    """Count the transitions of some paths.

    Returns
    -------
    table of `COUNTED`, one row per pair of events that occurs, and per first and per last event.
    """
    values = of.histories.event.values
    begins, ends = _outermost(of, of.starts), _outermost(of, of.ends - 1)
    before, after, inner = _inner(of)
    without = np.full(len(values), NOTHING, dtype=np.int64)
    event = np.arange(len(values), dtype=np.int64)
    counts = np.concatenate([begins.counts, inner.counts, ends.counts])
    n_waits = np.concatenate([np.zeros_like(begins.counts), inner.counts, np.zeros_like(ends.counts)])
    found = counts > 0
    return pa.table(
        [
            _names(np.concatenate([without, before, event])[found], values),
            _names(np.concatenate([event, after, without])[found], values),
            pa.array(counts[found]),
            pa.array(np.concatenate([begins.customers, inner.customers, ends.customers])[found]),
            sums.lists_of(inner.waits, n_waits[found]),
        ],
        schema=COUNTED,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Edges:
    """How often each edge occurs, for how many customers, and the waits of all edges, one edge after the other."""

    counts: Ints
    customers: Ints
    waits: Ints


def _outermost(of: Paths, rows: Ints) -> _Edges:
    """Count the events at the begin, or at the end, of the paths: an edge for each event of the vocabulary."""
    events, n = of.histories.event.codes[rows], len(of.histories.event.values)
    return _Edges(
        counts=np.bincount(events, minlength=n),
        customers=sums.distinct(events, of.customer, n),
        waits=np.zeros(0, dtype=np.int64),
    )


def _inner(of: Paths) -> tuple[Ints, Ints, _Edges]:
    """Count the pairs of events within the paths; returns the events before and after of each edge, and the edges."""
    codes, size = of.histories.event.codes, len(of.histories.event.values)
    pairs = codes[:-1] * np.int64(size) if size > _MOST_SQUARED else codes[:-1] * np.int32(size)
    pairs += codes[1:]
    n_edges = size * size
    edges = np.arange(n_edges if size <= _MOST_SQUARED else 0, dtype=np.int64)
    if size > _MOST_SQUARED:
        edges, pairs = np.unique(pairs, return_inverse=True)
        n_edges = len(edges)
    # from the last event of a path to the first of the next is no transition: an edge of its own, cut off after
    across = of.ends[:-1] - 1
    pairs[across] = n_edges
    counts = counted(pairs, n_edges + 1)[:n_edges]
    owners = np.repeat(of.customer, np.diff(of.histories.starts))
    customers = sums.distinct(pairs, owners[:-1], n_edges + 1)[:n_edges]
    del owners
    waits = np.diff(of.histories.at)
    waits[across] = 0
    waits = sums.sorted_within(pairs, waits)[: int(counts.sum())]
    size = max(size, 1)
    return edges // size, edges % size, _Edges(counts=counts, customers=customers, waits=waits)


def _names(codes: Ints, values: tuple[str, ...]) -> pa.Array:
    return Coded(codes=codes.astype(np.int32), values=values).texts()


def graph(blocks: pa.Table) -> pa.Table:
    """Return the transitions of all blocks together, the most frequent first.

    Returns
    -------
    table : one row per group and transition: group, from and to, null at the begin and the end of a path; count;
        customers, the different ones; share_out, of all that leaves `from`; share_in, of all that comes to `to`;
        the percentiles of the wait in seconds, null at the begin and the end.
    """
    rows = sums.added(blocks, [GROUP, FROM, TO], [COUNT, CUSTOMERS], [WAITS])
    waits = sums.quantiles(sums.whole(rows.column(WAITS)), list(PERCENTILES.values())) * sums.SECONDS
    made = rows.drop_columns([WAITS])
    made = made.append_column("share_out", _share(rows, FROM)).append_column("share_in", _share(rows, TO))
    for place, name in enumerate(PERCENTILES):
        made = made.append_column(name, pa.array(waits[:, place], mask=np.isnan(waits[:, place])))
    keys = [(GROUP, "ascending"), (COUNT, "descending"), (FROM, "ascending"), (TO, "ascending")]
    return made.take(pc.sort_indices(made, [(*key, "at_start") for key in keys]))


def _share(rows: pa.Table, of: str) -> pa.Array:
    """Return each row's part of all the counts of its group and event."""
    totals = rows.select([GROUP, of, COUNT]).group_by([GROUP, of], use_threads=False).aggregate([(COUNT, "sum")])
    known = {(row[GROUP], row[of]): row[f"{COUNT}_sum"] for row in totals.to_pylist()}
    keys = zip(rows.column(GROUP).to_pylist(), rows.column(of).to_pylist(), strict=True)
    whole = np.fromiter((known[key] for key in keys), dtype=np.float64, count=len(rows))
    return pa.array(np.asarray(rows.column(COUNT)) / whole)


def written(name: str | None, mark: str) -> str:
    """Return an event's name as it is written out, and the mark for the begin or the end of a path."""
    return patterns.beside(name, (START, END)) or mark
