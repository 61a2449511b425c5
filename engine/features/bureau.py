"""What the credit bureau says: the newest report, whole, and how old it is."""

from __future__ import annotations

from typing import Any, Final

from engine.config.bank import BankSettings
from engine.domain.schema import Kind
from engine.features.feature import CLUSTERING, PROPENSITY, Moment, Tables, Theme, features_of

_f = features_of("bureau")
_MINOR: Final = "minor units of the base currency"
_P: Final = (PROPENSITY,)

FEATURES = (
    _f(
        "bureau_utilisation_rate",
        Kind.NUMBER,
        "revolving balance over revolving limit; may pass 1",
        "循环额度使用率",
        unit="share",
        suits=(PROPENSITY, CLUSTERING),
    ),
    _f("bureau_credit_lines", Kind.INTEGER, "open credit lines at all lenders", "未结清授信笔数", suits=_P),
    _f("bureau_total_limit_minor", Kind.MONEY, "sum of limits at all lenders", "授信总额", unit=_MINOR, suits=_P),
    _f("bureau_total_balance_minor", Kind.MONEY, "sum owed to all lenders", "负债总额", unit=_MINOR, suits=_P),
    _f(
        "bureau_instalments_monthly_minor",
        Kind.MONEY,
        "instalments due a month",
        "月还款额",
        unit="minor units of the base currency a month",
        suits=_P,
    ),
    _f("bureau_delinquencies_12m", Kind.INTEGER, "payments 30 days late or more in 12 months", "近12月逾期次数"),
    _f(
        "bureau_worst_days_past_due_12m",
        Kind.INTEGER,
        "longest delay in 12 months",
        "近12月最长逾期天数",
        unit="days",
    ),
    _f("bureau_inquiries_6m", Kind.INTEGER, "enquiries by lenders in 6 months", "近6月查询次数", suits=_P),
    _f(
        "bureau_oldest_line_months",
        Kind.INTEGER,
        "age of the oldest credit line",
        "最早授信账龄（月）",
        unit="months",
        suits=_P,
    ),
    _f("bureau_public_records", Kind.INTEGER, "bankruptcies and judgements", "公共负面记录数"),
    _f("bureau_age_days", Kind.INTEGER, "age of the report", "征信报告距今天数", unit="days"),
)
_COPIED: Final = tuple(
    feature.name.removeprefix("bureau_") for feature in FEATURES if feature.name != "bureau_age_days"
)


def build(tables: Tables, moment: Moment, bank: BankSettings) -> Any:
    """Return one row per customer with a report.

    The newest report counts as a whole: a value that it does not give stays empty and is not taken from an older one.
    """
    bureau = tables["bureau"]
    known = bureau.filter(moment.known(bureau.reported_at))
    newest = known.group_by("customer_id").aggregate(reported_at=known.reported_at.max())
    # customer and time are the key of the table, so that this keeps one row each
    latest = known.semi_join(newest, ["customer_id", "reported_at"])
    return latest.select(
        "customer_id",
        **{f"bureau_{name}": latest[name] for name in _COPIED},
        bureau_age_days=moment.days_since(latest.reported_at),
    )


THEME = Theme(name="bureau", reads=("bureau",), features=FEATURES, build=build)
