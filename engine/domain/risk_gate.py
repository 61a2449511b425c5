"""The words of the gate: what it answers, and every reason it may give, with its bit, code and sentences.

The answer of the gate is what risk and recommendations share, so its words stand here, above both.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class GateOutcome(StrEnum):
    """What may be sent to a customer, from the freest; service is what the customer asked for or must know."""

    ALLOW = "allow"
    SERVICE_ONLY = "service_only"
    BLOCK = "block"


OUTCOMES: Final = tuple(GateOutcome)
"""The outcomes in the order of their codes: a higher code never allows more."""

EFFECTS: Final = ("note", "no_credit", "service_only", "block")
"""What a reason may do, in the order of their codes: a higher code never allows more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReason:
    """One reason: its name in the settings, the code in results, and what it says."""

    name: str
    code: str
    text_en: str
    text_zh: str


def _r(name: str, code: str, text_en: str, text_zh: str) -> GateReason:
    return GateReason(name=name, code=code, text_en=text_en, text_zh=text_zh)


REASONS: Final = (
    _r("risk_unknown", "RISK_UNKNOWN", "There is no risk signal.", "没有风险信号。"),
    _r("risk_stale", "RISK_STALE", "The risk signal is undated or too old.", "风险信号无日期或已过时。"),
    _r(
        "risk_tier",
        "RISK_TIER_TOO_HIGH",
        "The risk tier is above what some families of credit allow.",
        "风险等级高于部分授信类别所允许的上限。",
    ),
    _r(
        "kyc",
        "KYC_NOT_VALID",
        "The identity check is missing, failed or has expired.",
        "身份核验缺失、未通过或已过期。",
    ),
    _r("open_complaint", "OPEN_COMPLAINT", "A complaint is still open.", "有未办结的投诉。"),
    _r("in_arrears", "IN_ARREARS", "Payments are overdue.", "有逾期未还款项。"),
    _r("in_collections", "IN_COLLECTIONS", "The customer is with collections.", "客户处于催收中。"),
    _r("in_default", "IN_DEFAULT", "The customer is in default (stage 3).", "客户已违约（第三阶段）。"),
    _r(
        "vulnerable",
        "VULNERABLE",
        "The customer is vulnerable: only a person may make an offer.",
        "客户属于弱势群体，只能由人工沟通。",
    ),
    _r("hardship", "HARDSHIP", "The customer has told the bank of hardship.", "客户已申报经济困难。"),
    _r("fraud_block", "RESTRICTED", "The customer is under a restriction.", "客户处于限制状态。"),
    _r(
        "credit_declined",
        "CREDIT_DECLINED",
        "Credit of some families would be declined.",
        "部分授信类别将被拒绝。",
    ),
    _r(
        "caution",
        "CAUTION",
        "The risk model is under watch, so a medium tier counts as high for new credit.",
        "风险模型处于观察期，新授信时中等级按高等级处理。",
    ),
    _r(
        "reassessment_overdue",
        "REASSESSMENT_OVERDUE",
        "The reassessment of this customer is overdue.",
        "该客户的风险重评已逾期。",
    ),
    _r("override_hold", "HELD_BY_PERSON", "A person at the bank put offers on hold.", "本行人员已暂停推荐。"),
)
"""All reasons; the place of each is its bit in a reason mask, so append, never reorder."""

BITS: Final = {reason.name: bit for bit, reason in enumerate(REASONS)}
"""The bit of each reason by its name."""

LEAST_EFFECT: Final = {
    "risk_unknown": "no_credit",
    "risk_stale": "no_credit",
    "risk_tier": "no_credit",
    "credit_declined": "no_credit",
    "caution": "no_credit",
    "kyc": "service_only",
    "open_complaint": "service_only",
    "fraud_block": "service_only",
}
"""The least that some reasons do, whatever the settings say: what is missing or forbidden would pass for good."""

PER_FAMILY: Final = ("risk_tier", "credit_declined", "caution")
"""Reasons that are about credit of some families, and so can refuse nothing but that."""

HOLD_ALL_APART: Final = ("kyc", "open_complaint")
"""Reasons that refuse every offer and have a bit of their own in the mask of a decision."""

HOLD_CREDIT_APART: Final = ("risk_unknown", "risk_stale", "risk_tier", *HOLD_ALL_APART)
"""Reasons that refuse credit and have a bit of their own in the mask of a decision."""


def reasons(mask: int) -> tuple[GateReason, ...]:
    """Return the reasons that a mask stands for, in the order of their bits."""
    return tuple(reason for bit, reason in enumerate(REASONS) if mask >> bit & 1)
