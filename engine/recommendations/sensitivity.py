"""What each factor of the order does: offers are ranked with one of them left out, and the first offers compared.

Priority is the expected value times the product's lever; the value is response kept x propensity x (margin - expected
loss), less the cost of the contact. A factor that is left out counts alike for every product, so that it tells no two
apart:

- propensity: every product would be taken by everybody;
- value: margin, loss and cost do not count, the likeliest product comes first;
- loss: nothing would be lost on credit;
- contact: neither what the contact costs nor what the channel and earlier contacts leave of the response counts;
- lever: no product is pushed. What is lost by that is below 0 where levers cost value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.numerics.ratios import ratio
from engine.recommendations.decide import Assessed
from engine.recommendations.frame import Floats

FACTORS: Final = ("propensity", "value", "loss", "contact", "lever")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """Per factor, in the order of FACTORS: customers whose first offer changes, and the value lost, minor units.

    `customers` are those to whom anything could be offered, `worth` what their first offers are worth. Sums of two
    blocks are those of both.
    """

    customers: int
    worth: float
    changed: tuple[int, ...]
    lost: tuple[float, ...]

    def __add__(self, other: Sensitivity) -> Sensitivity:
        return Sensitivity(
            customers=self.customers + other.customers,
            worth=self.worth + other.worth,
            changed=tuple(one + two for one, two in zip(self.changed, other.changed, strict=True)),
            lost=tuple(one + two for one, two in zip(self.lost, other.lost, strict=True)),
        )

    def share_changed(self, factor: str) -> float:
        """Return the share of customers whose first offer would be another; NaN without customers."""
        return ratio(self.changed[FACTORS.index(factor)], self.customers)

    def share_lost(self, factor: str) -> float:
        """Return the share of the value of all first offers that would be lost; NaN where they are worth nothing."""
        return ratio(self.lost[FACTORS.index(factor)], self.worth)


def measure(found: Assessed, lever: Floats) -> Sensitivity:
    """Rank a block with each factor left out in turn; what a gate refuses is never ranked. `lever` is of shape (P,)."""
    is_open = found.open
    some = np.flatnonzero(is_open.any(axis=1))
    worth = found.worth.value
    first = _first(found.priority, is_open)[some]
    best = worth[some, first]
    changed, lost = [], []
    for factor in FACTORS:
        pushed = np.ones_like(lever) if factor == "lever" else lever
        other = _first(_without(found, factor) * pushed, is_open)[some]
        changed.append(int((other != first).sum()))
        lost.append(float((best - worth[some, other]).sum()))
    return Sensitivity(customers=len(some), worth=float(best.sum()), changed=tuple(changed), lost=tuple(lost))


def _without(found: Assessed, factor: str) -> Floats:
    odds, margin, loss = found.odds, found.terms.margin, found.worth.loss
    response, cost = odds.kept * odds.propensity, odds.cost[:, None]
    if factor == "propensity":
        return odds.kept * (margin - loss) - cost
    if factor == "value":
        return response
    if factor == "loss":
        return response * margin - cost
    if factor == "lever":
        return found.worth.value
    return odds.propensity * (margin - loss)


def _first(priority: Floats, is_open: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.argmax(np.where(is_open, priority, -np.inf), axis=1)
    return found
