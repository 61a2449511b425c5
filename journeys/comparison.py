"""Two groups or two periods side by side: steps, transitions, variants, durations and types, and what is chance.

Every comparison is of customers: the share of those on a side who went from one step on to the next, who ever went from
one event straight to another, whose whole path is a variant, whose journey is of a type. Customers on both sides, as
two periods have, are allowed for (`journeys/two_sides.py`). All p-values are adjusted together by Benjamini and
Hochberg: of what is called different, the share of false alarms stays at the level, however much was looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.domain.errors import NotEnoughData, UnknownName
from engine.lake.engine import Engine
from engine.numerics.multiplicity import benjamini_hochberg
from engine.numerics.ratios import or_none
from journeys import journey_portraits, journey_types, side_tallies, transitions, two_sides
from journeys.event_log import EventLog
from journeys.side_tallies import COUNTS
from journeys.sides import BASE, Groups, Periods, Sides, Starts, as_journeys
from journeys.spec import Funnel, Order, Reentry
from journeys.two_sides import Difference, Tally

Floats = NDArray[np.float64]

MOST: Final = 200
"""Transitions, and variants, that are compared: those of most customers."""
FEWEST: Final = 10
"""Customers on both sides together, below whom a transition or a variant is not compared."""
_DAY: Final = 86_400_000_000  # microseconds
_OUTSIDE: Final = "like no type"
_CUT: Final = "periods cut paths; compare journeys by when they began to see whole ones"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sides of a log. Tables hold what differs most surely first; None, with a reason, where there is none.

    shared : customers on both sides. transitions_seen, variants_seen : how many different ones there are.
    compared : how many p-values were adjusted for each other.
    """

    base: str
    other: str
    base_customers: int
    other_customers: int
    shared: int
    steps: tuple[Difference, ...] | None
    steps_reason: str | None
    transitions: tuple[Difference, ...]
    transitions_seen: int
    variants: tuple[Difference, ...] | None
    variants_seen: int
    variants_reason: str | None
    durations: tuple[Difference, ...]
    types: tuple[Difference, ...] | None
    types_reason: str | None
    compared: int
    notes: tuple[str, ...]


def compare(
    engine: Engine,
    log: EventLog,
    as_of: datetime,
    sides: Sides,
    *,
    funnel: Funnel | None = None,
    with_types: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare the two sides of a log.

    Raises
    ------
    NotEnoughData
        Nobody is on one of the sides.
    UnknownName
        A group is not among the values of its column.
    """
    attributes = _attributes(sides, funnel)
    names = log.event_names(engine, as_of)

    def mapped(function: partial[pa.Table]) -> pa.Table:
        return log.map_blocks(engine, function, as_of, attributes=attributes)

    now = round(as_of.timestamp() * 1_000_000)
    counted = _every_attempt(funnel, sides)
    people = mapped(partial(side_tallies.customers_of_block, sides=sides, funnel=counted, as_of=now))
    sizes = _sizes(people)
    _check(engine, log, as_of, sides, sizes)
    edges = mapped(partial(side_tallies.transitions_of_block, sides=sides))
    steps, steps_reason = (None, "no steps were named") if funnel is None else (_steps(people, funnel), None)
    no_types: tuple[tuple[Difference, ...] | None, str | None] = None, "types were not asked for"
    types, types_reason = _type_mix(engine, log, as_of, sides, seed) if with_types else no_types
    compared_edges, edges_seen = _largest(edges, ["from", "to"], sizes, _edge)
    compared_paths, paths_seen = None, 0
    if not sides.cuts_paths:
        paths = mapped(partial(side_tallies.variants_of_block, sides=sides, names=names))
        compared_paths, paths_seen = _largest(paths, ["path"], sizes, partial(_path, names=names))
    tables, compared = _adjusted(steps, compared_edges, compared_paths, _durations(people, sides, funnel), types)
    return Comparison(
        base=sides.names[0],
        other=sides.names[1],
        base_customers=sizes.base_of,
        other_customers=sizes.other_of,
        shared=sizes.shared,
        steps=None if steps is None else tables[0],
        steps_reason=steps_reason,
        transitions=_surest_first(tables[1]),
        transitions_seen=edges_seen,
        variants=None if compared_paths is None else _surest_first(tables[2]),
        variants_seen=paths_seen,
        variants_reason=_CUT if compared_paths is None else None,
        durations=tables[3],
        types=None if types is None else _surest_first(tables[4]),
        types_reason=types_reason,
        compared=compared,
        notes=_notes(sides, sizes, funnel),
    )


def _attributes(sides: Sides, funnel: Funnel | None) -> tuple[str, ...]:
    own = (sides.column,) if isinstance(sides, Groups) else ()
    return tuple(sorted({*own, *(funnel.attributes() if funnel is not None else ())}))


def _every_attempt(funnel: Funnel | None, sides: Sides) -> Funnel | None:
    """Return the funnel with every attempt counted, of which a period takes the deepest that began in it."""
    return replace(funnel, reentry=Reentry.EVERY) if funnel is not None and isinstance(sides, Periods) else funnel


def _check(engine: Engine, log: EventLog, as_of: datetime, sides: Sides, sizes: Tally) -> None:
    if sizes.base_of and sizes.other_of:
        return
    if isinstance(sides, Groups):
        found = engine.arrow(log.events(as_of, attributes=(sides.column,)).select(sides.column).distinct())
        values = sorted(value for value in found.column(0).to_pylist() if value is not None)
        for name in (sides.base, sides.other):
            if name is not None and name not in values:
                raise UnknownName(f'value of column "{sides.column}"', name, values[:50])
    empty = sides.names[0] if not sizes.base_of else sides.names[1]
    raise NotEnoughData("comparison", f'nobody is on the side "{empty}"', "a customer with an event on either side")


def _steps(people: pa.Table, funnel: Funnel) -> tuple[Difference, ...]:
    """Compare the shares that go on from each required step to the next, and from the first to the last."""
    base, other = (_numbers(people, f"{side}_depth") for side in ("base", "other"))
    if funnel.order is Order.ANY:
        levels = [(f"any {number}", number) for number in range(1, len(funnel.steps) + 1)]
    else:
        levels = [(step.name, number) for number, step in enumerate(funnel.steps, start=1) if not step.optional]
    pairs = [*pairwise(levels), *([(levels[0], levels[-1])] if len(levels) > 2 else [])]
    return tuple(
        two_sides.of_shares(
            (before[0], after[0]),
            _tally_of((base >= before[1], other >= before[1]), (base >= after[1], other >= after[1])),
        )
        for before, after in pairs
    )


def _tally_of(there: tuple[NDArray[np.bool_], ...], having: tuple[NDArray[np.bool_], ...]) -> Tally:
    """Count customers, by side, who are there and who have something."""
    both = there[0] & there[1]
    return Tally(
        base=int((there[0] & having[0]).sum()),
        base_of=int(there[0].sum()),
        other=int((there[1] & having[1]).sum()),
        other_of=int(there[1].sum()),
        shared=int(both.sum()),
        shared_base=int((both & having[0]).sum()),
        shared_other=int((both & having[1]).sum()),
        shared_both=int((both & having[0] & having[1]).sum()),
    )


def _durations(people: pa.Table, sides: Sides, funnel: Funnel | None) -> tuple[Difference, ...]:
    measures = {"events of a customer": "events"}
    if not sides.cuts_paths:
        measures["seconds from first to last event"] = "seconds"
    if funnel is not None:
        measures["seconds from first to last step"] = "took"
    return tuple(
        two_sides.of_medians((name,), _numbers(people, f"base_{column}"), _numbers(people, f"other_{column}"))
        for name, column in measures.items()
    )


def _largest(
    counted: pa.Table, keys: list[str], sizes: Tally, what: Callable[[Mapping[str, Any]], tuple[str, ...]]
) -> tuple[tuple[Difference, ...], int]:
    """Compare what most customers have; returns the differences, and how many different things there are."""
    summed = counted.group_by(keys, use_threads=False).aggregate([(name, "sum") for name in COUNTS])
    customers = summed.column("base_sum").to_numpy() + summed.column("other_sum").to_numpy()
    enough = np.flatnonzero(customers >= FEWEST)
    rows = summed.take(pa.array(enough)).to_pylist()
    named = sorted(((-(row["base_sum"] + row["other_sum"]), what(row), row) for row in rows), key=lambda one: one[:2])
    return tuple(
        two_sides.of_shares(name, replace(sizes, **{count: row[f"{count}_sum"] for count in COUNTS}))
        for _, name, row in named[:MOST]
    ), summed.num_rows


def _edge(row: Mapping[str, Any]) -> tuple[str, ...]:
    return transitions.written(row["from"], transitions.START), transitions.written(row["to"], transitions.END)


def _path(row: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(names[place] for place in np.frombuffer(row["path"], dtype="<i4"))


def _type_mix(
    engine: Engine, log: EventLog, as_of: datetime, sides: Sides, seed: int
) -> tuple[tuple[Difference, ...] | None, str | None]:
    """Compare the shares of journey types, learned from the journeys of both sides together."""
    if isinstance(sides, Groups) and sides.column == log.channel:
        # types shaped by the channel would differ between channels whatever happened
        log = replace(log, channel=None)
    journeys = partial(as_journeys, sides=sides)
    found = journey_types.find(engine, log, as_of, seed=seed, journeys=journeys, attributes=_attributes(sides, None))
    if found.model is None:
        return None, found.reason
    types = journey_portraits.describe(found)
    frame = found.assigned.select(["customer", "type"]).to_pandas()
    side, customer = frame["customer"].str[: len(BASE)], frame["customer"].str[len(BASE) :]
    wide = frame.assign(customer=customer, side=side).pivot(index="customer", columns="side", values="type")
    base, other = (wide.get(name).to_numpy(dtype=np.float64) for name in sorted(wide.columns))
    there = ~np.isnan(base), ~np.isnan(other)
    names = [(journey_types.OUTSIDE, _OUTSIDE), *((one.number - 1, one.name_en) for one in types)]
    return tuple(
        two_sides.of_shares((name,), _tally_of(there, (base == number, other == number)))
        for number, name in names
        if (base == number).any() or (other == number).any()
    ), None


def _adjusted(*tables: Sequence[Difference] | None) -> tuple[list[tuple[Difference, ...]], int]:
    """Adjust all p-values for each other; returns the tables, empty where there is none, and how many p-values."""
    every = [one for table in tables for one in table or ()]
    p_values = [math.nan if one.p_value is None else one.p_value for one in every]
    adjusted = iter(
        [replace(one, p_adjusted=or_none(p)) for one, p in zip(every, benjamini_hochberg(p_values), strict=True)]
    )
    return [tuple(next(adjusted) for _ in table or ()) for table in tables], sum(not math.isnan(p) for p in p_values)


def _surest_first(table: Sequence[Difference]) -> tuple[Difference, ...]:
    def rank(one: Difference) -> tuple[bool, float, float, tuple[str, ...]]:
        return one.p_adjusted is None, one.p_adjusted or 0.0, -abs(one.difference or 0.0), tuple(map(str, one.what))

    return tuple(sorted(table, key=rank))


def _sizes(people: pa.Table) -> Tally:
    """Return how many customers are on each side, and on both."""
    there = tuple(~np.isnan(_numbers(people, f"{side}_events")) for side in ("base", "other"))
    return _tally_of(there, (np.zeros_like(there[0]), np.zeros_like(there[1])))


def _notes(sides: Sides, sizes: Tally, funnel: Funnel | None) -> tuple[str, ...]:
    notes = []
    if not isinstance(sides, Groups):
        days = ((sides.cut - sides.begin) / _DAY, (sides.end - sides.cut) / _DAY)
        if abs(days[0] - days[1]) > 0.01 * max(days):
            notes.append(f"The periods last {days[0]:.1f} and {days[1]:.1f} days.")
    if isinstance(sides, Periods):
        notes.append(f"{sizes.shared:,} customers are in both periods; intervals and p-values allow for it.")
    if isinstance(sides, Starts):
        notes.append(f"Every path is followed for {sides.follow / _DAY:g} days from its first event.")
    if funnel is not None:
        notes.append("Steps count attempts that began a whole window before the date that is looked from.")
    return tuple(notes)


def _numbers(people: pa.Table, column: str) -> Floats:
    numbers: Floats = people.column(column).cast(pa.float64()).to_numpy()
    return numbers
