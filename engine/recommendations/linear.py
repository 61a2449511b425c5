"""Weighted sums whose bits do not depend on how many rows are computed at once.

A matrix product of BLAS sums in another order for one row than for many. Here every row is summed feature by
feature in the same order, so that one decision asked for alone equals the same decision in a batch, bit for bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# rows summed at a time: the running total of 24 products then stays in the processor's cache
_ROWS = 4096


def weighted_sums(columns: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each row of `columns` (n, D) the D weights (D, P) summed: shape (n, P)."""
    total = np.zeros((len(columns), weights.shape[1]))
    for start in range(0, len(columns), _ROWS):
        part = np.ascontiguousarray(columns[start : start + _ROWS].T)
        _add_up(part, weights, total[start : start + _ROWS])
    return total


def _add_up(part: NDArray[np.float64], weights: NDArray[np.float64], total: NDArray[np.float64]) -> None:
    product = np.empty_like(total)
    for feature in range(len(part)):
        np.multiply(part[feature][:, None], weights[feature], out=product)
        np.add(total, product, out=total)
