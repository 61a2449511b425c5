"""How each gate would open for one customer and one product: the least change that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.recommendations import contact, search
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import assess
from engine.recommendations.frame import DecisionBlock, Flags
from engine.recommendations.gates import GATES
from engine.recommendations.levers import Change, with_values

Opening = Callable[[DecisionBlock, Bundle, int], list[Change]]


def opening(block: DecisionBlock, bundle: Bundle, product: int, gate: str) -> list[Change]:
    """Return what must change for a gate to let a product pass; nothing where no change of this customer would do.

    `block` holds one customer whom the gate refuses.
    """
    known = _OPENINGS.get(gate)
    return known(block, bundle, product) if known else []


def _yes(lever: str, then: float = 0.0) -> Opening:
    return lambda *_: [Change(lever=lever, then=then, now=1.0 - then)]


def _reason(reason: str) -> Opening:
    return lambda *_: [Change(lever="gate_reason", subject=reason, then=1.0, now=0.0)]


def _family(lever: str) -> Opening:
    def cleared(_: DecisionBlock, bundle: Bundle, product: int) -> list[Change]:
        return [Change(lever=lever, subject=bundle.catalogue.families[product], then=1.0, now=0.0)]

    return cleared


def _of_product(lever: str, then: float) -> Opening:
    def changed(_: DecisionBlock, bundle: Bundle, product: int) -> list[Change]:
        return [Change(lever=lever, subject=bundle.catalogue.product_ids[product], then=then, now=1.0 - then)]

    return changed


def _prerequisite(_: DecisionBlock, bundle: Bundle, product: int) -> list[Change]:
    needed = int(bundle.catalogue.needs[product])
    # one that the bank does not sell cannot be held first
    name = bundle.catalogue.product_ids[needed] if needed >= 0 else ""
    return [Change(lever="owned", subject=name, then=0.0, now=1.0)] if name else []


def _consent(block: DecisionBlock, bundle: Bundle, _: int) -> list[Change]:
    everywhere = np.ones_like(block.consent)
    usable = contact.open_channels(everywhere, block.contacts, bundle.settings)[0]
    channels = list(bundle.settings.contact_cost_minor)
    price = np.where(usable, [float(cost) for cost in bundle.settings.contact_cost_minor.values()], np.inf)
    name = channels[int(np.argmin(price))] if usable.any() else channels[0]
    return [Change(lever="consent", subject=name, then=0.0, now=1.0)]


def _age(block: DecisionBlock, bundle: Bundle, product: int) -> list[Change]:
    age, least = float(block.age[0]), float(bundle.catalogue.min_age[product])
    if np.isnan(age):
        most = float(bundle.catalogue.max_age[product])
        # the nearest limit that is set: both may be, but one always is where an unknown age refuses
        return [Change(lever="age", then=age, now=most if np.isnan(least) else least)]
    # nobody grows younger
    return [Change(lever="age", then=age, now=least, step=1.0)] if age < least else []


def _affordability(block: DecisionBlock, bundle: Bundle, product: int) -> list[Change]:
    """Return lower instalments where that is enough, else a higher income: the first takes the smaller amount."""
    bit = np.uint64(1 << [gate.name for gate in GATES].index("affordability"))

    def opens(change: Change, values: NDArray[Any]) -> Flags:
        tried = with_values(block, bundle, change, values.astype(np.float64))
        opened: Flags = (assess(tried, bundle).masks[:, product] & bit) == 0
        return opened

    debts, income = float(block.debts[0]), float(block.income[0])
    lower = Change(lever="debts", then=debts, now=0.0, step=1.0, direction=-1.0)
    higher = Change(lever="income", then=income, now=np.inf, step=1.0, direction=1.0)
    if not np.isnan(income) and opens(lower, np.zeros(1, dtype=np.int64))[0]:
        # the highest debts that the income bears: at 0 it does, at the income it does not
        highest = int(np.ceil(income if np.isnan(debts) else debts))
        fewer = search.least(lambda steps: opens(lower, highest - steps), 1, highest)
        return [] if fewer is None else [replace(lower, now=float(highest - fewer))]
    if np.isnan(debts):
        return []
    start = 0.0 if np.isnan(income) else income
    more = search.least(lambda steps: opens(higher, start + steps), 1, _MOST)
    return [] if more is None else [replace(higher, now=start + more)]


_MOST: Final = 10**14  # minor units a month


def _caps(per: str) -> Opening:
    def lowered(block: DecisionBlock, bundle: Bundle, _: int) -> list[Change]:
        policy = bundle.settings.contact
        wanted = [
            _counted(block, place, name, bundle)
            for place, name in enumerate(policy.caps)
            if policy.caps[name].per == per
        ]
        over = [one for one in wanted if one is not None]
        # a cap of no contacts at all never opens
        return [] if any(one.now < 0 for one in over) else over

    return lowered


def _counted(block: DecisionBlock, place: int, name: str, bundle: Bundle) -> Change | None:
    cap, counted = bundle.settings.contact.caps[name], float(block.contacts[0, place])
    if not counted >= cap.max_contacts:
        return None
    # when the last contact has left the window all have; of a household nobody knows here when that was
    days = float(cap.days) if cap.per == "household" else cap.days - float(block.days_since_contact[0])
    return Change(
        lever="contacts",
        subject=name,
        then=counted,
        now=cap.max_contacts - 1.0,
        step=1.0,
        within_days=max(days, 0.0),
    )


def _channel(block: DecisionBlock, bundle: Bundle, _: int) -> list[Change]:
    """Return what opens the channel that takes the fewest contacts fewer, of equal ones the cheapest."""
    costs, caps = bundle.settings.contact_cost_minor, bundle.settings.contact.caps
    found: list[tuple[float, float, str, list[Change]]] = []
    for place, (channel, cost) in enumerate(costs.items()):
        if not block.consent[0, place]:
            continue
        wanted = [_counted(block, at, name, bundle) for at, name in enumerate(caps) if caps[name].channel == channel]
        over = [one for one in wanted if one is not None]
        if not any(one.now < 0 for one in over):
            found.append((sum(-one.by for one in over), float(cost), channel, over))
    return min(found)[3] if found else []


def _quiet(what: str) -> Opening:
    def passed(block: DecisionBlock, bundle: Bundle, _: int) -> list[Change]:
        then, quiet = (
            float(getattr(block, f"days_since_{what}")[0]),
            getattr(bundle.settings.contact, f"quiet_after_{what}_days"),
        )
        return [
            Change(lever=f"days_since_{what}", then=then, now=float(quiet), step=1e-6, within_days=float(quiet) - then)
        ]

    return passed


def _fatigue(block: DecisionBlock, bundle: Bundle, _: int) -> list[Change]:
    most = bundle.settings.contact.fatigue.max_unanswered
    return [Change(lever="unanswered", then=float(block.unanswered[0]), now=most - 1.0, step=1.0)]


def _less_likely(block: DecisionBlock, bundle: Bundle, _: int) -> list[Change]:
    most = float(np.floor(bundle.settings.gates.max_default_probability / 1e-6) * 1e-6)
    then = float(block.default_probability[0])
    return [Change(lever="default_probability", then=then, now=most, step=1e-6, direction=-1.0)]


def _treated(block: DecisionBlock, _: Bundle, __: int) -> list[Change]:
    days = float(block.days_until_contact[0])
    # without a treatment only risk can say when
    if block.treatment[0] < 0 or not days > 0:
        return []
    return [Change(lever="days_until_contact", then=days, now=0.0, step=1e-6, within_days=days)]


def _offer_channel(block: DecisionBlock, bundle: Bundle, product: int) -> list[Change]:
    """Return a consent on the cheapest channel that the offer may go out on and no cap closes."""
    names = bundle.catalogue.offers
    if names is None:
        return []
    usable = contact.open_channels(np.ones_like(block.consent), block.contacts, bundle.settings)[0]
    costs = [float(cost) for cost in bundle.settings.contact_cost_minor.values()]
    price = np.where(usable & names.channels[product], costs, np.inf)
    if not np.isfinite(price).any():
        return []
    name = list(bundle.settings.contact_cost_minor)[int(np.argmin(price))]
    return [Change(lever="consent", subject=name, then=0.0, now=1.0)]


_OPENINGS: Final[Mapping[str, Opening]] = {
    "relationship_open": _yes("is_open"),
    "consent": _consent,
    "kyc": _reason("kyc"),
    "already_held": _of_product("owned", 1.0),
    "prerequisite": _prerequisite,
    "age": _age,
    "not_on_sale": _of_product("on_sale", 0.0),
    "risk_unknown": _reason("risk_unknown"),
    "risk_stale": _reason("risk_stale"),
    "risk_tier": _family("tier_family"),
    "affordability": _affordability,
    "open_complaint": _reason("open_complaint"),
    "contact_cap": _caps("customer"),
    "risk_hold": _yes("is_held", 1.0),
    "risk_credit": _family("held_family"),
    "risk_answer": _yes("is_answered"),
    "channel_cap": _channel,
    "household_cap": _caps("household"),
    "quiet_after_complaint": _quiet("complaint"),
    "quiet_after_contact": _quiet("contact"),
    "contact_fatigue": _fatigue,
    "contact_history": _yes("contact_history"),
    "complaint_history": _yes("complaint_history"),
    "likely_to_default": _less_likely,
    "treatment_waits": _treated,
    "fairness_review": _of_product("under_review", 1.0),
    "offer_channel": _offer_channel,
}
"""By the name of the gate; that of the value is searched for in `flips`, a gate that is not here never opens."""
