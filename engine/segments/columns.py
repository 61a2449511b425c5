"""Columns of the feature table as numbers, whatever their type; a feature that is not there is not an error."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def values_of(features: pa.Table, name: str) -> Floats:
    """Return a column as float64 with `nan` for empty values."""
    column = features[name]
    values: Floats = column.cast(pa.float64(), safe=False).to_numpy()
    return values


def feature_values(features: pa.Table, name: str, equals: str | None) -> Floats:
    """Return a feature as numbers; where `equals` is a word, 1 for it and 0 for others, `nan` for empty values."""
    if equals is None:
        return values_of(features, name)
    values: Floats = pc.equal(features[name], equals).cast(pa.float64()).to_numpy()
    return values


def signed_log(values: Floats, unit: float) -> Floats:
    """Return the logarithm of one more than the size in units, with the sign kept: 0 stays 0."""
    bent: Floats = np.sign(values) * np.log1p(np.abs(values) / unit)
    return bent


def has_values(features: pa.Table, name: str) -> bool:
    """Whether the feature is there and not empty for everybody."""
    return name in features.column_names and features[name].null_count < features.num_rows


def first_with_values(features: pa.Table, names: Iterable[str]) -> str | None:
    """Return the first feature that has values, or None."""
    return next((name for name in names if has_values(features, name)), None)
