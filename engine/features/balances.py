"""What lies on the current accounts: now, a month and a quarter ago, and how often it fell below zero."""

from __future__ import annotations

from typing import Any, Final

import ibis

from engine.config.bank import BankSettings
from engine.domain.schema import Kind
from engine.features.feature import BOTH, CLUSTERING, PROPENSITY, Moment, Tables, Theme, features_of, in_base

_f = features_of("balances")
_MINOR: Final = "minor units of the base currency"

FEATURES = (
    _f(
        "balance_minor",
        Kind.MONEY,
        "sum of the latest balances of the current accounts; empty when no booking told one",
        "活期最新余额合计",
        unit=_MINOR,
        suits=BOTH,
    ),
    _f("balance_30d_ago_minor", Kind.MONEY, "the same 30 days earlier", "30天前活期余额", unit=_MINOR),
    _f("balance_90d_ago_minor", Kind.MONEY, "the same 90 days earlier", "90天前活期余额", unit=_MINOR),
    _f(
        "balance_change_90d_minor",
        Kind.MONEY,
        "balance now less balance 90 days earlier; empty when either is",
        "近90天活期余额变动",
        unit=_MINOR,
        suits=BOTH,
    ),
    _f(
        "balance_min_90d_minor",
        Kind.MONEY,
        "lowest balance that any current account showed after a booking in 90 days; empty without bookings",
        "近90天最低账户余额",
        unit=_MINOR,
        suits=(CLUSTERING,),
    ),
    _f(
        "below_zero_share_90d",
        Kind.SHARE,
        "of the bookings in 90 days that told a balance, the share that left it below zero",
        "近90天入账后余额为负占比",
        suits=(PROPENSITY, CLUSTERING),
    ),
)


def build(tables: Tables, moment: Moment, bank: BankSettings) -> Any:
    """Return one row per customer with a booking that told a balance."""
    accounts = _accounts(_balances(tables["transactions"], moment, bank), moment)
    sums = accounts.group_by("customer_id").aggregate(
        balance_minor=accounts.latest.sum(),
        balance_30d_ago_minor=accounts.latest_30.sum(),
        balance_90d_ago_minor=accounts.latest_90.sum(),
        balance_min_90d_minor=accounts.lowest.min(),
        below=accounts.below.sum(),
        told=accounts.told.sum(),
    )
    return sums.mutate(
        balance_change_90d_minor=sums.balance_minor - sums.balance_90d_ago_minor,
        below_zero_share_90d=sums.below / sums.told.nullif(0),
    ).drop("below", "told")


def _balances(transactions: Any, moment: Moment, bank: BankSettings) -> Any:
    """Return the bookings that told a balance, each with a key that orders those of one instant by their id."""
    told = transactions.filter(moment.known(transactions.booked_at) & transactions.balance_after_minor.notnull())
    return told.select(
        "customer_id",
        "holding_id",
        "booked_at",
        balance=in_base(told.balance_after_minor, told.currency, bank),
        # bookings often carry a date only: the id decides which of one instant is the last, alike on every engine
        order=ibis.struct({"at": told.booked_at, "id": told.transaction_id}),
    )


def _accounts(told: Any, moment: Moment) -> Any:
    """Return one row per customer and account, since each account has a balance of its own.

    Every booking is compared in one place only: where the quarter brought none, the last one before it still holds.
    """
    recent, month = moment.within(told.booked_at, 90), moment.within(told.booked_at, 30)
    found = told.group_by("customer_id", "holding_id").aggregate(
        in_month=told.balance.argmax(told.order, where=month),
        in_quarter=told.balance.argmax(told.order, where=recent & ~month),
        latest_90=told.balance.argmax(told.order, where=~recent),
        lowest=told.balance.min(where=recent),
        below=told.count(where=recent & (told.balance < 0)),
        told=told.count(where=recent),
    )
    before_month = ibis.coalesce(found.in_quarter, found.latest_90)
    return found.mutate(latest=ibis.coalesce(found.in_month, before_month), latest_30=before_month)


THEME = Theme(name="balances", reads=("transactions",), features=FEATURES, build=build)
