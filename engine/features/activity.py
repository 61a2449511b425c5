"""How money moves: recency, number and sums of bookings, what it is spent on. All in the base currency."""

from __future__ import annotations

from typing import Any, Final

from engine.config.bank import BankSettings
from engine.domain.schema import Kind
from engine.features.feature import BOTH, CLUSTERING, PROPENSITY, Feature, Moment, Tables, Theme, features_of

_f = features_of("activity")
_MINOR: Final = "minor units of the base currency"

WINDOWS: Final = (30, 90, 365)
SPEND_WINDOWS: Final = (90, 365)
SPEND_GROUPS: Final = {
    "housing": ("rent", "utilities"),
    "living": ("groceries", "health", "education"),
    "lifestyle": ("dining", "shopping"),
    "travel": ("travel",),
    "cash": ("cash",),
    "obligations": ("instalment", "insurance_premium", "tax"),
    "investing": ("investment",),
}
"""The main groups of spending and the categories of bookings in each."""

_ZH = {
    "housing": "居住",
    "living": "日常",
    "lifestyle": "餐饮购物",
    "travel": "旅行",
    "cash": "取现",
    "obligations": "还款保费税",
    "investing": "投资",
}


def _windowed(days: int) -> tuple[Feature, ...]:
    suits = (CLUSTERING,) if days == 365 else BOTH if days == 90 else (PROPENSITY,)
    zh = f"近{days}天"
    return (
        _f(f"transactions_{days}d", Kind.INTEGER, f"bookings in {days} days", f"{zh}交易笔数", zero=True, suits=suits),
        _f(
            f"money_in_{days}d_minor",
            Kind.MONEY,
            f"money that came in within {days} days",
            f"{zh}流入",
            unit=_MINOR,
            zero=True,
            suits=suits,
        ),
        _f(
            f"money_out_{days}d_minor",
            Kind.MONEY,
            f"money that went out within {days} days, as a positive number",
            f"{zh}流出（正数）",
            unit=_MINOR,
            zero=True,
            suits=suits,
        ),
    )


def _spend(group: str, days: int) -> Feature:
    return _f(
        f"spend_{group}_{days}d_minor",
        Kind.MONEY,
        f"spent in {days} days on {', '.join(SPEND_GROUPS[group])}",
        f"近{days}天{_ZH[group]}支出",
        unit=_MINOR,
        zero=True,
        suits=BOTH if days == 90 else (),
    )


FEATURES = (
    _f(
        "days_since_last_transaction",
        Kind.INTEGER,
        "days since the latest booking; empty when there never was one",
        "距最近交易天数",
        unit="days",
        suits=BOTH,
    ),
    *(feature for days in WINDOWS for feature in _windowed(days)),
    *(_spend(group, days) for days in SPEND_WINDOWS for group in SPEND_GROUPS),
    _f(
        "salary_90d_minor",
        Kind.MONEY,
        "salary received in 90 days",
        "近90天工资流入",
        unit=_MINOR,
        zero=True,
        suits=BOTH,
    ),
    _f(
        "salary_months_90d",
        Kind.INTEGER,
        "of the last three times 30 days, those in which a salary came",
        "近三个30天中有工资的期数",
        zero=True,
        suits=(PROPENSITY,),
    ),
    _f(
        "categories_90d",
        Kind.INTEGER,
        "different categories of bookings in 90 days",
        "近90天交易类别数",
        zero=True,
        suits=BOTH,
    ),
    _f(
        "largest_debit_90d_minor",
        Kind.MONEY,
        "largest single amount that went out in 90 days; empty without one",
        "近90天最大单笔支出",
        unit=_MINOR,
        suits=(PROPENSITY,),
    ),
    _f("fees_365d_minor", Kind.MONEY, "fees paid in 365 days", "近365天手续费", unit=_MINOR, zero=True, suits=BOTH),
    _f(
        "fx_share_90d",
        Kind.SHARE,
        "of the amounts moved in 90 days, the share in other currencies; empty when nothing moved",
        "近90天外币金额占比",
        suits=BOTH,
    ),
)


def build(tables: Tables, moment: Moment, bank: BankSettings) -> Any:
    """Return one row per customer with a booking.

    One pass for each reach: what looks back 90 days reads only those months of the transactions, so that counting
    different categories, the dearest of the measures, meets an eighth of two years' rows.
    """
    transactions = tables["transactions"]
    known = transactions.filter(moment.known(transactions.booked_at))
    last = known.group_by("customer_id").aggregate(last_at=known.booked_at.max())
    year, quarter = (_measured(_movements(known, days, moment, bank), days, moment) for days in (365, 90))
    joined = last.left_join(year, "customer_id").drop("customer_id_right")
    joined = joined.left_join(quarter, "customer_id").drop("customer_id_right")
    return joined.mutate(
        days_since_last_transaction=moment.days_since(joined.last_at),
        salary_months_90d=joined.salary_1 + joined.salary_2 + joined.salary_3,
        fx_share_90d=joined.foreign_90d / joined.moved_90d.nullif(0),
    ).drop("last_at", "salary_1", "salary_2", "salary_3", "foreign_90d", "moved_90d")


def _movements(known: Any, days: int, moment: Moment, bank: BankSettings) -> Any:
    """Return the bookings of so many days with money in and money out as two columns."""
    recent = known.filter(moment.within(known.booked_at, days))
    amount = recent.amount_base_minor
    return recent.select(
        "customer_id",
        "booked_at",
        "category",
        money_in=(amount > 0).ifelse(amount, 0),
        money_out=(amount < 0).ifelse(-amount, 0),
        moved=amount.abs(),
        foreign=(recent.currency != bank.base_currency).ifelse(amount.abs(), 0),
    )


def _measured(moved: Any, days: int, moment: Moment) -> Any:
    measures = {**_sums(moved, days), **_groups(moved, days)}
    if days == 90:
        measures |= _month(moved, moment) | _salary(moved, moment) | _variety(moved)
    else:
        measures["fees_365d_minor"] = moved.money_out.sum(where=moved.category == "fees")
    return moved.group_by("customer_id").aggregate(**measures)


def _sums(moved: Any, days: int) -> dict[str, Any]:
    return {
        f"transactions_{days}d": moved.count(),
        f"money_in_{days}d_minor": moved.money_in.sum(),
        f"money_out_{days}d_minor": moved.money_out.sum(),
    }


def _groups(moved: Any, days: int) -> dict[str, Any]:
    return {
        f"spend_{group}_{days}d_minor": moved.money_out.sum(where=moved.category.isin(categories))
        for group, categories in SPEND_GROUPS.items()
    }


def _month(moved: Any, moment: Moment) -> dict[str, Any]:
    recent = moment.within(moved.booked_at, 30)
    return {
        "transactions_30d": moved.count(where=recent),
        "money_in_30d_minor": moved.money_in.sum(where=recent),
        "money_out_30d_minor": moved.money_out.sum(where=recent),
    }


def _salary(moved: Any, moment: Moment) -> dict[str, Any]:
    salary = (moved.category == "salary") & (moved.money_in > 0)
    month_1, months_2 = moment.within(moved.booked_at, 30), moment.within(moved.booked_at, 60)
    return {
        "salary_90d_minor": moved.money_in.sum(where=salary),
        "salary_1": (month_1 & salary).cast("int64").max(),
        "salary_2": (months_2 & ~month_1 & salary).cast("int64").max(),
        "salary_3": (~months_2 & salary).cast("int64").max(),
    }


def _variety(moved: Any) -> dict[str, Any]:
    return {
        "categories_90d": moved.category.nunique(),
        "largest_debit_90d_minor": moved.money_out.max(where=moved.money_out > 0),
        "foreign_90d": moved.foreign.sum(),
        "moved_90d": moved.moved.sum(),
    }


THEME = Theme(name="activity", reads=("transactions",), features=FEATURES, build=build)
