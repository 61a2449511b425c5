"""Recency, frequency and money: in which fifth of the active customers each customer falls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config.segments import RfmSettings
from engine.segments.columns import first_with_values, values_of

Floats = NDArray[np.float64]
Scores = NDArray[np.int64]

NO_SCORE: Final = 0
SCORES: Final = ("recency_score", "frequency_score", "monetary_score")


def score(features: pa.Table, settings: RfmSettings) -> tuple[dict[str, pa.Array], list[str]]:
    """Return the three scores and the cell of every customer, and what could not be scored.

    A customer who was never active has no score; a feature that the bank lacks leaves its score empty for all.
    """
    chosen = {
        name: first_with_values(features, wanted)
        for name, wanted in zip(SCORES, (settings.recency, settings.frequency, settings.monetary), strict=True)
    }
    columns = {name: _column(features, feature) for name, feature in chosen.items()}
    active = _active(columns)
    scores = {
        "recency_score": fifths(-columns["recency_score"], active),
        "frequency_score": fifths(columns["frequency_score"], active),
        "monetary_score": fifths(columns["monetary_score"], active),
    }
    notes = [f"{name}: no feature to take it from" for name, feature in chosen.items() if feature is None]
    arrays = {name: pa.array(values, mask=values == NO_SCORE) for name, values in scores.items()}
    return {**arrays, "rfm_cell": cells(scores)}, notes


def fifths(values: Floats, active: NDArray[np.bool_]) -> Scores:
    """Return 1 to 5 by rank among the active, 5 the largest; equal values share the place of their middle.

    0 for whoever is not active or has no value.
    """
    counted = active & ~np.isnan(values)
    scores = np.full(len(values), NO_SCORE, dtype=np.int64)
    if not counted.any():
        return scores
    _, group, counts = np.unique(values[counted], return_inverse=True, return_counts=True)
    # doubled ranks stay whole, so that no boundary depends on rounding: the middle of a group is (first + last) / 2
    last = np.cumsum(counts)
    doubled_middle = 2 * last - counts
    fifth = -(-5 * doubled_middle // (2 * int(counted.sum())))
    scores[counted] = np.clip(fifth, 1, 5)[group]
    return scores


def _column(features: pa.Table, name: str | None) -> Floats:
    return np.full(features.num_rows, np.nan) if name is None else values_of(features, name)


def _active(columns: dict[str, Floats]) -> NDArray[np.bool_]:
    """Return who was ever active: has a latest activity or, where none is known at all, any activity at all."""
    recency, frequency, monetary = (columns[name] for name in SCORES)
    if not np.isnan(recency).all():
        return ~np.isnan(recency)
    return (np.nan_to_num(frequency) > 0) | (np.nan_to_num(monetary) > 0)


def cells(scores: dict[str, Scores]) -> pa.Array:
    """Return the three scores of every customer as one word, such as 5-4-3; null where one is missing."""
    parts: Sequence[Scores] = [scores[name] for name in SCORES]
    complete = np.logical_and.reduce([part != NO_SCORE for part in parts])
    cell = np.zeros(len(complete), dtype=np.int64)
    for part in parts:
        cell = cell * 5 + np.maximum(part - 1, 0)
    names = pa.array([f"{at // 25 + 1}-{at // 5 % 5 + 1}-{at % 5 + 1}" for at in range(125)])
    return names.take(pa.array(cell, mask=~complete))
