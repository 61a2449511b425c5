"""Whom a catalogue and its policies leave with nothing: products that nobody can be offered, and by which gate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.config.recommendations import RecommendationSettings
from engine.recommendations.gates import GATES
from engine.recommendations.products import Catalogue

EVERYTHING = "*"
"""Stands for all products."""


_CIRCLE: Final = "needs a product first that in the end needs this one"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutOut:
    """A product that nobody can be offered, EVERYTHING for all, the gate that sees to it, and what to do."""

    product_id: str
    gate: str
    sentence: str


def shut_out(catalogue: Catalogue, policies: RecommendationSettings) -> tuple[ShutOut, ...]:
    """Return what can be told of the catalogue and the policies alone, without a customer."""
    return (
        *_by_policy(policies),
        *(one for at in range(catalogue.size) for one in _of_product(catalogue, policies, at)),
    )


def _by_policy(policies: RecommendationSettings) -> Iterator[ShutOut]:
    for name, cap in policies.contact.caps.items():
        if cap.max_contacts == 0 and cap.per != "channel":
            gate = "contact_cap" if cap.per == "customer" else "household_cap"
            yield ShutOut(
                product_id=EVERYTHING,
                gate=gate,
                sentence=f"The cap {name} allows 0 contacts, so that {gate} refuses everything to everybody. Raise it.",
            )


def _of_product(catalogue: Catalogue, policies: RecommendationSettings, at: int) -> Iterator[ShutOut]:
    product = catalogue.product_ids[at]
    for gate, wrong, why, remedy in (*_terms(catalogue, at), *_customers(catalogue, policies, at)):
        if wrong:
            whom = "whoever does not hold one of them" if why == _CIRCLE else "everybody"
            sentence = f"{product} {why}, so that {gate} refuses it to {whom}. {remedy}"
            yield ShutOut(product_id=product, gate=gate, sentence=sentence)


def _terms(catalogue: Catalogue, at: int) -> Iterator[tuple[str, bool, str, str]]:
    lent = bool(catalogue.is_credit[at])
    yield (
        "negative_value",
        bool(np.isnan(catalogue.margin[at])),
        "has no margin and its value is unknown",
        "Give it annual_margin_minor, or an offer that names one.",
    )
    yield (
        "negative_value",
        lent and bool(np.isnan(catalogue.lgd[at]) or np.isnan(catalogue.amount[at])),
        "is credit without an LGD or an amount, and what may be lost on it is unknown",
        "Give it lgd and typical_amount_minor.",
    )
    yield (
        "affordability",
        lent and bool(np.isnan(catalogue.instalment[at])),
        "is credit whose monthly instalment is unknown",
        "Give it typical_amount_minor, annual_rate and, unless it revolves, typical_term_months.",
    )
    yield "not_on_sale", not catalogue.on_sale[at], "is not on sale on this day", "Mend the dates, or take it out."


def _customers(catalogue: Catalogue, policies: RecommendationSettings, at: int) -> Iterator[tuple[str, bool, str, str]]:
    least, most, needs = catalogue.min_age[at], catalogue.max_age[at], int(catalogue.needs[at])
    yield (
        "age",
        bool(least > most),
        f"is for customers of at least {least:g} and at most {most:g} years",
        "Mend min_age or max_age.",
    )
    yield (
        "prerequisite",
        needs == -2,
        "needs a product first that the bank does not sell",
        "Mend requires_product_id, or sell that product.",
    )
    yield (
        "prerequisite",
        _needs_itself(catalogue, at),
        _CIRCLE,
        "Mend requires_product_id of one of them.",
    )
    years = catalogue.term_months[at] / 12
    latest = policies.gates.max_age_at_term_end
    youngest = 0.0 if np.isnan(least) else least
    yield (
        "term_too_long",
        bool(catalogue.is_credit[at] and years > 0 and youngest + years > latest),
        f"runs for {years:g} years from the age of {youngest:g}, beyond {latest:g}",
        "Shorten the term or raise max_age_at_term_end.",
    )


def _needs_itself(catalogue: Catalogue, at: int) -> bool:
    seen, place = set[int](), int(catalogue.needs[at])
    while place >= 0 and place not in seen:
        if place == at:
            return not catalogue.multiple[at]
        seen.add(place)
        place = int(catalogue.needs[place])
    return False


def nobody(masks: NDArray[np.uint64], catalogue: Catalogue) -> tuple[ShutOut, ...]:
    """Return the products that no customer of a block passes for, with the gate that refuses all of them or most.

    `masks` are those of `decide`, shape (n, P); without customers there is nothing to tell.
    """
    found = []
    for at, product in enumerate(catalogue.product_ids):
        column = masks[:, at]
        if not len(column) or (column == 0).any():
            continue
        counts = [int(((column >> np.uint64(bit)) & np.uint64(1)).sum()) for bit in range(len(GATES))]
        worst = int(np.argmax(counts))
        share = counts[worst] / len(column)
        does = "refuses it to all" if share == 1 else f"refuses it to {share:.0%}, other gates to the rest"
        sentence = f"Nobody of {len(column):,} customers may be offered {product}: {GATES[worst].name} {does}."
        found.append(ShutOut(product_id=product, gate=GATES[worst].name, sentence=sentence))
    return tuple(found)
