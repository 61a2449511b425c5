"""Who of a group may be contacted, whatever for: the run's own gates on a customer, step by step.

Only gates that ask about the customer are looked at here, those about a product being another question. A channel that
is not meant counts as one that the customer did not agree to, so that the same gates answer for any choice of channels.
Every customer is looked at alone: that a household's contacts may not be enough for all its members is found when a run
decides who is contacted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from engine.config.recommendations import RecommendationSettings
from engine.recommendations.frame import DecisionBlock, Flags, Integers
from engine.recommendations.gate import Case, Gate
from engine.recommendations.gates import GATES, Masks
from engine.recommendations.products import Catalogue

STEPS: Final = ("consent", "suppression", "contact", "risk")
"""In the order in which they remove customers."""

OPTED_OUT: Final = 60
CONTROL_GROUP: Final = 61
NOT_DECIDED: Final = 62
"""Bits of the reasons that are no gates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a customer is not reached: its step, its bit (that of its gate), its code and sentences."""

    step: str
    bit: int
    code: str
    text_en: str
    text_zh: str


def _of(step: str, *names: str) -> tuple[Reason, ...]:
    known = {gate.name: (bit, gate) for bit, gate in enumerate(GATES)}
    return tuple(_reason(step, *known[name]) for name in names)


def _reason(step: str, bit: int, gate: Gate) -> Reason:
    return Reason(step=step, bit=bit, code=gate.reason_code, text_en=gate.text_en, text_zh=gate.text_zh)


REASONS: Final = (
    *_of("consent", "consent"),
    Reason(
        step="suppression",
        bit=OPTED_OUT,
        code="OPTED_OUT",
        text_en="The customer agreed once, and unsubscribed or complained about a contact since.",
        text_zh="客户曾授权，其后退订或投诉过触达。",
    ),
    *_of("suppression", "relationship_open"),
    Reason(
        step="suppression",
        bit=CONTROL_GROUP,
        code="CONTROL_GROUP",
        text_en="The customer is in the control group, which is kept out of offers.",
        text_zh="客户属于不作推荐的对照组。",
    ),
    Reason(
        step="suppression",
        bit=NOT_DECIDED,
        code="NOT_DECIDED",
        text_en="The run decided nothing on the customer, so nobody can tell whether a contact is allowed.",
        text_zh="本次运行未对该客户作出决策，无法判断可否触达。",
    ),
    *_of("contact", "contact_cap", "channel_cap", "household_cap", "quiet_after_complaint", "quiet_after_contact"),
    *_of("contact", "contact_fatigue", "contact_history", "complaint_history"),
    *_of("risk", "kyc", "open_complaint", "risk_hold", "risk_answer", "treatment_waits"),
)
"""Every reason in the order in which it comes first; within a step as in the gates."""

_BITS: Final = np.array([one.bit for one in REASONS], dtype=np.uint64)
_CONSENT: Final = REASONS[0].bit


def masks(
    block: DecisionBlock,
    catalogue: Catalogue,
    settings: RecommendationSettings,
    channels: Sequence[str],
    *,
    opted_out: Flags,
    held_out: Flags,
) -> Masks:
    """Return the reasons not to contact each customer on any of some channels, shape (n,); 0 is reachable.

    Parameters
    ----------
    channels : those that are meant, of the settings'.
    opted_out : shape (n, C), the channels on which a consent was taken back by an unsubscription or complaint.
    held_out : shape (n,), who is kept out of offers to measure what they bring.
    """
    meant = np.array([name in channels for name in settings.contact_cost_minor])
    narrowed = replace(block, consent=block.consent & meant)
    found = _gates(narrowed, catalogue, settings)
    # whose consent was taken back is refused for that, not for never having agreed
    refused = (found >> np.uint64(_CONSENT) & np.uint64(1)).astype(bool)
    left = refused & np.any(opted_out & meant, axis=1)
    found = np.where(left, found & ~np.uint64(1 << _CONSENT), found)
    found |= left.astype(np.uint64) << np.uint64(OPTED_OUT)
    return found | held_out.astype(np.uint64) << np.uint64(CONTROL_GROUP)


def first(reasons: Masks) -> Integers:
    """Return the place in REASONS of each customer's first reason, shape (n,); -1 for who is reachable."""
    said = (reasons[:, None] >> _BITS & np.uint64(1)).astype(bool)
    return np.where(said.any(axis=1), said.argmax(axis=1), -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """How many of a group are removed by each reason as the first, and to how many it applies at all; shape (R,)."""

    members: int
    removed: Integers
    refused: Integers

    @property
    def reachable(self) -> int:
        """Who is left at the end."""
        return self.members - int(self.removed.sum())

    def __add__(self, other: Waterfall) -> Waterfall:
        return Waterfall(
            members=self.members + other.members,
            removed=self.removed + other.removed,
            refused=self.refused + other.refused,
        )

    def steps(self) -> Iterator[dict[str, Any]]:
        """Return each step with what it removed, how many are left after it, and its reasons that anybody has."""
        remaining = self.members
        for step in STEPS:
            places = [place for place, one in enumerate(REASONS) if one.step == step]
            removed = int(self.removed[places].sum())
            remaining -= removed
            told = [
                {
                    "reason_code": REASONS[place].code,
                    "removed": int(self.removed[place]),
                    "refused": int(self.refused[place]),
                    "text_en": REASONS[place].text_en,
                    "text_zh": REASONS[place].text_zh,
                }
                for place in places
                if self.refused[place]
            ]
            yield {"step": step, "removed": removed, "remaining": remaining, "reasons": told}


def waterfall(reasons: Masks) -> Waterfall:
    """Count a group by the reasons of its members, given as masks, shape (n,)."""
    removed = np.bincount(first(reasons) + 1, minlength=len(REASONS) + 1)[1:]
    refused = (reasons[:, None] >> _BITS & np.uint64(1)).sum(axis=0).astype(np.int64)
    return Waterfall(members=len(reasons), removed=removed, refused=refused)


def codes(mask: int) -> tuple[str, ...]:
    """Return the codes of the reasons that a mask stands for, the first one first."""
    return tuple(one.code for one in REASONS if mask >> one.bit & 1)


def _gates(block: DecisionBlock, catalogue: Catalogue, settings: RecommendationSettings) -> Masks:
    nothing = np.zeros((block.size, catalogue.size))
    case = Case(block=block, catalogue=catalogue, settings=settings, value=nothing, amount=nothing)
    found = np.zeros(block.size, dtype=np.uint64)
    for one in REASONS:
        if one.bit < len(GATES):
            refused = GATES[one.bit].refuses(case)
            found |= refused[:, 0].astype(np.uint64) << np.uint64(one.bit)
    return found
