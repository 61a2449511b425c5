"""What credit must cost to break even, and what is asked for it."""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.config.credit import PriceSettings
from engine.risk.columns import Floats, Integers

BANDS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def break_even_rate(
    *, probability: Floats, lgd: Floats, funds: Floats, operations: Floats, capital: Floats, settings: PriceSettings
) -> Floats:
    """Return the yearly rate at which the loan earns what its capital is asked to, neither more nor less.

    Interest comes from those alone who pay: hence the division by the chance of paying. Capital is financed by
    shareholders, who want their return after tax, and so replaces as much funding. NaN where the probability is
    unknown; infinite where default is certain.
    """
    charge = capital * (settings.return_on_equity / (1.0 - settings.tax_rate) - funds)
    with np.errstate(divide="ignore"):
        rate: Floats = (funds + operations + probability * lgd + charge) / (1.0 - probability)
    return rate


def quoted_rate(break_even: Floats, settings: PriceSettings) -> Floats:
    """Return the rate asked: break-even and profit, rounded up, never above the legal cap.

    NaN where even the break-even rate lies above the cap, so that nothing may be asked.
    """
    step = settings.round_up_to_rate
    # a rate that is a multiple already must not be pushed up by what binary fractions leave over
    asked = np.ceil((break_even + settings.profit_rate) / step - 1e-9) * step
    capped = np.minimum(np.round(asked, 10), settings.legal_cap_rate)
    return np.where(break_even > settings.legal_cap_rate, np.nan, capped)


def margin_rate(rate: Floats, *, probability: Floats, funds: Floats, operations: Floats) -> Floats:
    """Return what a price leaves a year of each unit lent after funds and operations, before anything is lost.

    Interest comes from those alone who pay. At the break-even rate it is the expected loss and what the capital is
    asked to earn above its funding. NaN where the rate or the probability is.
    """
    margin: Floats = rate * (1.0 - probability) - funds - operations
    return margin


def bands(rate: Floats, settings: PriceSettings) -> Integers:
    """Return the place in BANDS of each rate, A the cheapest; -1 where there is no rate."""
    place = np.searchsorted(np.array(settings.band_edges), rate, side="left")
    return np.where(np.isnan(rate), -1, place).astype(np.int64)
