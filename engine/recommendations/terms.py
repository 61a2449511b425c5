"""On which terms credit is offered: the price and the limit that risk names, and the amount that the value counts.

Risk decides every family of credit for every customer (the mart credit_decisions): a price that covers funds,
operations, the expected loss and what capital is asked to earn, and a limit that the household can pay back. An offer
carries both. Its value counts an amount and a margin by the setting `value.terms`:

- "suggested": the product's typical amount, or the limit where that is lower, since nobody should be led to borrow as
  much as can be borne; the margin is what risk's price leaves of that amount before losses;
- "typical": the catalogue's amount and margin, which a bank has that lends to everybody on one list of prices;
- "highest": the whole limit at risk's price.

Where risk names no price or no limit the catalogue's terms stand in, and the offer says why it carries none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from engine.domain.credit_reasons import OUTCOMES, CreditOutcome
from engine.recommendations.columns import first_of
from engine.recommendations.credit import UNDECIDED
from engine.recommendations.frame import DecisionBlock, Flags, Floats, Integers
from engine.recommendations.products import Catalogue

Choice = Literal["suggested", "typical", "highest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Why an offer of credit carries no price or no limit, in English and Chinese."""

    code: str
    text_en: str
    text_zh: str


NOTES: Final = (
    Note(
        code="NOT_DECIDED",
        text_en="Risk has decided nothing on credit of this family.",
        text_zh="风险尚未对该类授信作出审批。",
    ),
    Note(
        code="DECLINED",
        text_en="Risk would decline credit of this family, so it names no terms.",
        text_zh="风险将拒绝该类授信，因此没有条件。",
    ),
    Note(
        code="NO_PRICE",
        text_en="Risk names no price: the default probability is not known.",
        text_zh="风险未给出价格：违约概率未知。",
    ),
    Note(
        code="NO_LIMIT",
        text_en="Risk names no limit: what the household can pay back is not known.",
        text_zh="风险未给出额度：家庭还款能力未知。",
    ),
)
"""In the order in which they are asked: the first that applies is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms that n customers are valued on for each of P products, shape (n, P); NaN is unknown.

    `amount` and `margin` are minor units. For what is no credit they are the catalogue's.
    """

    amount: Floats
    margin: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferTerms:
    """The terms that offers carry, one row an offer; NaN where there are none, and for what is no credit.

    `break_even` is the default probability at which the offer would be worth nothing, everything else being equal;
    `note` a place in NOTES, -1 where nothing is missing.
    """

    rate: Floats
    limit: Floats
    amount: Floats
    break_even: Floats
    note: Integers


def of(block: DecisionBlock, catalogue: Catalogue, choice: Choice) -> Terms:
    """Return the terms that every product is valued on for every customer."""
    shape = (block.size, catalogue.size)
    lent = catalogue.lent
    if choice == "typical" or len(lent) == 0:
        return Terms(amount=np.broadcast_to(catalogue.amount, shape), margin=np.broadcast_to(catalogue.margin, shape))
    amount, margin = np.empty(shape), np.empty(shape)
    amount[:], margin[:] = catalogue.amount, catalogue.margin
    family = catalogue.family_places[lent]
    limit, rate = block.credit.limit[:, family], block.credit.margin_rate[:, family]
    told = ~np.isnan(limit) & ~np.isnan(rate)
    wanted = limit if choice == "highest" else np.fmin(limit, catalogue.amount[lent])
    amount[:, lent] = np.where(told, wanted, catalogue.amount[lent])
    margin[:, lent] = np.where(told, wanted * rate, catalogue.margin[..., lent])
    return Terms(amount=amount, margin=margin)


def offered(
    block: DecisionBlock, catalogue: Catalogue, counted: Terms, pairs: tuple[Integers, Integers], break_even: Floats
) -> OfferTerms:
    """Return the terms that offers carry; `pairs` are their rows and products, `break_even` one value for each."""
    rows, products = pairs
    lent = catalogue.is_credit[products]
    family = catalogue.family_places[products]
    decided = block.credit.outcome[rows, family]
    rate, limit = block.credit.rate[rows, family], block.credit.limit[rows, family]
    return OfferTerms(
        rate=np.where(lent, rate, np.nan),
        limit=np.where(lent, limit, np.nan),
        amount=np.where(lent, counted.amount[rows, products], np.nan),
        break_even=np.where(lent, break_even, np.nan),
        note=np.where(lent, _note(decided, np.isnan(rate), np.isnan(limit)), -1),
    )


def _note(decided: Integers, no_rate: Flags, no_limit: Flags) -> Integers:
    declined = decided == OUTCOMES.index(CreditOutcome.DECLINE)
    asked = (decided == UNDECIDED, declined, no_rate, no_limit)
    return first_of(asked, -1)
