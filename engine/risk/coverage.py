"""Which characteristics were there to be asked throughout the loans that a model learns from.

Where a feed begins in the midst of them, the earlier loans lack what the later ones have. A model would then learn when
a loan was booked rather than who took it, and every later month would look like a drift. Such a characteristic is no
candidate until the loans to learn from all lie after the beginning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import comb, sqrt
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import ndtri

PARTS: Final = 4
"""Stretches of equally many loans, in order of booking, whose shares without a value are compared."""
_NO_RECORD: Final = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A characteristic whose share without a value moved: the lowest and the highest share of any stretch."""

    name: str
    lowest: float
    highest: float


def moved(loans: pa.Table, records: Collection[str], limit: float, significance: float) -> list[Moved]:
    """Return the columns whose share without a value moves within the loans by more than a limit and than chance.

    Parameters
    ----------
    loans : the characteristics, in the order of booking; without a row for each stretch nothing is said to move.
    records : the columns that say "no" where there was nothing to read from, which counts as no value.
    significance : the chance that any column is named although none moves (Bonferroni).
    """
    if loans.num_rows < PARTS or not loans.column_names:
        return []
    edges = np.linspace(0, loans.num_rows, PARTS + 1).astype(np.int64)
    tries = comb(PARTS, 2) * len(loans.column_names)
    reach = float(ndtri(1 - significance / (2 * tries)))
    found = []
    for name in loans.column_names:
        empty = pc.is_null(loans[name], nan_is_null=True)
        if name in records:
            empty = pc.or_(empty, pc.fill_null(pc.equal(loans[name], _NO_RECORD), False))
        counts = np.add.reduceat(empty.to_numpy().astype(np.int64), edges[:-1])
        shares = counts / np.diff(edges)
        pooled = float(counts.sum() / loans.num_rows)
        chance = reach * sqrt(pooled * (1 - pooled) * 2 / int(np.diff(edges).min()))
        if np.ptp(shares) > max(limit, chance):
            found.append(Moved(name=name, lowest=float(shares.min()), highest=float(shares.max())))
    return found


def told(found: Collection[Moved], meanings: Mapping[str, str]) -> list[str]:
    """Return a note on what was left out; none where nothing was."""
    if not found:
        return []
    named = "; ".join(meanings.get(one.name, one.name) for one in found)
    lowest, highest = min(one.lowest for one in found), max(one.highest for one in found)
    return [
        f"left out: {named}, since the share of loans without a value moves (between {lowest:.0%} and {highest:.0%}) "
        "within the loans learned from, as where a feed begins in their midst"
    ]
