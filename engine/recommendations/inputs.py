"""What the recommendations read: who holds what and what may be known of each customer, as of an instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.recommendations import RecommendationSettings
from engine.config.responses import ResponsePolicy
from engine.domain.errors import WaylineError
from engine.domain.words import CONTACT_CHANNELS, MARKETING
from engine.lake.schema import instant, naive_utc
from engine.recommendations import contact, responses


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The bank as it was known at one instant.

    `features` has one row per customer: customer_id and numeric columns, computed as of the same instant.
    `holdings` has customer_id, product_id and opened_at of what was open then (see `holdings` below).
    `profile` has one row per customer (see `profile` below, or `known_customers` of an instant that is only learned
    from) and says which customers there are.
    `steps`, where the bank keeps events, says who went how far towards which product (see `interest.steps`).
    `relationship` is a table of `tracks.relationship`, `responses` one of `responses.by_channel`.
    """

    as_of: datetime
    features: pa.Table
    holdings: pa.Table
    profile: pa.Table
    steps: pa.Table | None = None
    relationship: pa.Table | None = None
    responses: pa.Table | None = None


class LabelsInFeatures(WaylineError):
    """Features are dated inside the window whose openings they should predict."""

    def __init__(self, features_at: datetime, expected: datetime) -> None:
        self.features_at, self.expected = features_at, expected
        super().__init__(
            f"Features dated {features_at:%Y-%m-%d} cannot predict the openings after {expected:%Y-%m-%d}: expected "
            f"features as of {expected:%Y-%m-%d} exactly. Compute the feature table as of that date."
        )


def check_window(before: Inputs, after: Inputs, settings: RecommendationSettings) -> None:
    """Check that the features of `before` end where the label window up to `after` begins.

    Raises
    ------
    LabelsInFeatures
        They are dated otherwise.
    """
    expected = after.as_of - timedelta(days=settings.horizon_days)
    if before.as_of != expected:
        raise LabelsInFeatures(before.as_of, expected)


def sample_customers(customer_ids: pa.Array, size: int, seed: int) -> pa.Array:
    """Return at most `size` of the customers, drawn without replacement and sorted; the same for the same seed."""
    ids = customer_ids.take(pc.sort_indices(customer_ids))
    if len(ids) <= size:
        return ids
    drawn = np.random.default_rng([seed, 90]).choice(len(ids), size=size, replace=False)
    return ids.take(pa.array(np.sort(drawn)))


def holdings(tables: Mapping[str, Any], as_of: datetime) -> Any:
    """Return who held what at the instant: customer_id, product_id and the newest opening among the open ones."""
    now = instant(as_of)
    rows = tables["holdings"]
    open_then = rows.filter((rows.opened_at <= now) & (rows.closed_at.isnull() | (rows.closed_at > now)))
    return open_then.group_by("customer_id", "product_id").agg(opened_at=open_then.opened_at.max())


def known_customers(tables: Mapping[str, Any], as_of: datetime) -> Any:
    """Return one row per customer known at the instant, customer_id and age_years: enough to learn from it."""
    customers = tables["customers"]
    customers = customers.filter(customers.joined_at <= instant(as_of))
    return customers.select("customer_id", age_years=_age(customers.birth_date, as_of))


def profile(
    tables: Mapping[str, Any],
    as_of: datetime,
    settings: RecommendationSettings,
    time_zone: str | None = None,
    *,
    contacts: Any | None = None,
    suppressed: Any | None = None,
) -> Any:
    """Return one row per customer known at the instant: what the gates look at.

    Columns: customer_id, is_open, household_id, age_years, income_minor, debts_minor (monthly instalments, null when
    unknown), one column `consent_<channel>` for each contact channel, those of `contact.reading`, and what customers
    answered and when they are there (`responses.OWN_COUNTS` and `responses.hours`). The last are read only with the
    `time_zone` of the bank: who only learns from an instant needs neither.

    contacts : the record of contacts that the gates look at, where it is another than the table's (see `so_far`).
    suppressed : customer_id and channel (null for every channel) of whom not to contact, whatever they agreed to.
    """
    gated = tables if contacts is None else {**tables, contact.CONTACTS: contacts}
    customers = tables["customers"]
    customers = customers.filter(customers.joined_at <= instant(as_of))
    rows = customers.select(
        "customer_id",
        is_open=customers.closed_at.isnull() | (customers.closed_at > instant(as_of)),
        household_id=customers.household_id,
        age_years=_age(customers.birth_date, as_of),
        income_minor=customers.income_monthly_minor,
    )
    parts = (
        (_debts(tables, as_of, settings), {"debts_minor": _unknown("int64")}),
        (_consents(gated, as_of), {f"consent_{channel}": ibis.literal(False) for channel in CONTACT_CHANNELS}),
    )
    for part, absent in parts:
        rows = rows.mutate(**absent) if part is None else _join(rows, part, absent)
    if "consents" not in tables:
        assumed = settings.assumptions.consent_channels
        rows = rows.mutate(**{f"consent_{channel}": ibis.literal(channel in assumed) for channel in CONTACT_CHANNELS})
    if suppressed is not None:
        rows = _without_suppressed(rows, suppressed)
    ledger = contact.reading(gated, as_of, settings.contact, settings.assumptions.empty_histories)
    rows = _join(rows.mutate(debts_minor=rows.debts_minor.cast("int64")), ledger, {})
    return _with_responses(rows, tables, as_of, settings.responses, time_zone)


def so_far(contacts: Any, as_of: datetime) -> Any:
    """Return the record of contacts with what is later than an instant as if it were of that instant.

    A run on yesterday's extract decides whom to contact next: a contact of this morning uses up a cap all the same.
    """
    when = contacts.occurred_at
    return contacts.mutate(occurred_at=ibis.least(when, instant(as_of)).cast(when.type()))


def _without_suppressed(rows: Any, suppressed: Any) -> Any:
    everywhere = suppressed.channel.isnull()
    held = suppressed.group_by("customer_id").agg(
        **{
            f"suppressed_{channel}": (everywhere | (suppressed.channel == channel)).cast("int8").max()
            for channel in CONTACT_CHANNELS
        }
    )
    names = [f"suppressed_{channel}" for channel in CONTACT_CHANNELS]
    rows = _join(rows, held, dict.fromkeys(names, ibis.literal(0, "int8")))
    agreed = {
        f"consent_{channel}": rows[f"consent_{channel}"] & (rows[f"suppressed_{channel}"] == 0)
        for channel in CONTACT_CHANNELS
    }
    return rows.mutate(**agreed).drop(*names)


def _with_responses(
    rows: Any, tables: Mapping[str, Any], as_of: datetime, policy: ResponsePolicy, time_zone: str | None
) -> Any:
    own = None if time_zone is None else responses.own(tables, as_of, policy)
    hours = None if time_zone is None else responses.hours(tables, as_of, policy, time_zone)
    parts = (
        (own, dict.fromkeys(responses.OWN_COUNTS, ibis.literal(0, "int64"))),
        (hours, {"contact_hour": _unknown("int64"), "contact_hour_is_own": ibis.literal(False)}),
    )
    for part, absent in parts:
        rows = rows.mutate(**absent) if part is None else _join(rows, part, absent)
    return rows


def _join(rows: Any, part: Any, absent: Mapping[str, Any]) -> Any:
    joined = rows.left_join(part, "customer_id").drop("customer_id_right")
    return joined.mutate(**{name: ibis.coalesce(joined[name], value) for name, value in absent.items()})


def _unknown(kind: str) -> Any:
    return ibis.null().cast(kind)


def _age(birth_date: Any, as_of: datetime) -> Any:
    today = naive_utc(as_of).date()
    before_birthday = (birth_date.month() * 100 + birth_date.day()) > (today.month * 100 + today.day)
    return (ibis.literal(today.year) - birth_date.year() - before_birthday.cast("int64")).cast("int64")


def _debts(tables: Mapping[str, Any], as_of: datetime, settings: RecommendationSettings) -> Any:
    if settings.assumptions.debts_from == "own_loans":
        return _own_instalments(tables, as_of)
    if "bureau" not in tables:
        return None
    known = tables["bureau"].filter(lambda row: row.reported_at <= instant(as_of))
    return known.group_by("customer_id").agg(debts_minor=known.instalments_monthly_minor.argmax(known.reported_at))


def _own_instalments(tables: Mapping[str, Any], as_of: datetime) -> Any:
    """Sum the instalments of approved loans whose term has not run out; nothing owed is a known nothing."""
    everyone = tables["customers"].select("customer_id")
    if "applications" not in tables:
        return everyone.mutate(debts_minor=ibis.literal(0, "int64"))
    loans = tables["applications"]
    running = loans.filter(
        (loans.decision == "approved")
        & (loans.decided_at <= instant(as_of))
        # 31 days and a month to spare: a loan counts at least until its last instalment
        & (-loans.decided_at.date().delta(naive_utc(as_of).date(), unit="day") <= (loans.term_months + 1) * 31)
    )
    owed = running.group_by("customer_id").agg(debts_minor=running.instalment_minor.sum())
    joined = everyone.left_join(owed, "customer_id").drop("customer_id_right")
    return joined.mutate(debts_minor=joined.debts_minor.fill_null(0).cast("int64"))


def opted_out(tables: Mapping[str, Any], as_of: datetime) -> Any:
    """Return the consents (customer_id, channel) that an unsubscription or a complaint about a contact outweighs.

    None where the bank has no table of consents or of feedback.
    """
    if "consents" not in tables or "offers_feedback" not in tables:
        return None
    latest = _latest_consents(tables, as_of)
    return latest.filter(latest.taken_back).select("customer_id", "channel")


def _consents(tables: Mapping[str, Any], as_of: datetime) -> Any:
    """Give the latest answer for marketing in each channel, unless it ran out or the customer opted out since."""
    if "consents" not in tables:
        return None
    latest = _latest_consents(tables, as_of)
    return latest.group_by("customer_id").agg(
        **{
            f"consent_{channel}": (latest.holds & (latest.channel == channel)).cast("int8").max() == 1
            for channel in CONTACT_CHANNELS
        }
    )


def _latest_consents(tables: Mapping[str, Any], as_of: datetime) -> Any:
    now = instant(as_of)
    answers = tables["consents"].filter(lambda row: (row.purpose == MARKETING) & (row.recorded_at <= now))
    # one truth value before the aggregate: argmax passes over rows whose value is null, such as an open-ended consent
    answers = answers.mutate(holds=answers.granted & (answers.expires_at.isnull() | (answers.expires_at > now)))
    latest = answers.group_by("customer_id", "channel").agg(
        holds=answers.holds.argmax(answers.recorded_at), answered_at=answers.recorded_at.max()
    )
    return _without_opt_outs(latest, tables, now)


def _without_opt_outs(latest: Any, tables: Mapping[str, Any], now: Any) -> Any:
    """Let an unsubscription or a complaint about a contact outweigh every consent that is not newer."""
    if "offers_feedback" not in tables:
        return latest
    words = tables["offers_feedback"].filter(
        lambda row: row.event.isin(["unsubscribed", "complained"]) & (row.occurred_at <= now)
    )
    opted_out = words.group_by("customer_id", "channel").agg(opted_out_at=words.occurred_at.max())
    joined = latest.left_join(opted_out, ["customer_id", "channel"]).drop("customer_id_right", "channel_right")
    stands = joined.opted_out_at.isnull() | (joined.opted_out_at < joined.answered_at)
    return joined.mutate(holds=joined.holds & stands, taken_back=joined.holds & ~stands).drop("opted_out_at")
