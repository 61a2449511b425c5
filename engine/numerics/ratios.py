"""Ratios that say "undefined" instead of 0 or an error when there is nothing to divide by."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ratio(part: float, whole: float) -> float:
    """Return part / whole; nan where the whole is 0 or either is not known."""
    return part / whole if whole else math.nan


def ratios(part: ArrayLike, whole: ArrayLike) -> NDArray[np.float64]:
    """Return part / whole element by element, broadcast; nan where the whole is 0 or either is not known."""
    top, bottom = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    result = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=result, where=bottom != 0)
    return result


def relative_change(value: float, base: float) -> float:
    """Return (value - base) / |base|; nan where the base is 0 or either is not known."""
    return ratio(value - base, abs(base))


def mean(total: float, count: int) -> float:
    """Return the mean of `count` values that sum to `total`; nan for no values."""
    return ratio(total, count)


def or_none(value: float) -> float | None:
    """Return the value as results and JSON carry it: None where it is undefined or infinite."""
    return float(value) if math.isfinite(value) else None


def or_dash(value: float | None, form: str = "{:.1%}") -> str:
    """Return the value as a screen shows it: an em dash where it is undefined."""
    return "—" if value is None or not math.isfinite(value) else form.format(value)


def where_defined(values: ArrayLike) -> NDArray[np.float64]:
    """Return only the values that are defined, flat and in order."""
    flat: NDArray[np.float64] = np.asarray(values, dtype=np.float64).ravel()
    defined: NDArray[np.float64] = flat[np.isfinite(flat)]
    return defined
