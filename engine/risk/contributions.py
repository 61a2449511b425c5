"""What each characteristic adds to a customer's log-odds of being good, for models that are sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """Log-odds of being good, part by part: `baseline` plus the parts of a row is the row's log-odds.

    `parts` has one row per customer and one column per characteristic in `names`; `best` is the highest part that any
    training row was given, so that `best - parts` is what each characteristic costs the customer. `missing` marks
    where the value was missing or never seen.
    """

    names: tuple[str, ...]
    baseline: float
    parts: Floats
    best: Floats
    missing: NDArray[np.bool_]

    def log_odds(self) -> Floats:
        """Return the log-odds of being good of every row."""
        total: Floats = self.baseline + self.parts.sum(axis=1)
        return total

    def lost(self) -> Floats:
        """Return what each characteristic costs against the best anybody was given; never negative."""
        return np.maximum(self.best - self.parts, 0.0)

    def scaled(self, slope: float, shift: float) -> Contributions:
        """Return the contributions to `shift + slope * log-odds`."""
        return Contributions(
            names=self.names,
            baseline=shift + slope * self.baseline,
            parts=slope * self.parts,
            best=slope * self.best,
            missing=self.missing,
        )
