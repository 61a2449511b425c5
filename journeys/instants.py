"""Instants: the events of one customer at one time, told by which of a funnel's events they are.

A kind is what reaches a step: event names and conditions. Steps of one kind are reached by the same events. Where
kinds overlap, whether an instant holds a different event for each of several steps is Hall's marriage condition:
every set of their kinds must be served by at least as many events as there are steps of these kinds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.config.journeys import ANY_EVENT
from journeys.histories import Codes, Histories, Ints
from journeys.spec import Exclusion, Step

Bools = NDArray[np.bool_]
Kind = tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]
"""Event names, and attributes with the values they may have; both sorted."""

NOWHERE: Final = -1
"""The place of a step that was not reached."""

_MOST_SERVED: Final = 255
"""Events beyond this number at one instant are not counted: no funnel has as many steps."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instants:
    """The instants that hold an event of some kind, in order of customer and time.

    owner : place of the customer in the histories, shape (n,).
    at : microseconds since 1970, shape (n,).
    last : the last instant of the same customer, shape (n,).
    first_row : the first of each instant's rows in `rows`, shape (n + 1,).
    rows : the rows of the histories, shape (n_rows,).
    row_kinds : which kinds each of these rows is, one bit per kind, shape (n_rows,).
    kinds : which kinds each instant holds, one bit per kind, shape (n,).
    mixtures : every combination of kinds that some event is of, as bits, sorted.
    """

    owner: Codes
    at: Ints
    last: Codes
    first_row: Ints
    rows: Ints
    row_kinds: NDArray[np.unsignedinteger[Any]]
    kinds: NDArray[np.unsignedinteger[Any]]
    mixtures: tuple[int, ...]

    def __len__(self) -> int:
        """Return the number of instants."""
        return len(self.at)

    def hold(self, kinds: Iterable[int]) -> Bools:
        """Mark the instants that hold an event of any of these kinds."""
        marks: Bools = (self.kinds & self._bits(kinds)) != 0
        return marks

    def served(self, kinds: Iterable[int]) -> NDArray[np.uint8]:
        """Count the events of each instant that are of any of these kinds, up to 255."""
        counts = (self.row_kinds & self._bits(kinds)) != 0
        if len(self.rows) > len(self):
            counts = np.minimum(np.add.reduceat(counts, self.first_row[:-1], dtype=np.int32), _MOST_SERVED)
        served: NDArray[np.uint8] = counts.astype(np.uint8)
        return served

    def rows_of(self, *kinds: int) -> Ints:
        """Return the places in `rows` of all events of any of these kinds."""
        return np.flatnonzero((self.row_kinds & self._bits(kinds)) != 0)

    def _bits(self, kinds: Iterable[int]) -> np.unsignedinteger[Any]:
        bits: np.unsignedinteger[Any] = self.kinds.dtype.type(sum(1 << kind for kind in set(kinds)))
        return bits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marked:
    """Some instants of all, so that the nearest of them is found at once.

    places : the marked instants, shape (n_marked + 1,), closed by the number of all instants.
    before : how many marked instants lie before each instant, shape (n + 1,).
    """

    places: Codes
    before: Codes

    def from_(self, instants: Codes) -> Codes:
        """Return the first marked instant at or after each; the number of all instants when there is none."""
        return self.places[self.before[instants]]

    def after(self, instants: Codes) -> Codes:
        """Return the first marked instant after each."""
        return self.places[self.before[instants + 1]]

    def until(self, instants: Codes) -> Codes:
        """Return the last marked instant before each; `NOWHERE` when there is none."""
        count = self.before[instants]
        last: Codes = np.where(count > 0, self.places[count - 1], np.int32(NOWHERE))
        return last


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rivals:
    """A set of kinds for which two or more steps compete, and how many events each instant has for them."""

    kinds: frozenset[int]
    served: NDArray[np.uint8]


def kind_of(step: Step) -> Kind:
    """Return what reaches a step."""
    names = (ANY_EVENT,) if step.any_event else tuple(sorted(set(step.events)))
    return names, tuple((name, tuple(sorted(set(step.where[name])))) for name in sorted(step.where))


def kind_of_exclusion(exclusion: Exclusion) -> Kind:
    """Return which events an exclusion is about."""
    return kind_of(Step(name="", events=exclusion.events))


def of(histories: Histories, kinds: Sequence[Kind], *, every: bool = False) -> Instants:
    """Return the instants of histories that hold an event of some kind; with `every`, all of them."""
    row_kinds = _kinds_of_rows(histories, kinds)
    rows = np.arange(len(row_kinds)) if every or row_kinds.all() else np.flatnonzero(row_kinds)
    owner, at = histories.owners(), histories.at
    if len(rows) < len(row_kinds):
        owner, at, row_kinds = owner[rows], at[rows], row_kinds[rows]
    begins = firsts(owner)
    begins[1:] |= at[1:] != at[:-1]
    first = np.flatnonzero(begins)
    whole = len(first) == len(rows)
    owner = owner if whole else owner[first]
    return Instants(
        owner=owner,
        at=at if whole else at[first],
        last=_last_of_owner(owner),
        first_row=np.append(first, len(rows)),
        rows=rows,
        row_kinds=row_kinds,
        kinds=row_kinds if whole else np.bitwise_or.reduceat(row_kinds, first),
        mixtures=_mixtures(row_kinds),
    )


def marked(marks: Bools) -> Marked:
    """Return marked instants so that the nearest of them is found at once."""
    before = np.zeros(len(marks) + 1, dtype=np.int32)
    np.cumsum(marks, out=before[1:])
    places = np.append(np.flatnonzero(marks), len(marks)).astype(np.int32)
    return Marked(places=places, before=before)


def firsts(owner: Codes | Ints) -> Bools:
    """Mark where a sorted column of customers changes, and its first row."""
    marks = np.ones(len(owner), dtype=np.bool_)
    np.not_equal(owner[1:], owner[:-1], out=marks[1:])
    return marks


def rivals(instants: Instants, steps: Sequence[int], *, least: int = 2) -> list[Rivals]:
    """Return every set of kinds for which steps may compete, given the kind of each step.

    Only sets that hang together by events of several kinds: one that falls apart adds no condition. A set for which
    fewer than `least` steps stand is left out; where several kinds hang together, or one kind stands for several
    steps, `least=1` returns the sets of a single step as well.
    """
    linked = links(instants.mixtures, steps)
    found = []
    for group in components(linked):
        if sum(kind in group for kind in steps) > 1:
            for chosen in full_sets(group, instants.mixtures, linked):
                if sum(kind in chosen for kind in steps) >= least:
                    found.append(Rivals(kinds=chosen, served=instants.served(chosen)))
    return found


def links(mixtures: Iterable[int], kinds: Iterable[int]) -> Mapping[int, set[int]]:
    """Return with which other kinds each kind shares an event that is there."""
    linked: dict[int, set[int]] = {kind: set() for kind in sorted(set(kinds))}
    for bits in mixtures:
        shared = [kind for kind in linked if bits >> kind & 1]
        for kind in shared:
            linked[kind].update(other for other in shared if other != kind)
    return linked


def components(linked: Mapping[int, set[int]]) -> list[list[int]]:
    """Return the kinds in groups that hang together."""
    rest, found = set(linked), []
    while rest:
        group: set[int] = set()
        near = {min(rest)}
        while near:
            group |= near
            near = set().union(*(linked[kind] for kind in near)) - group
        rest -= group
        found.append(sorted(group))
    return found


def full_sets(
    group: Sequence[int], mixtures: Sequence[int], linked: Mapping[int, set[int]] | None = None
) -> list[frozenset[int]]:
    """Return the sets of some kinds to which none can be added without adding events that serve them.

    Of the sets that the same events serve, the largest makes the strongest condition. With `linked`, only sets that
    hang together. All 2^n sets of n kinds are looked through, which a funnel bounds.
    """
    serving = [sum(1 << place for place, bits in enumerate(mixtures) if bits >> kind & 1) for kind in group]
    events = [0]
    for one in serving:
        events += [others | one for others in events]
    largest: dict[int, int] = {}
    for chosen, served in enumerate(events):
        largest[served] = largest.get(served, 0) | chosen
    sets = [chosen for chosen in largest.values() if chosen]
    if linked is not None:
        near = [sum(1 << place for place, other in enumerate(group) if other in linked[kind]) for kind in group]
        sets = [chosen for chosen in sets if _hangs_together(chosen, near)]
    return [frozenset(kind for place, kind in enumerate(group) if chosen >> place & 1) for chosen in sorted(sets)]


def _hangs_together(chosen: int, near: Sequence[int]) -> bool:
    """Whether the places in a set of bits are all connected, `near` being the neighbours of each place."""
    reached = front = chosen & -chosen
    while front:
        place = (front & -front).bit_length() - 1
        front &= front - 1
        fresh = near[place] & chosen & ~reached
        reached |= fresh
        front |= fresh
    return reached == chosen


def _kinds_of_rows(histories: Histories, kinds: Sequence[Kind]) -> NDArray[np.unsignedinteger[Any]]:
    """Return which kinds each event is, one bit per kind in the narrowest type that has them."""
    width = next(bits for bits in (8, 16, 32, 64) if len(kinds) <= bits)
    kind_type = np.dtype(f"uint{width}").type
    of_name = np.zeros(len(histories.event.values) + 1, dtype=kind_type)
    for number, (names, conditions) in enumerate(kinds):
        if not conditions:
            of_name[_codes(histories.event.values, names)] |= kind_type(1 << number)
    bits = of_name[histories.event.codes]
    for number, (names, conditions) in enumerate(kinds):
        if conditions:
            bits[_fit(histories, names, conditions)] |= kind_type(1 << number)
    return bits


def _mixtures(row_kinds: NDArray[np.unsignedinteger[Any]]) -> tuple[int, ...]:
    if row_kinds.itemsize == 1:
        return tuple(np.flatnonzero(np.bincount(row_kinds)).tolist())
    return tuple(sorted(int(bits) for bits in pd.unique(row_kinds)))


def _codes(values: Sequence[str], wanted: Sequence[str]) -> list[int]:
    if ANY_EVENT in wanted:
        return list(range(len(values)))
    return [code for code, value in enumerate(values) if value in wanted]


def _fit(histories: Histories, names: Sequence[str], conditions: Iterable[tuple[str, Sequence[str]]]) -> Bools:
    columns = [(histories.event, names)] + [(histories.attributes[name], values) for name, values in conditions]
    fit = np.ones(histories.n_events, dtype=np.bool_)
    for column, wanted in columns:
        listed = np.zeros(len(column.values) + 1, dtype=np.bool_)  # the last place is that of a missing value
        listed[_codes(column.values, wanted)] = True
        fit &= listed[column.codes]
    return fit


def _last_of_owner(owner: Codes) -> Codes:
    ends = np.append(np.flatnonzero(firsts(owner))[1:], len(owner)) - 1
    return np.repeat(ends, np.diff(ends, prepend=-1)).astype(np.int32)
