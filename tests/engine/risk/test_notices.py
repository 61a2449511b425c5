"""Notices of adverse action: what they say, what they owe to which rule on which day, and what they refuse to say."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from engine.config.load import load
from engine.config.regimes import NoticeSettings, Regimes
from engine.domain.errors import NotEnoughData, RefusedByPolicy, SettingsFault
from engine.risk import notices
from engine.risk.notices import NoticeReason, Refusal, UsedScore

REGIMES = load(Regimes, "regimes").regimes
BANK = load(
    NoticeSettings,
    "notices",
    flags={
        "creditor_name": "Harbour Bank",
        "creditor_address": "1 Quay Street, Porttown",
        "creditor_contact": "credit@harbour.example",
        "supervisor": "Office of Banks, Porttown",
        "bureau_name": "Clear Bureau",
        "bureau_contact": "2 File Lane, 0800 1234",
    },
)


def reason(code: str, source: str = "score", *, bureau: bool = False) -> NoticeReason:
    return NoticeReason(code=code, source=source, text_en=f"en {code}", text_zh=f"zh {code}", bureau=bureau)  # type: ignore[arg-type]


REFUSAL = Refusal(
    reference="A-17",
    action="decline",
    received_on=date(2026, 6, 1),
    decided_on=date(2026, 6, 10),
    reasons=(reason("inquiries_6m", bureau=True), reason("no_income_proof", "policy"), reason("utilisation_rate")),
    used_bureau=True,
    score=UsedScore(points=531, lowest=402, highest=688, made_on=date(2026, 6, 9)),
)


def test_reasons_of_policy_stand_apart_from_those_of_the_score() -> None:
    made = notices.write(REFUSAL, BANK, REGIMES)
    assert (made.policy_reasons, made.score_reasons) == (
        ("en no_income_proof",),
        ("en inquiries_6m", "en utilisation_rate"),
    )


def test_at_most_four_reasons_are_given_and_those_of_policy_come_first() -> None:
    many = [*(reason(f"r{place}") for place in range(5)), reason("rule", "policy")]
    made = notices.write(replace(REFUSAL, reasons=many), BANK, REGIMES)
    assert (made.policy_reasons, made.score_reasons) == (("en rule",), ("en r0", "en r1", "en r2"))


def test_notice_is_due_thirty_days_after_the_application_was_complete() -> None:
    in_time = notices.write(replace(REFUSAL, decided_on=date(2026, 7, 1)), BANK, REGIMES)
    # 1 June + 30 days = 1 July, which is still in time
    assert (in_time.due_on, in_time.late) == (date(2026, 7, 1), False)
    assert notices.write(replace(REFUSAL, decided_on=date(2026, 7, 2)), BANK, REGIMES).late


def test_letter_names_creditor_bureau_score_and_right_to_a_copy() -> None:
    text = notices.write(REFUSAL, BANK, REGIMES).text()
    for part in (
        "Harbour Bank\n1 Quay Street, Porttown\ncredit@harbour.example",
        "10 June 2026",
        "A-17",
        "531 points on 9 June 2026. It can give from 402 to 688",
        "Clear Bureau (2 File Lane, 0800 1234)",
        "free of charge within 60 days",
        "Office of Banks, Porttown",
    ):
        assert part in text


def test_without_a_bureau_nothing_is_said_of_one() -> None:
    text = notices.write(replace(REFUSAL, used_bureau=False), BANK, REGIMES).text()
    assert "Clear Bureau" not in text


def test_chinese_letter_says_the_same_with_its_own_words() -> None:
    made = notices.write(REFUSAL, BANK, REGIMES, language="zh")
    text = made.text()
    for part in ("2026年6月10日", "zh inquiries_6m", "531分", "60日", "Clear Bureau"):
        assert part in text
    assert "en " not in text


def test_what_would_have_changed_the_outcome_is_told_where_a_rule_asks_for_it() -> None:
    refusal = replace(REFUSAL, change=("income from 2,000 to 2,400", "收入由2,000增至2,400"))
    assert "2,400" not in notices.write(refusal, BANK, REGIMES).text()
    europe = BANK.model_copy(update={"regimes": ("eu-gdpr-22",)})
    made = notices.write(refusal, europe, REGIMES)
    assert "income from 2,000 to 2,400" in made.text()
    assert "ask for a person" in made.text()
    assert made.due_on is None


def test_a_rule_counts_from_its_first_to_its_last_day() -> None:
    rules = {one.regime: one for one in REGIMES}
    old, new = rules["us-sr-11-7"], rules["us-sr-26-2"]
    change = date(2026, 4, 17)
    assert [old.holds_on(change), new.holds_on(change)] == [False, True]
    assert [old.holds_on(date(2026, 4, 16)), new.holds_on(date(2026, 4, 16))] == [True, False]
    assert not rules["us-reg-b-effects-test"].holds_on(date(2026, 7, 21))
    assert not rules["eu-ai-act-annex-iii-5b"].holds_on(date(2026, 8, 2))


@pytest.mark.parametrize("code", ["gender", "gender_missing"])
def test_protected_attribute_is_never_a_reason(code: str) -> None:
    with pytest.raises(RefusedByPolicy, match="protected attribute"):
        notices.write(replace(REFUSAL, reasons=(reason(code),)), BANK, REGIMES, protected=("gender",))


def test_that_the_score_was_too_low_is_no_reason() -> None:
    with pytest.raises(RefusedByPolicy, match="no specific reason"):
        notices.write(replace(REFUSAL, reasons=(reason("low_score"),)), BANK, REGIMES)


def test_refusal_without_a_reason_gets_no_notice() -> None:
    with pytest.raises(NotEnoughData, match="no reason"):
        notices.write(replace(REFUSAL, reasons=()), BANK, REGIMES)


def test_notice_says_who_refused_or_is_not_written() -> None:
    with pytest.raises(SettingsFault) as told:
        notices.write(REFUSAL, load(NoticeSettings, "notices"), REGIMES)
    assert [fault.partition(":")[0] for fault in told.value.faults] == ["creditor_name", "bureau_name"]


def test_unknown_rule_is_named() -> None:
    with pytest.raises(SettingsFault, match="reg-z"):
        notices.write(REFUSAL, BANK.model_copy(update={"regimes": ("reg-z",)}), REGIMES)
