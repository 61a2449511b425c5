"""A table with one row per unit becomes moments in one pass of the backend, by arm and whatever else is asked for.

Sums are about a pilot mean of all arms, so that they do not cancel: digits are lost only where the spread within a cell
is less than a ten-thousandth of its distance from that mean. A cell that is no number counts nowhere and is told: the
pass that assumes none is the fast one, and only measures that turn out to have some are read once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import isfinite
from typing import Any, Final, Literal

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.lake.engine import Engine
from experiments.moments import VALUE, Moments

ARM: Final = "arm"
"""The column that names the arm of a unit."""

_PILOT_ROWS: Final = 10_000
_ROWS: Final = "rows_in_cell"

Kind = Literal["mean", "proportion", "ratio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One metric of a table of units: its column, or the two of a ratio, and the covariates it is adjusted by.

    In the moments they are named "value" (a ratio: "numerator" and "denominator") and as the covariates' columns.
    """

    name: str
    kind: Kind
    columns: tuple[str, ...]
    covariates: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns of its moments."""
        own = ("numerator", "denominator") if self.kind == "ratio" else (VALUE,)
        return (*own, *self.covariates)

    @property
    def read(self) -> tuple[str, ...]:
        """The columns of the table that it reads, in the order of `names`."""
        return (*self.columns, *self.covariates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The moments of every measure in every cell: one arm, and one value of each other key.

    keys : the name of each key, "arm" first, with its value in every cell; None is a value of its own.
    rows : units in each cell, shape (n_cells,), whatever is known of them.
    """

    keys: Mapping[str, Sequence[Any]]
    rows: NDArray[np.int64]
    measures: Mapping[str, Sequence[Moments]]

    def where(self, **wanted: Any) -> NDArray[np.intp]:
        """Return the places of the cells with these values of these keys."""
        return places_with(self.keys, wanted)

    def count(self, **wanted: Any) -> int:
        """Return how many units the cells with these values hold."""
        return int(self.rows[self.where(**wanted)].sum())

    def moments(self, measure: Measure, **wanted: Any) -> Moments:
        """Return the moments of the cells with these values together."""
        chosen = [self.measures[measure.name][place] for place in self.where(**wanted)]
        return reduce(Moments.__add__, chosen) if chosen else Moments.none(measure.names)

    def values(self, key: str) -> list[Any]:
        """Return the values of a key in order, what is not known last."""
        return sorted(set(self.keys[key]), key=lambda value: (value is None, value))


def places_with(keys: Mapping[str, Sequence[Any]], wanted: Mapping[str, Any]) -> NDArray[np.intp]:
    """Return the places of the cells whose keys have the wanted values."""
    chosen = np.ones(len(next(iter(keys.values()))), dtype=bool)
    for key, value in wanted.items():
        chosen &= np.array([one == value for one in keys[key]], dtype=bool).reshape(-1)
    return np.flatnonzero(chosen)


def collect(
    engine: Engine, units: Any, measures: Sequence[Measure], keys: Sequence[str] = (), *, whole: Sequence[str] = ()
) -> Cells:
    """Return the moments of the measures by arm and by the other keys.

    Parameters
    ----------
    units : Ibis table attached to the engine, one row per unit, with the column "arm", the keys and what the measures
        read, as numbers or booleans. A value that is null or no finite number is not known: the unit is not in that
        measure. An unknown covariate counts as the pilot mean, the same for every arm.
    keys : of text, they are grouped quickest where they are stored as codes, as Parquet does and DuckDB's ENUM.
    whole : columns that hold whole numbers only; their sums are exact, whatever the order of the rows.
    """
    by = (ARM, *keys)
    columns = tuple(dict.fromkeys(column for one in measures for column in one.read))
    shifts = _pilot(engine, units, measures, columns, whole)
    found = engine.arrow(_sums(units, measures, by, shifts, careful=False))
    counts = _numbers(found, _ROWS).astype(np.int64)
    gaps = [one for one in measures if not _is_complete(one, found, counts)]
    careful = engine.arrow(_sums(units, gaps, by, shifts, careful=True)) if gaps else found
    order, of_gaps = _order(found, by), _order(careful, by)
    kept = {one.name for one in gaps}
    return Cells(
        keys={name: [found.column(name)[int(place)].as_py() for place in order] for name in by},
        rows=counts[order],
        measures={
            one.name: _moments(
                one, careful if one.name in kept else found, of_gaps if one.name in kept else order, shifts
            )
            for one in measures
        },
    )


def doubled(engine: Engine, units: Any, unit: str) -> bool:
    """Whether any unit may stand in more than one row; never wrong when it says no, and hardly when it says yes.

    Equal units have equal hashes, and sorted hashes are quicker to compare than units are to group.
    """
    hashed = engine.arrow(units.select(hash=units[unit].hash())).column("hash").combine_chunks()
    codes = np.sort(np.from_dlpack(hashed))  # to_numpy would import pandas
    return bool((codes[1:] == codes[:-1]).any())


def in_one_arm(units: Any, unit: str) -> Any:
    """Return the rows of the units that are in one arm only."""
    arms = units.group_by(unit).aggregate(first_arm=units[ARM].min(), last_arm=units[ARM].max())
    single = arms.filter(arms.first_arm == arms.last_arm).select(unit)
    return units.semi_join(single, unit)


def in_several(units: Any, unit: str) -> Any:
    """Return a table of one row: the units in several arms, and those of one arm in several rows."""
    arms = units.group_by(unit).aggregate(first_arm=units[ARM].min(), last_arm=units[ARM].max(), times=units.count())
    several = arms.first_arm != arms.last_arm
    return arms.aggregate(
        units=arms.count(),
        several_arms=several.cast("int64").sum().fill_null(0),
        repeated=(~several & (arms.times > 1)).cast("int64").sum().fill_null(0),
    )


def clustered(
    units: Any, cluster: str, measures: Sequence[Measure], keys: Sequence[str] = ()
) -> tuple[Any, list[Measure]]:
    """Return a table with one row per cluster of units, and the measures as they are read from it.

    What was randomised is the cluster. The mean of a metric over units is the sum over clusters by the number of
    units whose value is known; a covariate is the cluster's mean. A key must be the same in the whole cluster.
    """
    columns: dict[str, Any] = {}
    made: list[Measure] = []
    for number, one in enumerate(measures):
        known = reduce(lambda left, right: left & right, [cleaned(units, column).notnull() for column in one.columns])
        parts = [cleaned(units, column).sum(where=known).fill_null(0.0) for column in one.columns]
        below = parts[1] if one.kind == "ratio" else known.cast("int64").sum().cast("float64")
        columns |= {f"over_{number}": parts[0], f"under_{number}": below}
        made.append(
            Measure(
                name=one.name, kind="ratio", columns=(f"over_{number}", f"under_{number}"), covariates=one.covariates
            )
        )
    columns |= {name: cleaned(units, name).mean() for one in measures for name in one.covariates}
    rows = units.group_by([cluster, ARM]).aggregate(**columns, **{key: units[key].min() for key in keys})
    return rows, made


def unknown(units: Any, measures: Sequence[Measure]) -> Any:
    """Return one row per arm: how many rows it has, and for measure i in unknown_i how many have no value of it."""
    gaps = [
        reduce(lambda left, right: left | right, [cleaned(units, column).isnull() for column in one.columns])
        for one in measures
    ]
    counts = {f"unknown_{place}": gap.cast("int64").sum().fill_null(0) for place, gap in enumerate(gaps)}
    return units.group_by(ARM).aggregate(rows=units.count(), **counts)


def mixed(units: Any, cluster: str, key: str) -> Any:
    """Return a table of one row: the clusters whose units have several values of a key."""
    values = units.group_by(cluster).aggregate(first=units[key].min(), last=units[key].max())
    return values.aggregate(clusters=(values["first"] != values["last"]).cast("int64").sum().fill_null(0))


def _pilot(
    engine: Engine, units: Any, measures: Sequence[Measure], columns: Sequence[str], whole: Sequence[str]
) -> dict[str, float]:
    """Return a number near the mean of each column, out of the first rows; 0 for shares and where nothing is known."""
    shares = {column for one in measures if one.kind == "proportion" for column in one.columns}
    asked = [column for column in columns if column not in shares]
    if not asked:
        return dict.fromkeys(columns, 0.0)
    found = _means(engine, units, asked, careful=False)
    broken = [name for name, mean in found.items() if not isfinite(mean)]
    found |= _means(engine, units, broken, careful=True)
    return dict.fromkeys(columns, 0.0) | {
        name: float(round(mean)) if name in whole else mean for name, mean in found.items()
    }


def _means(engine: Engine, units: Any, columns: Sequence[str], *, careful: bool) -> dict[str, float]:
    """Return the mean of the first values of each column, 0 where nothing is known."""
    if not columns:
        return {}
    first = units.limit(_PILOT_ROWS)
    values = [cleaned(first, name) if careful else first[name].cast("float64") for name in columns]
    means = engine.arrow(first.aggregate(**{f"m{place}": value.mean() for place, value in enumerate(values)}))
    return {name: means.column(f"m{place}")[0].as_py() or 0.0 for place, name in enumerate(columns)}


def _sums(
    units: Any, measures: Sequence[Measure], by: Sequence[str], shifts: Mapping[str, float], *, careful: bool
) -> Any:
    columns: dict[str, Any] = {_ROWS: units.count()}
    for one in measures:
        moved = [_moved(units, column, shifts[column], careful) for column in one.read]
        if careful:
            own = len(one.columns)
            known = reduce(lambda left, right: left & right, [column.notnull() for column in moved[:own]])
            moved = [*moved[:own], *(column.fill_null(0.0) for column in moved[own:])]
            columns[_name(one, "n")] = known.cast("int64").sum()
            columns |= {_name(one, place): column.sum(where=known) for place, column in enumerate(moved)}
        else:
            known = None
            for place, column in enumerate(one.read):
                columns[f"known_{column}"] = units[column].count()
                columns[_name(one, place)] = moved[place].sum()
        for i, j in _pairs(one):
            columns[_name(one, i, j)] = (moved[i] * moved[j]).sum(where=known)
    return units.group_by(list(by)).aggregate(**columns)


def _moved(units: Any, column: str, shift: float, careful: bool) -> Any:
    value = cleaned(units, column) if careful else units[column].cast("float64")
    return value - shift if shift else value


def cleaned(units: Any, column: str) -> Any:
    """Return a column as numbers, null where it is no finite one."""
    value = units[column]
    if not value.type().is_floating():
        return value.cast("float64")
    number = value.cast("float64")
    return ibis.ifelse(number.isnan() | number.isinf(), None, number)


def _pairs(one: Measure) -> Iterable[tuple[int, int]]:
    places = range(len(one.read))
    return ((i, j) for i in places for j in places if i <= j)


def _name(one: Measure, *what: object) -> str:
    return "_".join(map(str, ("of", *one.read, one.kind, *what)))


def _is_complete(one: Measure, found: pa.Table, counts: NDArray[np.int64]) -> bool:
    """Whether every value of the measure is a number, so that the fast sums are right."""
    known = all(bool((_numbers(found, f"known_{column}") == counts).all()) for column in one.read)
    return known and all(bool(np.isfinite(_numbers(found, _name(one, i, j))).all()) for i, j in _pairs(one))


def _numbers(found: pa.Table, name: str) -> NDArray[np.float64]:
    return np.array(found.column(name).to_pylist(), dtype=np.float64)


def _order(found: pa.Table, by: Sequence[str]) -> NDArray[np.intp]:
    """Return the order of the cells by their keys, so that it is the same from every engine."""
    keys = [
        tuple((value is None, str(value)) for value in row)
        for row in zip(*(found.column(name).to_pylist() for name in by), strict=True)
    ]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.intp)


def _moments(one: Measure, found: pa.Table, order: NDArray[np.intp], shifts: Mapping[str, float]) -> list[Moments]:
    p = len(one.read)
    careful = _name(one, "n") in found.column_names
    n = _numbers(found, _name(one, "n") if careful else _ROWS)[order]
    total = np.column_stack([np.nan_to_num(_numbers(found, _name(one, place))[order]) for place in range(p)])
    products = np.zeros((len(order), p, p))
    for i, j in _pairs(one):
        products[:, i, j] = products[:, j, i] = np.nan_to_num(_numbers(found, _name(one, i, j))[order])
    shift = np.array([shifts[column] for column in one.read])
    return [
        Moments(columns=one.names, n=int(count), shift=shift, total=sums, products=both)
        for count, sums, both in zip(n, total, products, strict=True)
    ]
