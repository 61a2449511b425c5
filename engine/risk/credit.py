"""The lending decision: approve, refer to a person or decline, with price, limit, term and every reason.

One pure function for a block of requests: a request decided alone comes out the same to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.config.credit import CreditSettings, FamilyTerms
from engine.domain.credit_reasons import BITS, OUTCOMES, REASONS
from engine.domain.words import PRODUCT_FAMILIES, RiskTier
from engine.risk import affordability, pricing
from engine.risk.columns import Flags, Floats, Integers
from engine.risk.tiers import TIERS

_KNOWN: Final = (RiskTier.LOW, RiskTier.MEDIUM, RiskTier.HIGH)
SCORE_REASONS: Final = sum(1 << bit for bit, reason in enumerate(REASONS) if reason.kind == "score")
"""The bits of reasons that the score is behind, so that what cost the most points belongs beside them."""

_LEVEL: Final = tuple(OUTCOMES.index(reason.outcome) for reason in REASONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditBlock:
    """n requests for credit with all that a decision looks at; amounts in minor units of the base currency.

    `family` is a place in PRODUCT_FAMILIES, `tier` one in `tiers.TIERS`. `requested` is NaN where nothing is asked for
    but as much as may be lent. NaN is unknown; a delay that is unknown is none. `delay_elsewhere` is the worst of 12
    months at all lenders, in days; `living` what was spent on living a month.
    """

    customer_ids: pa.Array
    family: Integers
    tier: Integers
    default_probability: Floats
    is_fresh: Flags
    missing_share: Floats
    days_past_due: Floats
    delay_elsewhere: Floats
    in_default: Flags
    vulnerable: Flags
    hardship: Flags
    income: Floats
    debts: Floats
    living: Floats
    dependants: Floats
    requested: Floats
    medium_as_high: Flags
    needs_person: Flags

    @property
    def size(self) -> int:
        """How many requests there are."""
        return len(self.family)

    def rows(self, part: Any) -> CreditBlock:
        """Return some of the requests: a slice, or places."""
        return CreditBlock(**{field.name: _taken(getattr(self, field.name), part) for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditDecision:
    """What was decided of n requests.

    `outcome` is a place in `credit_reasons.OUTCOMES`; bit i of `reason_mask` is reason i of `credit_reasons.REASONS`.
    The terms are NaN (price, limit, instalment) where the request is declined, and where they cannot be told:
    `limit` is what may be lent, the amount asked for where that is less. `carried` is what could be paid back by the
    policy whatever was decided, and `quoted` the price, for a person who departs from the decision. `band` is -1 where
    there is no price.
    """

    outcome: Integers
    reason_mask: Integers
    price: Floats
    band: Integers
    limit: Floats
    instalment: Floats
    term_months: Floats
    verify: Flags
    carried: Floats
    quoted: Floats
    repayment_share: Floats


def decide_credit(block: CreditBlock, settings: CreditSettings) -> CreditDecision:
    """Decide every request; rows never influence each other.

    Everything is looked at for every request, so that all reasons are told. What is missing never helps: without a
    known and fresh signal the answer is no, without a known income or debts a person decides.
    """
    terms = _terms(block.family, settings)
    quoted = pricing.quoted_rate(_break_even(block, terms, settings), settings.price)
    room = _room(block, terms, quoted, settings)
    mask = _mask(block, terms, settings, quoted=quoted, room=room)
    outcome = _outcome(mask)
    declined = outcome == OUTCOMES.index("decline")
    limit = np.where(declined, np.nan, np.fmin(room, block.requested))
    limit = np.where(np.isnan(room), np.nan, limit)
    price = np.where(declined, np.nan, quoted)
    return CreditDecision(
        outcome=outcome,
        reason_mask=mask,
        price=price,
        band=pricing.bands(price, settings.price),
        limit=limit,
        instalment=affordability.instalment_of(limit, price, terms["term_months"], terms["repayment_share"]),
        term_months=terms["term_months"],
        verify=~declined & (limit >= terms["verify_from_minor"]),
        carried=room,
        quoted=quoted,
        repayment_share=terms["repayment_share"],
    )


def effective_tier(tier: Integers, medium_as_high: Flags) -> Integers:
    """Return the tiers that count for new credit: a medium one is high where monitoring wants it so."""
    medium, high = TIERS.index(RiskTier.MEDIUM), TIERS.index(RiskTier.HIGH)
    return np.where(medium_as_high & (tier == medium), high, tier)


def _terms(family: Integers, settings: CreditSettings) -> dict[str, Floats]:
    """Return the family's terms for every request; NaN where the family is not lent."""
    lent = {str(name): terms for name, terms in settings.families.items()}
    by_family = [lent.get(name) for name in PRODUCT_FAMILIES]
    numbers = [name for name, field in FamilyTerms.model_fields.items() if field.annotation in (int, float)]
    made = {name: _looked_up(by_family, name)[family] for name in numbers}
    for tier in _KNOWN:
        limits = [np.nan if terms is None else _most(terms)[tier.value] for terms in by_family]
        made[f"max_{tier.value}"] = np.array(limits, dtype=np.float64)[family]
    return made


def _most(terms: FamilyTerms) -> dict[str, int]:
    """Return the most lent at each tier; nothing at one that the policy does not name."""
    return {str(tier): 0 for tier in _KNOWN} | {str(tier): most for tier, most in terms.max_limit_minor.items()}


def _looked_up(by_family: list[FamilyTerms | None], name: str) -> Floats:
    return np.array([np.nan if terms is None else getattr(terms, name) for terms in by_family], dtype=np.float64)


def _break_even(block: CreditBlock, terms: dict[str, Floats], settings: CreditSettings) -> Floats:
    return pricing.break_even_rate(
        probability=block.default_probability,
        lgd=terms["lgd"],
        funds=terms["cost_of_funds_rate"],
        operations=terms["operating_cost_rate"],
        capital=terms["capital_share"],
        settings=settings.price,
    )


def _room(block: CreditBlock, terms: dict[str, Floats], quoted: Floats, settings: CreditSettings) -> Floats:
    """Return the most that may be lent: what the household carries at a stressed rate, within the policy's caps.

    Rounded down to the family's step; 0 where that is below the smallest amount lent; NaN where it cannot be told.
    """
    policy = settings.affordability
    paid = affordability.headroom(
        income=block.income, debts=block.debts, living=block.living, dependants=block.dependants, settings=policy
    )
    stressed = quoted + policy.stress_rate
    carried = affordability.carried(paid, stressed, terms["term_months"], terms["repayment_share"])
    most = np.minimum(np.minimum(carried, _cap(block, terms)), policy.max_credit_to_income_months * block.income)
    rounded = np.floor(most / terms["round_down_to_minor"]) * terms["round_down_to_minor"]
    return np.where(rounded < terms["min_limit_minor"], 0.0, rounded)


def _cap(block: CreditBlock, terms: dict[str, Floats]) -> Floats:
    tier = effective_tier(block.tier, block.medium_as_high)
    caps = [terms[f"max_{known.value}"] for known in _KNOWN]
    return np.choose(tier, [*caps, np.zeros(block.size)])


def _mask(
    block: CreditBlock, terms: dict[str, Floats], settings: CreditSettings, *, quoted: Floats, room: Floats
) -> Integers:
    cut, probability = settings.cut_offs, block.default_probability
    known = (block.tier != TIERS.index(RiskTier.UNKNOWN)) & (probability >= 0) & (probability <= 1)
    lent, cap = ~np.isnan(terms["lgd"]), _cap(block, terms)
    found = {
        "SIGNAL_MISSING": ~known,
        "SIGNAL_STALE": ~block.is_fresh,
        "FAMILY_NOT_LENT": ~lent,
        "TIER_TOO_HIGH": known & lent & (cap == 0),
        "PROBABILITY_TOO_HIGH": known & (probability >= cut.decline_from),
        "IN_DEFAULT": block.in_default,
        "PAYMENTS_OVERDUE": block.days_past_due >= cut.decline_days_past_due_from,
        "DELAY_ELSEWHERE": block.delay_elsewhere >= cut.decline_days_past_due_from,
        "INCOME_UNKNOWN": np.isnan(block.income),
        "DEBTS_UNKNOWN": np.isnan(block.debts),
        "NOT_AFFORDABLE": lent & (cap > 0) & (room == 0),
        "REQUEST_ABOVE_LIMIT": (room > 0) & (block.requested > room),
        "PRICE_ABOVE_CAP": known & lent & np.isnan(quoted),
        "PROBABILITY_BORDERLINE": known & (probability >= cut.refer_from) & (probability < cut.decline_from),
        "THIN_RECORD": block.missing_share >= cut.refer_missing_share_from,
        "VULNERABLE": block.vulnerable,
        "HARDSHIP": block.hardship,
        "MODEL_UNDER_WATCH": block.needs_person,
    }
    mask = np.zeros(block.size, dtype=np.int64)
    for code, holds in found.items():
        mask |= holds.astype(np.int64) << BITS[code]
    return mask


def _outcome(mask: Integers) -> Integers:
    """Return the strictest outcome that any reason leads to."""
    outcome = np.zeros(len(mask), dtype=np.int64)
    for level in (1, 2):
        bits = sum(1 << bit for bit, one in enumerate(_LEVEL) if one == level)
        outcome = np.where(mask & bits != 0, level, outcome)
    return outcome


def _taken(values: Any, part: Any) -> Any:
    if isinstance(values, pa.Array) and not isinstance(part, slice):
        return values.take(pa.array(part))
    return values[part]
