"""From the steps of scales to the matrix that scikit-learn learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.risk.binning import Codes
from engine.risk.challengers.scales import Scale

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the columns of the matrix are: the place of the scale, and whether it tells the special values.

    One column per scale holds the ordinary step; another, where special values were seen, which of them it is. Both
    are empty for what is missing. So special values never stand in one order with ordinary ones.
    """

    scale: tuple[int, ...]
    of_special: tuple[bool, ...]

    def matrix(self, scales: Sequence[Scale], codes: Sequence[Codes]) -> Floats:
        """Return the matrix of rows whose steps are `codes`."""
        columns = [
            (scales[at].special() if special else scales[at].ordered())[codes[at]]
            for at, special in zip(self.scale, self.of_special, strict=True)
        ]
        return np.column_stack(columns)

    def monotone(self, scales: Sequence[Scale], directions: Mapping[str, int]) -> list[int]:
        """Return the direction of every column: that of its characteristic for ordinary steps, none for special."""
        columns = zip(self.scale, self.of_special, strict=True)
        return [0 if special else directions.get(scales[at].name, 0) for at, special in columns]

    def apart(self) -> list[set[int]]:
        """Return, characteristic by characteristic, its columns: those that may meet in one tree of a sum."""
        places = range(len(self.scale))
        return [{at for at in places if self.scale[at] == scale} for scale in sorted(set(self.scale))]


def plan(scales: Sequence[Scale]) -> Plan:
    """Return the columns for the scales: their ordinary steps, then the special values where any were seen."""
    special = [at for at, scale in enumerate(scales) if _has_specials(scale)]
    return Plan(scale=(*range(len(scales)), *special), of_special=(False,) * len(scales) + (True,) * len(special))


def _has_specials(scale: Scale) -> bool:
    seen = slice(scale.bins.ordinary, scale.size - 1)
    return sum(scale.bins.goods[seen]) + sum(scale.bins.bads[seen]) > 0
