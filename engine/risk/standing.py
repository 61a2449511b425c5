"""How every customer stands with the bank as of an instant: identity check, complaints, delays, defaults, warnings.

What other systems of the bank know (collections, fraud, care for vulnerable customers) comes through the table
`standing`, whose newest row by the instant holds. Without that table nothing is known of them, and nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import ibis

from engine.config.credit import StagingSettings
from engine.lake.schema import instant

Tables = Mapping[str, Any]

WARNINGS: Final = ("in_collections", "vulnerable", "hardship", "fraud_block")


def standing(tables: Tables, as_of: datetime, settings: StagingSettings, contact_window_days: int) -> Any:
    """Return one row per customer joined by the instant.

    Columns: customer_id; kyc_ok (null when nothing is known) and kyc_expires_at, the end of the last day on which the
    check holds; has_complaint; days_past_due (own records, null when there are none); delay_elsewhere_days (the worst
    of 12 months at all lenders, null when unknown or not asked for); has_defaulted (on a loan here, lately); the flags
    of WARNINGS; income_minor, dependants and debts_minor (instalments a month), null when unknown.
    """
    customers, moment = tables["customers"], instant(as_of)
    people = customers.filter(customers.joined_at <= moment)
    rows = people.select(
        "customer_id",
        kyc_ok=people.kyc_status == "verified",
        kyc_expires_at=people.kyc_expires_on.cast("timestamp(6)") + ibis.interval(days=1),
        income_minor=people.income_monthly_minor,
        dependants=people.dependants,
    )
    return (
        rows.pipe(_with, _complaints(tables, moment), {"has_complaint": ibis.literal(False)})
        .pipe(_with, _bureau(tables, moment, settings), {"delay_elsewhere_days": _null(), "debts_minor": _null()})
        .pipe(_with, _defaults(tables, moment, settings), {"has_defaulted": ibis.literal(False)})
        .pipe(
            _with,
            _contacts(tables, moment, contact_window_days),
            {"contacts": ibis.literal(0, "int64"), "last_contact_at": ibis.null("timestamp(6)")},
        )
        .pipe(_with, _own_records(tables, moment), {"days_past_due": _null(), **dict.fromkeys(WARNINGS, _no())})
    )


def _with(rows: Any, part: Any, absent: Mapping[str, Any]) -> Any:
    """Add the columns of a part by customer; where the part has no row, or is not there at all, what is given holds."""
    if part is None:
        return rows.mutate(**absent)
    joined = rows.left_join(part, "customer_id").drop("customer_id_right")
    return joined.mutate(**{name: joined[name].coalesce(value) for name, value in absent.items()})


def _complaints(tables: Tables, moment: Any) -> Any:
    if "interactions" not in tables:
        return None
    unsettled = tables["interactions"].filter(
        lambda row: (
            (row.kind == "complaint")
            & (row.occurred_at <= moment)
            & (row.resolved_at.isnull() | (row.resolved_at > moment))
        )
    )
    return unsettled.group_by("customer_id").agg(has_complaint=unsettled.count() > 0)


def _bureau(tables: Tables, moment: Any, settings: StagingSettings) -> Any:
    if "bureau" not in tables:
        return None
    known = tables["bureau"].filter(lambda row: row.reported_at <= moment)
    delay = known.worst_days_past_due_12m if settings.delay_from_bureau else _null()
    known = known.mutate(delay=delay)
    return known.group_by("customer_id").agg(
        # argmax passes over an empty value, and an older record must not speak where the newest is silent
        delay_elsewhere_days=known.delay.fill_null(-1).argmax(known.reported_at).nullif(-1),
        debts_minor=known.instalments_monthly_minor.fill_null(-1).argmax(known.reported_at).nullif(-1),
    )


def _defaults(tables: Tables, moment: Any, settings: StagingSettings) -> Any:
    if "outcomes" not in tables:
        return None
    since = moment - ibis.interval(months=settings.default_memory_months)
    lately = tables["outcomes"].filter(lambda row: (row.defaulted_at <= moment) & (row.defaulted_at > since))
    return lately.group_by("customer_id").agg(has_defaulted=lately.count() > 0)


def _contacts(tables: Tables, moment: Any, window_days: int) -> Any:
    if "offers_feedback" not in tables:
        return None
    sent = tables["offers_feedback"].filter(lambda row: (row.event == "sent") & (row.occurred_at <= moment))
    recent = (sent.occurred_at > moment - ibis.interval(days=window_days)).cast("int64")
    return sent.group_by("customer_id").agg(contacts=recent.sum().cast("int64"), last_contact_at=sent.occurred_at.max())


def _own_records(tables: Tables, moment: Any) -> Any:
    if "standing" not in tables:
        return None
    known = tables["standing"].filter(lambda row: row.reported_at <= moment)
    newest = known.group_by("customer_id").agg(newest_at=known.reported_at.max())
    same = (known.customer_id == newest.customer_id) & (known.reported_at == newest.newest_at)
    rows = known.inner_join(newest, same)
    return rows.select("customer_id", "days_past_due", **{name: rows[name].fill_null(False) for name in WARNINGS})


def _null() -> Any:
    return ibis.null("int64")


def _no() -> Any:
    return ibis.literal(False)
