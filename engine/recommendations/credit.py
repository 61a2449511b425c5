"""What risk decided on credit: outcome, price, margin and limit of each family for each customer, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.domain.credit_reasons import OUTCOMES
from engine.domain.words import PRODUCT_FAMILIES
from engine.recommendations import columns
from engine.recommendations.columns import Floats, Integers

COLUMNS: Final = ("customer_id", "family", "outcome", "annual_rate", "margin_rate", "limit_minor")
"""What is read of the mart credit_decisions."""

UNDECIDED: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What risk decided for n customers on each of PRODUCT_FAMILIES, shape (n, F); NaN is unknown.

    `outcome` is a place in `credit_reasons.OUTCOMES`, -1 where nothing was decided; `limit` in minor units.
    """

    outcome: Integers
    rate: Floats
    margin_rate: Floats
    limit: Floats

    def rows(self, part: Any) -> Credit:
        """Return some of the customers."""
        return Credit(
            outcome=self.outcome[part],
            rate=self.rate[part],
            margin_rate=self.margin_rate[part],
            limit=self.limit[part],
        )


def by_family(decisions: pa.Table, ids: pa.Array) -> dict[str, pa.Table]:
    """Return the rows of the mart credit_decisions for each family in it, in the order of the customers' ids."""
    families = columns.plain(pc.unique(decisions["family"])).to_pylist()
    return {
        family: columns.aligned(decisions.filter(pc.equal(decisions["family"], family)), ids)
        for family in sorted(families)
    }


def credit_of(decided: Mapping[str, pa.Table], start: int, size: int) -> Credit:
    """Return what was decided for a stretch of customers; `decided` as of `by_family`."""
    shape = (size, len(PRODUCT_FAMILIES))
    found: dict[str, Any] = {name: np.full(shape, np.nan) for name in ("rate", "margin_rate", "limit")}
    outcome = np.full(shape, UNDECIDED, dtype=np.int64)
    words = pa.array([str(word) for word in OUTCOMES])
    for family, table in decided.items():
        place, rows = PRODUCT_FAMILIES.index(family), table.slice(start, size)
        codes = pc.index_in(columns.plain(rows["outcome"]), value_set=words)
        outcome[:, place] = columns.values(codes, UNDECIDED)
        for name, column in (("rate", "annual_rate"), ("margin_rate", "margin_rate"), ("limit", "limit_minor")):
            found[name][:, place] = columns.values(rows[column], np.nan)
    return Credit(outcome=outcome, **found)
