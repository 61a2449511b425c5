"""The two sides of a comparison: two groups of customers, two periods, or journeys that began in two periods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from journeys import attempts
from journeys.attempts import MISSING
from journeys.histories import NOTHING, Codes, Histories, Ints
from journeys.spec import Funnel

Bools = NDArray[np.bool_]

BASE: Final = "b|"
OTHER: Final = "o|"
"""Before the id of a customer's journey on either side, where the two are journeys of their own."""

_SECOND: Final = 1_000_000
_LATEST: Final = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reached:
    """How deep each customer's attempt got, 0 without one, and the microseconds it took to the last step, or `MISSING`.

    Only attempts that began a window or more before the date count, whether or not they have converted: of the others
    only the quick ones would be known.
    """

    depth: Codes
    took: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Customers by the first value that their events have in a column; `other` None: everybody with another value."""

    column: str
    base: str
    other: str | None

    @property
    def names(self) -> tuple[str, str]:
        """What the sides are called."""
        return self.base, f"all but {self.base}" if self.other is None else self.other

    @property
    def cuts_paths(self) -> bool:
        """A customer's whole path is on one side."""
        return False

    def split(self, histories: Histories) -> tuple[Histories, Histories]:
        """Return the events of each side; both have all customers, those of the other side without events."""
        value = self._first_values(histories)
        code = histories.attributes[self.column].code_of
        base = value == code(self.base)
        other = ~base & (value != NOTHING) if self.other is None else value == code(self.other)
        events = np.diff(histories.starts)
        return histories.keep(np.repeat(base, events)), histories.keep(np.repeat(other, events))

    def reached(self, histories: Histories, funnel: Funnel, as_of: int) -> tuple[Reached, Reached]:
        """Return how far the attempt of each customer got, on each side."""
        return _of_each(self.split(histories), funnel, as_of)

    def _first_values(self, histories: Histories) -> Codes:
        """Return the code of the first value of each customer, `NOTHING` without any."""
        codes = histories.attributes[self.column].codes
        known = np.flatnonzero(codes != NOTHING)
        owner = histories.owners()[known]
        first = np.full(len(histories), NOTHING, dtype=np.int32)
        first[owner[::-1]] = codes[known[::-1]]
        return first


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """Events from `begin` to before `cut`, against those from `cut` to before `end`; microseconds since 1970."""

    begin: int
    cut: int
    end: int
    names: tuple[str, str]

    @property
    def cuts_paths(self) -> bool:
        """Whether a path goes on outside a side: then where it begins, ends and how long it is cannot be compared."""
        return True

    def split(self, histories: Histories) -> tuple[Histories, Histories]:
        """Return the events of each side; both have all customers, some without events."""
        at = histories.at
        before = (at >= self.begin) & (at < self.cut)
        return histories.keep(before), histories.keep((at >= self.cut) & (at < self.end))

    def reached(self, histories: Histories, funnel: Funnel, as_of: int) -> tuple[Reached, Reached]:
        """Return how far the deepest attempt of each customer got, of those that began on each side."""
        found = attempts.find(histories, funnel)
        entered = found.at[:, 0]
        before = (entered >= self.begin) & (entered < self.cut)
        after = (entered >= self.cut) & (entered < self.end)
        base, other = _some(found, before), _some(found, after)
        return _reached(base, len(histories), funnel, as_of), _reached(other, len(histories), funnel, as_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """Customers whose first event lies from `begin` to before `cut`, against those from `cut` to before `end`.

    Every path is followed for the same time, its edge included; the date that is looked from lies as much after `end`.
    All in microseconds.
    """

    begin: int
    cut: int
    end: int
    follow: int
    names: tuple[str, str]

    @property
    def cuts_paths(self) -> bool:
        """Every path is cut at the same age: they can be compared as they are."""
        return False

    def split(self, histories: Histories) -> tuple[Histories, Histories]:
        """Return the events of each side; both have all customers, those of the other side without events."""
        sizes = np.diff(histories.starts)
        since = np.repeat(histories.at[histories.starts[:-1][sizes > 0]], sizes[sizes > 0])
        soon = histories.at - since <= self.follow
        before = soon & (since >= self.begin) & (since < self.cut)
        return histories.keep(before), histories.keep(soon & (since >= self.cut) & (since < self.end))

    def reached(self, histories: Histories, funnel: Funnel, as_of: int) -> tuple[Reached, Reached]:
        """Return how far the attempt of each customer got, on each side, within the time that is followed."""
        return _of_each(self.split(histories), funnel, as_of)


Sides = Groups | Periods | Starts


def as_journeys(histories: Histories, *, sides: Sides) -> Histories:
    """Return the journeys of both sides as histories of their own; who has no events on a side has none there."""
    base, other = sides.split(histories)
    rows = [np.flatnonzero(np.diff(side.starts) > 0) for side in (base, other)]
    text = histories.ids.cast(pa.string())
    ids = [
        pa.array([prefix + one for one in text.take(pa.array(place)).to_pylist()], pa.string())
        for prefix, place in zip((BASE, OTHER), rows, strict=True)
    ]
    sizes = np.concatenate([np.diff(side.starts)[place] for side, place in zip((base, other), rows, strict=True)])
    return Histories(
        ids=pa.concat_arrays(ids),
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        at=np.concatenate([base.at, other.at]),
        event=type(base.event)(
            codes=np.concatenate([base.event.codes, other.event.codes]), values=histories.event.values
        ),
        attributes={
            name: type(column)(
                codes=np.concatenate([column.codes, other.attributes[name].codes]), values=column.values
            )
            for name, column in base.attributes.items()
        },
    )  # fmt: skip


def _of_each(split: tuple[Histories, Histories], funnel: Funnel, as_of: int) -> tuple[Reached, Reached]:
    base, other = (_reached(attempts.find(side, funnel), len(side), funnel, as_of) for side in split)
    return base, other


def _some(found: attempts.Attempts, rows: Bools) -> attempts.Attempts:
    return attempts.Attempts(
        customer=found.customer[rows],
        depth=found.depth[rows],
        at=found.at[rows],
        row=found.row[rows],
        open_until=found.open_until[rows],
        excluded=found.excluded,
    )


def _reached(found: attempts.Attempts, customers: int, funnel: Funnel, as_of: int) -> Reached:
    steps = len(funnel.steps)
    mature = np.flatnonzero(found.at[:, 0] <= as_of - min(round(funnel.window_seconds * _SECOND), _LATEST))
    order = mature[np.argsort(found.depth[mature], kind="stable")]
    depth = np.zeros(customers, dtype=np.int32)
    took = np.full(customers, MISSING, dtype=np.int64)
    depth[found.customer[order]] = found.depth[order]  # of several the deepest is written last
    done = order[found.depth[order] == steps]
    took[found.customer[done]] = found.at[done, steps - 1] - found.at[done, 0]
    return Reached(depth=depth, took=took)
