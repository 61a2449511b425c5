from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.recommendations import gates
from engine.recommendations.frame import TIERS, View
from tests.engine.recommendations import builders


def _refusals(product: str, worth: float = 100.0, policy: dict[str, Any] | None = None, **changes: Any) -> set[str]:
    """Return the names of the gates that refuse a product to the good customer, changed as told."""
    catalogue = builders.demo_catalogue()
    held = changes.pop("held", ("current_account",))
    owned = np.array([[name in held for name in catalogue.product_ids]])
    view = View(owned=owned, x=np.zeros((1, 0), np.float32), group=np.zeros(1, np.int64))
    changed = {name: np.array([value]) for name, value in changes.items()}
    case = gates.Case(
        block=builders.good_customer(catalogue, view=view, **changed),
        catalogue=catalogue,
        settings=builders.settings(policy),
        value=np.full((1, catalogue.size), worth),
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
        ("kyc", "index_fund", {"kyc_ok": 0.0}),
        ("kyc", "index_fund", {"kyc_ok": np.nan}),
        ("already_held", "index_fund", {"held": ("current_account", "index_fund")}),
        ("prerequisite", "index_fund", {"held": ()}),
        ("age", "index_fund", {"age": 17.0}),
        ("age", "personal_loan", {"age": 66.0}),
        ("age", "index_fund", {"age": np.nan}),
        ("risk_stale", "personal_loan", {"signal_age_days": 93.0}),
        ("risk_stale", "personal_loan", {"signal_age_days": np.nan}),
        ("risk_stale", "personal_loan", {"signal_age_days": -1.0}),
        ("risk_tier", "personal_loan", {"tier": 2}),
        ("risk_tier", "mortgage", {"tier": 1}),
        ("risk_unknown", "personal_loan", {"default_probability": np.nan}),
        ("affordability", "personal_loan", {"income": np.nan}),
        ("affordability", "personal_loan", {"debts": np.nan}),
        ("negative_value", "index_fund", {"worth": 0.0}),
        ("negative_value", "index_fund", {"worth": np.nan}),
        ("open_complaint", "index_fund", {"has_complaint": True}),
        ("contact_cap", "index_fund", {"contacts": 4.0}),
        ("contact_cap", "index_fund", {"contacts": np.nan}),
    ],
)
def test_each_fault_is_refused_by_its_gate_alone(gate: str, product: str, changes: dict[str, Any]) -> None:
    assert _refusals(product, **changes) == {gate}


def test_customer_without_any_risk_signal_is_refused_credit_for_every_reason_at_once() -> None:
    unknown = {"tier": TIERS.index("unknown"), "default_probability": np.nan, "signal_age_days": np.nan}
    assert _refusals("personal_loan", **unknown) == {"risk_unknown", "risk_stale", "risk_tier"}


@pytest.mark.parametrize("product", ["travel_insurance", "savings_account", "index_fund"])
def test_risk_gates_do_not_touch_what_is_no_credit(product: str) -> None:
    unknown = {"tier": TIERS.index("unknown"), "default_probability": np.nan, "signal_age_days": np.nan}
    assert _refusals(product, income=np.nan, debts=np.nan, **unknown) == set()


def test_product_of_which_several_may_be_held_is_offered_again() -> None:
    assert _refusals("term_deposit_1y", held=("current_account", "term_deposit_1y")) == set()


def test_instalments_exactly_at_the_limit_pass_and_one_unit_more_does_not() -> None:
    # personal loan 189,406 a month; .45 x 500,000 = 225,000 leaves 35,594 for other debts
    assert _refusals("personal_loan", income=500_000.0, debts=35_594.0) == set()
    assert _refusals("personal_loan", income=500_000.0, debts=35_595.0) == {"affordability"}


def test_credit_of_a_family_without_a_risk_limit_is_refused_to_everybody() -> None:
    assert _refusals("personal_loan", policy={"gates": {"max_risk_tier": {"loan": "low"}}}) == set()
    settings = builders.settings()
    limits = {family: tier for family, tier in settings.gates.max_risk_tier.items() if family != "loan"}
    policy = settings.model_copy(update={"gates": settings.gates.model_copy(update={"max_risk_tier": limits})})
    catalogue = builders.demo_catalogue()
    case = gates.Case(
        block=builders.good_customer(catalogue), catalogue=catalogue, settings=policy, value=np.full((1, 24), 1.0)
    )
    mask = int(gates.evaluate(case)[0, catalogue.product_ids.index("personal_loan")])
    assert [gate.name for gate in gates.reasons(mask)] == ["risk_tier"]


def test_product_not_yet_on_sale_and_one_withdrawn_are_refused() -> None:
    catalogue = builders.demo_catalogue()
    shut = replace(catalogue, on_sale=np.zeros(catalogue.size, dtype=bool))
    case = gates.Case(
        block=builders.good_customer(shut), catalogue=shut, settings=builders.settings(), value=np.full((1, 24), 1.0)
    )
    assert all("not_on_sale" in {gate.name for gate in gates.reasons(int(mask))} for mask in gates.evaluate(case)[0])


def test_every_gate_has_its_own_code_and_a_sentence_in_both_languages() -> None:
    assert len({gate.reason_code for gate in gates.GATES}) == len(gates.GATES)
    assert all(gate.text_en.endswith(".") and gate.text_zh.endswith("。") for gate in gates.GATES)


def test_counts_of_two_blocks_add_up_to_the_counts_of_both() -> None:
    masks = np.array([[0, 1], [3, 2], [4, 0]], dtype=np.uint64)
    whole, halves = gates.count(masks, 2), gates.count(masks[:1], 1) + gates.count(masks[1:], 1)
    assert whole.table().equals(halves.table())
    assert (whole.considered, whole.passed, whole.offered) == (6, 2, 2)
    # bit 0 refuses pairs 1 and 3, alone only the mask 1; bit 1 the masks 3 and 2
    assert whole.pairs[:3].tolist() == [2, 2, 1]
    assert whole.only[:3].tolist() == [1, 1, 1]
    assert whole.customers[:3].tolist() == [2, 1, 1]
