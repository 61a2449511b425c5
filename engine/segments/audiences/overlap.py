"""What audiences share: sizes, and of each pair how many belong to both and what that means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.numerics.ratios import or_none, ratio

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two audiences: how many belong to both, and three measures of it, None where there is nothing to divide by.

    `jaccard` is both over either; `first_share` what part of the first belongs to the second, and the other way
    round; `lift` is both over as many as there would be if belonging to the one said nothing of the other: 1 then.
    """

    first: str
    second: str
    both: int
    either: int
    jaccard: float | None
    first_share: float | None
    second_share: float | None
    lift: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Audiences side by side: all customers, each one's size and how many belong to it alone, who belongs to all."""

    customers: int
    sizes: dict[str, int]
    alone: dict[str, int]
    in_all: int
    in_any: int
    pairs: tuple[Pair, ...]


def counted(rows: Any, names: Sequence[str]) -> Any:
    """Return how many customers belong to each combination of audiences: the flags, and `customers`."""
    return rows.group_by(list(names)).agg(customers=ibis._.count()).order_by(list(names))


def overlap(combined: pa.Table, names: Sequence[str]) -> Overlap:
    """Return what audiences share, from the rows of `counted`; no rows are no customers."""
    flags = np.array([combined[name].to_numpy() for name in names], dtype=bool).reshape(len(names), -1)
    customers: Counts = combined["customers"].to_numpy().astype(np.int64)
    total, of_how_many = int(customers.sum()), flags.sum(axis=0)
    sizes = {name: int(customers[flags[place]].sum()) for place, name in enumerate(names)}
    return Overlap(
        customers=total,
        sizes=sizes,
        alone={name: int(customers[flags[place] & (of_how_many == 1)].sum()) for place, name in enumerate(names)},
        in_all=int(customers[of_how_many == len(names)].sum()),
        in_any=int(customers[of_how_many > 0].sum()),
        pairs=tuple(
            _pair((names[one], names[other]), int(customers[flags[one] & flags[other]].sum()), sizes, total)
            for one, other in combinations(range(len(names)), 2)
        ),
    )


def _pair(named: tuple[str, str], both: int, sizes: dict[str, int], customers: int) -> Pair:
    first, second = (sizes[name] for name in named)
    return Pair(
        first=named[0],
        second=named[1],
        both=both,
        either=first + second - both,
        jaccard=or_none(ratio(both, first + second - both)),
        first_share=or_none(ratio(both, first)),
        second_share=or_none(ratio(both, second)),
        lift=or_none(ratio(both * customers, first * second)),
    )
