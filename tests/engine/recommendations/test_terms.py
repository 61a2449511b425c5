"""On which terms credit is offered and valued."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.recommendations import terms, value
from tests.engine.recommendations import builders

CATALOGUE = builders.demo_catalogue()
LOAN, CARD, FUND = (
    CATALOGUE.product_ids.index(name) for name in ("personal_loan", "credit_card_classic", "index_fund")
)


def _of(choice: Any, **families: tuple[float, float, float]) -> terms.Terms:
    block = builders.good_customer(CATALOGUE, credit=builders.no_credit(1, **families))
    return terms.of(block, CATALOGUE, choice)


def test_suggested_amount_is_the_typical_one_or_the_limit_where_that_is_lower() -> None:
    # personal loan: typically 60,000.00; risk asks 5.65 %, of which 1.5 % is left before losses
    high = _of("suggested", loan=(0.0565, 0.015, 20_000_000.0))
    low = _of("suggested", loan=(0.0565, 0.015, 2_000_000.0))
    assert (high.amount[0, LOAN], high.margin[0, LOAN]) == (6_000_000.0, pytest.approx(90_000.0))
    assert (low.amount[0, LOAN], low.margin[0, LOAN]) == (2_000_000.0, pytest.approx(30_000.0))


def test_highest_counts_the_whole_limit_and_typical_none_of_it() -> None:
    told = {"loan": (0.0565, 0.015, 20_000_000.0)}
    assert _of("highest", **told).margin[0, LOAN] == pytest.approx(300_000.0)
    assert _of("typical", **told).margin[0, LOAN] == CATALOGUE.margin[LOAN]
    assert _of("typical", **told).amount[0, LOAN] == CATALOGUE.amount[LOAN]


@pytest.mark.parametrize("told", [(np.nan, np.nan, 2e6), (0.05, 0.01, np.nan)])
def test_where_risk_names_no_price_or_no_limit_the_catalogue_stands_in(told: tuple[float, float, float]) -> None:
    found = _of("suggested", loan=told)
    assert found.amount[0, LOAN] == CATALOGUE.amount[LOAN]
    assert found.margin[0, LOAN] == CATALOGUE.margin[LOAN]


def test_terms_of_one_family_do_not_touch_other_products() -> None:
    found = _of("suggested", loan=(0.0565, 0.015, 2_000_000.0))
    assert found.amount[0, CARD] == CATALOGUE.amount[CARD]
    assert found.margin[0, FUND] == CATALOGUE.margin[FUND]


def test_nothing_is_worth_lending_where_nothing_may_be_lent() -> None:
    found = _of("suggested", loan=(0.0565, 0.015, 0.0))
    block = builders.good_customer(CATALOGUE)
    loss = value.loss_of(block, CATALOGUE, found)
    worth = value.expected_value(np.full(loss.shape, 0.1), found.margin, loss, np.array([5.0]), np.ones(1))
    assert worth[0, LOAN] == -5.0


def _offered(product: int, outcome: int, rate: float, limit: float) -> terms.OfferTerms:
    credit = builders.no_credit(1, loan=(rate, rate, limit))
    block = builders.good_customer(CATALOGUE, credit=replace(credit, outcome=np.full_like(credit.outcome, outcome)))
    pairs = np.array([0]), np.array([product])
    return terms.offered(block, CATALOGUE, terms.of(block, CATALOGUE, "suggested"), pairs, np.array([0.1]))


@pytest.mark.parametrize(
    ("outcome", "rate", "limit", "code"),
    [
        (-1, np.nan, np.nan, "NOT_DECIDED"),
        (2, np.nan, np.nan, "DECLINED"),
        (1, np.nan, 2e6, "NO_PRICE"),
        (1, 0.05, np.nan, "NO_LIMIT"),
        (0, 0.05, 2e6, None),
    ],
)
def test_offer_says_why_it_has_no_terms(outcome: int, rate: float, limit: float, code: str | None) -> None:
    note = int(_offered(LOAN, outcome, rate, limit).note[0])
    assert (None if note < 0 else terms.NOTES[note].code) == code


def test_what_is_no_credit_carries_no_terms() -> None:
    found = _offered(FUND, 0, 0.05, 2e6)
    assert found.note.tolist() == [-1]
    assert np.isnan([found.rate[0], found.limit[0], found.amount[0], found.break_even[0]]).all()
