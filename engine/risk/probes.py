"""Count by asking alone how often a model breaks a direction: nothing is known of how the model was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.risk.binning import as_floats
from engine.risk.models import DefaultModel

Floats = NDArray[np.float64]
_ROUNDING: Final = 1e-12
"""Sums of floats taken in another order differ by less; a step of a model by far more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """How many probes were made, and by characteristic how many went against its direction."""

    probes: int
    against: Mapping[str, int]

    @property
    def violations(self) -> int:
        """How many probes went against a direction."""
        return sum(self.against.values())


def probe(
    model: DefaultModel,
    columns: Mapping[str, pa.ChunkedArray],
    directions: Mapping[str, int],
    *,
    probes: int,
    seed: int,
    special: Mapping[str, Sequence[float | str]] | None = None,
) -> Probed:
    """Ask a model about pairs of rows that differ in one number, and count the pairs ordered against its direction.

    A probe takes a row at random and two values of one number that other rows have; special values stand outside any
    order and are not used. The probes are shared evenly among the numbers with a direction that the model reads; there
    are none where no number has one.
    """
    asked = [name for name, way in directions.items() if way and name in model.inputs and name in columns]
    values = {name: _ordinary(columns[name], (special or {}).get(name, ())) for name in asked}
    asked = [name for name in asked if len(values[name]) > 1]
    if not asked:
        return Probed(probes=0, against={})
    draw = np.random.default_rng([seed, 0x70726F62])
    of, rows = np.arange(probes) % len(asked), draw.integers(0, len(next(iter(columns.values()))), probes)
    taken = {name: columns[name].take(pa.array(rows)) for name in model.inputs if name in columns}
    ends = np.empty((2, probes))
    for at, name in enumerate(asked):
        ends[:, of == at] = _pairs(values[name], int((of == at).sum()), draw)
    low, high = (_asked(model, taken, asked, of, end) for end in ends)
    ways = np.array([directions[name] for name in asked])[of]
    wrong = (high - low) * ways < -_ROUNDING
    return Probed(probes=probes, against={name: int(wrong[of == at].sum()) for at, name in enumerate(asked)})


def _pairs(values: Floats, pairs: int, draw: np.random.Generator) -> Floats:
    """Return pairs of two different values, the lower first; shape (2, pairs)."""
    first = draw.integers(0, len(values), pairs)
    second = (first + draw.integers(1, len(values), pairs)) % len(values)
    return np.sort(values[np.array([first, second])], axis=0)


def _asked(
    model: DefaultModel,
    taken: Mapping[str, pa.ChunkedArray],
    asked: Sequence[str],
    of: NDArray[np.int64],
    values: Floats,
) -> Floats:
    """Return the probabilities of the rows, each with its one number replaced."""
    changed = dict(taken)
    for at, name in enumerate(asked):
        own = as_floats(taken[name])
        changed[name] = pa.chunked_array([pa.array(np.where(of == at, values, own), from_pandas=True)])
    return model.default_probability(changed, len(of))


def _ordinary(column: pa.ChunkedArray, special: Sequence[float | str]) -> Floats:
    """Return the distinct ordinary values of a number."""
    seen = np.unique(as_floats(column))
    numbers = [one for one in special if not isinstance(one, str)]
    kept: Floats = seen[np.isfinite(seen) & ~np.isin(seen, numbers)]
    return kept
