"""What defaults are expected to cost: exposure, losses of 12 months and of the whole life, the stage under IFRS 9.

Amounts are whole minor units of the base currency, kept in floats; each is rounded once, half to even.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.config.credit import StagingSettings
from engine.risk.columns import Flags, Floats, Integers

STAGE_REASONS: Final = ("performing", "significant_increase", "delay_elsewhere", "days_past_due", "in_default")
"""Why a customer is in a stage, in the order of their codes; the strictest that holds is given."""


def exposure_at_default(drawn: Floats, limit: Floats, conversion: Floats) -> Floats:
    """Return what is owed at a default: what is drawn, and the share of the undrawn limit that is drawn until then."""
    exposure: Floats = np.rint(drawn + conversion * np.maximum(limit - drawn, 0.0))
    return exposure


def lifetime_loss(hazard: Floats, loss: Floats, years: Floats, rate: Floats, amortises: Flags) -> Floats:
    """Return the discounted loss expected over the remaining life, in minor units, not rounded.

    Parameters
    ----------
    hazard : probability of default within a year of whoever has not defaulted before, the same each year.
    loss : lost in a default now; later it shrinks with the balance of an annuity where `amortises` is set.
    years : remaining life; the last may be a part of a year.
    rate : the yearly rate at which losses are discounted, each to the end of its year.

    Notes
    -----
    In year k the default rate is (1 - hazard)^(k - 1) x hazard. IFRS 9 5.5.17 asks for the time value of money.
    """
    total, survival = np.zeros(len(hazard)), np.ones(len(hazard))
    for year in range(int(np.ceil(years.max(initial=0.0)))):
        part = np.clip(years - year, 0.0, 1.0)
        stays = (1.0 - hazard) ** part
        owed = np.where(amortises, balance_share(np.minimum(year, years), years, rate), 1.0)
        total += survival * (1.0 - stays) * owed * loss / (1.0 + rate) ** (year + part)
        survival *= stays
    return total


def balance_share(after: Floats, years: Floats, rate: Floats) -> Floats:
    """Return the share of a loan repaid by equal monthly instalments that is still owed after some years."""
    monthly = rate / 12.0
    with np.errstate(divide="ignore", invalid="ignore"):
        left = (1.0 - (1.0 + monthly) ** (12.0 * (after - years))) / (1.0 - (1.0 + monthly) ** (-12.0 * years))
        straight = (years - after) / years
    share = np.where(monthly == 0, straight, left)
    return np.where(years > 0, share, 0.0)


def stages(
    *,
    days_past_due: Floats,
    has_defaulted: Flags,
    delay_elsewhere: Floats,
    probability: Floats,
    at_origination: Floats,
    settings: StagingSettings,
) -> tuple[Integers, Integers]:
    """Return the stage of each customer, 1 to 3, and the place in STAGE_REASONS of why.

    More than so many days past due: with 30 the 30th day is still stage 1. A delay at other lenders and a default
    probability that has risen by both the ratio and the points since origination are signs of significantly more risk
    (IFRS 9 B5.5.17), never of a default here; a delay at other lenders counts where there is no own record. What is NaN
    is unknown and moves nobody.
    """
    later, worst = settings.stage_2_after_days, settings.stage_3_after_days
    risen = (probability >= settings.increase_ratio * at_origination) & (
        probability - at_origination >= settings.increase_points
    )
    reason = np.zeros(len(probability), dtype=np.int64)
    for place, holds in enumerate(
        (
            risen,
            np.isnan(days_past_due) & (delay_elsewhere > later),
            days_past_due > later,
            has_defaulted | (days_past_due > worst),
        ),
        start=1,
    ):
        reason = np.where(holds, place, reason)
    stage = np.array([1, 2, 2, 2, 3])[reason]
    return stage, reason


def allowance(stage: Integers, year_loss: Floats, life_loss: Floats, loss: Floats) -> Floats:
    """Return the loss allowance: 12 months' loss in stage 1, the life's in stage 2, all that a default loses in 3."""
    chosen: Floats = np.choose(stage - 1, [year_loss, np.maximum(life_loss, year_loss), loss])
    return chosen
