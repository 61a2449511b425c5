"""The vocabulary that data, settings, code and screens share."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Stage(StrEnum):
    """Where a customer stands in a journey, in order."""

    AWARENESS = "awareness"
    CONSIDERATION = "consideration"
    DECISION = "decision"
    RETENTION = "retention"


class RiskTier(StrEnum):
    """The risk of lending to a customer; `UNKNOWN` when there is no signal, and the gates then refuse credit."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    UNKNOWN = "unknown"


class JourneyStatus(StrEnum):
    """How a journey stands as of a date: whoever still has time to go on has not dropped off."""

    CONVERTED = "converted"
    DROPPED = "dropped"
    IN_PROGRESS = "in_progress"


CHANNELS: Final = ("web", "app", "branch", "call_centre", "atm", "card", "transfer", "email", "sms")
CONTACT_CHANNELS: Final = ("email", "sms", "phone", "push", "post")
IDENTITY_TYPES: Final = ("cookie", "device", "card", "email", "phone", "account")
KYC_STATUSES: Final = ("verified", "pending", "expired", "failed")
INTERACTION_KINDS: Final = ("complaint", "call", "survey")
APPLICATION_DECISIONS: Final = ("approved", "declined", "withdrawn", "pending")
PRODUCT_FAMILIES: Final = ("account", "deposit", "card", "loan", "mortgage", "insurance", "investment")
FEEDBACK_EVENTS: Final = (
    "sent",
    "delivered",
    "opened",
    "clicked",
    "converted",
    "bounced",
    "unsubscribed",
    "complained",
)
FEEDBACK_TYPES: Final = (*FEEDBACK_EVENTS, "dropped", "failed")
"""What a campaign tool may report; the last two are messages that it never sent, so they are no row of the ledger."""
CATEGORIES: Final = (
    "salary",
    "pension",
    "transfer_in",
    "interest",
    "refund",
    "rent",
    "utilities",
    "groceries",
    "dining",
    "travel",
    "shopping",
    "health",
    "education",
    "cash",
    "fees",
    "instalment",
    "insurance_premium",
    "investment",
    "tax",
    "transfer_out",
)
MARKETING: Final = "marketing"
"""The purpose of consent that an offer needs."""
