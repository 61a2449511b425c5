"""The gates of fair conduct: what suits a customer, what risk has begun with them, and what must be looked at first.

Their bits follow those of the contact policy; append, never reorder.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.recommendations import contact
from engine.recommendations.columns import any_of, one_of
from engine.recommendations.frame import TREATMENTS, Flags
from engine.recommendations.gate import Case, Gate


def _likely_to_default(case: Case) -> Flags:
    # a comparison with NaN is false: who may default with an unknown probability is not suited either
    suited = case.block.default_probability[:, None] <= case.settings.gates.max_default_probability
    return case.catalogue.is_credit & ~suited


def _term_too_long(case: Case) -> Flags:
    years = case.catalogue.term_months / 12
    in_time = case.block.age[:, None] + years <= case.settings.gates.max_age_at_term_end
    refused: Flags = case.catalogue.is_credit & (years > 0) & ~in_time
    return refused


def _waiting(case: Case) -> Flags:
    kinds = [TREATMENTS.index(kind) for kind in case.settings.gates.waiting_treatments]
    waiting = one_of(case.block.treatment, kinds) & (case.block.days_until_contact > 0)
    refused: Flags = waiting | (case.block.treatment < 0)
    return refused[:, None]


def _under_review(case: Case) -> Flags:
    return case.catalogue.under_review[None, :]


def _offer_channels(case: Case) -> Flags:
    """Say whether an offer may go out on none of the channels that are open, where any is; shape (n, P)."""
    if case.catalogue.offers is None:
        return np.zeros((1, case.catalogue.size), dtype=bool)
    left = contact.open_channels(case.block.consent, case.block.contacts, case.settings)
    # how many of the channels that are open each offer may go out on: small whole numbers, which are exact
    fitting = left.astype(np.float32) @ case.catalogue.offers.channels.T.astype(np.float32)
    refused: Flags = any_of(left)[:, None] & (fitting == 0)
    return refused


GATES: Final = (
    Gate(
        name="likely_to_default",
        kind="suitability",
        reason_code="LIKELY_TO_DEFAULT",
        text_en="Credit does not suit the customer: default is too likely, or how likely is not known.",
        text_zh="授信不适合该客户：违约可能性过高或未知。",
        refuses=_likely_to_default,
    ),
    Gate(
        name="term_too_long",
        kind="suitability",
        reason_code="TERM_TOO_LONG",
        text_en="The credit would run further into old age than the policy allows, or the age is not known.",
        text_zh="授信到期时客户年龄将超过政策上限，或年龄未知。",
        refuses=_term_too_long,
    ),
    Gate(
        name="treatment_waits",
        kind="risk",
        reason_code="TREATMENT_WAITS",
        text_en="Risk treats the customer and asks for no contact before a later day, or has chosen no treatment.",
        text_zh="风险正在处置该客户且要求在某日之前不得联系，或尚未确定处置。",
        refuses=_waiting,
    ),
    Gate(
        name="fairness_review",
        kind="fairness",
        reason_code="FAIRNESS_REVIEW",
        text_en="The product is held back until a person has looked at how groups are offered it.",
        text_zh="该产品因群体间推荐差异暂停推荐，待人工复核。",
        refuses=_under_review,
    ),
    Gate(
        name="offer_channel",
        kind="contact",
        reason_code="OFFER_CHANNEL",
        text_en="The offer may go out on none of the channels that are open.",
        text_zh="该推荐方案不允许使用任何可用渠道。",
        refuses=_offer_channels,
    ),
)
