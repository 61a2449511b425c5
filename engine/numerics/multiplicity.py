"""Corrections of p-values for how many were looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def holm(p_values: ArrayLike) -> Floats:
    """Return p-values adjusted so that any false alarm at all among them is as rare as the level says.

    nan where a p-value is nan: a comparison that could not be made does not count among those made.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = _ascending(given)
    stepped = given[order] * (len(order) - np.arange(len(order)))
    return _put_back(given, order, np.minimum(np.maximum.accumulate(stepped), 1.0))


def hochberg(p_values: ArrayLike) -> Floats:
    """Return p-values adjusted as by `holm`, but smaller: for p-values that are independent or rise and fall together.

    nan where a p-value is nan, as with `holm`.

    References
    ----------
    Hochberg (1988), Biometrika 75, 800-802.
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = _ascending(given)
    stepped = given[order] * (len(order) - np.arange(len(order)))
    return _put_back(given, order, np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0))


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return p-values adjusted so that, of what is called different, the share of false alarms is at most the level.

    nan where a p-value is nan, as with `holm`.

    References
    ----------
    Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300.
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = _ascending(given)
    stepped = given[order] * len(order) / np.arange(1, len(order) + 1)
    return _put_back(given, order, np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0))


def _ascending(given: Floats) -> NDArray[np.int64]:
    """Return the places of the defined p-values, smallest first."""
    order = np.argsort(given, kind="stable")
    return order[: int(np.isfinite(given).sum())]


def _put_back(given: Floats, order: NDArray[np.int64], values: Floats) -> Floats:
    adjusted = np.full(given.shape, np.nan)
    adjusted[order] = values
    return adjusted
