"""What is kept of metrics that need the order of values: their distribution, or the days until an event, by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, Generic, Protocol, Self, TypeVar

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.lake.engine import Engine
from experiments.quantiles import Distribution
from experiments.time_to_event import DailyCounts
from experiments.unit_tables import ARM, cleaned, places_with

_COUNT: Final = "units_alike"


class Additive(Protocol):
    """What two cells have together is the sum of what each has."""

    @property
    def n(self) -> int:
        """How many units it holds."""

    def __add__(self, other: Self) -> Self:
        """Return what both have together."""


Kept = TypeVar("Kept", bound=Additive)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrderedCells(Generic[Kept]):
    """What is kept of one metric in every cell: one arm, and one value of each other key.

    keys : the name of each key, "arm" first, with its value in every cell. unknown : units of each cell without a
    known value; they are not in what is kept. nothing : what is kept of no unit.
    """

    keys: Mapping[str, Sequence[Any]]
    cells: Sequence[Kept]
    unknown: Sequence[int]
    nothing: Kept

    def of(self, **wanted: Any) -> Kept:
        """Return what the cells with these values have together."""
        return reduce(
            lambda one, other: one + other,
            (self.cells[place] for place in places_with(self.keys, wanted)),
            self.nothing,
        )

    def count_unknown(self, **wanted: Any) -> int:
        """Return how many units of the cells with these values have no known value."""
        return sum(self.unknown[place] for place in places_with(self.keys, wanted))


def distributions(engine: Engine, units: Any, column: str, keys: Sequence[str] = ()) -> OrderedCells[Distribution]:
    """Return the distribution of a column by arm and by the other keys."""
    by = (ARM, *keys)
    rows = units.select(*by, value=cleaned(units, column)).group_by([*by, "value"])
    found = engine.arrow(rows.aggregate(**{_COUNT: ibis._.count()}))
    values = np.array(found.column("value").to_pylist(), dtype=np.float64)
    counts = np.array(found.column(_COUNT).to_pylist(), dtype=np.int64)
    cells, unknown = [], []
    names, members = _cells(found, by)
    for rows_of in members:
        known = rows_of & ~np.isnan(values)
        cells.append(Distribution.of_counts(values[known], counts[known]))
        unknown.append(int(counts[rows_of & ~known].sum()))
    return OrderedCells(keys=names, cells=cells, unknown=unknown, nothing=Distribution.of_values([]))


def daily_counts(
    engine: Engine, units: Any, days: str, happened: str, *, horizon_days: int, keys: Sequence[str] = ()
) -> OrderedCells[DailyCounts]:
    """Return the days until an event, or until a unit was last watched without it, by arm and by the other keys.

    days : column of the days since the start. happened : column that is 1 where the event came then, and 0 where the
        unit was watched for so long without it. A unit is not known where either is missing or the days are below 0.
    """
    by = (ARM, *keys)
    when, came = cleaned(units, days).floor(), cleaned(units, happened)
    is_known = (when >= 0).fill_null(False) & came.notnull()
    within = ibis.ifelse(when > horizon_days, float(horizon_days), when)
    ended = units.select(
        *by,
        day=ibis.ifelse(is_known, within, None).cast("int64"),
        came=ibis.ifelse(is_known, (came > 0) & (within < horizon_days), None),
    )
    found = engine.arrow(ended.group_by([*by, "day", "came"]).aggregate(**{_COUNT: ibis._.count()}))
    rows = found.to_pylist()
    cells, unknown = [], []
    names, members = _cells(found, by)
    for rows_of in members:
        ends = np.zeros((2, horizon_days + 1), dtype=np.int64)
        own = [rows[int(place)] for place in np.flatnonzero(rows_of)]
        for row in own:
            if row["day"] is not None:
                ends[int(row["came"]), int(row["day"])] += int(row[_COUNT])
        cells.append(DailyCounts.of_ends(ends[1, :-1], ends[0]))
        unknown.append(sum(int(row[_COUNT]) for row in own if row["day"] is None))
    empty = np.zeros(horizon_days, dtype=np.int64)
    nothing = DailyCounts(at_risk=empty, events=empty, n=0)
    return OrderedCells(keys=names, cells=cells, unknown=unknown, nothing=nothing)


def _cells(found: pa.Table, by: Sequence[str]) -> tuple[dict[str, list[Any]], list[NDArray[np.bool_]]]:
    """Return the values of every key in each cell, and which rows belong to the cell."""
    codes = []
    for name in by:
        coded = found.column(name).combine_chunks().dictionary_encode(null_encoding="encode")
        codes.append(np.array(coded.indices.to_pylist(), dtype=np.int64))
    whole = np.column_stack(codes) if len(found) else np.empty((0, len(by)), dtype=np.int64)
    _, first, cell = np.unique(whole, axis=0, return_index=True, return_inverse=True)
    names = {name: [found.column(name)[int(place)].as_py() for place in first] for name in by}
    return names, [cell.reshape(-1) == number for number in range(len(first))]
