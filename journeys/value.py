"""What a drop-off costs: margin that does not come, less the loss that does not come either.

Amounts are whole minor units of one currency, rounded once per customer (half to even), so that groups add up to the
whole exactly. A customer of unknown risk has no value on a product that can be lost on, and is counted as such, never
taken for 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.numerics.ratios import ratio
from journeys.histories import Coded, Ints

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NO_MONEY: Final = "The log says nothing of margins: it has no products and no risk."
NOBODY: Final = "Nobody dropped off here."
RISK_UNKNOWN: Final = "The default probability of none of them is known, and the product is credit."
NO_CHANCE: Final = "Too few went on from here to say what those who stayed would have done."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Worth:
    """What each customer's conversion is worth a year, minor units, shape (n,); nan where it is unknown.

    margin : of the product, from the catalogue. loss: default probability x loss given default x amount; 0 where the
    product is no credit. risk: the default probability itself, a share.
    """

    margin: Floats
    loss: Floats
    risk: Floats

    def take(self, rows: Bools | Ints) -> Worth:
        """Return some of the customers."""
        return Worth(margin=self.margin[rows], loss=self.loss[rows], risk=self.risk[rows])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Money:
    """What is known of products and of customers' risk; amounts are minor units of one currency.

    products : product_id, annual_margin_minor, typical_amount_minor, is_credit, lgd (a share).
    risk : customer_id, default_probability (null where it is unknown).
    """

    currency: str
    products: pa.Table
    risk: pa.Table

    def worth(self, customers: pa.Array, product: Coded) -> Worth:
        """Return what a conversion of each customer to each product is worth, shape (n,).

        A product that is missing or not in the catalogue has no known worth.
        """
        place = pc.index_in(product.texts(), value_set=self.products.column("product_id").combine_chunks())
        margin, amount, lgd = (
            _taken(self.products.column(name), place) for name in ("annual_margin_minor", "typical_amount_minor", "lgd")
        )
        credit = _taken(self.products.column("is_credit").cast(pa.int8()), place)
        who = pc.index_in(customers, value_set=self.risk.column("customer_id").combine_chunks())
        risk = _taken(self.risk.column("default_probability"), who)
        loss = np.where(credit == 0, 0.0, risk * lgd * amount)
        return Worth(margin=margin, loss=np.where(np.isnan(credit), np.nan, loss), risk=risk)


def _taken(column: pa.ChunkedArray, places: pa.Array) -> Floats:
    return np.asarray(
        column.combine_chunks().cast(pa.float64()).take(places).to_numpy(zero_copy_only=False), np.float64
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """What is at stake where `customers` dropped off.

    converters : how many of them would have completed the journey, had they behaved like those who went on; nan where
        too few did. Of those of known value: gross = expected margin, loss = expected loss, net = gross - loss; None
        where no value is known, and `reason` says why.
    unvalued : customers whose value is unknown; they are in converters, and in no amount.
    """

    customers: int
    converters: float
    unvalued: int
    gross_minor: int | None
    loss_minor: int | None
    net_minor: int | None
    reason: str | None

    @property
    def loss_share(self) -> float:
        """What part of the expected margin the expected loss would take; nan where no value is known."""
        if self.gross_minor is None or self.loss_minor is None:
            return math.nan
        return ratio(self.loss_minor, self.gross_minor)


def at_stake(chance: Floats, worths: Worth | None) -> Stake:
    """Add up what customers who dropped off would have been worth.

    Parameters
    ----------
    chance : of each, to complete the journey had they behaved like those who went on; nan where that is unknown.
    worths : of the same customers; None where nothing is known of money.
    """
    n = len(chance)
    converters = float(np.nansum(chance)) if n and not np.isnan(chance).all() else (0.0 if not n else math.nan)
    if worths is None:
        return _without(n, converters, n, NO_MONEY)
    if not n:
        return _without(0, 0.0, 0, NOBODY)
    gross, loss = np.rint(chance * worths.margin), np.rint(chance * worths.loss)
    known = ~(np.isnan(gross) | np.isnan(loss))
    unvalued = int((~known).sum())
    if not known.any():
        return _without(n, converters, n, NO_CHANCE if math.isnan(converters) else RISK_UNKNOWN)
    margin, lost = int(gross[known].astype(np.int64).sum()), int(loss[known].astype(np.int64).sum())
    return Stake(
        customers=n,
        converters=converters,
        unvalued=unvalued,
        gross_minor=margin,
        loss_minor=lost,
        net_minor=margin - lost,
        reason=None,
    )


def _without(customers: int, converters: float, unvalued: int, reason: str) -> Stake:
    return Stake(
        customers=customers,
        converters=converters,
        unvalued=unvalued,
        gross_minor=None,
        loss_minor=None,
        net_minor=None,
        reason=reason,
    )
