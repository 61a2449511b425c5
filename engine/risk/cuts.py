"""Where to cut an ordered characteristic: from the goods and bads of many small pre-bins to a few monotone blocks.

A list of cuts holds the first pre-bin of every block and, last, the number of pre-bins.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.config.risk import Direction

Trend = Literal["rising", "falling"]
Floats = NDArray[np.float64]


def quantiles(ordered: Floats, parts: int, weights: Floats | None = None) -> Floats:
    """Return the distinct inner quantiles of sorted values, each an observed value, so that cuts stay readable."""
    if not len(ordered):
        return np.empty(0)
    # the inverse of the distribution: the first value at which the share is reached
    running = np.arange(1, len(ordered) + 1) if weights is None else np.cumsum(weights)
    wanted = np.arange(1, parts) * (running[-1] / parts)
    edges: Floats = np.unique(ordered[np.searchsorted(running, wanted * (1 - 1e-12))])
    inner: Floats = edges[np.isfinite(edges) & (edges < ordered[-1])]
    return inner


def monotone(goods: Floats, bads: Floats, direction: Direction = "auto") -> tuple[list[int], Trend]:
    """Return the cuts that make the bad rate monotone and whether it rises or falls.

    "auto" takes the way that keeps the more information. The other way is not tried where one is named: what goes
    against it is pooled, down to one block.
    """
    rising = _pool(goods, bads)
    if direction == "rising":
        return rising, "rising"
    falling = [len(goods) - cut for cut in reversed(_pool(goods[::-1], bads[::-1]))]
    if direction == "falling":
        return falling, "falling"
    keeps_more = _information(rising, goods, bads).sum() >= _information(falling, goods, bads).sum()
    return (rising, "rising") if keeps_more else (falling, "falling")


def merge(cuts: list[int], goods: Floats, bads: Floats, *, smallest: float, most: int) -> list[int]:
    """Join neighbours where the least information is lost, until no block is too small and there are few enough.

    Parameters
    ----------
    smallest : rows that a block holds at least, unless it is the only one.
    most : blocks kept at most.
    """
    cuts = list(cuts)
    while len(cuts) > 2:
        sizes, loss = _blocks(cuts, goods + bads), _losses(cuts, goods, bads)
        worst = int(np.argmin(sizes))
        if sizes[worst] < smallest:
            beside = slice(max(0, worst - 1), worst + 1)
            cut = beside.start + int(np.argmin(loss[beside]))
        else:
            if len(sizes) <= most:
                break
            cut = int(np.argmin(loss))
        del cuts[cut + 1]
    return cuts


def agree(cuts: list[int], goods: Floats, bads: Floats, trend: Trend, pseudo: tuple[float, float]) -> list[int]:
    """Join neighbours until the bad rate runs with the trend after every block was given the same few rows more, too.

    What is added to every block so that small ones say little (`pseudo` goods and bads) draws the small ones nearer to
    the whole than their neighbours: rates that rise from block to block can give evidence that does not.
    """
    cuts, way = list(cuts), 1 if trend == "rising" else -1
    while len(cuts) > 2:
        more_goods, more_bads = _blocks(cuts, goods) + pseudo[0], _blocks(cuts, bads) + pseudo[1]
        steps = np.diff(more_bads / (more_goods + more_bads)) * way
        worst = int(np.argmin(steps))
        if steps[worst] >= 0:
            break
        del cuts[worst + 1]
    return cuts


def _pool(goods: Floats, bads: Floats) -> list[int]:
    """Pool adjacent violators until the bad rate rises from block to block."""
    blocks: list[tuple[int, float, float]] = []  # first pre-bin, goods, bads
    for at in range(len(goods)):
        start, good, bad = at, float(goods[at]), float(bads[at])
        # rates compared crosswise, so that an empty block needs no division
        while blocks and blocks[-1][2] * (good + bad) >= bad * (blocks[-1][1] + blocks[-1][2]):
            start, good_before, bad_before = blocks.pop()
            good, bad = good + good_before, bad + bad_before
        blocks.append((start, good, bad))
    return [start for start, _, _ in blocks] + [len(goods)]


def _losses(cuts: list[int], goods: Floats, bads: Floats) -> Floats:
    """Return the information lost by taking out each inner cut."""
    parts = _information(cuts, goods, bads)
    joined_goods, joined_bads = (side[:-1] + side[1:] for side in (_blocks(cuts, goods), _blocks(cuts, bads)))
    return parts[:-1] + parts[1:] - _parts(joined_goods, joined_bads, goods.sum(), bads.sum())


def _information(cuts: list[int], goods: Floats, bads: Floats) -> Floats:
    return _parts(_blocks(cuts, goods), _blocks(cuts, bads), goods.sum(), bads.sum())


def _parts(goods: Floats, bads: Floats, all_goods: float, all_bads: float) -> Floats:
    """Return each block's part of the information value; half a row is added so that no block is infinite."""
    share_of_goods = (goods + 0.5) / (all_goods + 0.5)
    share_of_bads = (bads + 0.5) / (all_bads + 0.5)
    parts: Floats = (share_of_goods - share_of_bads) * np.log(share_of_goods / share_of_bads)
    return parts


def _blocks(cuts: list[int], counts: Floats) -> Floats:
    sums: Floats = np.diff(np.concatenate([[0.0], np.cumsum(counts)])[cuts])
    return sums
