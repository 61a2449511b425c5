from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from engine.domain.curated import CURATED
from engine.lake.schema import unbound
from engine.recommendations import inputs
from tests.engine.recommendations import builders

NOW = builders.AS_OF


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _profile(tables: dict[str, list[dict[str, Any]]], flags: dict[str, Any] | None = None) -> dict[str, Any]:
    customer = {"customer_id": "C1", "joined_at": _at("2020-01-01")}
    tables = {"customers": [customer], **tables}
    unbounds = {name: unbound(CURATED[name]) for name in tables}
    return builders.run(inputs.profile(unbounds, NOW, builders.settings(flags)), tables)["C1"]


def _consent(granted: bool, at: str, channel: str = "email", expires: str | None = None) -> dict[str, Any]:
    return {
        "customer_id": "C1",
        "purpose": "marketing",
        "channel": channel,
        "granted": granted,
        "recorded_at": _at(at),
        "expires_at": None if expires is None else _at(expires),
    }


def _feedback(event: str, at: str, channel: str = "email") -> dict[str, Any]:
    return {"feedback_id": at + event, "customer_id": "C1", "channel": channel, "event": event, "occurred_at": _at(at)}


def test_latest_answer_holds() -> None:
    assert not _profile({"consents": [_consent(True, "2025-01-01"), _consent(False, "2026-01-01")]})["consent_email"]
    assert _profile({"consents": [_consent(False, "2025-01-01"), _consent(True, "2026-01-01")]})["consent_email"]


def test_answer_after_the_date_is_not_known_yet() -> None:
    assert not _profile({"consents": [_consent(True, "2026-07-01")]})["consent_email"]


def test_expired_answer_does_not_fall_back_on_an_older_one_that_never_expires() -> None:
    answers = [_consent(True, "2024-01-01"), _consent(True, "2025-01-01", expires="2026-01-01")]
    assert not _profile({"consents": answers})["consent_email"]


def test_consent_for_another_purpose_or_channel_is_none() -> None:
    other = _consent(True, "2026-01-01") | {"purpose": "analytics"}
    found = _profile({"consents": [other, _consent(True, "2026-01-01", channel="sms")]})
    assert (found["consent_email"], found["consent_sms"]) == (False, True)


def test_unsubscribing_outweighs_an_older_consent_but_not_a_newer_one() -> None:
    left = {"offers_feedback": [_feedback("unsubscribed", "2026-02-01")]}
    assert not _profile({"consents": [_consent(True, "2026-01-01")], **left})["consent_email"]
    assert _profile({"consents": [_consent(True, "2026-03-01")], **left})["consent_email"]


def test_bank_without_a_consents_table_has_no_consent_unless_assumed() -> None:
    assert not _profile({})["consent_post"]
    assumed = _profile({}, {"assumptions": {"consent_channels": ["post"]}})
    assert (assumed["consent_post"], assumed["consent_email"]) == (True, False)


def test_debts_come_from_the_latest_bureau_record_and_are_unknown_without_one() -> None:
    reports = [
        {"customer_id": "C1", "reported_at": _at(day), "instalments_monthly_minor": owed}
        for day, owed in (("2026-04-30", 100), ("2026-05-31", 200), ("2026-07-31", 900))
    ]
    assert _profile({"bureau": reports})["debts_minor"] == 200
    assert _profile({})["debts_minor"] is None


def test_own_loans_count_until_their_term_has_run_out() -> None:
    loan = {"customer_id": "C1", "product_id": "p", "decision": "approved", "instalment_minor": 50}
    loans = [
        loan | {"application_id": "1", "decided_at": _at("2026-01-01"), "term_months": 12},
        loan | {"application_id": "2", "decided_at": _at("2020-01-01"), "term_months": 12},
        loan | {"application_id": "3", "decided_at": _at("2026-01-01"), "term_months": 12, "decision": "declined"},
    ]
    own = {"assumptions": {"debts_from": "own_loans"}}
    assert _profile({"applications": loans}, own)["debts_minor"] == 50
    assert _profile({"applications": []}, own)["debts_minor"] == 0


@pytest.mark.parametrize(("born", "age"), [("1990-06-30", 36), ("1990-07-01", 35), (None, None)])
def test_age_is_in_completed_years(born: str | None, age: int | None) -> None:
    customer = {
        "customer_id": "C1",
        "joined_at": _at("2020-01-01"),
        "birth_date": None if born is None else _at(born).date(),
    }
    assert _profile({"customers": [customer]})["age_years"] == age


def test_holdings_are_those_open_at_the_instant_with_their_newest_opening() -> None:
    def holding(number: int, opened: str, closed: str | None = None) -> dict[str, Any]:
        return {
            "holding_id": str(number),
            "customer_id": "C1",
            "product_id": "p",
            "opened_at": _at(opened),
            "closed_at": None if closed is None else _at(closed),
        }

    rows = [holding(1, "2024-01-01"), holding(2, "2025-01-01"), holding(3, "2026-01-01", "2026-02-01")]
    rows += [holding(4, "2026-08-01")]
    expression = inputs.holdings({"holdings": unbound(CURATED["holdings"])}, NOW)
    assert builders.run(expression, {"holdings": rows})["C1"]["opened_at"] == _at("2025-01-01")


def test_features_dated_inside_the_label_window_are_refused() -> None:
    now, past, earlier, _ = builders.bank(20)
    inputs.check_window(past, now, builders.settings())
    with pytest.raises(inputs.LabelsInFeatures, match="2026-04-01"):
        inputs.check_window(earlier, now, builders.settings())


def test_sample_is_the_same_for_the_same_seed_and_sorted() -> None:
    ids = pa.array([f"C{number}" for number in range(100)])
    drawn = inputs.sample_customers(ids, 10, 1)
    assert drawn.equals(inputs.sample_customers(ids, 10, 1))
    assert drawn.to_pylist() == sorted(drawn.to_pylist()) and len(set(drawn.to_pylist())) == 10
