"""How well a ranking names what customers opened next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.recommendations.frame import Flags, Floats


def ranks(scores: Floats, eligible: Flags) -> NDArray[np.int64]:
    """Return the rank of each product for each customer, 1 the best; equal scores rank in the order of the products.

    Products that cannot be opened rank after all that can.
    """
    order = np.argsort(np.where(eligible, -scores, np.inf), axis=1, kind="stable")
    found = np.empty_like(order)
    np.put_along_axis(found, order, np.arange(1, scores.shape[1] + 1)[None, :].repeat(len(scores), axis=0), axis=1)
    return found


def average_precision(ranked: NDArray[np.int64], relevant: Flags, k: int) -> Floats:
    """Return the average precision at k of each customer, NaN without anything relevant.

    The variant that divides by min(k, number relevant), as Kaggle, Spark and implicit do: naming the only relevant
    product first is 1, whatever k is.
    """
    hit = np.where(relevant & (ranked <= k), ranked, 0)
    # relevant products at or above each rank, counted for each product that is a hit
    others: NDArray[np.int64] = hit[:, np.newaxis, :]
    at_or_above = np.sum((others > 0) & (others <= hit[:, :, np.newaxis]), axis=2)
    precision = np.where(hit > 0, at_or_above / np.maximum(hit, 1), 0.0)
    wanted = relevant.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(wanted > 0, precision.sum(axis=1) / np.minimum(wanted, k), np.nan)
    return found


def hit_rate(ranked: NDArray[np.int64], relevant: Flags, k: int) -> float:
    """Return the share of customers with something relevant who find any of it among the first k; NaN without any."""
    wanted: Flags = np.any(relevant, axis=1)
    if not wanted.any():
        return float("nan")
    found: Flags = np.any(relevant & (ranked <= k), axis=1)
    return float(found[wanted].mean())


def coverage(ranked: NDArray[np.int64], eligible: Flags, k: int) -> float:
    """Return the share of all products that the first k of at least one customer name."""
    return float(((ranked <= k) & eligible).any(axis=0).mean())
