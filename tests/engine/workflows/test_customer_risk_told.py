"""What risk says of one customer: every answer in a sentence, units and dates with it, and nothing made up."""

from __future__ import annotations

import string
from datetime import datetime
from typing import Any

import pytest

from engine.domain import credit_reasons, risk_gate
from engine.domain.labels import texts
from engine.domain.words import PRODUCT_FAMILIES
from engine.workflows.customer_risk import TOPICS, RiskAnswers
from engine.workflows.customer_risk_told import Naming, statements
from tests.engine.ui import bank, risk_rows

NAMING = Naming(currency="CNY", characteristics={"utilisation_rate": ("Use of limits", "额度使用率")})
NOTHING: dict[str, list[dict[str, Any]]] = {topic: [] for topic in TOPICS}
BITS = {name: 1 << PRODUCT_FAMILIES.index(name) for name in PRODUCT_FAMILIES}


def told(topic: str, *rows: dict[str, Any], **others: list[dict[str, Any]]) -> list[tuple[bool, str, str]]:
    answers = RiskAnswers(rows=NOTHING | others | {topic: list(rows)}, missing={})
    return [(one.leads, one.text_en, one.text_zh) for one in statements(answers, NAMING) if one.topic == topic]


def english(topic: str, *rows: dict[str, Any], **others: list[dict[str, Any]]) -> list[str]:
    return [text for _, text, _ in told(topic, *rows, **others)]


def gate(outcome: str, *names: str, refused: int = 0, person: bool = False) -> dict[str, Any]:
    held = [one for one in risk_gate.REASONS if one.name in names]
    return {
        "outcome": outcome,
        "refused_families": refused,
        "needs_person": person,
        "expires_at": datetime(2026, 7, 30, 23, 59, 59),
        "reasons": [{"text_en": one.text_en, "text_zh": one.text_zh} for one in held],
    }


def credit(family: str, outcome: str, *codes: str, **more: Any) -> dict[str, Any]:
    held = [one for one in credit_reasons.REASONS if one.code in codes]
    empty = dict.fromkeys(
        (
            "annual_rate", "price_band", "limit_minor", "instalment_minor", "collateral", "verify", "score_reason_1",
            "score_reason_2", "score_reason_3", "policy_outcome", "policy_limit_minor", "override_id",
        )
    )  # fmt: skip
    told_of = [{"text_en": one.text_en, "text_zh": one.text_zh} for one in held]
    return {**empty, "family": family, "outcome": outcome, "term_months": 0, "reasons": told_of, **more}


def test_every_sentence_holds_the_same_values_in_both_languages() -> None:
    sentences = texts("engine.workflows", "customer_risk.toml")

    def values(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert [key for key, (first, second) in sentences.items() if values(first) != values(second)] == []


LENT = [credit("card", "approve"), credit("loan", "approve")]


@pytest.mark.parametrize(
    ("row", "meant"),
    [
        (gate("allow", refused=BITS["account"]), "Offers are allowed, credit too."),  # accounts are lent to nobody
        (gate("allow", refused=BITS["loan"]), "Offers are allowed, but no credit of these kinds: loan."),
        (gate("allow", refused=BITS["loan"] | BITS["card"]), "Offers are allowed, but no credit of any kind."),
        (gate("service_only", "kyc"), "No offer may be made: only service messages may be sent."),
        (gate("block", "fraud_block"), "Nothing at all may be sent to this customer."),
    ],
)
def test_gate_says_first_what_may_be_sent(row: dict[str, Any], meant: str) -> None:
    assert english("gate", row, credit=LENT)[0] == meant


def test_gate_gives_every_reason_and_the_instant_at_which_its_answer_ends() -> None:
    said = told("gate", gate("service_only", "kyc", "hardship", person=True), credit=LENT)
    assert [english for _, english, _ in said[1:]] == [
        "The identity check is missing, failed or has expired.",
        "The customer has told the bank of hardship.",
        "A person must look at every approval.",
        "Valid until 2026-07-30 23:59 (UTC). After that the gate must be asked again.",
    ]
    assert said[-1][2] == "结论有效期至 2026-07-30 23:59（UTC），过期须重新判定。"


def test_families_of_which_the_same_is_to_be_said_share_one_sentence() -> None:
    score = {"score_reason_1": "utilisation_rate"}
    said = english(
        "credit",
        credit("card", "decline", "TIER_TOO_HIGH", "PRICE_ABOVE_CAP", **score),
        credit("loan", "decline", "TIER_TOO_HIGH", **score),
        credit("mortgage", "decline", "TIER_TOO_HIGH", **score),
    )
    assert [one for one in said if "declined" in one] == ["Card: declined.", "Loan, mortgage: declined."]
    assert said.count("What costs the most points: use of limits.") == 2


def test_terms_are_told_with_units() -> None:
    terms = {"annual_rate": 0.083, "price_band": "C", "limit_minor": 8_000_000, "instalment_minor": 251_800}
    more = {"term_months": 36, "collateral": "vehicle", "verify": True}
    assert told("credit", credit("loan", "approve", **terms, **more)) == [
        (True, "Loan: approved, up to 80,000 CNY.", "贷款：通过，额度最高 80,000 CNY。"),
        (False, "Price 8.30 % a year, price band C (A is the cheapest).", "年利率 8.30 %，定价 C 档（A 档最低）。"),
        (
            False,
            "Repaid over 36 months, 2,518 CNY a month at that limit.",
            "分 36 个月偿还，按该额度每月还 2,518 CNY。",
        ),
        (False, "Collateral: vehicle.", "担保：车辆。"),
        (False, "The income must be verified before any money is paid out.", "放款前须核验收入。"),
    ]


def test_decision_of_a_person_names_what_the_policy_alone_had_decided() -> None:
    policy = {"override_id": 4, "policy_outcome": "refer", "policy_limit_minor": 500_000}
    said = english("credit", credit("card", "approve", limit_minor=900_000, **policy))
    assert said[-1] == "Override 4 of a person decided this; the policy alone: refer to a person, up to 5,000 CNY."


def test_loss_that_nobody_can_work_out_is_said_to_be_unknown_and_not_zero() -> None:
    row = {
        "ifrs9_stage": 1,
        "stage_reason": "performing",
        "days_past_due": 0,
        "drawn_minor": 100_000,
        "at_default_minor": 150_000,
        "loss_minor": 90_000,
        **dict.fromkeys(
            (
                "default_probability", "probability_at_origination", "expected_loss_12m_minor",
                "expected_loss_lifetime_minor", "allowance_minor",
            )
        ),
    }  # fmt: skip
    assert english("losses", row) == [
        "IFRS 9 stage 1: performing.",
        "The probability of default is not known, so neither is the expected loss.",
        "Owed now 1,000 CNY; owed at a default 1,500 CNY, of which 900 CNY would be lost.",
    ]


def test_who_has_no_row_gets_an_answer_for_every_topic() -> None:
    said = statements(RiskAnswers(rows=NOTHING, missing={}), NAMING)
    assert [one.topic for one in said] == list(TOPICS)
    assert all(one.leads for one in said)


def test_table_that_the_run_lacks_is_told_with_the_reason() -> None:
    rows = {topic: rows for topic, rows in NOTHING.items() if topic != "losses"}
    said = statements(RiskAnswers(rows=rows, missing={"losses": "there is no model."}), NAMING)
    assert [one.text_en for one in said if one.topic == "losses"] == ["Not worked out in this run: there is no model."]


def test_watched_customer_is_told_severity_review_reassessment_treatment_and_override() -> None:
    now = bank.NOW
    marts = risk_rows.marts([{"customer_id": "C00001", "risk_tier": "high", "expected_loss_minor": 1,
                              "default_probability": 0.2, "exposure_minor": 2}], now)  # fmt: skip
    rows = {"treatment": "risk_treatments", "watch": "risk_watch_list", "reassessment": "risk_reassessment"}
    said = {topic: english(topic, *marts[mart]) for topic, mart in {**rows, "overrides": "risk_overrides"}.items()}
    assert said["watch"][0] == "On the watch list since 2026-05-11, severity high."
    assert said["watch"][-1] == "A person looks at the customer by 2026-06-28."
    assert said["reassessment"][:2] == [
        "Reassessment has been due since 2026-06-28.",
        "The date is set by: the watch list.",
    ]
    assert "Credit lines: lower the limit from 50,000 CNY to 40,000 CNY." in said["treatment"]
    assert said["overrides"] == [
        "Override 1, loan: limit of 90,000 CNY, from 2026-06-25 to 2026-08-29.",
        "credit.head answers for it, risk.head agreed.",
    ]
