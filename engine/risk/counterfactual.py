"""The smallest change that would change the outcome: in the fewest characteristics, each moved no further than needed.

A score that is a sum lets this be answered exactly: no set of fewer characteristics reaches the cut-off, without any
one of the changes it is missed, and none may be shortened by a bin. Only what the settings say an applicant can change
is moved, only the way they say, and only into bins that held somebody in training. What is missing, a special value or
not asked stays: to bring a value is not to change it.

Reference: Ustun, Spangher, Liu (2019), Actionable Recourse in Linear Classification, for counting how far a
characteristic moves in shares of the population.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.config.risk import Way
from engine.risk.binning import RARE, Bins, Codes

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
STAYS: Final = -1
"""What stands for the bin of a characteristic that is left as it is."""
_ROUNDING: Final = 1e-12  # of sums in another order; what is asked for in log-odds has a wider margin


class Lack(StrEnum):
    """Why a row has no smallest change."""

    NOT_NEEDED = "not_needed"
    NOTHING_TO_CHANGE = "nothing_to_change"
    OUT_OF_REACH = "out_of_reach"


LACKS: Final = tuple(Lack)
"""The reasons in the order of their codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The smallest changes of a block of rows.

    to : the bin that a characteristic has to be in, shape (rows, characteristics); `STAYS` where it may stay.
    lack : a place in `LACKS` where there is no change, -1 where there is one; shape (rows,).
    gained : what the changes add to the score; 0 without one.
    """

    to: NDArray[np.int64]
    lack: NDArray[np.int8]
    gained: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moves:
    """What each move of one characteristic gains (-inf where it may not be made) and costs, by bin from and bin to."""

    gain: Floats
    effort: Floats

    @property
    def best(self) -> Floats:
        """The most that can be gained from each bin; 0 where nothing can."""
        best: Floats = np.maximum(self.gain.max(axis=1), 0.0)
        return best

    def least(self, codes: Codes, needed: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Return, per row, the bin of least effort that gains what is needed, that effort (inf: none), and its gain."""
        effort = np.where(self.gain[codes] >= needed[:, None] - _ROUNDING, self.effort[codes], np.inf)
        to = effort.argmin(axis=1)
        every = np.arange(len(codes))
        return to, effort[every, to], self.gain[codes, to]


def smallest(
    bins: Sequence[Bins],
    amounts: Sequence[Floats],
    codes: Sequence[Codes],
    short: Floats,
    ways: Mapping[str, Way],
) -> Changes:
    """Return the smallest change of every row that lacks `short` to the cut-off.

    Of the sets of fewest characteristics the one is taken in which all but the last gain most and the last moves least,
    counted in the share of the population that it passes; then each is moved back as far as the others allow.

    Parameters
    ----------
    bins : of the characteristics, m of them.
    amounts : what each bin adds to the score, by characteristic, at least one for each ordinary bin.
    codes : the bin of every row, by characteristic, shape (n,) each. A code beyond the ordinary bins stays.
    short : what each row lacks to the cut-off, in the unit of the amounts, shape (n,); 0 or less lacks nothing.
    ways : which characteristics can be changed and which way; what is not named, or "never", stays.
    """
    rows, width = len(short), len(bins)
    to, gained = np.full((rows, width), STAYS, dtype=np.int64), np.zeros(rows)
    lack = np.full(rows, LACKS.index(Lack.NOT_NEEDED), dtype=np.int8)
    at = np.flatnonzero(short > 0)
    if not width or not len(at):
        return Changes(to=to, lack=np.where(short > 0, LACKS.index(Lack.NOTHING_TO_CHANGE), lack), gained=gained)
    moves = [_moves(one, amount, ways.get(one.name, "never")) for one, amount in zip(bins, amounts, strict=True)]
    # whatever is no ordinary value shares one row of the table of moves, from which none leads
    froms = [np.minimum(code[at].astype(np.intp), one.ordinary) for one, code in zip(bins, codes, strict=True)]
    best = np.column_stack([move.best[code] for move, code in zip(moves, froms, strict=True)])
    order = np.argsort(-best, axis=1, kind="stable")
    reach = np.cumsum(np.take_along_axis(best, order, axis=1), axis=1)
    reached = reach >= short[at, None]
    found = reached.any(axis=1)
    nothing = best.max(axis=1) <= 0
    lack[at] = np.where(found, -1, LACKS.index(Lack.OUT_OF_REACH))
    lack[at[nothing]] = LACKS.index(Lack.NOTHING_TO_CHANGE)
    if found.any():
        whole = reached[found].argmax(axis=1)
        rank = np.argsort(order[found], axis=1, kind="stable")
        to[at[found]], gained[at[found]] = _shortened(
            moves, [code[found] for code in froms], best[found], rank < whole[:, None], short[at[found]]
        )
    return Changes(to=to, lack=lack, gained=gained)


def _shortened(
    moves: Sequence[_Moves], froms: Sequence[Codes], best: Floats, full: Bools, short: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """Return the bins to move to, and the gain: those in `full` together with one more that is chosen here."""
    every = np.arange(len(short))
    to = np.full(best.shape, STAYS, dtype=np.int64)
    rest = short - np.where(full, best, 0.0).sum(axis=1)
    last = [move.least(code, rest) for move, code in zip(moves, froms, strict=True)]
    effort = np.where(full, np.inf, np.column_stack([each[1] for each in last]))
    chosen = effort.argmin(axis=1)
    to[every, chosen] = np.column_stack([each[0] for each in last])[every, chosen]
    gains = np.where(full, best, 0.0)
    gains[every, chosen] = np.column_stack([each[2] for each in last])[every, chosen]
    for place, (move, code) in enumerate(zip(moves, froms, strict=True)):
        slack = np.maximum(gains.sum(axis=1) - short, 0.0)
        nearest, _, gain = move.least(code, gains[:, place] - slack)
        mine = full[:, place]
        to[mine, place], gains[mine, place] = nearest[mine], gain[mine]
    total: Floats = gains.sum(axis=1)
    return to, total


def _moves(bins: Bins, amounts: Floats, way: Way) -> _Moves:
    """Return the moves of a characteristic; the last row stands for what is no ordinary value and cannot move."""
    size = bins.ordinary
    held = np.array(bins.goods[:size], dtype=np.float64) + np.array(bins.bads[:size], dtype=np.float64)
    gain = amounts[None, :size] - amounts[:size, None]
    may = (gain > 0) & (held > 0) & _allowed(bins, way)
    gain = np.vstack([np.where(may, gain, -np.inf), np.full((1, size), -np.inf)])
    share = held / max(held.sum(), 1.0)
    middle = np.cumsum(share) - share / 2
    # categories stand in no order but that of risk: to change one counts as passing everybody, and more for a far one
    effort = np.abs(middle[None, :] - middle[:, None]) + (bins.kind == "category")
    return _Moves(gain=gain, effort=np.vstack([effort, np.full((1, size), np.inf)]))


def _allowed(bins: Bins, way: Way) -> Any:
    """Return which bins a characteristic may be moved to, by bin from (rows) and bin to (columns)."""
    size = bins.ordinary
    if way == "never":
        return np.zeros((size, size), dtype=bool)
    if bins.kind == "category":
        # a bin of rare categories alone names nothing that anybody could change to
        named = np.array([any(value != RARE for value in group) for group in bins.groups], dtype=bool)
        return np.broadcast_to(named, (size, size))
    step = np.arange(size)[None, :] - np.arange(size)[:, None]
    return {"up": step > 0, "down": step < 0, "either": step != 0}[way]
