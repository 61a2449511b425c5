"""What an offer is worth: response left x propensity x (margin - expected loss), less the cost of the contact.

Amounts are whole minor units. Rounding is half to even, once for the loss and once for the value, so that the same
inputs give the same unit on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.recommendations.frame import Catalogue, DecisionBlock, Floats


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
    value: Floats = np.rint(kept * propensity * (margin - loss) - cost)
    return value


def of(block: DecisionBlock, catalogue: Catalogue, propensity: Floats, cost: Floats, kept: Floats) -> Values:
    """Return value and loss of every product for every customer; `cost` is that of each customer's contact.

    `kept` is the share of the response that fatigue leaves each customer.

    Nothing is lost on a product that is no credit. The value of credit to a customer of unknown risk is unknown.
    """
    lent = expected_loss(block.default_probability[:, None], catalogue.lgd, catalogue.amount)
    loss = np.where(catalogue.is_credit, lent, 0.0)
    return Values(value=expected_value(propensity, catalogue.margin, loss, cost[:, None], kept[:, None]), loss=loss)
