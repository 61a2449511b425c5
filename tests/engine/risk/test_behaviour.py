"""How a customer lived on the accounts before a date: worked by hand, and nothing of a later date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from engine.domain.curated import CURATED
from engine.lake.engine import DuckDBEngine, Engine
from engine.lake.schema import unbound
from engine.risk import behaviour, table
from engine.risk.characteristics import ACCOUNT_RECORD
from tests.engine.risk.lending import BANK, SETTINGS, curated, run

AS_OF = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
COLUMNS = (ACCOUNT_RECORD, *behaviour.COUNTED)
ANNA = {"customer_id": "anna", "joined_at": datetime(2020, 1, 1)}


def booked(at: datetime, amount: int, category: str = "shopping", balance: int | None = None) -> dict[str, Any]:
    return {
        "transaction_id": f"{at.isoformat()} {amount} {category}",
        "customer_id": "anna",
        "booked_at": at,
        "amount_minor": amount,
        "amount_base_minor": amount,
        "currency": "CNY",
        "category": category,
        "balance_after_minor": balance,
    }


HALF_YEAR = [
    # January to June: a salary in each, 100.00 but for 80.00 in March; what goes out is more than that in March and May
    *(booked(datetime(2026, month, 5), 8_000 if month == 3 else 10_000, "salary", 20_000) for month in range(1, 7)),
    *(booked(datetime(2026, month, 20), -9_000, "rent", 500) for month in (1, 2, 3, 4, 6)),
    booked(datetime(2026, 5, 20), -15_000, "cash", -500),
    # a card tells no balance: it is spending, but no fall of the account
    booked(datetime(2026, 6, 21), -5_000),
    # December is not among the six months
    booked(datetime(2025, 12, 31), -1_000_000, "cash", -1_000_000),
]


# of nobody who is asked about: bookings were delivered from 2025 on
LONG_BEFORE = [{**booked(datetime(2025, month, 1), -100), "customer_id": "ben"} for month in range(1, 13)]


def scored(rows: list[dict[str, Any]], as_of: datetime = AS_OF) -> dict[str, Any]:
    tables = {"customers": [ANNA], "transactions": [*LONG_BEFORE, *rows]}
    made = run(tables, lambda bound: table.scoring(bound, as_of, SETTINGS, BANK)).to_pylist()
    assert len(made) == 1
    return {name: made[0][name] for name in COLUMNS}


def test_six_months_before_the_date_are_counted() -> None:
    assert scored(HALF_YEAR) == {
        "account_record": "yes",
        "falling_months_6m": 2.0,  # March: 80 - 90, May: 100 - 150
        "below_zero_share_6m": pytest.approx(1 / 12),  # of 12 bookings with a balance, that of 20 May
        "income_months_6m": 6.0,
        "income_steadiness_6m": pytest.approx(80 / 100),
        "cash_share_6m": pytest.approx(150 / (5 * 90 + 150 + 50)),
        "spent_share_6m": pytest.approx(650 / 580),
    }


def test_month_without_income_is_no_steady_income_and_a_whole_that_is_nothing_has_no_share() -> None:
    found = scored([booked(datetime(2026, 6, 5), 10_000, "pension")])
    assert (found["income_months_6m"], found["income_steadiness_6m"], found["spent_share_6m"]) == (1.0, 0.0, 0.0)
    # no balance was told and nothing was paid: no share of either, which is not 0
    assert found["falling_months_6m"] is None
    assert found["below_zero_share_6m"] is None
    assert found["cash_share_6m"] is None


@pytest.mark.parametrize(
    ("at", "counts"),
    [
        (datetime(2026, 6, 30, 23, 59, 59), True),
        (datetime(2026, 6, 30, 23, 59, 59, 1), False),  # later than the date by a microsecond
        (datetime(2026, 1, 1), True),
        (datetime(2025, 12, 31, 23, 59, 59), False),
    ],
)
def test_six_months_begin_and_end_where_the_calendar_says(at: datetime, counts: bool) -> None:
    assert (scored([booked(at, -100)])[ACCOUNT_RECORD] == "yes") == counts


def test_month_that_has_not_ended_is_not_counted() -> None:
    assert scored([booked(datetime(2026, 6, 29), -100)], AS_OF - timedelta(seconds=1))[ACCOUNT_RECORD] == "no"


def test_bank_without_transactions_has_no_such_characteristic() -> None:
    made = run({"customers": [ANNA]}, lambda bound: table.scoring(bound, AS_OF, SETTINGS, BANK)).to_pylist()[0]
    assert [made[name] for name in COLUMNS] == [None, *[None] * len(behaviour.COUNTED)]


@pytest.mark.parametrize(
    ("as_of", "record"),
    [
        (datetime(2025, 5, 31, 23, 59, 59, tzinfo=UTC), None),  # December 2024 was never delivered
        (datetime(2025, 6, 30, 23, 59, 59, tzinfo=UTC), "no"),  # January to June were, and hold nothing of hers
        (AS_OF, "yes"),
    ],
)
def test_months_before_the_bookings_begin_are_not_months_without_a_booking(as_of: datetime, record: str | None) -> None:
    stray = booked(datetime(1999, 1, 4), -100)  # left over from another system: no beginning
    many = [{**row, "transaction_id": f"{row['transaction_id']} {again}"} for row in LONG_BEFORE for again in range(20)]
    found = scored([stray, *many, *HALF_YEAR], as_of)
    assert found[ACCOUNT_RECORD] == record
    assert (found["income_months_6m"] is None) == (record != "yes")


def test_months_kept_for_many_dates_give_what_the_bookings_give() -> None:
    people, rows = crowd(60, seed=8)
    tables: dict[str, Any] = {"customers": people, "transactions": rows}
    direct = run(tables, lambda bound: table.snapshot(bound, AS_OF, SETTINGS))

    def kept(bound: dict[str, Any]) -> Any:
        return table.snapshot({**bound, behaviour.CUSTOMER_MONTHS: behaviour.customer_months(bound)}, AS_OF, SETTINGS)

    assert run(tables, kept).sort_by("customer_id").equals(direct.sort_by("customer_id"))


def crowd(customers: int, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Many customers with bookings at any second of the 18 months around the date, some on the edges of months."""
    draw = np.random.default_rng(seed)
    edges = [datetime(2026, month, 1) + timedelta(seconds=step) for month in (1, 4, 7) for step in (-1, 0)]
    people = [{**ANNA, "customer_id": f"C{at}"} for at in range(customers)]
    rows = []
    for person in people:
        for number in range(int(draw.integers(0, 25))):
            at = datetime(2025, 6, 1) + timedelta(seconds=int(draw.integers(0, 550 * 86_400)))
            at = edges[int(draw.integers(0, len(edges)))] if number % 5 == 0 else at
            amount = int(draw.integers(1, 50_000)) * int(draw.choice([-1, 1]))
            balance = None if number % 3 == 0 else int(draw.integers(-10_000, 10_000))
            row = booked(at, amount, str(draw.choice(["salary", "cash", "rent"])), balance)
            rows.append({**row, "customer_id": person["customer_id"]})
    return people, rows


def test_bookings_after_a_date_change_nothing_and_one_date_for_all_is_as_a_date_of_each_row() -> None:
    people, rows = crowd(150, seed=3)
    dates = [datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC), datetime(2026, 5, 14, 12, tzinfo=UTC), AS_OF]
    tables: dict[str, Any] = {"customers": people, "transactions": rows}
    asked = [
        {"application_id": f"{person['customer_id']} {date:%m}", "customer_id": person["customer_id"]}
        | {"product_id": "loan", "applied_at": date.replace(tzinfo=None), "decision": "declined"}
        for person in people
        for date in dates
    ]
    among = run({**tables, "applications": asked}, lambda bound: table.applicants(bound, AS_OF, SETTINGS))
    for date in dates:
        moment = date.replace(tzinfo=None)
        known = {**tables, "transactions": [row for row in rows if row["booked_at"] <= moment]}
        alone = run(known, lambda bound, date=date: table.snapshot(bound, date, SETTINGS))
        here = among.filter(pc.equal(among["applied_at"], pa.scalar(moment, pa.timestamp("us"))))
        names = ["customer_id", *COLUMNS]
        one, other = (made.sort_by("customer_id").select(names).to_pylist() for made in (alone, here))
        assert one == other
        assert 30 < sum(row[ACCOUNT_RECORD] == "yes" for row in one) <= 150


def test_use_of_limits_is_compared_with_half_a_year_before() -> None:
    # the newest records up to 30 June and up to 30 December: those of June and of November, not of 31 December
    records = [(datetime(2025, 11, 1), 0.2), (datetime(2025, 12, 31), 0.9), (datetime(2026, 6, 1), 0.5)]
    bureau = [{"customer_id": "anna", "reported_at": at, "utilisation_rate": rate} for at, rate in records]
    tables: dict[str, Any] = {"customers": [ANNA], "bureau": bureau}
    made = run(tables, lambda bound: table.scoring(bound, AS_OF, SETTINGS, BANK)).to_pylist()[0]
    assert made["utilisation_change_6m"] == pytest.approx(0.3)
    only = {**tables, "bureau": bureau[2:]}
    assert run(only, lambda bound: table.scoring(bound, AS_OF, SETTINGS, BANK))["utilisation_change_6m"].null_count == 1


@pytest.mark.spark
def test_duckdb_and_spark_give_the_same_characteristics(spark: Engine, tmp_path: Path) -> None:
    bureau = [
        {"customer_id": "anna", "reported_at": datetime(2025, month, 1), "utilisation_rate": month / 10}
        for month in (3, 10, 12)
    ]
    tables = {"customers": [ANNA], "transactions": [*LONG_BEFORE, *HALF_YEAR], "bureau": bureau}
    for name, rows in tables.items():
        pq.write_table(curated(name, rows), tmp_path / f"{name}.parquet")
    bound = {name: unbound(CURATED[name]) for name in tables}
    with DuckDBEngine(threads=1) as duck:
        for at in (AS_OF, AS_OF - timedelta(days=61)):
            built = table.snapshot(bound, at, SETTINGS)
            found = [_answer(engine, tables, tmp_path, built) for engine in (duck, spark)]
            assert len(found[0]) == 1
            assert found[0] == found[1]
            assert found[0][0]["income_months_6m"] is not None


def _answer(engine: Engine, tables: dict[str, Any], folder: Path, built: Any) -> list[dict[str, Any]]:
    for name in tables:
        engine.attach(name, folder / f"{name}.parquet")
    rows: pa.Table = engine.arrow(built.order_by("at"))
    return rows.select(["at", *COLUMNS, "utilisation_change_6m"]).to_pylist()
