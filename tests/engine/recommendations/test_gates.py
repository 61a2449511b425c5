from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from engine.domain.risk_gate import BITS
from engine.domain.words import PRODUCT_FAMILIES
from engine.recommendations import gate_counts, gates
from engine.recommendations.frame import View
from engine.recommendations.gate import Case, Kind
from tests.engine.recommendations import builders

LOAN = 1 << PRODUCT_FAMILIES.index("loan")


def _refusals(
    product: str,
    worth: float = 100.0,
    policy: dict[str, Any] | None = None,
    amount: float | None = None,
    **changes: Any,
) -> set[str]:
    """Return the names of the gates that refuse a product to the good customer, changed as told."""
    catalogue = builders.demo_catalogue()
    held = changes.pop("held", ("current_account",))
    owned = np.array([[name in held for name in catalogue.product_ids]])
    view = View(owned=owned, x=np.zeros((1, 0), np.float32), group=np.zeros(1, np.int64))
    changed = {name: np.array([value]) for name, value in changes.items()}
    case = Case(
        block=builders.good_customer(catalogue, view=view, **changed),
        catalogue=catalogue,
        settings=builders.settings(policy),
        value=np.full((1, catalogue.size), worth),
        amount=catalogue.amount[None, :] if amount is None else np.full((1, catalogue.size), amount),
    )
    mask = gates.evaluate(case)[0, catalogue.product_ids.index(product)]
    return {gate.name for gate in gates.reasons(int(mask))}


def test_good_customer_is_refused_nothing_on_sale() -> None:
    assert _refusals("personal_loan") == set()


@pytest.mark.parametrize(
    ("gate", "product", "changes"),
    [
        ("relationship_open", "index_fund", {"is_open": False}),
        ("consent", "index_fund", {"consent": [False] * 5}),
        ("kyc", "index_fund", {"gate_reasons": 1 << BITS["kyc"]}),
        ("already_held", "index_fund", {"held": ("current_account", "index_fund")}),
        ("prerequisite", "index_fund", {"held": ()}),
        ("age", "index_fund", {"age": 17.0}),
        ("age", "personal_loan", {"age": 66.0}),
        ("age", "index_fund", {"age": np.nan}),
        ("risk_stale", "personal_loan", {"gate_reasons": 1 << BITS["risk_stale"]}),
        ("risk_unknown", "personal_loan", {"gate_reasons": 1 << BITS["risk_unknown"]}),
        ("risk_tier", "personal_loan", {"tier_families": LOAN}),
        ("risk_tier", "overdraft", {"tier_families": LOAN}),
        ("risk_credit", "personal_loan", {"held_families": LOAN}),
        ("risk_hold", "index_fund", {"is_held": True}),
        ("risk_answer", "index_fund", {"is_answered": False}),
        ("affordability", "personal_loan", {"income": np.nan}),
        ("affordability", "personal_loan", {"debts": np.nan}),
        ("negative_value", "index_fund", {"worth": 0.0}),
        ("negative_value", "index_fund", {"worth": np.nan}),
        ("open_complaint", "index_fund", {"gate_reasons": 1 << BITS["open_complaint"]}),
        # caps in the order of the shipped policy: customer, household, sms, phone
        ("contact_cap", "index_fund", {"contacts": [4.0, 4.0, 0.0, 0.0]}),
        ("household_cap", "index_fund", {"contacts": [0.0, 8.0, 0.0, 0.0]}),
        (
            "channel_cap",
            "index_fund",
            {"contacts": [1.0, 1.0, 1.0, 0.0], "consent": [False, False, True, False, False]},
        ),
        ("quiet_after_complaint", "index_fund", {"days_since_complaint": 29.9}),
        ("quiet_after_contact", "index_fund", {"days_since_contact": 1.9}),
        ("contact_fatigue", "index_fund", {"unanswered": 6.0}),
        ("contact_history", "index_fund", {"contacts": [np.nan] * 4}),
        ("contact_history", "index_fund", {"unanswered": np.nan}),
        ("contact_history", "index_fund", {"days_since_contact": np.nan}),
        ("complaint_history", "index_fund", {"days_since_complaint": np.nan}),
        ("likely_to_default", "personal_loan", {"default_probability": 0.1501}),
        ("likely_to_default", "personal_loan", {"default_probability": np.nan}),
        # a mortgage of 25 years must end by 75; the product itself is sold up to an age of 60
        ("term_too_long", "mortgage", {"age": 50.1}),
        # collections make contact in half a day; nobody chose a treatment
        ("treatment_waits", "index_fund", {"treatment": 1, "days_until_contact": 0.5}),
        ("treatment_waits", "index_fund", {"treatment": -1}),
    ],
)
def test_each_fault_is_refused_by_its_gate_alone(gate: str, product: str, changes: dict[str, Any]) -> None:
    assert _refusals(product, **changes) == {gate}


def test_a_refusal_of_loans_does_not_touch_credit_of_another_family() -> None:
    assert _refusals("mortgage", tier_families=LOAN, held_families=LOAN) == set()
    assert _refusals("credit_card_classic", tier_families=LOAN, held_families=LOAN) == set()


@pytest.mark.parametrize("product", ["travel_insurance", "savings_account", "index_fund"])
def test_risk_gates_do_not_touch_what_is_no_credit(product: str) -> None:
    bits = 1 << BITS["risk_unknown"] | 1 << BITS["risk_stale"] | 1 << BITS["risk_tier"]
    everything = (1 << len(PRODUCT_FAMILIES)) - 1
    risk = {"gate_reasons": bits, "tier_families": everything, "held_families": everything}
    assert _refusals(product, income=np.nan, debts=np.nan, **risk) == set()


def test_treatments_that_do_not_wait_and_contacts_already_made_hold_nothing_back() -> None:
    # "grow" and "keep" of risk are engagement: their next contact may well be an offer
    assert _refusals("index_fund", treatment=3, days_until_contact=14.0) == set()
    assert _refusals("index_fund", treatment=1, days_until_contact=0.0) == set()
    assert _refusals("index_fund", treatment=1, days_until_contact=np.nan) == set()
    policy = {"gates": {"waiting_treatments": []}}
    assert _refusals("index_fund", policy=policy, treatment=1, days_until_contact=3.0) == set()


def test_a_line_without_a_term_ends_at_no_age() -> None:
    assert _refusals("credit_card_classic", age=69.0) == set()


def test_product_under_review_is_refused_to_everybody() -> None:
    catalogue = builders.demo_catalogue()
    held = replace(catalogue, under_review=np.array([name == "index_fund" for name in catalogue.product_ids]))
    case = Case(
        block=builders.good_customer(held),
        catalogue=held,
        settings=builders.settings(),
        value=np.full((1, 24), 1.0),
        amount=catalogue.amount[None, :],
    )
    refused = {
        held.product_ids[place]
        for place, mask in enumerate(gates.evaluate(case)[0])
        if "fairness_review" in {gate.name for gate in gates.reasons(int(mask))}
    }
    assert refused == {"index_fund"}


def test_gates_of_every_kind_that_a_bank_asks_for_exist() -> None:
    assert {gate.kind for gate in gates.GATES} == set(get_args(Kind))


def test_product_of_which_several_may_be_held_is_offered_again() -> None:
    assert _refusals("term_deposit_1y", held=("current_account", "term_deposit_1y")) == set()


def test_instalments_of_more_than_the_typical_amount_grow_with_it_and_of_less_do_not_shrink() -> None:
    # typical 60,000.00 at 189,406 a month; twice as much is 378,812, above .45 x 800,000 = 360,000; half is not less
    assert _refusals("personal_loan", income=800_000.0, amount=12_000_000.0) == {"affordability"}
    assert _refusals("personal_loan", income=800_000.0, amount=6_000_000.0) == set()
    assert _refusals("personal_loan", income=400_000.0, amount=3_000_000.0) == {"affordability"}


def test_instalments_exactly_at_the_limit_pass_and_one_unit_more_does_not() -> None:
    # personal loan 189,406 a month; .45 x 500,000 = 225,000 leaves 35,594 for other debts
    assert _refusals("personal_loan", income=500_000.0, debts=35_594.0) == set()
    assert _refusals("personal_loan", income=500_000.0, debts=35_595.0) == {"affordability"}


def test_bits_of_decisions_made_before_mean_what_they_meant() -> None:
    assert [gate.reason_code for gate in gates.GATES] == [
        "RELATIONSHIP_CLOSED",
        "NO_CONSENT",
        "KYC_NOT_VALID",
        "ALREADY_HELD",
        "PREREQUISITE_MISSING",
        "AGE_OUTSIDE_LIMITS",
        "NOT_ON_SALE",
        "RISK_UNKNOWN",
        "RISK_STALE",
        "RISK_TIER_TOO_HIGH",
        "NOT_AFFORDABLE",
        "NO_VALUE",
        "OPEN_COMPLAINT",
        "CONTACT_CAP",
        "HELD_BY_RISK",
        "CREDIT_HELD_BY_RISK",
        "NO_ANSWER_OF_RISK",
        "CHANNEL_CAP",
        "HOUSEHOLD_CAP",
        "QUIET_AFTER_COMPLAINT",
        "QUIET_AFTER_CONTACT",
        "CONTACT_FATIGUE",
        "CONTACT_HISTORY_MISSING",
        "COMPLAINT_HISTORY_MISSING",
        "LIKELY_TO_DEFAULT",
        "TERM_TOO_LONG",
        "TREATMENT_WAITS",
        "FAIRNESS_REVIEW",
        "OFFER_CHANNEL",
    ]


def test_product_not_yet_on_sale_and_one_withdrawn_are_refused() -> None:
    catalogue = builders.demo_catalogue()
    shut = replace(catalogue, on_sale=np.zeros(catalogue.size, dtype=bool))
    case = Case(
        block=builders.good_customer(shut),
        catalogue=shut,
        settings=builders.settings(),
        value=np.full((1, 24), 1.0),
        amount=np.zeros((1, 24)),
    )
    assert all("not_on_sale" in {gate.name for gate in gates.reasons(int(mask))} for mask in gates.evaluate(case)[0])


def test_every_gate_has_its_own_code_and_a_sentence_in_both_languages() -> None:
    assert len({gate.reason_code for gate in gates.GATES}) == len(gates.GATES)
    assert all(gate.text_en.endswith(".") and gate.text_zh.endswith("。") for gate in gates.GATES)


def test_counts_of_two_blocks_add_up_to_the_counts_of_both() -> None:
    masks = np.array([[0, 1], [3, 2], [4, 0]], dtype=np.uint64)
    whole, halves = gate_counts.count(masks, 2), gate_counts.count(masks[:1], 1) + gate_counts.count(masks[1:], 1)
    assert whole.table().equals(halves.table())
    assert (whole.considered, whole.passed, whole.offered) == (6, 2, 2)
    # bit 0 refuses pairs 1 and 3, alone only the mask 1; bit 1 the masks 3 and 2
    assert whole.pairs[:3].tolist() == [2, 2, 1]
    assert whole.only[:3].tolist() == [1, 1, 1]
    assert whole.customers[:3].tolist() == [2, 1, 1]
