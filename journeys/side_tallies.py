"""What a comparison counts of a block of events: customers, transitions and variants on either side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from journeys import customer_runs, variants
from journeys import histories as blocks
from journeys.histories import Histories, Ints
from journeys.sides import Sides
from journeys.spec import Funnel

Bools = NDArray[np.bool_]
Having = tuple[Ints, Ints]
"""Customers, by place, and what each of them has, by number; one entry per event or path, in any order."""

_BETWEEN: Final = 8  # arrays of the length of the events that counting takes
COUNTS: Final = ("base", "other", "shared_base", "shared_other", "shared_both")
_COUNTS: Final = [(name, pa.int64()) for name in COUNTS]
TRANSITIONS: Final = pa.schema([("from", pa.string()), ("to", pa.string()), *_COUNTS])
"""One row is a transition; null is the start or the end of a path. Customers are counted as `two_sides.Tally` says."""
VARIANTS: Final = pa.schema([("path", pa.binary()), *_COUNTS])
"""One row is a variant: the places of its events among the names given, as 32-bit numbers."""
CUSTOMERS: Final = pa.schema(
    [
        ("customer", pa.string()),
        *((f"{side}_{what}", pa.float64()) for side in ("base", "other") for what in ("events", "seconds", "took")),
        *((f"{side}_depth", pa.int32()) for side in ("base", "other")),
    ]
)
"""One row is a customer on a side or both.

events, seconds : from the first event to the last; null where the customer is not on that side, seconds also where
    sides cut paths.
took : seconds from the first step to the last; null where that was not reached. depth : null without an attempt.
"""


def customers_of_block(block: pa.Table, *, sides: Sides, funnel: Funnel | None, as_of: int) -> pa.Table:
    """Return what is known of each customer of a block on each side."""
    runs = [_customers(run, sides, funnel, as_of) for _, run in customer_runs.of(blocks.of(block), _BETWEEN)]
    return pa.concat_tables([CUSTOMERS.empty_table(), *runs])


def _customers(whole: Histories, sides: Sides, funnel: Funnel | None, as_of: int) -> pa.Table:
    split = sides.split(whole)
    reached = (None, None) if funnel is None else sides.reached(whole, funnel, as_of)
    columns: dict[str, pa.Array] = {"customer": whole.ids.cast(pa.string())}
    for name, side, far in zip(("base", "other"), split, reached, strict=True):
        events = np.diff(side.starts)
        there = events > 0
        spans = np.zeros(len(whole))
        spans[there] = (side.at[side.starts[1:][there] - 1] - side.at[side.starts[:-1][there]]) / 1e6
        columns[f"{name}_events"] = pa.array(events.astype(np.float64), mask=~there)
        columns[f"{name}_seconds"] = pa.array(spans, mask=~there | sides.cuts_paths)
        if far is None:
            columns[f"{name}_took"] = pa.nulls(len(whole), pa.float64())
            columns[f"{name}_depth"] = pa.nulls(len(whole), pa.int32())
        else:
            columns[f"{name}_took"] = pa.array(far.took / 1e6, mask=far.took < 0)
            columns[f"{name}_depth"] = pa.array(far.depth, mask=far.depth == 0)
    base, other = _there(split)
    return pa.table([columns[name] for name in CUSTOMERS.names], schema=CUSTOMERS).filter(pa.array(base | other))


def transitions_of_block(block: pa.Table, *, sides: Sides) -> pa.Table:
    """Count the customers of a block who have each transition; rows of one transition are to be added up."""
    runs = [_transitions(run, sides) for _, run in customer_runs.of(blocks.of(block), _BETWEEN)]
    return pa.concat_tables([TRANSITIONS.empty_table(), *runs])


def _transitions(whole: Histories, sides: Sides) -> pa.Table:
    split = sides.split(whole)
    size = len(whole.event.values) + 1  # the last number is the start, or the end
    outer = not sides.cuts_paths
    keys, counts = _tallied(_edges(split[0], size, outer), _edges(split[1], size, outer), _there(split))
    values = pa.array([*whole.event.values, None], pa.string())
    return pa.table(
        [values.take(pa.array(keys // size)), values.take(pa.array(keys % size)), *counts], schema=TRANSITIONS
    )


def _edges(side: Histories, size: int, outer: bool) -> Having:
    """Return every transition of each customer; `outer` ones too, from the start and into the end."""
    event, owner = side.event.codes.astype(np.int64), side.owners().astype(np.int64)
    there = np.flatnonzero(np.diff(side.starts) > 0)
    first = side.starts[there]
    inner = np.ones(len(event), dtype=np.bool_)
    inner[first] = False
    after = np.flatnonzero(inner)
    owners, keys = [owner[after]], [event[after - 1] * size + event[after]]
    if outer:
        owners += [there, there]
        keys += [(size - 1) * size + event[first], event[side.starts[there + 1] - 1] * size + size - 1]
    return np.concatenate(owners), np.concatenate(keys)


def variants_of_block(block: pa.Table, *, sides: Sides, names: Sequence[str]) -> pa.Table:
    """Count the customers of a block whose path is each variant; rows of one variant are to be added up."""
    runs = [_variants(run, sides, names) for _, run in customer_runs.of(blocks.of(block), _BETWEEN)]
    return pa.concat_tables([VARIANTS.empty_table(), *runs])


def _variants(whole: Histories, sides: Sides, names: Sequence[str]) -> pa.Table:
    split = sides.split(whole)
    there = [np.flatnonzero(side) for side in _there(split)]
    places = {name: place for place, name in enumerate(names)}
    code = np.array([places[name] for name in whole.event.values] + [0], dtype=np.int32)
    codes = code[np.concatenate([side.event.codes for side in split])]
    lengths = np.concatenate([np.diff(side.starts)[rows] for side, rows in zip(split, there, strict=True)])
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    first, variant = variants.classes(starts, codes)
    cut = len(there[0])
    keys, counts = _tallied((there[0], variant[:cut]), (there[1], variant[cut:]), _there(split))
    return pa.table([_paths(starts, codes, first[keys]), *counts], schema=VARIANTS)


def _paths(starts: Ints, codes: NDArray[np.int32], chosen: Ints) -> pa.Array:
    """Return some paths as binary text, 4 bytes an event."""
    lengths = np.diff(starts)[chosen]
    ends = np.cumsum(lengths)
    rows = np.repeat(starts[chosen] - (ends - lengths), lengths) + np.arange(int(lengths.sum()))
    offsets = np.concatenate([[0], ends * 4]).astype(np.int64)
    data = codes[rows].astype("<i4").tobytes()
    large = pa.Array.from_buffers(pa.large_binary(), len(chosen), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    return large.cast(pa.binary())


def _there(split: tuple[Histories, Histories]) -> tuple[Bools, Bools]:
    """Mark the customers with an event on each side."""
    base, other = (np.diff(side.starts) > 0 for side in split)
    return base, other


def _tallied(base: Having, other: Having, there: tuple[Bools, Bools]) -> tuple[Ints, list[Ints]]:
    """Count, for everything that somebody has, the customers who have it; the counts in the order of `COUNTS`."""
    shared = there[0] & there[1]
    keys, place = np.unique(np.concatenate([base[1], other[1]]), return_inverse=True)
    size = max(len(keys), 1)
    cut = len(base[1])
    # each customer and thing once
    own = np.unique(base[0].astype(np.int64) * size + place[:cut])
    others = np.unique(other[0].astype(np.int64) * size + place[cut:])
    both = np.intersect1d(own, others, assume_unique=True)
    wanted = (own, others, own[shared[own // size]], others[shared[others // size]], both)
    return keys.astype(np.int64), [np.bincount(each % size, minlength=len(keys)) for each in wanted]
