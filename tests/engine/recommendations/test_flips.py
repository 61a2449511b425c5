"""What is said to turn a decision turns it when it is tried, and one step less does not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from engine.recommendations import flips, gates
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import decide
from engine.recommendations.flips import ALLOWED, FIRST, REFUSED, Flip
from engine.recommendations.frame import DecisionBlock
from engine.recommendations.levers import Change, apply, with_margins
from engine.recommendations.recommend import Prepared
from tests.engine.recommendations import builders

CUSTOMERS = 400


@cache
def _prepared() -> Prepared:
    return builders.prepared(CUSTOMERS)


@cache
def _block() -> DecisionBlock:
    return next(_prepared().decision_blocks())


def _outcome(block: DecisionBlock, bundle: Bundle, product: int) -> tuple[bool, int]:
    """By the kernel itself: is it refused, and at which rank is it offered."""
    table = decide(block, bundle)
    return bool(table.masks[0, product]), int(table.rank[0, product])


@cache
def _every() -> list[tuple[int, int, Flip]]:
    """All flips of a few customers, with the places of customer and product."""
    bundle = _prepared().bundle
    return [
        (row, product, flip)
        for row in range(0, CUSTOMERS, 10)
        for product in range(bundle.catalogue.size)
        for flip in flips.flips(_block().one(row), bundle, product)
    ]


def test_every_flip_comes_out_as_it_says_when_decided_again() -> None:
    bundle, tried = _prepared().bundle, 0
    for row, product, flip in _every():
        if flip.shut:
            continue
        block = _block().one(row)
        refused, rank = _outcome(*apply(block, bundle, *flip.changes), product)
        told = {REFUSED: (True, 0), FIRST: (False, 1), ALLOWED: (False, 0)}.get(flip.outcome, (False, rank))
        assert (refused, rank) == told
        before = _outcome(block, bundle, product)
        assert before[0] != refused or (before[1] == 1) != (rank == 1) or (before[1] == 0) != (rank == 0)
        tried += 1
    assert tried > 200


def test_one_step_less_of_any_change_turns_nothing() -> None:
    bundle, tried = _prepared().bundle, 0
    for row, product, flip in _every():
        block = _block().one(row)
        before = flips.standing(block, bundle).outcome(product)
        for place, change in enumerate(flip.changes):
            others = [one for at, one in enumerate(flip.changes) if at != place]
            less = [*others, change.smaller()] if change.step else others
            after = flips.standing(*apply(block, bundle, *less)).outcome(product)
            # of a product that was not first, whatever turned it: refused stays refused, offered stays offered
            assert after == before, (row, bundle.catalogue.product_ids[product], change, after, before)
            tried += 1
    assert tried > 400


def test_what_every_kind_of_change_looks_like() -> None:
    levers = {change.lever for _, _, flip in _every() for change in flip.changes}
    assert {"margin", "margin_rate", "owned", "contacts", "unanswered", "more_contacts", "debts", "age"} <= levers
    assert {"gate_reason", "tier_family", "days_since_contact", "default_probability"} <= levers


def test_debts_that_are_one_fen_too_high_are_named_to_the_fen() -> None:
    bundle = _prepared().bundle
    catalogue = bundle.catalogue
    place = catalogue.product_ids.index("personal_loan")
    ratio = bundle.settings.gates.max_debt_service_ratio
    customer = builders.good_customer(catalogue, income=np.array([1_000_000.0]))
    # income 10,000.00 bears 45 %: 4,500.00 a month; the loan takes its instalment of it
    room = np.floor(ratio * 1_000_000 - catalogue.instalment[place])
    customer = builders.good_customer(
        catalogue,
        income=np.array([1_000_000.0]),
        debts=np.array([room + 1]),
        view=_block().one(0).view,
    )
    refused = gates.reasons(int(flips.standing(customer, bundle).found.masks[0, place]))
    assert "affordability" in [gate.name for gate in refused]
    (flip,) = flips.flips(customer, bundle, place)
    (debts,) = [change for change in flip.changes if change.lever == "debts"]
    assert (debts.then, debts.now, debts.by) == (room + 1, room, -1)


def test_debts_that_are_no_whole_number_come_down_to_the_highest_that_is_borne() -> None:
    bundle = _prepared().bundle
    catalogue = bundle.catalogue
    place = catalogue.product_ids.index("personal_loan")
    # an income that bears the instalment and 0.9 fen more, so that no debts are right
    income = (catalogue.instalment[place] + 0.9) / bundle.settings.gates.max_debt_service_ratio
    customer = builders.good_customer(
        catalogue, income=np.array([income]), debts=np.array([1.5]), view=_block().one(0).view
    )
    (flip,) = flips.flips(customer, bundle, place)
    (debts,) = [change for change in flip.changes if change.lever == "debts"]
    assert (debts.then, debts.now) == (1.5, 0.0)


def test_margins_tried_beside_each_other_give_what_each_gives_alone() -> None:
    bundle, row = _prepared().bundle, _block().one(7)
    values = np.array([0.0, 1.0, 12_345.0, 1e9])
    for product in ("index_fund", "personal_loan"):
        place = bundle.catalogue.product_ids.index(product)
        together = flips.standing(*with_margins(row, bundle, product, values))
        for at, value in enumerate(values):
            change = Change(
                lever="margin", subject=product, then=float(bundle.catalogue.margin[place]), now=float(value)
            )
            alone = flips.standing(*apply(row, bundle, change))
            assert alone.found.worth.value[0].tobytes() == together.found.worth.value[at].tobytes()
            assert alone.rank[0].tolist() == together.rank[at].tolist()


def test_days_until_a_quiet_period_is_over_are_told() -> None:
    bundle = _prepared().bundle
    quiet = bundle.settings.contact.quiet_after_complaint_days
    customer = builders.good_customer(
        bundle.catalogue, days_since_complaint=np.array([quiet - 4.25]), view=_block().one(0).view
    )
    place = bundle.catalogue.product_ids.index("index_fund")
    changes = {change.lever: change for change in flips.flips(customer, bundle, place)[0].changes}
    assert changes["days_since_complaint"].within_days == pytest.approx(4.25)


def test_contacts_that_must_leave_the_window_are_counted_and_given_a_latest_day() -> None:
    bundle = _prepared().bundle
    caps = bundle.settings.contact.caps
    counts = np.array([[caps["customer_month"].max_contacts + 2.0, 0, 0, 0]])
    customer = builders.good_customer(
        bundle.catalogue, contacts=counts, days_since_contact=np.array([10.0]), view=_block().one(0).view
    )
    place = bundle.catalogue.product_ids.index("index_fund")
    changes = {change.subject: change for change in flips.flips(customer, bundle, place)[0].changes}
    assert changes["customer_month"].by == -3
    assert changes["customer_month"].within_days == caps["customer_month"].days - 10


def test_a_gate_that_nothing_opens_is_named_and_nothing_else_is_promised() -> None:
    bundle = _prepared().bundle
    customer = builders.good_customer(bundle.catalogue, age=np.array([95.0]), view=_block().one(0).view)
    place = int(np.flatnonzero(bundle.catalogue.max_age < 95)[0])
    (flip,) = flips.flips(customer, bundle, place)
    assert "age" in flip.shut
    assert flip.changes == ()
    assert flip.outcome == REFUSED


def test_who_agreed_to_no_channel_is_told_the_cheapest_one() -> None:
    bundle = _prepared().bundle
    customer = builders.good_customer(bundle.catalogue, consent=np.zeros((1, 5), dtype=bool), view=_block().one(0).view)
    place = bundle.catalogue.product_ids.index("index_fund")
    assert [(one.lever, one.subject) for one in flips.flips(customer, bundle, place)[0].changes] == [
        ("consent", "push")
    ]


def test_the_same_customer_gets_the_same_flips_again() -> None:
    bundle = _prepared().bundle
    assert flips.flips(_block().one(3), bundle, 5) == flips.flips(_block().one(3), bundle, 5)
