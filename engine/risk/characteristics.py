"""What the scorecard may look at: name, where it comes from, what it means in English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from engine.domain.schema import Kind

Source = Literal["customer", "bureau", "account", "application"]
MISSING_SUFFIX: Final = "_missing"
"""What a reason code ends with when the value is missing rather than bad."""
SPECIAL_SUFFIX: Final = "_special"
"""What it ends with when the value is a code, such as "no record", rather than a quantity."""

BUREAU_RECORD: Final = "bureau_record"
ACCOUNT_RECORD: Final = "account_record"
APPLICATION: Final = "application"
ASKED: Final[dict[Source, str]] = {"bureau": BUREAU_RECORD, "account": ACCOUNT_RECORD, "application": APPLICATION}
"""For a source that a customer may not have, the column of the risk table that says "yes" where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristic:
    """One candidate input. Those of an application say nothing of a customer who is not applying."""

    name: str
    source: Source
    kind: Kind
    meaning: str
    meaning_zh: str


def _of(source: Source, name: str, meaning: str, meaning_zh: str, kind: Kind = Kind.NUMBER) -> Characteristic:
    return Characteristic(name=name, source=source, kind=kind, meaning=meaning, meaning_zh=meaning_zh)


CHARACTERISTICS: Final = (
    _of("customer", "age_years", "age in years", "年龄"),
    _of("customer", "tenure_months", "months as a customer", "与本行往来月数"),
    _of("customer", "income_monthly_minor", "declared net income a month", "申报月净收入"),
    _of("customer", "dependants", "persons who depend on the income", "被抚养人数"),
    _of("customer", "employment", "employment", "就业状况", Kind.TEXT),
    _of("customer", "education", "highest education", "最高学历", Kind.TEXT),
    _of("customer", "gender", "gender as recorded", "登记性别", Kind.TEXT),
    _of("customer", "marital_status", "marital status", "婚姻状况", Kind.TEXT),
    _of("customer", "region", "region of residence", "居住地区", Kind.TEXT),
    _of("customer", "language", "language of contact", "沟通语言", Kind.TEXT),
    _of("customer", BUREAU_RECORD, "whether the credit bureau has a record", "是否有征信记录", Kind.TEXT),
    _of("bureau", "credit_lines", "open credit lines at all lenders", "未结清授信笔数"),
    _of("bureau", "utilisation_rate", "share of revolving limits in use", "循环额度使用率"),
    _of("bureau", "delinquencies_12m", "payments 30 days late or more in 12 months", "近12月逾期次数"),
    _of("bureau", "worst_days_past_due_12m", "longest delay in 12 months, in days", "近12月最长逾期天数"),
    _of("bureau", "inquiries_6m", "credit enquiries in 6 months", "近6月查询次数"),
    _of("bureau", "oldest_line_months", "age of the oldest credit line, in months", "最早授信账龄（月）"),
    _of("bureau", "public_records", "bankruptcies and judgements", "公共负面记录数"),
    _of("bureau", "debt_to_income", "instalments due a month over income a month", "月还款收入比"),
    _of("bureau", "balance_to_income", "debt at all lenders over income a month", "负债收入比"),
    _of(
        "bureau", "utilisation_change_6m", "share of limits in use, less that of 6 months before", "额度使用率近6月变动"
    ),
    _of("customer", ACCOUNT_RECORD, "whether accounts here were used in 6 months", "近6月是否有账务往来", Kind.TEXT),
    _of("account", "falling_months_6m", "of 6 months, those in which the balance fell", "近6月余额下降月数"),
    _of("account", "below_zero_share_6m", "share of bookings that left the balance below zero", "近6月入账后透支占比"),
    _of("account", "income_months_6m", "of 6 months, those with a salary or pension", "近6月有工资或养老金月数"),
    _of("account", "income_steadiness_6m", "lowest monthly income of 6 months over the highest", "近6月收入稳定度"),
    _of("account", "cash_share_6m", "share of what was paid out that was drawn as cash", "近6月取现占支出比"),
    _of("account", "spent_share_6m", "what was paid out over what came in, 6 months", "近6月支出收入比"),
    _of("application", "requested_to_income", "amount asked for over income a month", "申请金额收入比"),
    _of("application", "instalment_to_income", "instalment asked for over income a month", "申请月供收入比"),
    _of("application", "requested_minor", "amount asked for", "申请金额"),
    _of("application", "instalment_minor", "instalment asked for", "申请月供"),
    _of("application", "term_months", "term asked for, in months", "申请期限（月）"),
    _of("application", "product_id", "product asked for", "申请产品", Kind.TEXT),
)

BY_NAME: Final = {characteristic.name: characteristic for characteristic in CHARACTERISTICS}


def reason_text(code: str) -> tuple[str, str]:
    """Return what a reason code says, in English and Chinese; a code of the bank's own reads as it is."""
    name = code.removesuffix(MISSING_SUFFIX)
    known = BY_NAME.get(name)
    if known is None:
        return code.replace("_", " "), code
    if code != name:
        return f"no record of: {known.meaning}", f"缺少记录：{known.meaning_zh}"
    return known.meaning, known.meaning_zh
