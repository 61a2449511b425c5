"""Weighted sums whose bits do not depend on how many rows are computed at once.

A matrix product of BLAS sums in another order for one row than for many, and rounds after every step. Two ways out:

- `exact_sums` works on numbers that lie on grids of powers of two, few enough bits apart that no step rounds at all.
  Then every order gives the same bits, on any processor, and the fast product may be used.
- `weighted_sums` takes any numbers and adds them up feature by feature in one order.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# rows summed at a time: the running total of 24 products then stays in the processor's cache
_ROWS: Final = 4096

TERM_STEP: Final = 2.0**-12
"""The grid of the terms that a customer brings: fine beside the noise of any feature in standard deviations."""

# a double holds whole numbers up to here exactly
_EXACT: Final = 2.0**53
_FINEST: Final = 2.0**-30


def on_grid(values: Floats, step: float) -> Floats:
    """Return the multiple of `step` nearest to each value; halves go to the even one."""
    nearest: Floats = values * (1.0 / step)  # exact: a step is a power of two
    np.rint(nearest, out=nearest)
    nearest *= step
    return nearest


def grid_of(weights: Floats, largest_term: float) -> float:
    """Return the finest step on which sums of these weights (K, P) times terms on the grid stay exact.

    `largest_term` bounds the size of every term.
    """
    most = float(np.abs(weights).max(initial=0.0)) * largest_term * max(len(weights), 1)
    step = _FINEST
    # twice the bound: rounding to the grid may make the largest weight a little larger
    while 2 * most / (step * TERM_STEP) >= _EXACT:
        step *= 2
    return step


def exact_weights(weights: Floats, largest_term: float) -> Floats:
    """Return the weights moved to the grid on which `exact_sums` is exact."""
    return on_grid(weights, grid_of(weights, largest_term))


def exact_sums(terms: Floats, weights: Floats) -> Floats:
    """Return terms (n, K) times weights (K, P), shape (n, P): bit for bit the same for one row as for many.

    `terms` lie on the grid of `TERM_STEP` and `weights` on that of `exact_weights`; for other numbers the last bits
    depend on the number of rows.
    """
    total = np.empty((len(terms), weights.shape[1]))
    for start in range(0, len(terms), _ROWS):
        np.matmul(terms[start : start + _ROWS], weights, out=total[start : start + _ROWS])
    return total


def weighted_sums(columns: Floats, weights: Floats) -> Floats:
    """Return for each row of `columns` (n, D) the D weights (D, P) summed in their order: shape (n, P)."""
    total = np.zeros((len(columns), weights.shape[1]))
    for start in range(0, len(columns), _ROWS):
        part = np.ascontiguousarray(columns[start : start + _ROWS].T)
        _add_up(part, weights, total[start : start + _ROWS])
    return total


def _add_up(part: Floats, weights: Floats, total: Floats) -> None:
    product = np.empty_like(total)
    for feature in range(len(part)):
        np.multiply(part[feature][:, None], weights[feature], out=product)
        np.add(total, product, out=total)
