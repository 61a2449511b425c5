"""What is left of the raw rows: per variant and metric a count, a sum and a sum of squares, all exact.

The sums are integers made in the backend and stay fractions here, so that nothing cancels however large the mean is
beside the spread, and halves of the data add up to the whole to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from experiments.metrics import SCALE


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """`n` customers with a known value, the sum of their values and of the squares."""

    n: int
    total: Fraction
    squares: Fraction

    @classmethod
    def of(cls, n: int, total: float | Fraction, squares: float | Fraction) -> Moments:
        """Make moments from numbers as published; a float is taken at its exact value."""
        return cls(n=n, total=Fraction(total), squares=Fraction(squares))

    @classmethod
    def of_count(cls, successes: int, n: int) -> Moments:
        """Make the moments of a proportion: every value is 0 or 1."""
        return cls.of(n, Fraction(successes), Fraction(successes))

    def __add__(self, other: Moments) -> Moments:
        return Moments(n=self.n + other.n, total=self.total + other.total, squares=self.squares + other.squares)

    @property
    def mean(self) -> float | None:
        """The mean; None without customers."""
        return float(self.total / self.n) if self.n else None

    @property
    def variance(self) -> float | None:
        """The sample variance with n - 1; None with fewer than two customers."""
        return float((self.squares - self.total**2 / self.n) / (self.n - 1)) if self.n > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The moments of one metric in one variant, and who is not in them: open windows, unusable numbers."""

    moments: Moments
    immature: int
    unknown: int


def sums(values: Any, metrics: int) -> Any:
    """Return one row per variant with the sums of each metric, out of `metrics.values`."""
    columns = {}
    for index in range(metrics):
        value, matured = values[f"value_{index}"], values[f"matured_{index}"]
        # 38 digits: a square of millionths does not fit 64 bits
        wide = value.cast("decimal(38, 0)")
        columns[f"n_{index}"] = value.count(where=matured)
        columns[f"total_{index}"] = wide.sum(where=matured)
        columns[f"squares_{index}"] = (wide * wide).sum(where=matured)
        columns[f"immature_{index}"] = (~matured).cast("int64").sum()
        columns[f"unknown_{index}"] = (matured & value.isnull()).cast("int64").sum()
    return values.group_by("variant").aggregate(**columns)


def sample(row: Mapping[str, Any], index: int, kind: str) -> Sample:
    """Return the sample of metric `index` from one row of `sums`."""
    scale = SCALE if kind == "mean" else 1
    n = int(row[f"n_{index}"])
    total, squares = (int(row[f"{name}_{index}"] or 0) for name in ("total", "squares"))
    moments = Moments.of(n, Fraction(total, scale), Fraction(squares, scale**2))
    return Sample(moments=moments, immature=int(row[f"immature_{index}"]), unknown=int(row[f"unknown_{index}"]))


EMPTY = Sample(moments=Moments.of(0, 0, 0), immature=0, unknown=0)
"""The sample of a variant that nobody has seen."""
