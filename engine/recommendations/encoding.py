"""A profile of numbers and words as the features of models: learned from some customers, applied to all."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.recommendations.frame import Flags, Floats, Integers

_BINS: Final = 10
_MOST_VALUES: Final = 50
_FEWEST_ROWS: Final = 20  # of a value, below which nothing can be learned from it


def encode(profile: pa.Table, learn: Flags) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return features (n, D) and their names.

    A number is itself, NaN where unknown, and beside it which tenth of the customers of `learn` it falls in, since
    demand bends. A word is one feature for each value that enough customers of `learn` have, at most fifty.
    """
    columns: list[Floats] = []
    names: list[str] = []
    for name in profile.column_names:
        column = profile[name]
        if pa.types.is_floating(column.type):
            made = _number(name, np.asarray(pc.fill_null(column, np.nan), dtype=np.float64), learn)
        else:
            made = _words(name, column, learn)
        names += made
        columns += made.values()
    x = np.column_stack(columns) if columns else np.zeros((profile.num_rows, 0))
    return x.astype(np.float32), tuple(names)


def _number(name: str, values: Floats, learn: Flags) -> dict[str, Floats]:
    known = values[learn & ~np.isnan(values)]
    made = {name: values}
    if len(known) < _FEWEST_ROWS * 2:
        return made
    edges = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS))
    place = np.searchsorted(edges, values, side="right")
    bins = {
        f"{name} in part {part + 1}": ((place == part) & ~np.isnan(values)).astype(float)
        for part in range(len(edges) + 1)
    }
    return made | (bins if len(edges) > 1 else {})


def _words(name: str, column: pa.ChunkedArray, learn: Flags) -> dict[str, Floats]:
    values, codes = words(column)
    counts = np.bincount(codes[learn & (codes >= 0)], minlength=len(values))
    kept = [int(code) for code in np.argsort(-counts, kind="stable")[:_MOST_VALUES] if counts[code] >= _FEWEST_ROWS]
    return {f"{name} = {values[code]}": (codes == code).astype(float) for code in sorted(kept)}


def words(column: pa.ChunkedArray) -> tuple[list[str], Integers]:
    """Return the different values of a column, sorted, and the place of each row's value; -1 where there is none."""
    values = sorted(value for value in pc.unique(column).to_pylist() if value is not None)
    codes = pc.fill_null(pc.index_in(column, value_set=pa.array(values, column.type)), -1)
    return values, np.asarray(codes, dtype=np.int64)
