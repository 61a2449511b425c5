"""Counts of so few customers that they could point at a person, as somebody sees them who may not see small groups.

Where any count of a table is one of 1 to 9, all counts of it are rounded to tens, and rates are made of rounded ones:
one cell hidden alone would follow from the others and their total, and an exact rate would tell its count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from engine.domain.access import SMALL_GROUP, Right, Viewer
from engine.domain.errors import GroupTooSmall

ROUNDED: Final = "rounded"
"""The mark of a table whose counts are rounded, in its `attrs`."""
LEFT_OUT: Final = "left_out"
"""Under which its `attrs` tell how many rows were left out."""


def are_hidden(viewer: Viewer, rows: pd.DataFrame, counts: Sequence[str]) -> bool:
    """Return whether a table holds a count that the viewer may not see."""
    if viewer.may(Right.SEE_SMALL_GROUPS) or rows.empty:
        return False
    values = rows[list(counts)].to_numpy(dtype=float)
    return bool(((values > 0) & (values < SMALL_GROUP)).any())


def rounded(viewer: Viewer, rows: pd.DataFrame, counts: Sequence[str]) -> pd.DataFrame:
    """Return a table with its counts as the viewer may see them: as they are, or all of them rounded to tens."""
    if not are_hidden(viewer, rows, counts):
        return rows
    told = rows.assign(**{name: _tens(rows[name]) for name in counts})
    told.attrs[ROUNDED] = True
    return told


def without(viewer: Viewer, rows: pd.DataFrame, counts: Sequence[str]) -> pd.DataFrame:
    """Return a table without the rows of a count that the viewer may not see: for rows that add up to nothing."""
    if not are_hidden(viewer, rows, counts):
        return rows
    values = rows[list(counts)]
    told = rows[~((values > 0) & (values < SMALL_GROUP)).any(axis=1)].reset_index(drop=True)
    told.attrs[LEFT_OUT] = len(rows) - len(told)
    return told


def left_out(rows: Any) -> int:
    """Return how many rows of a table were left out."""
    return int(getattr(rows, "attrs", {}).get(LEFT_OUT, 0))


def is_rounded(rows: Any) -> bool:
    """Return whether the counts of a table are rounded."""
    return bool(getattr(rows, "attrs", {}).get(ROUNDED, False))


def number(viewer: Viewer, count: int | None) -> int | None:
    """Return one count as the viewer may see it: None for one of 1 to 9."""
    if count is None or viewer.may(Right.SEE_SMALL_GROUPS) or not 0 < count < SMALL_GROUP:
        return count
    return None


def tens(count: int) -> int:
    """Return a count rounded to tens, half up."""
    return SMALL_GROUP * int(count / SMALL_GROUP + 0.5)


def checked(viewer: Viewer, customers: int) -> None:
    """Raise GroupTooSmall where so few customers are counted that the viewer may not see how many."""
    if number(viewer, customers) is None:
        raise GroupTooSmall(SMALL_GROUP)


def _tens(counts: pd.Series) -> pd.Series:
    exact = counts.to_numpy(dtype=float)
    told = pd.Series(SMALL_GROUP * np.floor(exact / SMALL_GROUP + 0.5), index=counts.index)
    return told if np.isnan(exact).any() else told.astype("int64")
