"""How a customer stands: identity check, complaints, delays, defaults, and what other systems of the bank know."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.risk.standing import standing
from tests.engine.risk import lending


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _standing(delay_from_bureau: bool = True, **tables: list[dict[str, Any]]) -> dict[str, Any]:
    customer = {"customer_id": "C1", "joined_at": _at("2020-01-01")}
    settings = lending.SETTINGS.staging.model_copy(update={"delay_from_bureau": delay_from_bureau})
    rows = {"customers": [customer], **tables}
    found = lending.run(rows, lambda given: standing(given, lending.AS_OF, settings, 7)).to_pylist()
    assert len(found) == 1
    return dict(found[0])


@pytest.mark.parametrize(
    ("status", "expires", "ok", "ends"),
    [
        ("verified", None, True, None),
        # valid to the end of its last day
        ("verified", "2026-06-30", True, "2026-07-01"),
        ("pending", None, False, None),
        (None, None, None, None),
    ],
)
def test_identity_check_holds_to_the_end_of_its_last_day(
    status: str | None, expires: str | None, ok: bool | None, ends: str | None
) -> None:
    day = None if expires is None else _at(expires).date()
    customer = {"customer_id": "C1", "joined_at": _at("2020-01-01"), "kyc_status": status, "kyc_expires_on": day}
    found = _standing(customers=[customer])
    assert found["kyc_ok"] == ok
    assert found["kyc_expires_at"] == (None if ends is None else datetime.fromisoformat(ends))


def test_complaint_is_open_until_it_is_settled() -> None:
    complaint = {"interaction_id": "I1", "customer_id": "C1", "kind": "complaint", "occurred_at": _at("2026-06-01")}
    assert _standing(interactions=[complaint])["has_complaint"]
    assert _standing(interactions=[complaint | {"resolved_at": _at("2026-07-01")}])["has_complaint"]
    assert not _standing(interactions=[complaint | {"resolved_at": _at("2026-06-15")}])["has_complaint"]
    assert not _standing()["has_complaint"]


def test_delay_elsewhere_is_that_of_the_newest_record_even_when_it_says_nothing() -> None:
    older = {"customer_id": "C1", "reported_at": _at("2026-04-30"), "worst_days_past_due_12m": 60}
    newer = {"customer_id": "C1", "reported_at": _at("2026-05-31"), "instalments_monthly_minor": 900}
    assert _standing(bureau=[older])["delay_elsewhere_days"] == 60
    found = _standing(bureau=[older, newer])
    assert (found["delay_elsewhere_days"], found["debts_minor"]) == (None, 900)
    assert _standing(bureau=[older], delay_from_bureau=False)["delay_elsewhere_days"] is None


def test_a_default_counts_for_as_long_as_it_is_remembered_and_not_before_it_happened() -> None:
    def with_default(day: str) -> bool:
        outcome = {
            "application_id": "A1",
            "customer_id": "C1",
            "booked_at": _at("2024-01-01"),
            "defaulted_at": _at(day),
        }
        return bool(_standing(outcomes=[outcome])["has_defaulted"])

    # 12 months before 2026-06-30
    assert [with_default(day) for day in ("2025-06-01", "2025-07-15", "2026-06-30", "2026-07-01")] == [
        False,
        True,
        True,
        False,
    ]


def test_contacts_within_the_window_are_counted_and_the_last_one_is_dated() -> None:
    sent = [
        {"feedback_id": day, "customer_id": "C1", "channel": "email", "event": "sent", "occurred_at": _at(day)}
        for day in ("2026-05-01", "2026-06-25", "2026-06-29", "2026-07-02")
    ]
    found = _standing(offers_feedback=[*sent, sent[2] | {"feedback_id": "x", "event": "opened"}])
    assert (found["contacts"], found["last_contact_at"]) == (2, datetime(2026, 6, 29))


def test_nothing_is_assumed_of_what_no_table_tells() -> None:
    found = _standing()
    assert found["days_past_due"] is None
    assert not any(found[name] for name in ("in_collections", "vulnerable", "hardship", "fraud_block"))
