"""What an offer is worth: response left x propensity x (margin - expected loss), less the cost of the contact.

Amounts are whole minor units. Rounding is half to even, once for the loss and once for the value, so that the same
inputs give the same unit on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.recommendations.frame import DecisionBlock, Floats, Integers
from engine.recommendations.products import Catalogue
from engine.recommendations.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """How likely offers are taken and what they cost: propensity and response kept (n, P), cost of the contact (n,).

    `kept` is the response over the usual: what fatigue leaves of it, times what the channel does to it.
    """

    propensity: Floats
    cost: Floats
    kept: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Expected value and loss of each pair in minor units, as whole numbers in floats; NaN is unknown. Shape (n, P)."""

    value: Floats
    loss: Floats


def expected_loss(default_probability: Floats, lgd: Floats, exposure: Floats) -> Floats:
    """Return the loss expected within a year if the product is taken, in whole minor units."""
    loss: Floats = np.rint(default_probability * lgd * exposure)
    return loss


def expected_value(propensity: Floats, margin: Floats, loss: Floats, cost: Floats, kept: Floats) -> Floats:
    """Return the value expected of an offer, in whole minor units; `kept` is the share of the response that is left.

    Contacts without an answer wear the response out, and the margin with it, while the contact costs what it costs.
    """
    return after_contact(propensity * (margin - loss), cost, kept)


def after_contact(gain: Floats, cost: Floats, kept: Floats) -> Floats:
    """Return the value expected of an offer that would bring `gain` on average if nothing wore the response out."""
    value: Floats = kept * gain
    value -= cost
    return np.rint(value, out=value)


def break_even(propensity: Floats, margin: Floats, severity: Floats, cost: Floats, kept: Floats) -> Floats:
    """Return the default probability at which an offer is worth nothing, between 0 and 1; 1 where none is too high.

    `severity` is the loss in a default, LGD x exposure. NaN where nothing could be lost, or something is not known.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (margin - cost / (kept * propensity)) / severity
    return np.where(severity > 0, np.clip(found, 0.0, 1.0), np.nan)


def loss_of(block: DecisionBlock, catalogue: Catalogue, terms: Terms) -> Floats:
    """Return the loss expected of every product for every customer; nothing is lost on what is no credit."""
    lent = catalogue.lent
    loss = np.zeros(terms.amount.shape)
    loss[:, lent] = expected_loss(block.default_probability[:, None], catalogue.lgd[lent], terms.amount[:, lent])
    return loss


def break_even_of(catalogue: Catalogue, terms: Terms, odds: Odds, pairs: tuple[Integers, Integers]) -> Floats:
    """Return `break_even` of some pairs of customer and product, one value for each."""
    rows, products = pairs
    return break_even(
        odds.propensity[rows, products],
        terms.margin[rows, products],
        catalogue.lgd[products] * terms.amount[rows, products],
        odds.cost[rows] + catalogue.offer_cost[products],
        odds.kept[rows, products],
    )
