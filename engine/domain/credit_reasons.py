"""The words of a lending decision: what it may be, and every reason it may give."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal


class CreditOutcome(StrEnum):
    """What becomes of a request for credit, from the freest."""

    APPROVE = "approve"
    REFER = "refer"
    DECLINE = "decline"


OUTCOMES: Final = tuple(CreditOutcome)
"""The outcomes in the order of their codes: a higher code never allows more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditReason:
    """One reason; a `score` reason is explained by what cost the most points, a `policy` reason by itself."""

    code: str
    kind: Literal["policy", "score"]
    outcome: CreditOutcome
    text_en: str
    text_zh: str


def _policy(code: str, outcome: CreditOutcome, text_en: str, text_zh: str) -> CreditReason:
    return CreditReason(code=code, kind="policy", outcome=outcome, text_en=text_en, text_zh=text_zh)


def _score(code: str, outcome: CreditOutcome, text_en: str, text_zh: str) -> CreditReason:
    return CreditReason(code=code, kind="score", outcome=outcome, text_en=text_en, text_zh=text_zh)


_DECLINE, _REFER = CreditOutcome.DECLINE, CreditOutcome.REFER

REASONS: Final = (
    _policy("SIGNAL_MISSING", _DECLINE, "There is no risk signal to lend on.", "没有可据以授信的风险信号。"),
    _policy("SIGNAL_STALE", _DECLINE, "The risk signal is too old to lend on.", "风险信号已过时，不足以据此授信。"),
    _policy("FAMILY_NOT_LENT", _DECLINE, "The bank does not lend this kind of credit.", "本行不提供该类授信。"),
    _score("TIER_TOO_HIGH", _DECLINE, "Nothing of this kind is lent at this risk tier.", "该风险等级不提供该类授信。"),
    _score(
        "PROBABILITY_TOO_HIGH", _DECLINE, "The risk of default is above what is lent on.", "违约风险高于可授信上限。"
    ),
    _policy("IN_DEFAULT", _DECLINE, "A loan here is in default.", "在本行有已违约贷款。"),
    _policy("PAYMENTS_OVERDUE", _DECLINE, "Payments here are overdue.", "在本行有逾期未还款项。"),
    _policy(
        "DELAY_ELSEWHERE",
        _REFER,
        "A payment to some lender was long overdue in the last 12 months.",
        "近12个月在某机构有较长逾期。",
    ),
    _policy("INCOME_UNKNOWN", _REFER, "The income is not known.", "收入未知。"),
    _policy("DEBTS_UNKNOWN", _REFER, "The instalments due elsewhere are not known.", "在他行的月还款额未知。"),
    _policy(
        "NOT_AFFORDABLE",
        _DECLINE,
        "After debts and the cost of living too little is left for the smallest amount lent.",
        "扣除负债与生活开支后，余额不足以负担最低授信额度。",
    ),
    _policy("REQUEST_ABOVE_LIMIT", _REFER, "More was asked for than the limit.", "申请金额高于可授信额度。"),
    _policy(
        "PRICE_ABOVE_CAP",
        _DECLINE,
        "The price that would cover the risk is above the legal cap.",
        "覆盖风险所需的利率高于法定上限。",
    ),
    _score("PROBABILITY_BORDERLINE", _REFER, "The risk of default is borderline.", "违约风险处于临界区间。"),
    _policy("THIN_RECORD", _REFER, "Too little is known for a decision without a person.", "资料不足，须人工审批。"),
    _policy("VULNERABLE", _REFER, "The customer is vulnerable: a person decides.", "客户属于弱势群体，须人工审批。"),
    _policy("HARDSHIP", _REFER, "The customer has told the bank of hardship.", "客户已申报经济困难。"),
    _policy(
        "MODEL_UNDER_WATCH",
        _REFER,
        "The risk model is under watch: a person decides.",
        "风险模型处于观察期，须人工审批。",
    ),
)
"""All reasons; the place of each is its bit in a reason mask, so append, never reorder."""

BITS: Final = {reason.code: bit for bit, reason in enumerate(REASONS)}
"""The bit of each reason by its code."""


def reasons(mask: int) -> tuple[CreditReason, ...]:
    """Return the reasons that a mask stands for, in the order of their bits."""
    return tuple(reason for bit, reason in enumerate(REASONS) if mask >> bit & 1)
