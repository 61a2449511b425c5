"""Paths: the stretches of customers' histories that are counted, each from where it begins to where it ends.

A customer's whole history is one path unless a gap cuts it into sessions. Between two events, or around a step of a
funnel, a customer has at most one path per session; a customer without such a stretch has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.domain.errors import NotEnoughData
from journeys import patterns
from journeys.breakdown import UNKNOWN
from journeys.histories import Codes, Histories, Ints
from journeys.patterns import Rewriting

MICROSECONDS: Final = 1_000_000

GROUP: Final = "group"
"""Column of a block's counts that names the group; null where no groups are asked for."""

MOST_GROUPS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Paths:
    """n paths of at least one event each.

    histories : one "customer" per path; the ids of a customer with several paths stand there several times.
    customer : the place of each path's customer among those of the block, shape (n,).
    anchor : the row of the event at place 0, by default the first, shape (n,).
    arrived : whether the path ends because it came to the event it was to lead to, shape (n,).
    """

    histories: Histories
    customer: Codes
    anchor: Ints
    arrived: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of paths."""
        return len(self.customer)

    @property
    def starts(self) -> Ints:
        """The row of each path's first event."""
        return self.histories.starts[:-1]

    @property
    def ends(self) -> Ints:
        """The row after each path's last event."""
        return self.histories.starts[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which paths a question is about.

    rewriting : which events make a path and under which names; `start` and `end` are patterns of the new names.
    session_gap_seconds : a longer silence begins a new path; None: a customer has one path.
    start, end : the path runs from the first event that fits `start`, to the first after it that fits `end`, both
        included. Customers without such events have no path.
    by : an attribute whose value at the path's first event puts the path into a group.
    """

    rewriting: Rewriting = field(default_factory=Rewriting)
    session_gap_seconds: float | None = None
    start: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    by: str | None = None

    def check(self, names: Sequence[str]) -> None:
        """Refuse a pattern that no event of the log fits.

        Raises
        ------
        UnknownName
        """
        patterns.check(names, self.rewriting)
        new = patterns.vocabulary(names, self.rewriting)
        for pattern in (*self.start, *self.end):
            patterns.known(new, pattern)


def of(histories: Histories, wanted: Wanted) -> Paths:
    """Return the paths of a block that a question is about."""
    paths = whole(patterns.rewrite(histories, wanted.rewriting))
    if wanted.session_gap_seconds is not None:
        paths = sessions(paths, wanted.session_gap_seconds)
    if wanted.start or wanted.end:
        paths = between(paths, wanted.start, wanted.end)
    return paths


def whole(histories: Histories) -> Paths:
    """Return each customer's history as one path; customers without events have none."""
    filled = np.diff(histories.starts) > 0
    customer = np.flatnonzero(filled).astype(np.int32)
    if not filled.all():
        histories = _with(histories, histories.ids.take(pa.array(customer)), histories.starts[np.append(filled, True)])
    return Paths(
        histories=histories,
        customer=customer,
        anchor=histories.starts[:-1],
        arrived=np.zeros(len(customer), dtype=np.bool_),
    )


def sessions(paths: Paths, gap_seconds: float) -> Paths:
    """Cut paths where nothing happens for longer than a gap; a silence of exactly the gap does not cut."""
    before = paths.histories
    begins = before.first_of_customer()
    begins[1:] |= np.diff(before.at) > round(gap_seconds * MICROSECONDS)
    rows = np.flatnonzero(begins)
    path = before.owners()[rows]
    histories = _with(before, before.ids.take(pa.array(path)), np.append(rows, before.n_events))
    arrived = np.zeros(len(rows), dtype=np.bool_)
    return Paths(histories=histories, customer=paths.customer[path], anchor=rows, arrived=arrived)


def between(paths: Paths, start: Sequence[str], end: Sequence[str]) -> Paths:
    """Cut each path to what lies from its first event of `start` to the first after it of `end`, both included.

    Without a start the path runs from its first event to its first of `end`, without an end to its last event. Where
    only an end is given, the event at place 0 is that end.
    """
    first, last = paths.starts, paths.ends - 1
    found = np.ones(len(paths), dtype=np.bool_)
    if start:
        first = _next(paths, start, first)
        found &= first < paths.ends
    if end:
        last = _next(paths, end, first + 1 if start else first)
        found &= last < paths.ends
    anchor = first if start else last
    arrived = np.full(int(found.sum()), bool(end))
    return stretches(
        paths.histories,
        customer=paths.customer[found],
        first=first[found],
        last=last[found],
        anchor=anchor[found],
        arrived=arrived,
    )


def around(paths: Paths, centre: Sequence[str]) -> Paths:
    """Return the paths that have an event of `centre`, with the first of them at place 0."""
    anchor = _next(paths, centre, paths.starts)
    found = anchor < paths.ends
    return _chosen(
        Paths(histories=paths.histories, customer=paths.customer, anchor=anchor, arrived=paths.arrived), found
    )


def stretches(
    histories: Histories,
    *,
    customer: Codes,
    first: Ints,
    last: Ints,
    anchor: Ints,
    arrived: NDArray[np.bool_],
) -> Paths:
    """Return the paths from some rows of histories to others, both included; `anchor` is the row of place 0."""
    lengths = last - first + 1
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = ranges(first, lengths)
    owners = np.searchsorted(histories.starts, first, side="right") - 1
    return Paths(
        histories=Histories(
            ids=histories.ids.take(pa.array(owners)),
            starts=starts,
            at=histories.at.take(rows),
            event=histories.event.take(rows),
            attributes={name: column.take(rows) for name, column in histories.attributes.items()},
        ),
        customer=customer,
        anchor=starts[:-1] + (anchor - first),
        arrived=arrived,
    )


def rewritten(paths: Paths, rewriting: Rewriting) -> Paths:
    """Return paths with their events rewritten; one of which nothing is left is none.

    Place 0 stays at the end that it was at: the last event for paths that lead to it, else the first.
    """
    if rewriting == Rewriting():
        return paths
    histories = patterns.rewrite(paths.histories, rewriting)
    made = whole(histories)
    to_last = bool((paths.anchor > paths.starts).any())
    return Paths(
        histories=made.histories,
        customer=paths.customer[made.customer],
        anchor=made.ends - 1 if to_last else made.starts,
        arrived=paths.arrived[made.customer],
    )


def ranges(first: Ints, lengths: Ints) -> Ints:
    """Return the whole numbers from each first on, as many as its length, one range after the other."""
    if not len(first):
        return np.zeros(0, dtype=np.int64)
    shift = first - (np.cumsum(lengths) - lengths)
    rows = np.repeat(shift, lengths)
    rows += np.arange(len(rows), dtype=np.int64)
    return rows


def per_group(paths: Paths, by: str | None, count: Callable[[Paths], pa.Table]) -> pa.Table:
    """Count the paths of each group apart, with the group's value in the column `group`; of all, where by is None.

    Raises
    ------
    NotEnoughData
        There are more than 1,000 groups.
    """
    return pa.concat_tables(
        made.add_column(0, GROUP, pa.array([value] * len(made), pa.string()))
        for value, part in _groups(paths, by)
        for made in [count(part)]
    )


def _groups(paths: Paths, by: str | None) -> Iterator[tuple[str | None, Paths]]:
    if by is None or not len(paths):
        yield None, paths
        return
    column = paths.histories.attributes[by]
    codes = column.codes[paths.starts]
    # a missing value and the very word are one group
    codes[codes < 0] = column.code_of(UNKNOWN)
    present = np.unique(codes)
    if len(present) > MOST_GROUPS:
        raise NotEnoughData(
            f'paths by "{by}"', f"it has more than {MOST_GROUPS:,} values", "a column of fewer values to group by"
        )
    for code in present.tolist():
        yield (column.values[code] if code >= 0 else UNKNOWN), _chosen(paths, codes == code)


def _next(paths: Paths, wanted: Sequence[str], rows: Ints) -> Ints:
    """Return the first row at or after some rows whose event fits a pattern; beyond the path's end where none does."""
    event = paths.histories.event
    fitting = np.array([bool(patterns.matching([value], wanted)) for value in event.values], dtype=np.bool_)
    hits = np.flatnonzero(fitting.take(event.codes)) if len(fitting) else np.zeros(0, dtype=np.int64)
    hits = np.append(hits, len(event.codes))
    return hits[np.searchsorted(hits, np.minimum(rows, len(event.codes)))]


def _chosen(paths: Paths, marked: NDArray[np.bool_]) -> Paths:
    """Return the marked paths only."""
    if marked.all():
        return paths
    return stretches(
        paths.histories,
        customer=paths.customer[marked],
        first=paths.starts[marked],
        last=paths.ends[marked] - 1,
        anchor=paths.anchor[marked],
        arrived=paths.arrived[marked],
    )


def _with(histories: Histories, ids: pa.Array, starts: Ints) -> Histories:
    return Histories(ids=ids, starts=starts, at=histories.at, event=histories.event, attributes=histories.attributes)
