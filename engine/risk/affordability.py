"""What a household can pay back: what is left of its income a month, and how much credit that carries."""

from __future__ import annotations

import numpy as np

from engine.config.credit import AffordabilitySettings
from engine.risk.columns import Floats


def headroom(
    *, income: Floats, debts: Floats, living: Floats, dependants: Floats, settings: AffordabilitySettings
) -> Floats:
    """Return the instalment a month that two limits allow, in minor units; NaN where income or debts are unknown.

    All instalments may take no more than a share of the income, and after them there must be enough to live on: what
    was spent on living lately, and at least the policy's cost of a household of that size. Never below 0.
    """
    people = np.where(np.isnan(dependants), 0.0, dependants)
    needed = settings.living_cost_minor + settings.living_cost_per_dependant_minor * people
    costs = np.fmax(living, needed)
    left = np.minimum(settings.max_debt_service_ratio * income - debts, income - costs - debts)
    return np.where(np.isnan(left), np.nan, np.maximum(0.0, np.floor(left)))


def annuity_factor(rate: Floats, months: Floats) -> Floats:
    """Return how much may be lent for one unit of instalment a month over so many months."""
    monthly = rate / 12.0
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = (1.0 - (1.0 + monthly) ** -months) / monthly
    return np.where(monthly == 0, months, factor)


def carried(instalment: Floats, rate: Floats, months: Floats, repayment_share: Floats) -> Floats:
    """Return the credit that an instalment carries: by term, or by the share of a limit that is repaid a month."""
    with np.errstate(divide="ignore", invalid="ignore"):
        line = instalment / repayment_share
    return np.where(months > 0, instalment * annuity_factor(rate, months), line)


def instalment_of(credit: Floats, rate: Floats, months: Floats, repayment_share: Floats) -> Floats:
    """Return the instalment a month of a credit, rounded up to a whole minor unit."""
    with np.errstate(divide="ignore", invalid="ignore"):
        paid = np.where(months > 0, credit / annuity_factor(rate, months), credit * repayment_share)
    return np.ceil(np.round(paid, 6))
