"""Whom a campaign of limited size reaches: the customers it names against those who took the product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.numerics.ratios import ratio
from engine.recommendations.frame import Flags, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What naming some customers came to; counts are fractions where customers of equal score shared their places."""

    customers: int
    buyers: int
    named: float
    hits: float

    @property
    def precision(self) -> float:
        """The share of those named who bought; NaN where nobody was named."""
        return ratio(self.hits, self.named)

    @property
    def recall(self) -> float:
        """The share of the buyers who were named; NaN without buyers."""
        return ratio(self.hits, self.buyers)

    @property
    def lift(self) -> float:
        """How many times more of the named bought than of all; NaN where nobody was named or nobody bought."""
        return ratio(self.precision, ratio(self.buyers, self.customers))

    @property
    def error_rate(self) -> float:
        """The share of customers who were named and did not buy, or bought and were not named; NaN without any."""
        return ratio(self.named + self.buyers - 2 * self.hits, self.customers)


def reach(named: Floats | Flags, bought: Flags) -> Reach:
    """Compare who was named, 1 or True for certain, with who bought; both have one value for each customer."""
    return Reach(
        customers=len(bought),
        buyers=int(bought.sum()),
        named=float(named.sum()),
        hits=float(named[bought].sum()),
    )


def first(scores: Floats, places: float) -> Floats:
    """Return how much of a place each customer has among the `places` highest scores, between 0 and 1.

    Customers whose equal scores straddle the last place share what is left of it, so that the answer depends on no
    order of rows: it is what drawing among them gives on average. All have one where there are places for all.

    Raises
    ------
    ValueError
        A score is not a number, or `places` is negative.
    """
    if places < 0 or np.isnan(places) or np.isnan(scores).any():
        raise ValueError(f"{places} places and {int(np.isnan(scores).sum())} scores that are no numbers")
    _, group, sizes = np.unique(-scores, return_inverse=True, return_counts=True)
    before = np.cumsum(sizes) - sizes
    shared: Floats = np.clip((places - before) / sizes, 0.0, 1.0)
    return shared[group]
