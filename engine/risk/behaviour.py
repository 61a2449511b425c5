"""How a customer has lived on the accounts here: characteristics of the six whole months before a date.

Bookings are summed by customer and calendar month (UTC) once, and every date takes the six months that had ended by
then. So no booking later than a date is ever seen, and many dates cost little more than one. The last second of a
month ends it, since extracts are taken at 23:59:59: a date in that second has the whole month behind it, and a booking
after its first instant counts in the next.

Before the bookings begin nobody knows how anybody lived: a date whose six months they do not cover has no
characteristic and no record, which is not the same as an account on which nothing was booked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import ibis

Tables = Mapping[str, Any]
MONTHS: Final = 6
INCOME: Final = ("salary", "pension")
COUNTED: Final = (
    "falling_months_6m",
    "below_zero_share_6m",
    "income_months_6m",
    "income_steadiness_6m",
    "cash_share_6m",
    "spent_share_6m",
)
"""The characteristics, empty where a customer has no booking in the six months, and where a share has no whole."""
CUSTOMER_MONTHS: Final = "customer_months"
"""The table of `customer_months`, under which whoever asks for many dates keeps it beside the curated tables."""
FEED: Final = "bookings_begin"
"""The table of `feed`, under which whoever asks with the bookings of some customers only keeps that of all."""

_LAST_SECOND: Final = ibis.interval(seconds=1)
_JUST_LESS: Final = ibis.interval(microseconds=999_999)
_FEW_BOOKINGS: Final = 0.1  # of an ordinary month's bookings: months before this many are strays, not yet the feed


def customer_months(tables: Tables) -> Any:
    """Return one row per customer and calendar month with a booking: what was received and paid in it.

    Columns: of_customer, month (its number, consecutive over the years), amounts in minor units of the base currency,
    and how many bookings there were, told a balance, and were below zero. Needs the table of transactions.
    """
    if CUSTOMER_MONTHS in tables:
        return tables[CUSTOMER_MONTHS]
    return _monthly(tables["transactions"])


def feed(tables: Tables) -> Any:
    """Return one row with the first month that has its bookings, `first_month`; empty where there is no booking.

    Single bookings of years before, as a move from another system leaves them, are not the beginning.
    """
    if FEED in tables:
        return tables[FEED]
    if CUSTOMER_MONTHS in tables:
        months = tables[CUSTOMER_MONTHS].select("month", "bookings")
    else:
        months = tables["transactions"].select(month=_month(tables["transactions"].booked_at + _JUST_LESS), bookings=1)
    counted = months.group_by("month").agg(bookings=months.bookings.sum())
    crossed = counted.cross_join(counted.agg(ordinary=counted.bookings.median()))
    return crossed.agg(first_month=crossed.month.min(where=crossed.bookings >= _FEW_BOOKINGS * crossed.ordinary))


def add(rows: Any, tables: Tables, name: str, at: datetime | None = None) -> Any:
    """Return the rows with the characteristics as of their `applied_at`, and whether there was a booking (`name`).

    Parameters
    ----------
    rows : any, with customer_id and applied_at.
    name : the column that says "yes" where there was any booking in the six months, "no" where there was none, and is
        empty where the bookings do not cover them.
    at : where every `applied_at` is this instant, and so every month need be looked at once only.
    """
    if "transactions" not in tables:
        empty = {one: ibis.null("float64") for one in COUNTED}
        return rows.mutate(ibis.null("string").name(name), **empty)
    months = customer_months(tables)
    dated = rows.mutate(date_month=_month(rows.applied_at + _LAST_SECOND)).cross_join(feed(tables))
    if at is None:
        found = _measured(_windows(months, dated.select("date_month", customer=dated.customer_id)))
    else:
        last = at.astimezone(UTC) + timedelta(seconds=1)
        until = last.year * 12 + last.month
        ended = months.filter((months.month >= until - MONTHS) & (months.month < until))
        found = _measured(ended.mutate(until=ibis.literal(until, type="int64")))
    same = (dated.customer_id == found.of_customer) & (dated.date_month == found.until)
    joined = dated.left_join(found, same)
    covered = joined.first_month <= joined.date_month - MONTHS
    known = {one: covered.ifelse(joined[one], ibis.null("float64")) for one in COUNTED}
    booked = joined.of_customer.notnull().ifelse("yes", "no")
    record = covered.ifelse(booked, ibis.null("string")).name(name)
    return joined.mutate(record, **known).drop("of_customer", "until", "date_month", "first_month")


def _windows(months: Any, dates: Any) -> Any:
    """Return every month once for each later month whose dates look back on it, where there is such a date."""
    own = months.semi_join(dates, months.of_customer == dates.customer)
    ahead = own.mutate(ahead=ibis.range(1, MONTHS + 1).unnest())
    ahead = ahead.mutate(until=ahead.month + ahead.ahead)
    asked = (ahead.of_customer == dates.customer) & (ahead.until == dates.date_month)
    return ahead.semi_join(dates, asked)


def _monthly(transactions: Any) -> Any:
    """Return one row per customer and month with a booking; amounts in minor units of the base currency."""
    moved = transactions.select(
        "category",
        of_customer="customer_id",
        month=_month(transactions.booked_at + _JUST_LESS),
        amount="amount_base_minor",
        balance="balance_after_minor",
    )
    income = (moved.amount > 0) & moved.category.isin(INCOME)
    # what moved on accounts that tell a balance is by how much that balance rose or fell
    return moved.group_by("of_customer", "month").agg(
        received=moved.amount.sum(where=moved.amount > 0).coalesce(0),
        paid=(-moved.amount).sum(where=moved.amount < 0).coalesce(0),
        cash=(-moved.amount).sum(where=(moved.amount < 0) & (moved.category == "cash")).coalesce(0),
        income=moved.amount.sum(where=income).coalesce(0),
        change=moved.amount.sum(where=moved.balance.notnull()),
        bookings=moved.count(),
        told=moved.balance.count(),
        below=moved.count(where=moved.balance < 0),
    )


def _measured(pairs: Any) -> Any:
    sums = pairs.group_by("of_customer", "until").agg(
        falling=pairs.count(where=pairs.change < 0),
        with_change=pairs.change.count(),
        told=pairs.told.sum(),
        below=pairs.below.sum(),
        received=pairs.received.sum(),
        paid=pairs.paid.sum(),
        cash=pairs.cash.sum(),
        income_months=pairs.count(where=pairs.income > 0),
        lowest=pairs.income.min(where=pairs.income > 0),
        highest=pairs.income.max(where=pairs.income > 0),
    )
    # a month without income is the lowest there is
    lowest = (sums.income_months == MONTHS).ifelse(sums.lowest, 0)
    return sums.select(
        "of_customer",
        "until",
        falling_months_6m=(sums.with_change > 0).ifelse(sums.falling, ibis.null("int64")).cast("float64"),
        below_zero_share_6m=_share(sums.below, sums.told),
        income_months_6m=sums.income_months.cast("float64"),
        income_steadiness_6m=_share(lowest, sums.highest),
        cash_share_6m=_share(sums.cash, sums.paid),
        spent_share_6m=_share(sums.paid, sums.received),
    )


def _share(part: Any, whole: Any) -> Any:
    return part.cast("float64") / whole.nullif(0).cast("float64")


def _month(at: Any) -> Any:
    """Return the number of a calendar month, consecutive over the years."""
    return at.year().cast("int64") * 12 + at.month().cast("int64")
