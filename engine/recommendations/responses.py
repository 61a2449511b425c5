"""What customers answered to earlier contacts, and when they are there: read once, in the backend.

A contact is what was sent to one customer for one product, channel and campaign; it was answered where the event that
counts followed. Contacts too young to have been answered are left out, and nothing later than the instant is seen. The
hours are those of answers and of what customers did themselves on the web and in the app, local to the bank.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import ibis

from engine.config.responses import ResponsePolicy
from engine.domain.words import CONTACT_CHANNELS
from engine.lake.schema import instant
from engine.numerics.zones import offsets
from engine.recommendations.contact import ANSWERS, CONTACTS

EVENTS: Final = "events"
_CONTACT: Final = ("customer_id", "campaign_id", "product_id", "channel")
_OWN_DOING: Final = ("web", "app")

HOUR_REASONS: Final = (
    ("own", "The hour at which the customer is mostly there.", "客户最常在线的时段。"),
    (
        "bank",
        "The hour at which most customers are there: too few times of this one are known.",
        "多数客户在线的时段：该客户的时间记录太少。",
    ),
    ("unknown", "Nobody's times are known.", "没有任何客户的时间记录。"),
)
"""Why an hour of contact: a word and the sentences; the code is the place here."""

_DAY_PARTS: Final = ((6, "night"), (12, "morning"), (18, "afternoon"), (24, "evening"))

OWN_COUNTS: Final = tuple(f"{what}_{channel}" for channel in CONTACT_CHANNELS for what in ("asked", "answered"))
"""Columns of `own`: contacts of a customer on a channel, and how many of them were answered."""


def day_part(hour: int) -> str:
    """Return the part of the day that an hour from 0 to 23 belongs to: night, morning, afternoon or evening."""
    return next(name for end, name in _DAY_PARTS if hour < end)


def own(tables: Mapping[str, Any], as_of: datetime, policy: ResponsePolicy) -> Any | None:
    """Return the columns `OWN_COUNTS`, a row per customer who was ever contacted; None without a table of contacts."""
    if CONTACTS not in tables:
        return None
    contacts = _contacts(tables[CONTACTS], as_of, policy)
    counts = {
        f"{what}_{channel}": contacts[what].sum(where=contacts.channel == channel).fill_null(0).cast("int64")
        for channel in CONTACT_CHANNELS
        for what in ("asked", "answered")
    }
    return contacts.group_by("customer_id").agg(**counts)


def by_channel(tables: Mapping[str, Any], as_of: datetime, policy: ResponsePolicy) -> Any | None:
    """Return contacts `asked` and `answered` by family of products and channel; None without a table of contacts."""
    if CONTACTS not in tables:
        return None
    contacts = _contacts(tables[CONTACTS], as_of, policy)
    products = tables["products"].select("product_id", "family")
    known = contacts.join(products, "product_id")
    sums = {what: known[what].sum().cast("int64") for what in ("asked", "answered")}
    return known.group_by("family", "channel").agg(**sums).order_by("family", "channel")


def _contacts(feedback: Any, as_of: datetime, policy: ResponsePolicy) -> Any:
    """Return one row per contact, with how often it was made and how often it was answered, never more often."""
    known = feedback.filter(feedback.occurred_at <= instant(as_of))
    first = instant(as_of - timedelta(days=policy.window_days))
    last = instant(as_of - timedelta(days=policy.answer_days))
    old_enough = (known.event == "sent") & (known.occurred_at > first) & (known.occurred_at <= last)
    rows = known.group_by(*_CONTACT).agg(
        asked=known.count(where=old_enough), answered=known.count(where=known.event == policy.event)
    )
    rows = rows.filter(rows.asked > 0)
    return rows.mutate(answered=ibis.least(rows.asked, rows.answered))


def hours(tables: Mapping[str, Any], as_of: datetime, policy: ResponsePolicy, time_zone: str) -> Any | None:
    """Return the hour at which each customer is best contacted: customer_id, contact_hour and contact_hour_is_own.

    A customer's own times are counted by hour and the bank's mixed in, as many as the policy says; of equally good
    hours the earliest counts. With fewer own times than are needed it is the bank's best hour. Null where no time of
    anybody is known; None where there is no table that tells times.
    """
    times = _times(tables, as_of, policy, time_zone)
    if times is None:
        return None
    times = times.filter((times.hour >= policy.hours.first) & (times.hour <= policy.hours.last))
    own_counts = times.group_by("customer_id", "hour").agg(times=times.count())
    bank = times.group_by("hour").agg(all_times=times.count())
    # a share of all, and a hair less for later hours, so that the earliest of equal ones is the highest
    bank = bank.mutate(share=bank.all_times / bank.all_times.sum().over() - bank.hour * 1e-12)
    top = bank.agg(top_hour=bank.hour.argmax(bank.share), top_share=bank.share.max())
    mixed = own_counts.join(bank.select("hour", "share"), "hour")
    mixed = mixed.mutate(score=mixed.times + policy.hours.prior_times * mixed.share)
    best = mixed.group_by("customer_id").agg(
        own_hour=mixed.hour.argmax(mixed.score), own_score=mixed.score.max(), own_times=mixed.times.sum()
    )
    everybody = tables["customers"].select("customer_id")
    rows = everybody.left_join(best, "customer_id").drop("customer_id_right").cross_join(top)
    enough = rows.own_times.fill_null(0) >= policy.hours.min_own_times
    better = enough & (rows.own_score >= policy.hours.prior_times * rows.top_share)
    return rows.select(
        "customer_id",
        contact_hour=ibis.ifelse(better.fill_null(False), rows.own_hour, rows.top_hour).cast("int64"),
        contact_hour_is_own=enough.fill_null(False),
    )


def _times(tables: Mapping[str, Any], as_of: datetime, policy: ResponsePolicy, time_zone: str) -> Any | None:
    """Return customer_id and local hour of each time at which a customer did something."""
    since = as_of - timedelta(days=policy.hours.window_days)

    def within(rows: Any) -> Any:
        return (rows.occurred_at > instant(since)) & (rows.occurred_at <= instant(as_of)) & rows.customer_id.notnull()

    told = []
    if CONTACTS in tables:
        rows = tables[CONTACTS]
        told.append(rows.filter(within(rows) & rows.event.isin(ANSWERS)).select("customer_id", "occurred_at"))
    if EVENTS in tables:
        rows = tables[EVENTS]
        told.append(rows.filter(within(rows) & rows.channel.isin(_OWN_DOING)).select("customer_id", "occurred_at"))
    if not told:
        return None
    times = told[0] if len(told) == 1 else ibis.union(told[0], told[1], distinct=False)
    stretches = offsets(time_zone, since, as_of)
    ahead: Any = ibis.literal(stretches[0][1])
    for start, minutes in stretches[1:]:
        ahead = ibis.ifelse(times.occurred_at >= instant(start), minutes, ahead)
    minute = times.occurred_at.hour().cast("int64") * 60 + times.occurred_at.minute().cast("int64") + ahead + 2880
    return times.select("customer_id", hour=((minute % 1440) / 60).floor().cast("int64"))
