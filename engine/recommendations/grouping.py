"""Groups of customers that are alike at first sight: by decade of life, and within it by their part of one feature.

Models learn how often each group opens each product, and tell single customers apart on top of it: demand bends with
age and with income, which no single weight can follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from engine.config.recommendations import Training
from engine.recommendations import columns

NO_GROUP: Final = 0
_OLDEST: Final = 90  # years; 90 and more is one band


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """How customers are grouped: `edges`, rising, cut the feature into parts; without any there are decades alone."""

    feature: str
    edges: tuple[float, ...]

    def codes(self, ages: columns.Floats, values: columns.Floats | None) -> columns.Integers:
        """Return the group of each customer, NO_GROUP where the age is unknown.

        ages : years, NaN for unknown. values : the feature, NaN for unknown, who are a part of their own; None where
        the bank does not have it, or no edges were learned.
        """
        decade = np.clip(np.nan_to_num(ages, nan=0.0), 0, _OLDEST) // 10
        parts, part = 1, np.zeros(len(ages))
        if self.edges:
            parts = len(self.edges) + 2
            known = np.full(len(ages), np.nan) if values is None else values
            part = np.where(np.isnan(known), 0, 1 + np.searchsorted(self.edges, known, side="right"))
        return np.where(np.isnan(ages), NO_GROUP, 1 + decade * parts + part).astype(np.int64)

    def of(self, ages: columns.Floats, features: pa.Table, ids: pa.Array) -> columns.Integers:
        """Return the groups of customers whose ages are known, from a table of features in any order."""
        if not self.edges or self.feature not in features.column_names:
            return self.codes(ages, None)
        told = columns.aligned(features.select(["customer_id", self.feature]), ids)
        return self.codes(ages, columns.values(told[self.feature], np.nan).astype(np.float64))


def learn(features: pa.Table, rules: Training) -> Grouping:
    """Return groups whose parts of the feature are as large as each other; decades alone where too few have it."""
    name = rules.group_feature
    if name not in features.column_names:
        return Grouping(feature=name, edges=())
    values = columns.values(features[name], np.nan).astype(np.float64)
    known = values[np.isfinite(values)]
    if len(known) < rules.group_parts * rules.group_prior:
        return Grouping(feature=name, edges=())
    edges = np.unique(np.quantile(known, np.arange(1, rules.group_parts) / rules.group_parts))
    return Grouping(feature=name, edges=tuple(float(edge) for edge in edges))
