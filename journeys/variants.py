"""Variants: the different ways that paths run, each with how many took it and how long it took them.

Two paths are of one variant when they hold the same events in the same order. Paths are told apart by a digest first
and then compared event by event, so that no two different ones are ever counted together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from journeys import histories, paths, sums
from journeys.coding import PIECE, Codes, Ints, counted
from journeys.paths import GROUP, Paths, Wanted

PATH, COUNT, CUSTOMERS, TOOK = "path", "count", "customers", "took"

COUNTED: Final = pa.schema(
    [
        (PATH, pa.list_(pa.int32())),
        (COUNT, pa.int64()),
        (CUSTOMERS, pa.int64()),
        (TOOK, sums.NUMBERS),
    ]
)
"""A block's variants: the places of the events in the names given, and the microseconds each path took, sorted."""

Digests = NDArray[np.uint64]

# odd, of about as many ones as zeros: 2^64 over the golden ratio, and a multiplier of MurmurHash3
_STEP, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xFF51AFD7ED558CCD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way: its events; how many paths took it, of how many customers; what part of all; the median time."""

    path: tuple[str, ...]
    count: int
    customers: int
    share: float
    median_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants:
    """The most frequent variants of some paths.

    cases : paths of at least one event.
    variants : how many different ones there are.
    mean_seconds, median_seconds : from the first to the last event of a path; None without paths.
    top : ordered by count, then by the names of the events.
    """

    cases: int
    variants: int
    mean_seconds: float | None
    median_seconds: float | None
    top: tuple[Variant, ...]


def count_block(block: pa.Table, wanted: Wanted, names: Sequence[str]) -> pa.Table:
    """Count the variants of a block of events, as `histories.of` reads it, per group.

    names : all names that paths of the log can hold, sorted, as `patterns.vocabulary` gives them.
    """

    def of_group(part: Paths) -> pa.Table:
        return count(part, names)

    return paths.per_group(paths.of(histories.of(block), wanted), wanted.by, of_group)


def count(of: Paths, names: Sequence[str]) -> pa.Table:
    """Count the variants of some paths; returns a table of `COUNTED`, a row each, in no order."""
    places = {name: place for place, name in enumerate(names)}
    code = np.array([places[value] for value in of.histories.event.values], dtype=np.int32)
    starts, codes = of.histories.starts, of.histories.event.codes
    if (code != np.arange(len(code))).any():
        codes = code.take(codes)
    first, variant = classes(starts, codes)
    counts = counted(variant, len(first))
    took = of.histories.at[of.ends - 1] - of.histories.at[of.starts]
    return pa.table(
        [
            _lists(starts, codes, first),
            pa.array(counts),
            pa.array(sums.distinct(variant, of.customer, len(first))),
            sums.lists_of(sums.sorted_within(variant, took), counts),
        ],
        schema=COUNTED,
    )


def most_frequent(blocks: pa.Table, names: Sequence[str], top: int) -> dict[str | None, Variants]:
    """Return the variants of all blocks together, by group; None is the group of paths without one, or of all.

    names : those that the blocks were counted with.
    top : how many variants to tell; of equally frequent ones, those that come first by the names of their events.
    """
    if not len(blocks):
        return {None: _summary(blocks.drop_columns([GROUP]), names, top)}
    groups = blocks.column(GROUP)
    found = sorted(pc.unique(groups).to_pylist(), key=lambda value: (value is not None, value or ""))
    if len(found) == 1:
        return {found[0]: _summary(blocks.drop_columns([GROUP]), names, top)}
    return {
        value: _summary(blocks.filter(groups.is_null() if value is None else pc.equal(groups, value)), names, top)
        for value in found
    }


def _summary(rows: pa.Table, names: Sequence[str], top: int) -> Variants:
    starts, codes = sums.laid(sums.whole(rows.column(PATH)))
    begins, times = sums.laid(sums.whole(rows.column(TOOK)))
    first, variant = classes(starts, codes)
    counts = _added(variant, rows.column(COUNT), len(first))
    customers = _added(variant, rows.column(CUSTOMERS), len(first))
    cases = int(counts.sum())
    chosen = _foremost(starts, codes, first, counts, top)
    of_chosen = _times(begins, times, variant, chosen)
    return Variants(
        cases=cases,
        variants=len(first),
        mean_seconds=float(times.mean() * sums.SECONDS) if cases else None,
        median_seconds=float(np.median(times) * sums.SECONDS) if cases else None,
        top=tuple(
            Variant(
                path=tuple(names[code] for code in codes[starts[first[one]] : starts[first[one] + 1]].tolist()),
                count=int(counts[one]),
                customers=int(customers[one]),
                share=int(counts[one]) / cases,
                median_seconds=float(np.median(of_one) * sums.SECONDS),
            )
            for one, of_one in zip(chosen.tolist(), of_chosen, strict=True)
        ),
    )


def classes(starts: Ints, codes: Codes, digest: Callable[[Ints, Codes], Digests] | None = None) -> tuple[Ints, Ints]:
    """Tell apart the different paths among some.

    Parameters
    ----------
    starts, codes : path i is codes[starts[i]] to codes[starts[i + 1] - 1], at least one.
    digest : numbers that are equal for equal paths; how well they tell others apart matters for speed alone.

    Returns
    -------
    array, shape (n_classes,)
        The first path of each class, ascending.
    array, shape (n_paths,)
        The class of each path.
    """
    own = np.arange(len(starts) - 1)
    leader, todo = own.copy(), own
    marks = (digest or digests)(starts, codes)
    while len(todo):
        order = todo[np.argsort(marks[todo], kind="stable")]
        new = np.ones(len(order), dtype=np.bool_)
        new[1:] = marks[order[1:]] != marks[order[:-1]]
        leader[order] = np.repeat(order[new], np.diff(np.append(np.flatnonzero(new), len(order))))
        followers = order[~new]
        # those whose digest is another path's are told apart among themselves in the next round
        todo = np.sort(followers[_differ(starts, codes, followers, leader[followers])])
    leads = leader == own
    return np.flatnonzero(leads), (np.cumsum(leads) - 1)[leader]


def digests(starts: Ints, codes: Codes) -> Digests:
    """Return a polynomial of each path's events in wrapping 64-bit numbers."""
    lengths = np.diff(starts)
    if not len(lengths):
        return np.zeros(0, dtype=np.uint64)
    powers = np.cumprod(np.full(int(lengths.max()), _STEP, dtype=np.uint64))
    mixed = np.arange(1, int(codes.max()) + 2, dtype=np.uint64) * _MIX
    mixed ^= mixed >> np.uint64(32)
    found = np.empty(len(lengths), dtype=np.uint64)
    for part in _parts(lengths):
        rows = slice(int(starts[part.start]), int(starts[part.stop]))
        begins = starts[part] - rows.start
        place = np.arange(rows.stop - rows.start) - np.repeat(begins, lengths[part])
        found[part] = np.add.reduceat(mixed.take(codes[rows]) * powers.take(place), begins)
    return found


def _differ(starts: Ints, codes: Codes, one: Ints, other: Ints) -> NDArray[np.bool_]:
    """Mark the pairs of paths that are not the same."""
    lengths = np.diff(starts)
    differ: NDArray[np.bool_] = lengths[one] != lengths[other]
    same = np.flatnonzero(~differ)
    sizes = lengths[one[same]]
    for part in _parts(sizes):
        pairs = same[part]
        rows = paths.ranges(starts[one[pairs]], sizes[part])
        against = paths.ranges(starts[other[pairs]], sizes[part])
        begins = np.cumsum(sizes[part]) - sizes[part]
        differ[pairs] = np.logical_or.reduceat(codes.take(rows) != codes.take(against), begins)
    return differ


def _parts(sizes: Ints) -> list[slice]:
    """Cut paths of some sizes into runs of about as many events as are worked on at once."""
    if not len(sizes):
        return []
    ends = np.cumsum(sizes)
    cuts = np.unique(np.append(np.searchsorted(ends, np.arange(0, ends[-1], PIECE), side="left"), len(sizes)))
    return [slice(int(begin), int(end)) for begin, end in pairwise(np.unique(np.append(0, cuts)))]


def _foremost(starts: Ints, codes: Codes, first: Ints, counts: Ints, top: int) -> Ints:
    """Return the most frequent classes, equally frequent ones in the order of their codes."""
    chosen = np.arange(len(first))
    if top < len(first):
        least = np.partition(counts, len(counts) - top)[len(counts) - top] if top else counts.max() + 1
        tied = np.flatnonzero(counts == least)
        above = np.flatnonzero(counts > least)
        chosen = np.append(above, _earliest(starts, codes, first, tied, top - len(above)))
    key = {one: (-counts[one], codes[starts[first[one]] : starts[first[one] + 1]].tolist()) for one in chosen.tolist()}
    return np.array(sorted(key, key=key.__getitem__), dtype=np.int64)


def _earliest(starts: Ints, codes: Codes, first: Ints, among: Ints, wanted: int) -> Ints:
    """Return so many of some different paths: those first in the order of their codes, a shorter one before."""
    settled, place = [among[:0]], 0
    while 0 < wanted < len(among):
        rows = starts[first[among]] + place
        value = np.where(rows < starts[first[among] + 1], codes[np.minimum(rows, len(codes) - 1)], -1)
        least = np.partition(value, wanted - 1)[wanted - 1]
        settled.append(among[value < least])
        wanted -= len(settled[-1])
        among, place = among[value == least], place + 1
    return np.concatenate([*settled, among[:wanted]])


def _times(bounds: Ints, times: Ints, variant: Ints, chosen: Ints) -> list[Ints]:
    """Return how long the paths of each chosen class took."""
    rank = np.full(int(variant.max(initial=-1)) + 1, -1, dtype=np.int64)
    rank[chosen] = np.arange(len(chosen))
    rows = np.flatnonzero(rank[variant] >= 0) if len(variant) else variant
    rows = rows[np.argsort(rank[variant[rows]], kind="stable")]
    lengths = np.diff(bounds)[rows]
    found = times[paths.ranges(bounds[:-1][rows], lengths)]
    sizes = np.bincount(rank[variant[rows]], weights=lengths, minlength=len(chosen)).astype(np.int64)
    return np.split(found, np.cumsum(sizes)[:-1]) if len(chosen) else []


def _added(variant: Ints, column: pa.ChunkedArray, n: int) -> Ints:
    # exact: floats hold whole numbers up to 2^53
    return np.bincount(variant, weights=column.to_numpy(), minlength=n).astype(np.int64)


def _lists(starts: Ints, codes: Codes, chosen: Ints) -> pa.ListArray:
    """Return the chosen paths as lists of their codes."""
    lengths = np.diff(starts)[chosen]
    bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = np.empty(int(bounds[-1]), dtype=np.int32)
    for part in _parts(lengths):
        rows = paths.ranges(starts[chosen[part]], lengths[part])
        values[bounds[part.start] : bounds[part.stop]] = codes.take(rows)
    return sums.lists_of(values, lengths)
