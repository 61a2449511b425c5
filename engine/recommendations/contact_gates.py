"""The gates of the contact policy, in the order of their bits.

The list is closed: others have the bits after it, so a new gate goes to the end of the last list in `gates.py`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.recommendations import contact
from engine.recommendations.columns import any_of
from engine.recommendations.frame import Flags
from engine.recommendations.gate import Case, Gate


def cap(case: Case) -> Flags:
    """Say whether a cap per customer is used up, shape (n, 1); its bit is older than the other gates here."""
    return contact.over_cap(case.block.contacts, case.settings.contact, "customer")[:, None]


def _channels(case: Case) -> Flags:
    agreed = case.block.consent
    left = contact.open_channels(agreed, case.block.contacts, case.settings)
    # who agreed to no channel at all is refused for that
    refused: Flags = any_of(agreed) & ~any_of(left)
    return refused[:, None]


def _household(case: Case) -> Flags:
    return contact.over_cap(case.block.contacts, case.settings.contact, "household")[:, None]


def _after_complaint(case: Case) -> Flags:
    quiet: Flags = case.block.days_since_complaint < case.settings.contact.quiet_after_complaint_days
    return quiet[:, None]


def _after_contact(case: Case) -> Flags:
    quiet: Flags = case.block.days_since_contact < case.settings.contact.quiet_after_contact_days
    return quiet[:, None]


def _fatigue(case: Case) -> Flags:
    tired: Flags = case.block.unanswered >= case.settings.contact.fatigue.max_unanswered
    return tired[:, None]


def _no_contacts(case: Case) -> Flags:
    known = ~any_of(np.isnan(case.block.contacts)) & ~np.isnan(case.block.unanswered)
    refused: Flags = ~(known & ~np.isnan(case.block.days_since_contact))
    return refused[:, None]


def _no_complaints(case: Case) -> Flags:
    asked = case.settings.contact.quiet_after_complaint_days > 0
    # a policy without that quiet period does not ask
    unknown: Flags = np.isnan(case.block.days_since_complaint) & np.bool_(asked)
    return unknown[:, None]


GATES: Final = (
    Gate(
        name="channel_cap",
        kind="contact",
        reason_code="CHANNEL_CAP",
        text_en="Every channel that the customer agreed to was used as often as the policy allows.",
        text_zh="客户同意的各渠道触达次数均已达上限。",
        refuses=_channels,
    ),
    Gate(
        name="household_cap",
        kind="contact",
        reason_code="HOUSEHOLD_CAP",
        text_en="The household was contacted as often as the policy allows.",
        text_zh="该家庭的触达次数已达上限。",
        refuses=_household,
    ),
    Gate(
        name="quiet_after_complaint",
        kind="contact",
        reason_code="QUIET_AFTER_COMPLAINT",
        text_en="The customer complained lately: the quiet period has not passed.",
        text_zh="客户近期曾投诉，静默期未满。",
        refuses=_after_complaint,
    ),
    Gate(
        name="quiet_after_contact",
        kind="contact",
        reason_code="QUIET_AFTER_CONTACT",
        text_en="The customer was contacted a moment ago: the quiet period has not passed.",
        text_zh="刚刚触达过客户，静默期未满。",
        refuses=_after_contact,
    ),
    Gate(
        name="contact_fatigue",
        kind="contact",
        reason_code="CONTACT_FATIGUE",
        text_en="The customer left too many contacts in a row without an answer.",
        text_zh="客户连续多次未回应触达。",
        refuses=_fatigue,
    ),
    Gate(
        name="contact_history",
        kind="contact",
        reason_code="CONTACT_HISTORY_MISSING",
        text_en="There is no record of earlier contacts, so nobody can tell whether one more is allowed.",
        text_zh="没有以往触达的记录，无法判断可否再次触达。",
        refuses=_no_contacts,
    ),
    Gate(
        name="complaint_history",
        kind="complaint",
        reason_code="COMPLAINT_HISTORY_MISSING",
        text_en="There is no record of complaints, so nobody can tell whether the quiet period has passed.",
        text_zh="没有投诉记录，无法判断静默期是否已满。",
        refuses=_no_complaints,
    ),
)
