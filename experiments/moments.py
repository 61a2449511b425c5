"""What is left of the raw rows: per cell a count, sums and sums of products about a fixed shift.

Sums about a number near the mean do not cancel however large the mean is beside the spread. A run's sums are whole
numbers made in the backend and only become floats here, so that they repeat to the byte whatever the order in which
rows were read; sums of plain files are floats from the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.metrics import Reading

Floats = NDArray[np.float64]
Exact = int | float | Fraction

_SUMMED: Final = ("n_", "total_", "product_", "immature_", "unknown_")

VALUE = "value"
"""The name of the column of a metric that has only one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """The sums of p columns over the n units of a cell whose values are all known.

    shift : shape (p,), subtracted from every value before it is summed.
    total : shape (p,), sums of what is left.
    products : shape (p, p), sums of the products of what is left of two columns.
    """

    columns: tuple[str, ...]
    n: int
    shift: Floats
    total: Floats
    products: Floats

    @classmethod
    def of(cls, n: int, total: Exact, squares: Exact) -> Moments:
        """Make the moments of one column from sums as published; a float is taken at its exact value."""
        return cls.of_sums((VALUE,), n, [total], [[squares]])

    @classmethod
    def of_count(cls, successes: int, n: int) -> Moments:
        """Make the moments of a proportion: every value is 0 or 1."""
        return cls.of(n, successes, successes)

    @classmethod
    def of_sums(
        cls, columns: Sequence[str], n: int, totals: Sequence[Exact], products: Sequence[Sequence[Exact]]
    ) -> Moments:
        """Make moments from plain sums and sums of products, in exact arithmetic; the shift is the mean."""
        sums = [Fraction(total) for total in totals]
        shift = [Fraction(float(total / n)) if n else Fraction(0) for total in sums]
        places = range(len(sums))
        moved = [
            [
                Fraction(products[i][j]) - shift[i] * sums[j] - shift[j] * sums[i] + n * shift[i] * shift[j]
                for j in places
            ]
            for i in places
        ]
        return cls(
            columns=tuple(columns),
            n=n,
            shift=np.array([float(value) for value in shift]),
            total=np.array([float(sums[i] - n * shift[i]) for i in places]),
            products=np.array([[float(value) for value in row] for row in moved]).reshape(len(sums), len(sums)),
        )

    @classmethod
    def of_values(cls, columns: Sequence[str], values: ArrayLike, shift: ArrayLike | None = None) -> Moments:
        """Make moments from values of shape (n, p), none of them missing; the shift is the first row's."""
        rows = np.asarray(values, dtype=np.float64).reshape(-1, len(columns))
        start = (
            np.asarray(shift, dtype=np.float64)
            if shift is not None
            else rows[0]
            if len(rows)
            else np.zeros(len(columns))
        )
        left = rows - start
        return cls(columns=tuple(columns), n=len(rows), shift=start, total=left.sum(axis=0), products=left.T @ left)

    @classmethod
    def none(cls, columns: Sequence[str] = (VALUE,)) -> Moments:
        """Make the moments of no unit."""
        return cls.of_sums(columns, 0, [0] * len(columns), [[0] * len(columns)] * len(columns))

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both cells; raises ValueError when they are not of the same columns."""
        if self.columns != other.columns:
            raise ValueError(f"moments of {self.columns} and of {other.columns} do not add up")
        if not self.n:
            return other
        moved = other.about(self.shift)
        return Moments(
            columns=self.columns,
            n=self.n + other.n,
            shift=self.shift,
            total=self.total + moved.total,
            products=self.products + moved.products,
        )

    def about(self, shift: Floats) -> Moments:
        """Return the same moments about another shift."""
        step = self.shift - shift
        if not step.any():
            return self
        cross = np.outer(step, self.total)
        return Moments(
            columns=self.columns,
            n=self.n,
            shift=shift,
            total=self.total + self.n * step,
            products=self.products + cross + cross.T + self.n * np.outer(step, step),
        )

    def take(self, *columns: str) -> Moments:
        """Return the moments of some columns, in the order asked for."""
        places = [self.columns.index(name) for name in columns]
        return Moments(
            columns=columns,
            n=self.n,
            shift=self.shift[places],
            total=self.total[places],
            products=self.products[np.ix_(places, places)],
        )

    def linear(self, weights: Mapping[str, float], name: str = VALUE) -> Moments:
        """Return the moments of one column: the weighted sum of others."""
        factors = np.array([weights.get(column, 0.0) for column in self.columns])
        unknown = set(weights) - set(self.columns)
        if unknown:
            raise ValueError(f"no column {sorted(unknown)} among {self.columns}")
        return Moments(
            columns=(name,),
            n=self.n,
            shift=np.atleast_1d(factors @ self.shift),
            total=np.atleast_1d(factors @ self.total),
            products=np.atleast_2d(factors @ self.products @ factors),
        )

    @property
    def means(self) -> Floats:
        """The mean of each column, shape (p,); nan without units."""
        return self.shift + self.total / self.n if self.n else np.full(len(self.columns), np.nan)

    @property
    def covariance(self) -> Floats:
        """The sample covariances with n - 1, shape (p, p); nan with fewer than two units."""
        if self.n < 2:
            return np.full(self.products.shape, np.nan)
        spread = (self.products - np.outer(self.total, self.total) / self.n) / (self.n - 1)
        places = np.arange(len(spread))
        spread[places, places] = np.maximum(spread[places, places], 0.0)  # rounding must not make a spread negative
        return spread

    @property
    def mean(self) -> float | None:
        """The mean of the first column; None without units."""
        return float(self.means[0]) if self.n else None

    @property
    def variance(self) -> float | None:
        """The sample variance of the first column with n - 1; None with fewer than two units."""
        return float(self.covariance[0, 0]) if self.n > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The moments of one metric in one variant, and who is not in them: open windows, unusable numbers."""

    moments: Moments
    immature: int
    unknown: int


class Sums:
    """The sums of every metric in cells of variant, day of exposure, stratum and segment, as whole numbers.

    They add up exactly: days, partitions and parts of a day merge to the byte. `columns` are as `sums` names them.
    """

    def __init__(self, readings: Sequence[Reading], rows: Sequence[Mapping[str, Any]]) -> None:
        self._readings = {one.name: (place, one) for place, one in enumerate(readings)}
        self.rows = tuple(rows)

    def __add__(self, other: Sums) -> Sums:
        """Return the cells of both; raises ValueError when they are not of the same metrics."""
        if self._readings != other._readings:
            raise ValueError("sums of different metrics do not add up")
        return Sums([one for _, one in self._readings.values()], (*self.rows, *other.rows))

    def where(self, **cells: Any) -> Sums:
        """Return the sums of the cells that have these values."""
        kept = [row for row in self.rows if all(row[key] == value for key, value in cells.items())]
        return Sums([one for _, one in self._readings.values()], kept)

    def until(self, key: str, last: Any) -> Sums:
        """Return the sums of the cells whose key is `last` or before it."""
        return Sums([one for _, one in self._readings.values()], [row for row in self.rows if row[key] <= last])

    def by(self, *keys: str) -> Sums:
        """Return the same sums in cells of these keys only."""
        cells: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in self.rows:
            place = tuple(row[key] for key in keys)
            cell = cells.setdefault(place, dict(zip(keys, place, strict=True)))
            for name, value in row.items():
                if name == "units" or name.startswith(_SUMMED):
                    cell[name] = cell.get(name, 0) + int(value or 0)
        return Sums([one for _, one in self._readings.values()], list(cells.values()))

    def sample(self, name: str, **cells: Any) -> Sample:
        """Return the sample of a metric, or of its twin, in all cells that have these values."""
        place, reading = self._readings[name]
        chosen = [row for row in self.rows if all(row[key] == value for key, value in cells.items())]

        def added(column: str) -> int:
            return sum(int(row.get(column) or 0) for row in chosen)

        parts = reading.parts
        size = range(len(parts))
        totals = [Fraction(added(f"total_{place}_{i}"), parts[i].scale) for i in size]
        products = {
            (i, j): Fraction(added(f"product_{place}_{i}_{j}"), parts[i].scale * parts[j].scale)
            for i in size
            for j in size
            if i <= j
        }
        return Sample(
            moments=Moments.of_sums(
                [part.name for part in parts],
                added(f"n_{place}"),
                totals,
                [[products[min(i, j), max(i, j)] for j in size] for i in size],
            ),
            immature=added(f"immature_{place}"),
            unknown=added(f"unknown_{place}"),
        )


def sums(values: Any, readings: Sequence[Reading], by: Sequence[str] = ("variant",)) -> Any:
    """Return one row per cell with the sums of each metric, out of `metrics.values` or `metrics.by_cluster`."""
    columns: dict[str, Any] = {"units": values.count()}
    for place, one in enumerate(readings):
        matured = values[one.matured]
        parts = [values[part.column] for part in one.parts]
        known = parts[0].notnull() & matured
        # 38 digits: a square of millionths does not fit 64 bits
        wide = [part.cast("decimal(38, 0)") for part in parts]
        columns[f"n_{place}"] = values.count(where=known)
        for i, own in enumerate(wide):
            columns[f"total_{place}_{i}"] = own.sum(where=known)
            columns |= {f"product_{place}_{i}_{j}": (own * wide[j]).sum(where=known) for j in range(i, len(wide))}
        waiting = values[one.waiting] if one.waiting in values.columns else (~matured).cast("int64")
        columns[f"immature_{place}"] = waiting.sum()
        if one.unknown:
            # of a cluster its matured customers alone were counted already
            columns[f"unknown_{place}"] = values[one.unknown].sum(where=matured)
    return values.group_by(list(by)).aggregate(**columns)
