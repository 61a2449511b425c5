"""Who the customer is: what the bank has on record. These columns carry no history and are taken as they stand."""

from __future__ import annotations

from typing import Any

from engine.config.bank import BankSettings
from engine.domain.schema import Kind
from engine.features.feature import PROPENSITY, Moment, Tables, Theme, features_of

_f = features_of("profile")

# kinds of work as numbers, which is what models learn from
WORKS = {
    "self_employed": ("works on own account", "自雇"),
    "retired": ("has retired", "已退休"),
    "unemployed": ("is out of work", "失业"),
}

COPIED = ("gender", "employment", "education", "marital_status", "region", "language")

FEATURES = (
    _f("age_years", Kind.INTEGER, "full years of age", "周岁年龄", unit="years", suits=(PROPENSITY,)),
    _f("tenure_months", Kind.INTEGER, "full months as a customer", "客龄（月）", unit="months", suits=(PROPENSITY,)),
    _f("is_open", Kind.BOOLEAN, "true while the relationship lasts", "关系是否存续"),
    _f(
        "kyc_days_left",
        Kind.INTEGER,
        "days until the identity check must be renewed; negative when overdue, empty without a date",
        "距身份核验到期天数，负数为逾期",
        unit="days",
    ),
    _f(
        "income_monthly_minor",
        Kind.MONEY,
        "declared net income a month",
        "申报月净收入",
        unit="minor units of the base currency a month",
        suits=(PROPENSITY,),
    ),
    _f("dependants", Kind.INTEGER, "persons who depend on that income", "被抚养人数", suits=(PROPENSITY,)),
    *(
        _f(
            f"is_{work}",
            Kind.INTEGER,
            f"1 for who {meaning} by the employment recorded, 0 for others",
            f"登记就业状况为{zh}记1，否则记0",
            suits=(PROPENSITY,),
        )
        for work, (meaning, zh) in WORKS.items()
    ),
    _f("gender", Kind.TEXT, "gender as recorded", "登记性别"),
    _f("employment", Kind.TEXT, "employment", "就业状况"),
    _f("education", Kind.TEXT, "highest education", "最高学历"),
    _f("marital_status", Kind.TEXT, "marital status", "婚姻状况"),
    _f("region", Kind.TEXT, "region of residence", "居住地区"),
    _f("language", Kind.TEXT, "language the customer wants to be addressed in", "沟通语言"),
)


def build(tables: Tables, moment: Moment, bank: BankSettings) -> Any:
    """Return one row per customer who has joined; the base of the feature table."""
    customers = tables["customers"]
    joined = customers.filter(moment.known(customers.joined_at))
    return joined.select(
        "customer_id",
        age_years=moment.years_since(joined.birth_date),
        tenure_months=moment.months_since(joined.joined_at),
        is_open=moment.still(joined.closed_at),
        kyc_days_left=joined.kyc_expires_on.delta(moment.day, unit="day"),
        income_monthly_minor=joined.income_monthly_minor,
        dependants=joined.dependants,
        **{f"is_{work}": (joined.employment == work).cast("int64") for work in WORKS},
        **{name: joined[name] for name in COPIED},
    )


THEME = Theme(name="profile", reads=("customers",), features=FEATURES, build=build)
