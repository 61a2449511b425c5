"""A block as it stands now: what a run counted of its customers, and what happened to them since.

What happened since only adds contacts, takes consents away and lets answers of risk run out, never the other way round:
what the run counted stands until the next one, even where a window has moved on. So an answer between two runs can be
stricter than the run's and never looser, and where nothing happened it has the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from engine.config.contact import ContactPolicy
from engine.recommendations import columns
from engine.recommendations.frame import DecisionBlock, Flags, Floats

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One contact that no run has counted; `channel` None is one that nobody knows, which counts on all."""

    customer_id: str
    channel: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """One cause not to contact a customer on a channel, on all where it is None; `complained` of a contact, or not."""

    channel: str | None
    since: datetime
    complained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What happened to one customer since the run: plain numbers, which a ledger keeps and a replay reads.

    `contacts` has one number for each cap in the order of the policy, `unanswered` those within the window of fatigue;
    days are before the instant of the decision, None for never; `suppressed` names channels in their usual order.
    """

    contacts: tuple[int, ...]
    unanswered: int
    days_since_contact: float | None
    days_since_complaint: float | None
    suppressed: tuple[str, ...]


_NOTHING: Final[dict[str, Any]] = {
    "unanswered": 0,
    "days_since_contact": None,
    "days_since_complaint": None,
    "suppressed": (),
}


def since(
    own: Sequence[Contact],
    home: Sequence[Contact],
    suppressed: Sequence[Suppressed],
    *,
    policy: ContactPolicy,
    channels: Sequence[str],
    now: datetime,
) -> Since:
    """Sum up what happened to one customer: `own` contacts, those of the whole household, and what suppresses.

    A contact dated later than `now`, by a clock that runs ahead, counts as one made now.
    """
    if not home and not own and not suppressed:
        return Since(contacts=(0,) * len(policy.caps), **_NOTHING)
    contacts = []
    for cap in policy.caps.values():
        begins = now - timedelta(days=cap.days)
        counted = home if cap.per == "household" else own
        # as in the run's own count: a contact on a channel that nobody wrote down may have been on any
        contacts.append(
            sum(one.at > begins and (cap.channel is None or one.channel in (None, cap.channel)) for one in counted)
        )
    fatigue_begins = now - timedelta(days=policy.fatigue.window_days)
    complaints = [one.since for one in suppressed if one.complained]
    closed = {one.channel for one in suppressed}
    return Since(
        contacts=tuple(contacts),
        unanswered=sum(one.at > fatigue_begins for one in own),
        days_since_contact=_days(max((one.at for one in own), default=None), now),
        days_since_complaint=_days(max(complaints, default=None), now),
        suppressed=tuple(name for name in channels if None in closed or name in closed),
    )


def _days(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max((now - moment) / _DAY, 0.0)


def as_it_stands(
    block: DecisionBlock, happened: Sequence[Since], channels: Sequence[str], moments: Sequence[datetime]
) -> DecisionBlock:
    """Return the block with what happened to each customer until that customer's moment; no row sees another.

    What the run does not know stays unknown: a contact more does not make a history of contacts.
    """
    until = np.array([columns.naive(moment) for moment in moments], dtype="datetime64[us]")
    lately = _or_never([one.days_since_contact for one in happened])
    closed: Flags = np.array([[name in one.suppressed for name in channels] for one in happened], dtype=bool)
    return replace(
        block,
        contacts=block.contacts + np.array([one.contacts for one in happened], dtype=np.float64),
        unanswered=block.unanswered + np.array([one.unanswered for one in happened], dtype=np.float64),
        days_since_contact=np.minimum(block.days_since_contact, lately),
        days_since_complaint=_complaints(block, happened),
        consent=block.consent & ~closed,
        # a comparison with NaT is false: an answer that says no end does not hold
        is_answered=block.is_answered & (block.gate_expires_at >= until),
    )


def _complaints(block: DecisionBlock, happened: Sequence[Since]) -> Floats:
    told = _or_never([one.days_since_complaint for one in happened])
    # a complaint that is known counts even where the bank keeps no record of complaints
    known: Floats = np.where(np.isfinite(told), np.fmin(block.days_since_complaint, told), block.days_since_complaint)
    return known


def _or_never(days: Sequence[float | None]) -> Floats:
    return np.array([np.inf if one is None else one for one in days], dtype=np.float64)
