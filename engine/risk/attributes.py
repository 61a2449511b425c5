"""One characteristic of a scorecard: its bins, and what each adds to the log-odds of being good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.risk.binning import Bins, Codes, Read

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
YES: Final = "yes"
"""What a column that tells whether anything was asked holds where it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """One characteristic of the scorecard: its bins and what each adds to the log-odds of being good (`log_odds`).

    A bin of better evidence never adds less than one of worse.

    `asked` names the column that tells whether there was anything to read the value from ("yes": a bureau record, an
    application). The bins are learned from those rows alone; for the others the characteristic adds 0, and whether the
    lack itself tells something is the business of the column that `asked` names.
    """

    bins: Bins
    log_odds: tuple[float, ...]
    asked: str | None = None

    @property
    def weights(self) -> Floats:
        """What each bin adds to the log-odds, before the intercept; last, what it adds where nothing was asked."""
        return np.append(self.log_odds, 0.0)

    @property
    def not_asked(self) -> int:
        """The place of "nothing was asked" among the weights and points."""
        return self.bins.size

    def codes(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Codes:
        """Return the place of every row among the weights; a column that is not there is missing."""
        return self.read(columns, rows).codes

    def read(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Read:
        """Return the place of every row, and how many of those asked had no ordinary value."""
        if self.bins.name in columns:
            read = self.bins.read(columns[self.bins.name])
        else:
            read = Read(codes=np.full(rows, self.bins.size - 1, dtype=np.uint16), missing=rows)
        if self.asked is None:
            return read
        silent = ~was_asked(columns, self.asked, rows)
        missing = read.missing - int(np.count_nonzero(read.codes[silent] == self.bins.size - 1))
        read.codes[silent] = self.not_asked
        return replace(read, missing=max(missing, 0))

    def code(self, values: Mapping[str, object]) -> int:
        """Return the place of one customer, the same as `codes` of a table that holds it."""
        if self.asked is not None and values.get(self.asked) != YES:
            return self.not_asked
        return self.bins.code(values.get(self.bins.name))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly."""
        return {
            "bins": self.bins.to_dict(),
            "log_odds": list(self.log_odds),
            "asked": self.asked,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Attributes:
        """Return what `to_dict` described."""
        bins, log_odds = Bins.from_dict(values["bins"]), tuple(values["log_odds"])
        return cls(bins=bins, log_odds=log_odds, asked=values["asked"])


def was_asked(columns: Mapping[str, pa.ChunkedArray], asked: str, rows: int) -> Bools:
    """Tell where a column says that there was anything to read a value from; nowhere when it is absent."""
    if asked not in columns:
        return np.zeros(rows, dtype=bool)
    answer: Bools = pc.fill_null(pc.equal(columns[asked], YES), False).to_numpy()
    return answer
