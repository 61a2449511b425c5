"""What could be otherwise about a decision: one change to what a customer is, or to a product, and how it is applied.

A change is made to the very inputs of `decide`, so that whoever doubts an explanation can decide again with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from engine.domain.risk_gate import BITS
from engine.domain.words import PRODUCT_FAMILIES
from engine.recommendations.bundle import Bundle
from engine.recommendations.frame import DecisionBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change: of what (`lever`, and `subject` where there are several), from which value to which.

    Truth values are 0 and 1, NaN is unknown. `step` is the smallest change that counts, in the unit of the value; 0
    where it is a yes or no. `direction` is 1 or -1 where the value was unknown: the way in which a change is larger.
    `within_days` says by when time alone brings it about at the latest, NaN where it does not.
    """

    lever: str
    subject: str = ""
    then: float
    now: float
    step: float = 0.0
    direction: float = 0.0
    within_days: float = float("nan")

    @property
    def by(self) -> float:
        """How much the value changes; NaN from unknown."""
        return self.now - self.then

    def smaller(self) -> Change:
        """Return the change less one step; of a yes or no there is nothing smaller."""
        return replace(self, now=float(self.now - (self.direction or np.sign(self.by)) * self.step))


def apply(block: DecisionBlock, bundle: Bundle, *changes: Change) -> tuple[DecisionBlock, Bundle]:
    """Return a block of one customer and a bundle with the changes made."""
    for change in changes:
        if change.lever in _OF_PRODUCT:
            bundle = _with_product(bundle, change)
        else:
            block = with_values(block, bundle, change, np.array([change.now]))
    return block, bundle


def with_margins(block: DecisionBlock, bundle: Bundle, product: str, values: Any) -> tuple[DecisionBlock, Bundle]:
    """Return one customer as often as there are values, each time with another margin of a product."""
    place = bundle.catalogue.product_ids.index(product)
    margin = np.repeat(bundle.catalogue.margin[None, :], len(values), axis=0)
    margin[:, place] = values
    many = block.rows(np.zeros(len(values), dtype=np.int64))
    return many, replace(bundle, catalogue=replace(bundle.catalogue, margin=margin))


def with_values(block: DecisionBlock, bundle: Bundle, change: Change, values: Any) -> DecisionBlock:
    """Return one customer as often as there are values, each time with another value of what a change is about."""
    many = block.rows(np.zeros(len(values), dtype=np.int64))
    setter = _SETTERS.get(change.lever)
    if setter is None:
        changed: dict[str, Any] = {change.lever: np.asarray(values).astype(getattr(many, change.lever).dtype)}
        return replace(many, **changed)
    return setter(many, bundle, change.subject, np.asarray(values, dtype=np.float64))


def _with_product(bundle: Bundle, change: Change) -> Bundle:
    catalogue = bundle.catalogue
    column = getattr(catalogue, change.lever).copy()
    column[catalogue.product_ids.index(change.subject)] = change.now
    return replace(bundle, catalogue=replace(catalogue, **{change.lever: column}))


_OF_PRODUCT: Final = ("margin", "on_sale", "under_review")


def _owned(block: DecisionBlock, bundle: Bundle, product: str, values: Any) -> DecisionBlock:
    owned = block.view.owned.copy()
    owned[:, bundle.catalogue.product_ids.index(product)] = values != 0
    return replace(block, view=replace(block.view, owned=owned))


def _consent(block: DecisionBlock, bundle: Bundle, channel: str, values: Any) -> DecisionBlock:
    consent = block.consent.copy()
    consent[:, list[str](bundle.settings.contact_cost_minor).index(channel)] = values != 0
    return replace(block, consent=consent)


def _contacts(block: DecisionBlock, bundle: Bundle, cap: str, values: Any) -> DecisionBlock:
    contacts = block.contacts.copy()
    contacts[:, list(bundle.settings.contact.caps).index(cap)] = values
    return replace(block, contacts=contacts)


def _more_contacts(block: DecisionBlock, bundle: Bundle, _: str, values: Any) -> DecisionBlock:
    """Add contacts on a channel without a cap of its own: they count for the customer and the household."""
    contacts = block.contacts.copy()
    for place, cap in enumerate(bundle.settings.contact.caps.values()):
        if cap.channel is None:
            contacts[:, place] += values
    return replace(block, contacts=contacts)


def _no_contacts(block: DecisionBlock, _: Bundle, __: str, ___: Any) -> DecisionBlock:
    known: dict[str, Any] = {
        "contacts": np.nan_to_num(block.contacts),
        "unanswered": np.nan_to_num(block.unanswered),
        "days_since_contact": np.where(np.isnan(block.days_since_contact), np.inf, block.days_since_contact),
    }
    return replace(block, **known)


def _no_complaints(block: DecisionBlock, _: Bundle, __: str, ___: Any) -> DecisionBlock:
    days = block.days_since_complaint
    return replace(block, days_since_complaint=np.where(np.isnan(days), np.inf, days))


def _gate_reason(block: DecisionBlock, _: Bundle, reason: str, __: Any) -> DecisionBlock:
    return replace(block, gate_reasons=block.gate_reasons & ~np.int64(1 << BITS[reason]))


def _family(name: str) -> Setter:
    def cleared(block: DecisionBlock, _: Bundle, family: str, __: Any) -> DecisionBlock:
        kept: dict[str, Any] = {name: getattr(block, name) & ~np.int64(1 << PRODUCT_FAMILIES.index(family))}
        return replace(block, **kept)

    return cleared


def _margin_rate(block: DecisionBlock, _: Bundle, family: str, values: Any) -> DecisionBlock:
    rates = block.credit.margin_rate.copy()
    rates[:, PRODUCT_FAMILIES.index(family)] = values
    return replace(block, credit=replace(block.credit, margin_rate=rates))


Setter = Callable[[DecisionBlock, Bundle, str, Any], DecisionBlock]
_SETTERS: Final[Mapping[str, Setter]] = {
    "owned": _owned,
    "consent": _consent,
    "contacts": _contacts,
    "more_contacts": _more_contacts,
    "contact_history": _no_contacts,
    "complaint_history": _no_complaints,
    "gate_reason": _gate_reason,
    "tier_family": _family("tier_families"),
    "held_family": _family("held_families"),
    "margin_rate": _margin_rate,
}
