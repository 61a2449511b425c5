"""The contact policy: what the ledger of contacts says of each customer, and whether one more contact is allowed.

The ledger is the curated table offers_feedback, beside complaints in interactions. `reading` sums it up once, in the
backend, to one row per customer; a batch and a single customer are decided from the same row, so they agree to the bit.
All sums are counts of rows or latest instants: in which order the rows come changes nothing, and a row later than the
instant is never seen. A message that bounced counts as a contact: the bank tried.

Caps count contacts made before the instant, and no row of a decision looks at another: where members of one household
would use up its cap together in one run, `households` says who gives way. All that a run sends to one customer, however
many offers, is one contact on one channel, which is what the caps count once it was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import ibis
import numpy as np
from numpy.typing import NDArray

from engine.config.contact import ContactCap, ContactPolicy
from engine.config.recommendations import RecommendationSettings
from engine.lake.schema import instant
from engine.recommendations.columns import any_of

CONTACTS: Final = "offers_feedback"
COMPLAINTS: Final = "interactions"
ANSWERS: Final = ("opened", "clicked", "converted")
"""Feedback that shows that a contact was noticed."""

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


def column(cap: str) -> str:
    """Return the column of a reading that counts against a cap."""
    return f"contacts_{cap}"


def reading(
    tables: Mapping[str, Any], as_of: datetime, policy: ContactPolicy, empty_histories: tuple[str, ...] = ()
) -> Any:
    """Return what the ledger says at an instant, one row per customer of the table customers.

    Columns: customer_id; `contacts_<cap>`, contacts that count against each cap (for a household those of all its
    members; a customer without a household is one alone); last_contact_at and last_complaint_at, null for never;
    unanswered, contacts within the window of fatigue that are later than the last answer. Where the bank has no table
    of contacts the first, second and last are null, and where it has none of complaints `complaints_known` is false,
    unless `empty_histories` names that table: then nobody was ever contacted, or nobody ever complained.
    """
    rows = tables["customers"].select("customer_id", "household_id")
    names = [column(name) for name in policy.caps] + ["unanswered"]
    if CONTACTS in tables:
        feedback = tables[CONTACTS].filter(lambda row: row.occurred_at <= instant(as_of))
        rows = _with_contacts(rows, feedback, as_of, policy)
    else:
        nothing = ibis.literal(0, "int64") if CONTACTS in empty_histories else ibis.null().cast("int64")
        rows = rows.mutate(last_contact_at=_never(), **dict.fromkeys(names, nothing))
    rows = _with_complaints(rows, tables, as_of)
    known = COMPLAINTS in tables or COMPLAINTS in empty_histories
    rows = rows.mutate(complaints_known=ibis.literal(known), **{name: rows[name].cast("int64") for name in names})
    return rows.select("customer_id", *names, "last_contact_at", "last_complaint_at", "complaints_known")


def _never() -> Any:
    return ibis.null().cast("timestamp")


def _with_contacts(rows: Any, feedback: Any, as_of: datetime, policy: ContactPolicy) -> Any:
    answered = feedback.group_by("customer_id").agg(
        answered_at=feedback.occurred_at.max(where=feedback.event.isin(ANSWERS))
    )
    sent = feedback.filter(feedback.event == "sent").select("customer_id", "channel", "occurred_at")
    sent = _beside(sent, answered, "customer_id")
    late = sent.answered_at.isnull() | (sent.occurred_at > sent.answered_at)
    own = sent.group_by("customer_id").agg(
        last_contact_at=sent.occurred_at.max(),
        unanswered=sent.count(where=late & _within(sent, as_of, policy.fatigue.window_days)),
        **_counts(sent, policy.caps, as_of),
    )
    names = ["unanswered", *(column(name) for name in policy.caps)]
    rows = _beside(rows, own, "customer_id")
    rows = rows.mutate(**{name: rows[name].fill_null(0) for name in names})
    shared = [column(name) for name in policy.named("household")]
    if not shared:
        return rows
    # sums over customers, not over contacts: a contact of a customer whom the bank does not know belongs to no home
    homes = rows.filter(rows.household_id.notnull())
    homes = homes.group_by("household_id").agg(**{f"{name}_home": homes[name].sum() for name in shared})
    rows = _beside(rows, homes, "household_id")
    return rows.mutate(**{name: rows[f"{name}_home"].coalesce(rows[name]) for name in shared})


def _with_complaints(rows: Any, tables: Mapping[str, Any], as_of: datetime) -> Any:
    """Add the latest complaint: one to the bank about anything, or one in answer to a contact."""
    told = [
        tables[name].filter(tables[name][kind] == word).select("customer_id", "occurred_at")
        for name, kind, word in ((COMPLAINTS, "kind", "complaint"), (CONTACTS, "event", "complained"))
        if name in tables
    ]
    if not told:
        return rows.mutate(last_complaint_at=_never())
    all_told = told[0] if len(told) == 1 else ibis.union(told[0], told[1], distinct=False)
    known = all_told.filter(all_told.occurred_at <= instant(as_of))
    return _beside(rows, known.group_by("customer_id").agg(last_complaint_at=known.occurred_at.max()), "customer_id")


def _counts(sent: Any, caps: Mapping[str, ContactCap], as_of: datetime) -> dict[str, Any]:
    counts = {}
    for name, cap in caps.items():
        counted = _within(sent, as_of, cap.days)
        counts[column(name)] = sent.count(where=counted if cap.channel is None else counted & _on(sent, cap.channel))
    return counts


def _within(sent: Any, as_of: datetime, days: int) -> Any:
    return sent.occurred_at > instant(as_of - timedelta(days=days))


def _on(sent: Any, channel: str) -> Any:
    # a contact whose channel nobody wrote down may have been on any
    return sent.channel.isnull() | (sent.channel == channel)


def _beside(rows: Any, more: Any, key: str) -> Any:
    return rows.left_join(more, key).drop(f"{key}_right")


def over_cap(counts: Floats, policy: ContactPolicy, per: str) -> Flags:
    """Say for each customer whether any cap of a kind is used up, shape (n,).

    `counts` (n, K) is one column per cap in the order of the policy. An unknown count (NaN) is not over a cap: that
    nothing is known is a refusal of its own.
    """
    limits = np.array([cap.max_contacts if cap.per == per else np.inf for cap in policy.caps.values()])
    return any_of(counts >= limits)


def open_channels(agreed: Flags, counts: Floats, settings: RecommendationSettings) -> Flags:
    """Return the channels, of those agreed to, on which no cap is used up; shape (n, C), in the order of their costs.

    `agreed` is (n, C), `counts` as of `over_cap`.
    """
    left = agreed.copy()
    for place, channel in enumerate(settings.contact_cost_minor):
        for counted, cap in enumerate(settings.contact.caps.values()):
            if cap.channel == channel:
                left[:, place] &= ~(counts[:, counted] >= cap.max_contacts)
    return left


def response_kept(unanswered: Floats, policy: ContactPolicy) -> Floats:
    """Return the share of the usual response that is left after contacts without an answer, shape (n,).

    Where it is not known how many there were it is 1: the offer is refused for that, and its value is still told.
    Taken from a table of powers, since the power of many numbers at a time need not have the bits of one.
    """
    most = policy.fatigue.max_unanswered
    shares = np.array([policy.fatigue.response_kept**count for count in range(most + 1)])
    # after the most nothing is offered anyway
    kept: Floats = shares[np.nan_to_num(np.minimum(unanswered, most)).astype(np.int64)]
    return kept
