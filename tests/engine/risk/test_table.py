"""The risk table: what was known at the application, and which outcomes count."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from engine.domain.errors import NotEnoughData
from engine.risk import table
from tests.engine.risk.lending import BANK, SETTINGS, run

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
ANNA = {
    "customer_id": "anna",
    "joined_at": datetime(2020, 1, 1),
    "birth_date": date(1990, 6, 15),
    "income_monthly_minor": 1_000_000,
    "gender": "female",
    "region": "North",
}
ASKED = {
    "application_id": "a1",
    "customer_id": "anna",
    "product_id": "loan",
    "applied_at": datetime(2024, 5, 20),
    "decision": "approved",
    "requested_minor": 12_000_000,
    "instalment_minor": 250_000,
    "term_months": 60,
}
BOOKED = {
    "application_id": "a1",
    "customer_id": "anna",
    "product_id": "loan",
    "booked_at": datetime(2024, 6, 1),
    "observed_until": datetime(2025, 12, 31),
}


def _record(day: datetime, **values: Any) -> dict[str, Any]:
    return {"customer_id": "anna", "reported_at": day, **values}


def _training(bureau: list[dict[str, Any]] | None = None, **outcome: Any) -> dict[str, Any]:
    tables: dict[str, Any] = {"customers": [ANNA], "applications": [ASKED], "outcomes": [{**BOOKED, **outcome}]}
    if bureau is not None:
        tables["bureau"] = bureau
    rows = run(tables, lambda bound: table.training(bound, AS_OF, SETTINGS)).to_pylist()
    assert len(rows) == 1
    return rows[0]


def test_the_newest_bureau_record_not_later_than_the_application_is_used() -> None:
    row = _training(
        [
            _record(datetime(2024, 4, 1), utilisation_rate=0.1),
            _record(datetime(2024, 5, 20), utilisation_rate=0.2),
            _record(datetime(2024, 5, 21), utilisation_rate=0.9),
        ]
    )
    assert row["utilisation_rate"] == 0.2
    assert row["signal_at"] == datetime(2024, 5, 20)


def test_values_missing_in_the_newest_record_are_not_taken_from_an_older_one() -> None:
    row = _training([_record(datetime(2024, 4, 1), inquiries_6m=3), _record(datetime(2024, 5, 1))])
    assert row["inquiries_6m"] is None


def test_ratios_to_income_and_age_on_the_day_of_the_application() -> None:
    row = _training([_record(datetime(2024, 5, 1), instalments_monthly_minor=300_000, total_balance_minor=5_000_000)])
    assert row["debt_to_income"] == pytest.approx(0.3)
    assert row["balance_to_income"] == pytest.approx(5.0)
    assert row["requested_to_income"] == pytest.approx(12.0)
    assert row["instalment_to_income"] == pytest.approx(0.25)
    assert row["age_years"] == 33  # 34 on 15 June
    assert row["tenure_months"] == 52  # January 2020 to May 2024


def test_protected_attributes_are_not_in_the_table() -> None:
    assert not {"gender", "region", "marital_status", "language"} & set(_training())


def test_a_bank_without_a_bureau_still_has_what_it_knows_itself() -> None:
    row = _training()
    assert row["utilisation_rate"] is None
    assert row["signal_at"] is None
    assert row["term_months"] == 60


@pytest.mark.parametrize(
    ("outcome", "state", "bad"),
    [
        ({}, "known", False),
        ({"defaulted_at": datetime(2025, 6, 1)}, "known", True),  # exactly twelve months
        ({"defaulted_at": datetime(2025, 6, 2)}, "known", False),  # a day too late for this window
        ({"defaulted_at": datetime(2025, 1, 1), "observed_until": datetime(2025, 1, 1)}, "known", True),
        ({"observed_until": datetime(2025, 5, 31)}, "cut_short", None),
        # closes on 1 February 2026: neither its default nor its good standing counts yet
        ({"booked_at": datetime(2025, 2, 1), "defaulted_at": datetime(2025, 8, 1)}, "open", None),
        ({"booked_at": datetime(2025, 2, 1)}, "open", None),
        # closes on as_of itself
        ({"booked_at": datetime(2025, 1, 1), "observed_until": datetime(2026, 1, 1)}, "known", False),
    ],
)
def test_an_outcome_counts_once_its_window_has_closed(outcome: dict[str, Any], state: str, bad: bool | None) -> None:
    row = _training(**outcome)
    assert (row["outcome_state"], row["bad"]) == (state, bad)


def test_without_dated_defaults_any_default_seen_by_as_of_counts() -> None:
    ever = SETTINGS.model_copy(update={"outcome": "ever"})
    outcomes = [
        {**BOOKED, "defaulted_at": datetime(2025, 12, 1)},
        {**BOOKED, "application_id": "a2", "defaulted_at": datetime(2026, 3, 1)},
    ]
    rows = run({"customers": [ANNA], "outcomes": outcomes}, lambda bound: table.training(bound, AS_OF, ever))
    assert {row["application_id"]: row["bad"] for row in rows.to_pylist()} == {"a1": True, "a2": False}


def test_loans_booked_after_as_of_are_not_there() -> None:
    outcomes = [{**BOOKED, "booked_at": datetime(2026, 1, 2)}]
    assert run({"customers": [ANNA], "outcomes": outcomes}, lambda t: table.training(t, AS_OF, SETTINGS)).num_rows == 0


def test_no_table_of_outcomes_is_not_enough_data() -> None:
    with pytest.raises(NotEnoughData, match="no table outcomes"):
        table.training({}, AS_OF, SETTINGS)


def _scoring(**tables: Any) -> list[dict[str, Any]]:
    rows = run({"customers": [ANNA], **tables}, lambda bound: table.scoring(bound, AS_OF, SETTINGS, BANK)).to_pylist()
    return sorted(rows, key=lambda row: str(row["customer_id"]))


def test_scoring_has_one_row_per_customer_joined_by_then_with_no_application() -> None:
    late = {**ANNA, "customer_id": "late", "joined_at": datetime(2026, 1, 2)}
    rows = _scoring(customers=[ANNA, late], bureau=[_record(datetime(2025, 12, 1), inquiries_6m=2)])
    assert [row["customer_id"] for row in rows] == ["anna"]
    assert rows[0]["inquiries_6m"] == 2
    assert rows[0]["term_months"] is None
    assert rows[0]["product_id"] is None


def test_a_record_after_as_of_is_not_seen() -> None:
    before = _scoring(bureau=[_record(datetime(2025, 12, 1), inquiries_6m=2)])
    after = [_record(datetime(2025, 12, 1), inquiries_6m=2), _record(datetime(2026, 2, 1), inquiries_6m=9)]
    assert _scoring(bureau=after) == before


def test_the_signal_is_the_bureaus_where_there_is_one_and_the_banks_own_where_there_is_none() -> None:
    assert _scoring()[0]["signal_at"] == datetime(2026, 1, 1)
    assert _scoring(bureau=[_record(datetime(2026, 2, 1))])[0]["signal_at"] is None


LOAN = {"product_id": "loan", "name_en": "Loan", "family": "loan", "is_credit": True, "lgd": 0.5}
CARD = {"product_id": "card", "name_en": "Card", "family": "card", "is_credit": True, "lgd": None}
SAVINGS = {"product_id": "savings", "name_en": "Savings", "family": "deposit", "is_credit": False}


def _held(product: str, at: int = 1, **values: Any) -> dict[str, Any]:
    return {
        "holding_id": f"h{at}",
        "customer_id": "anna",
        "product_id": product,
        "opened_at": datetime(2025, 1, 1),
        "currency": "CNY",
        **values,
    }


@pytest.mark.parametrize(
    ("holding", "exposed", "lost"),
    [
        (_held("loan", balance_minor=-100_000), 100_000, 50_000),
        # .75 of the undrawn 300,000 is drawn before a default; .45 is lost where the product states nothing
        (_held("card", balance_minor=-100_000, limit_minor=400_000), 400_000, 146_250),
        (_held("loan", balance_minor=-100_000, currency="USD"), 715_000, 357_500),  # 7.15
        (_held("loan", balance_minor=20_000), 0, 0),
        (_held("loan", balance_minor=-1, balance_at=datetime(2026, 2, 1), opening_minor=700), 700, 350),
        (_held("loan", balance_minor=-100_000, closed_at=datetime(2025, 6, 1)), 0, 0),
        (_held("loan", balance_minor=-100_000, opened_at=datetime(2026, 2, 1)), 0, 0),
        (_held("savings", balance_minor=-100_000), 0, 0),
    ],
)
def test_exposure_is_what_is_owed_or_could_be_drawn_in_base_currency(
    holding: dict[str, Any], exposed: int, lost: int
) -> None:
    row = _scoring(holdings=[holding], products=[LOAN, CARD, SAVINGS])[0]
    assert (row["exposure_minor"], row["default_loss_minor"]) == (exposed, lost)


def test_exposures_of_one_customer_add_up() -> None:
    holdings = [_held("loan", 1, balance_minor=-100_000), _held("card", 2, limit_minor=200_000)]
    row = _scoring(holdings=holdings, products=[LOAN, CARD])[0]
    # .5 x 100,000, and .45 x .75 x 200,000 of the undrawn line
    assert (row["exposure_minor"], row["default_loss_minor"]) == (300_000, 50_000 + 67_500)
