"""On which track an offer goes: quickly, as usual, after a second look, or to keep a customer; each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.config.recommendations import TrackPolicy
from engine.domain.words import RiskTier
from engine.recommendations.columns import first_of, one_of
from engine.recommendations.frame import TIERS, VALUE_TIERS, Flags, Floats, Integers

FAST, STANDARD, VERIFY, RETENTION, NO_OFFER = (
    "fast_track",
    "standard",
    "extra_verification",
    "retention_offer",
    "no_offer",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why an offer goes on a track, in English and Chinese."""

    code: str
    track: str
    text_en: str
    text_zh: str


REFUSED: Final = Reason(code="REFUSED", track=NO_OFFER, text_en="A gate refuses it.", text_zh="已被闸口拒绝。")
REASONS: Final = (
    REFUSED,
    Reason(
        code="TIER_TO_VERIFY",
        track=VERIFY,
        text_en="The risk tier asks for a second look at every offer.",
        text_zh="该风险等级的每条推荐均须加强核验。",
    ),
    Reason(
        code="LARGE_CREDIT",
        track=VERIFY,
        text_en="The credit is large.",
        text_zh="授信金额较大。",
    ),
    Reason(
        code="VALUABLE_AND_LEAVING",
        track=RETENTION,
        text_en="A valuable customer of low risk who does much less with the bank than usual.",
        text_zh="高价值、低风险客户，近期往来明显少于平时。",
    ),
    Reason(
        code="LOW_RISK_NO_CREDIT",
        track=FAST,
        text_en="The risk is low and nothing is lent.",
        text_zh="风险低，且不涉及授信。",
    ),
    Reason(
        code="LOW_RISK_SMALL_CREDIT",
        track=FAST,
        text_en="The risk is low and the credit is small.",
        text_zh="风险低，且授信金额较小。",
    ),
    Reason(
        code="PERSON_LOOKS",
        track=STANDARD,
        text_en="The risk is low, but for now a person looks at all credit.",
        text_zh="风险低，但目前所有授信均须人工复核。",
    ),
    Reason(
        code="CREDIT_NOT_SMALL",
        track=STANDARD,
        text_en="The risk is low, but the credit is not small.",
        text_zh="风险低，但授信金额不算小。",
    ),
    Reason(
        code="RISK_NOT_LOW",
        track=STANDARD,
        text_en="The risk is not low, or not known.",
        text_zh="风险不低或未知。",
    ),
)
"""In the order in which they are asked: the first that applies is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Customers and products to be put on a track, one row a pair; amounts are minor units, NaN is unknown.

    `tier` is the place in TIERS, `value_tier` that in VALUE_TIERS (-1 unknown). `pace` is the customer's activity of
    late as a share of the usual: see `relationship`.
    """

    refused: Flags
    tier: Integers
    value_tier: Integers
    pace: Floats
    needs_person: Flags
    is_credit: Flags
    amount: Floats


def reasons(pairs: Pairs, policy: TrackPolicy) -> Integers:
    """Return for each pair the place in REASONS of why it goes on its track, shape (n_pairs,).

    A second look comes before keeping a customer, and that before speed. What is not known never speeds an offer up:
    an unknown tier is not low, credit of an unknown amount is neither small nor exempt from a second look, and a
    customer whose value or pace is unknown is not one to be kept by an offer.
    """
    low = pairs.tier == TIERS.index(RiskTier.LOW)
    verified = one_of(pairs.tier, [TIERS.index(RiskTier(name)) for name in policy.verify_tiers])
    # a comparison with NaN is false
    large = pairs.is_credit & ~(pairs.amount < policy.verify_credit_from_minor)
    small = pairs.is_credit & (pairs.amount <= policy.fast_credit_up_to_minor)
    keep = policy.retention
    valuable = one_of(pairs.value_tier, [VALUE_TIERS.index(name) for name in keep.value_tiers])
    asked = (
        pairs.refused,
        verified,
        large,
        low & valuable & (pairs.pace < keep.pace_below),
        low & ~pairs.is_credit,
        low & small & ~pairs.needs_person,
        low & small,
        low,
    )
    return first_of(asked, len(asked))


def relationship(segments: pa.Table, features: pa.Table) -> pa.Table:
    """Return what tells a customer worth keeping who may be leaving: customer_id, value_tier and pace.

    `segments` has customer_id and value_tier, `features` customer_id, transactions_90d and transactions_365d. The pace
    is the transactions a day of the last 90 days over those of the last 365: 1 is as usual, 0.5 half of it. It is null
    where there were none in the year, and above 1 for whoever joined within it.
    """
    place = pc.index_in(segments["customer_id"], value_set=features["customer_id"].combine_chunks())
    lately, usually = (
        pc.cast(features[name].take(place), pa.float64()) for name in ("transactions_90d", "transactions_365d")
    )
    usual = pc.if_else(pc.greater(usually, 0.0), usually, pa.scalar(None, pa.float64()))
    pace = pc.divide(pc.multiply(lately, 365.0), pc.multiply(usual, 90.0))
    return pa.table({"customer_id": segments["customer_id"], "value_tier": segments["value_tier"], "pace": pace})
