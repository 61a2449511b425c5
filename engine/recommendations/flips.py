"""The smallest change that would make a decision come out otherwise: to refuse an offer, to let a refused one pass.

Everything is asked of the kernel itself: a change is made to the inputs, the customer is assessed again, and the least
step that turns the answer is searched for. So what is told here can be tried, and one step less turns nothing.

What is turned is the order by value inside the gates, before any draw and before limits on all offers together, since
both depend on more than the customer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from engine.domain.words import PRODUCT_FAMILIES
from engine.recommendations import gates
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import Assessed, assess
from engine.recommendations.explore import in_order
from engine.recommendations.frame import DecisionBlock, Flags, Floats, Integers
from engine.recommendations.levers import Change, apply, with_margins, with_values
from engine.recommendations.openings import opening
from engine.recommendations.search import least

_ROUNDS: Final = 6  # gates that close because another opened
_DEAREST: Final = 1e13  # minor units; beyond it no margin is worth naming
_DEAREST_RATE: Final = 10.0  # of the amount, a year
_PROBABILITY: Final = 1e-6
_PARTS: Final = 10**6

REFUSED, FIRST, OFFERED, ALLOWED = "refused", "first", "offered", "allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """Changes that together turn a decision, and how it comes out then; `shut` are gates that no change would open.

    With gates in `shut` nothing turns the decision. `outcome` is refused, first, offered or allowed (not among the
    best); `refused_by` are the gates that refuse then, `first` is the product that comes first.
    """

    changes: tuple[Change, ...]
    outcome: str
    refused_by: tuple[str, ...] = ()
    first: str = ""
    shut: tuple[str, ...] = ()

    @property
    def size(self) -> float:
        """The largest of its changes as a share of what it is now: a change from nothing, or of a yes or no, is 1."""
        shares = [abs(one.by) / abs(one.then) if one.step and one.then else 1.0 for one in self.changes]
        return max((share for share in shares if not np.isnan(share)), default=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a customer stands with every product in the order by value: masks and ranks of the best, shape (n, P)."""

    found: Assessed
    rank: Integers

    @property
    def worth(self) -> Floats:
        """The value of what no gate refuses and what is worth its contact, minus infinity for all else."""
        return _worth(self.found)

    def outcome(self, product: int) -> str:
        """Return how it came out for a product, for the first customer."""
        if self.found.masks[0, product]:
            return REFUSED
        rank = self.rank[0, product]
        return FIRST if rank == 1 else OFFERED if rank else ALLOWED


def standing(block: DecisionBlock, bundle: Bundle) -> Standing:
    """Assess customers and rank by value what no gate refuses, without draws and without limits on all offers."""
    found = assess(block, bundle)
    return Standing(found=found, rank=in_order(_worth(found), bundle.settings.top_n))


def _worth(found: Assessed) -> Floats:
    return np.where((found.masks == 0) & found.enough, found.priority, -np.inf)


def flips(block: DecisionBlock, bundle: Bundle, product: int, now: Standing | None = None) -> tuple[Flip, ...]:
    """Return what would turn the decision on one product for one customer, the smallest change first.

    Of a refused product there is one flip: all that must change for it to pass. Of an offered one each flip is a single
    change by which it is refused, gives way to another, or comes first. Of one allowed but not among the best there is
    what lets it be. A change that no value of turns the decision is left out, so that there may be none. `now` is the
    customer's standing where it is there already.
    """
    now = standing(block, bundle) if now is None else now
    if now.outcome(product) == REFUSED:
        return (_let_pass(block, bundle, product),)
    found = [_told(block, bundle, product, one) for one in _single(block, bundle, product, now)]
    return tuple(sorted(found, key=lambda one: one.size))


def _told(block: DecisionBlock, bundle: Bundle, product: int, *changes: Change, shut: tuple[str, ...] = ()) -> Flip:
    after = standing(*apply(block, bundle, *changes))
    first = np.flatnonzero(after.rank[0] == 1)
    return Flip(
        changes=changes,
        outcome=after.outcome(product),
        refused_by=tuple(gate.name for gate in gates.reasons(int(after.found.masks[0, product]))),
        first=bundle.catalogue.product_ids[first[0]] if len(first) else "",
        shut=shut,
    )


def _let_pass(block: DecisionBlock, bundle: Bundle, product: int) -> Flip:
    """Open gate after gate until none refuses; then take back whatever proves not to be needed."""
    made: list[Change] = []
    shut: list[str] = []
    for _ in range(_ROUNDS):
        changed = apply(block, bundle, *made)
        refusing = gates.reasons(int(assess(*changed).masks[0, product]))
        wanted = [gate.name for gate in refusing if gate.name not in shut]
        # the value follows from the rest, so that it comes last
        for name in [one for one in wanted if one != "negative_value"] or wanted:
            found = _raise_value(*changed, product) if name == "negative_value" else opening(*changed, product, name)
            made += found
            if not found:
                shut.append(name)
        if not wanted:
            break
    else:
        shut += [gate.name for gate in gates.reasons(int(assess(*apply(block, bundle, *made)).masks[0, product]))]
    if shut:
        return _told(block, bundle, product, shut=tuple(shut))
    needed = list(made)
    for one in made:
        without = [other for other in needed if other is not one]
        if not assess(*apply(block, bundle, *without)).masks[0, product]:
            needed = without
    return _told(block, bundle, product, *needed)


def _raise_value(block: DecisionBlock, bundle: Bundle, product: int) -> list[Change]:
    """Return the least that makes the offer worth enough: a lower default probability if unknown, else more margin."""
    bit = np.uint64(1 << [gate.name for gate in gates.GATES].index("negative_value"))

    def passes(block: DecisionBlock, bundle: Bundle) -> Flags:
        passed: Flags = (assess(block, bundle).masks[:, product] & bit) == 0
        return passed

    if bundle.catalogue.is_credit[product] and np.isnan(block.default_probability[0]):
        # the highest probability with which it would be worth enough, from certain default down
        change = Change(lever="default_probability", then=np.nan, now=1.0, step=_PROBABILITY, direction=-1.0)

        def at(steps: Integers) -> Flags:
            return passes(with_values(block, bundle, change, _falling(steps)), bundle)

        steps = least(at, 0, _PARTS)
        return [] if steps is None else [replace(change, now=float(_falling(np.array([steps]))[0]))]
    change = _margin(block, bundle, product)
    question = _Question(change=change, sign=1.0, most=_most_margin(change), holds=passes)
    found = _along(block, bundle, question)
    return [] if found is None else [found]


def _falling(steps: Integers) -> Floats:
    return np.asarray((_PARTS - steps) * _PROBABILITY, dtype=np.float64)


def _margin(block: DecisionBlock, bundle: Bundle, product: int) -> Change:
    """Return the margin that the value of a product counts, unchanged: the catalogue's, or what risk's price leaves."""
    family = bundle.catalogue.families[product]
    place = PRODUCT_FAMILIES.index(family)
    rate, limit = block.credit.margin_rate[0, place], block.credit.limit[0, place]
    is_priced = bundle.catalogue.is_credit[product] and bundle.settings.value.terms != "typical"
    if is_priced and not np.isnan(rate) and not np.isnan(limit):
        return Change(lever="margin_rate", subject=family, then=float(rate), now=float(rate), step=1e-4)
    then = float(bundle.catalogue.margin[product])
    return Change(lever="margin", subject=bundle.catalogue.product_ids[product], then=then, now=then, step=1.0)


def _most_margin(change: Change) -> float:
    return _DEAREST if change.lever == "margin" else _DEAREST_RATE


def _single(block: DecisionBlock, bundle: Bundle, product: int, now: Standing) -> Iterator[Change]:
    """Return single changes, each the least of its kind, that turn the decision on an offered or allowed product."""
    before = now.outcome(product)

    def first(block: DecisionBlock, bundle: Bundle) -> Flags:
        return np.asarray(standing(block, bundle).rank[:, product] == 1)

    def not_first(block: DecisionBlock, bundle: Bundle) -> Flags:
        return ~first(block, bundle)

    def offered(block: DecisionBlock, bundle: Bundle) -> Flags:
        return np.asarray(standing(block, bundle).rank[:, product] > 0)

    def not_offered(block: DecisionBlock, bundle: Bundle) -> Flags:
        return ~offered(block, bundle)

    lost = not_first if before == FIRST else not_offered
    wanted = [(change, float(np.sign(change.by)), most, lost) for change, most in _pressures(block, bundle, product)]
    margin = _margin(block, bundle, product)
    down, up = ((margin, sign, _most_margin(margin)) for sign in (-1.0, 1.0))
    asked = {
        FIRST: [*wanted, (*down, not_first)],
        OFFERED: [*wanted, (*down, not_offered), (*up, first)],
        ALLOWED: [(*up, offered)],
    }
    for change, sign, most, question in asked[before]:
        found = _along(block, bundle, _Question(change=change, sign=sign, most=most, holds=question))
        if found is not None:
            yield found


def _pressures(block: DecisionBlock, bundle: Bundle, product: int) -> Iterator[tuple[Change, float]]:
    """Return what may go against an offer, one step from where it is, and how far it may go."""
    if bundle.catalogue.is_credit[product]:
        yield _step(block, "debts", 1.0), 1e12
        yield _step(block, "income", -1.0), block.income[0]
        yield _step(block, "default_probability", _PROBABILITY), 1.0 - block.default_probability[0]
    yield _step(block, "age", 1.0), 120.0
    yield _step(block, "unanswered", 1.0), float(bundle.settings.contact.fatigue.max_unanswered)
    most = max((cap.max_contacts for cap in bundle.settings.contact.caps.values()), default=0)
    yield Change(lever="more_contacts", then=0.0, now=1.0, step=1.0), float(most)


def _step(block: DecisionBlock, field: str, by: float) -> Change:
    then = float(getattr(block, field)[0])
    return Change(lever=field, then=then, now=then + by, step=abs(by))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """Does it hold when a change goes so far? `sign` is its direction, `most` how far it may go."""

    change: Change
    sign: float
    most: float
    holds: Callable[[DecisionBlock, Bundle], Flags]


def _along(block: DecisionBlock, bundle: Bundle, question: _Question) -> Change | None:
    """Return the change with the fewest steps for which the answer is yes, None where none is."""
    change, asked = question.change, question.holds
    if np.isnan(change.then) or np.isnan(question.most) or not question.most > 0:
        return None
    fine = change.step < 1
    # whole steps from a number on the grid, on the near side of where it is now
    start = (np.floor if question.sign > 0 else np.ceil)(change.then / change.step) if fine else change.then

    def values(steps: Integers) -> Floats:
        reached = start + question.sign * steps
        return np.asarray(reached * change.step if fine else reached, dtype=np.float64)

    def at(steps: Integers) -> Flags:
        if change.lever == "margin":
            return asked(*with_margins(block, bundle, change.subject, values(steps)))
        return asked(with_values(block, bundle, change, values(steps)), bundle)

    found = least(at, 1, int(question.most / change.step))
    return None if found is None else replace(change, now=float(values(np.array([found]))[0]))
