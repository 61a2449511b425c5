"""What each customer is still worth: purchases to come, times what one is worth, times the margin, discounted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.config.lifetime import LifetimeSettings
from engine.segments.lifetime import purchases, spend
from engine.segments.lifetime.histories import Histories
from engine.segments.lifetime.purchases import PurchaseModel
from engine.segments.lifetime.spend import SpendModel

Floats = NDArray[np.float64]

_YEAR_DAYS = 365.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The two models, and the share of the money bought that was sent back, taken as the same for everybody."""

    purchases: PurchaseModel
    spend: SpendModel
    returned_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """One value per customer: probability of not having left, purchases expected, money of one, money worth today."""

    alive: Floats
    purchases: Floats
    spend: Floats
    value: Floats


def learn(seen: Histories, settings: LifetimeSettings, seed: int) -> Models:
    """Return both models; raises NotEnoughData where either has too little to learn from."""
    bought = float(seen.spent.sum())
    return Models(
        purchases=purchases.fit(seen, settings, seed),
        spend=spend.fit(seen.repeats, seen.repeat_spend, settings, seed),
        returned_share=min(float(seen.returned.sum()) / bought, 1.0) if bought else 0.0,
    )


def worth(models: Models, seen: Histories, settings: LifetimeSettings, horizon_days: int) -> Lifetime:
    """Return what each customer is worth over the next `horizon_days` days, in the unit of the amounts.

    Value = margin x money of a purchase, less what is sent back, x purchases of each step of the horizon, discounted
    from the middle of the step.
    """
    each = models.spend.expected(seen.repeats, seen.repeat_spend) * (1 - models.returned_share)
    before, discounted = np.zeros(len(seen)), np.zeros(len(seen))
    for start in range(0, horizon_days, settings.discount_step_days):
        end = min(start + settings.discount_step_days, horizon_days)
        until = models.purchases.expected(seen, float(end))
        years = (start + end) / 2 / _YEAR_DAYS
        discounted += (until - before) / (1 + settings.discount_yearly) ** years
        before = until
    return Lifetime(
        alive=models.purchases.alive(seen),
        purchases=before,
        spend=each,
        value=settings.margin_share * each * discounted,
    )
