"""Triggers, the watch list and due dates: small banks, dates that can be counted on a calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.config.risk_warning import Trigger, WarningSettings
from engine.domain.curated import CURATED
from engine.lake.engine import DuckDBEngine, Engine
from engine.lake.schema import unbound
from engine.risk import early_warning, reassessment
from tests.engine.risk.lending import AS_OF, SETTINGS, Rows, curated, run

# thresholds of the tests' own, so that the working can be read here: low 1, medium 2, high 4
RULES = SETTINGS.early_warning.model_copy(update={"enters_at": 2, "escalates_at": 5})
DAY = datetime(2026, 6, 1)


def _customers(*names: str, closed: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    return [
        {"customer_id": name, "joined_at": datetime(2020, 1, 1), "closed_at": DAY if name in closed else None}
        for name in names
    ]


def _bureau(customer: str, **columns: list[float | None]) -> list[dict[str, Any]]:
    size = len(next(iter(columns.values())))
    return [
        {
            "customer_id": customer,
            "reported_at": datetime(2026, 7 - size + at, 1),
            **{name: values[at] for name, values in columns.items()},
        }
        for at in range(size)
    ]


def _fired(tables: Rows) -> list[tuple[str, str, datetime]]:
    found = run(tables, lambda bound: early_warning.events(bound, AS_OF, RULES)[0])
    return sorted(zip(*(found[name].to_pylist() for name in early_warning.EVENTS.names), strict=True))


def test_a_number_that_rises_above_the_lowest_of_three_reports_fires_and_a_slow_rise_does_not() -> None:
    bureau = [
        *_bureau("jumps", inquiries_6m=[1, 1, 2, 4]),
        *_bureau("creeps", inquiries_6m=[1, 2, 3, 3]),
        *_bureau("falls", inquiries_6m=[9, 5, 1, 0]),
        *_bureau("gap", inquiries_6m=[1, None, None, 4]),
    ]
    fired = _fired({"customers": _customers("jumps", "creeps", "falls", "gap"), "bureau": bureau})
    assert fired == [("gap", "inquiries_jump", DAY), ("jumps", "inquiries_jump", DAY)]


def test_reaching_a_level_fires_once_and_staying_there_does_not() -> None:
    bureau = [
        *_bureau("a", worst_days_past_due_12m=[30, 120, 150]),
        *_bureau("b", worst_days_past_due_12m=[95, 95, 95]),
    ]
    fired = _fired({"customers": _customers("a", "b"), "bureau": bureau})
    assert fired == [("a", "default_elsewhere", datetime(2026, 5, 1))]


def _salaries(customer: str, *days: datetime) -> list[dict[str, Any]]:
    return [
        {
            "transaction_id": f"{customer}{at}",
            "customer_id": customer,
            "booked_at": day,
            "amount_minor": 1,
            "category": "salary",
        }
        for at, day in enumerate(days)
    ]


def test_a_regular_salary_that_does_not_come_fires_45_days_after_the_last() -> None:
    regular = [datetime(2026, month, 1) for month in (2, 3, 4)]
    transactions = [
        *_salaries("stopped", *regular),
        *_salaries("goes_on", *regular, datetime(2026, 5, 1), datetime(2026, 6, 1)),
        *_salaries("irregular", datetime(2025, 9, 1), datetime(2025, 12, 15), datetime(2026, 4, 1)),
        *_salaries("gone", *regular),
    ]
    customers = _customers("stopped", "goes_on", "irregular", "gone", closed=("gone",))
    fired = _fired({"customers": customers, "transactions": transactions})
    assert fired == [("stopped", "salary_missed", datetime(2026, 4, 1) + timedelta(days=45))]


def test_an_account_that_falls_below_zero_three_times_in_sixty_days_fires_at_the_third() -> None:
    balances = [10, -5, 10, -5, 10, -5, -6]
    transactions = [
        {
            "transaction_id": f"T{at}", "customer_id": "a", "holding_id": "H", "booked_at": datetime(2026, 5, 1 + at),
            "amount_minor": 1, "balance_after_minor": balance,
        }
        for at, balance in enumerate(balances)
    ]  # fmt: skip
    fired = _fired({"customers": _customers("a"), "transactions": transactions})
    # staying below zero on the seventh is no new fall
    assert fired == [("a", "balance_low", datetime(2026, 5, 6))]


def test_what_cannot_fire_is_said_with_the_reason() -> None:
    found, absent = early_warning.events({"customers": unbound(CURATED["customers"])}, AS_OF, RULES)
    assert found is None
    assert absent["salary_missed"] == "the bank has no table transactions"
    quiet = early_warning.silent_triggers(early_warning.EVENTS.empty_table(), RULES, absent)
    assert quiet["inquiries_jump"] == "the bank has no table bureau"
    assert "did not fire" in quiet["tier_worsened"]


def test_a_worse_tier_fires_and_an_unknown_one_does_not() -> None:
    months = [datetime(2026, month, 1) for month in (4, 5, 6)]
    tiers = {"up": ("low", "low", "high"), "down": ("high", "low", "low"), "blank": ("low", "unknown", "high")}
    schema = pa.schema([("customer_id", pa.string()), ("at", pa.timestamp("us")), ("risk_tier", pa.string())])
    # the customers of each month in another order, and one more in each
    on = [
        pa.Table.from_pylist(
            [{"customer_id": who, "at": at, "risk_tier": tiers[who][place]} for who in list(tiers)[:: (-1) ** place]]
            + [{"customer_id": f"new {place}", "at": at, "risk_tier": "high"}],
            schema,
        )
        for place, at in enumerate(months)
    ]
    order = ("low", "medium", "high")
    assert early_warning.tier_events(on[0], on[1], RULES, order).num_rows == 0
    found = early_warning.tier_events(on[1], on[2], RULES, order)
    assert found.to_pylist() == [{"customer_id": "up", "trigger": "tier_worsened", "occurred_at": months[2]}]
    assert early_warning.tier_events(on[0].slice(0, 0), on[2], RULES, order).num_rows == 0


def _events(*rows: tuple[str, str, datetime]) -> pa.Table:
    named = [dict(zip(early_warning.EVENTS.names, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(named, early_warning.EVENTS)


def _listed(found: pa.Table, as_of: datetime = AS_OF) -> dict[str, dict[str, Any]]:
    return {row["customer_id"]: row for row in early_warning.watch_list(found, as_of, RULES).to_pylist()}


def test_one_small_sign_is_no_watch_two_are_and_a_grave_one_is_by_itself() -> None:
    found = _events(
        ("one", "complaint", DAY),
        ("two", "complaint", DAY),
        ("two", "inquiries_jump", DAY + timedelta(days=3)),
        ("grave", "public_record", DAY),
    )
    listed = _listed(found)
    assert sorted(listed) == ["grave", "two"]
    assert listed["two"]["entered_at"] == DAY + timedelta(days=3)
    assert listed["two"]["triggers"] == "inquiries_jump complaint"
    assert listed["two"]["severity"] == "low"
    assert listed["two"]["next_review_at"] == DAY + timedelta(days=3 + 60)
    assert listed["grave"]["severity"] == "high"
    assert listed["grave"]["next_review_at"] == DAY + timedelta(days=10)


def test_much_at_once_raises_severity_a_step() -> None:
    # 2 + 2 + 1 = 5, from which on a medium case counts as high
    found = _events(("a", "salary_missed", DAY), ("a", "late_elsewhere", DAY), ("a", "complaint", DAY))
    assert _listed(found)["a"]["severity"] == "high"
    assert _listed(found)["a"]["escalated"] is True


def test_the_list_is_left_when_the_signs_run_out_and_that_is_shown_for_a_while() -> None:
    # salary_missed holds 90 days; a second event on day 60 makes it hold until day 150
    start = datetime(2026, 1, 1)
    found = _events(("a", "salary_missed", start), ("a", "salary_missed", start + timedelta(days=60)))
    left = start + timedelta(days=150)
    assert _listed(found)["a"]["status"] == "left"
    assert _listed(found)["a"]["left_at"] == left
    assert _listed(found)["a"]["next_review_at"] is None
    assert _listed(found)["a"]["triggers"] == "salary_missed"
    assert _listed(found, left.replace(tzinfo=UTC) - timedelta(days=1))["a"]["status"] == "watched"
    assert _listed(found, left.replace(tzinfo=UTC) + timedelta(days=91)) == {}


def test_a_review_puts_the_next_one_off_and_a_new_event_does_not() -> None:
    found = _events(("a", "late_elsewhere", DAY), ("a", "salary_missed", DAY + timedelta(days=20)))
    before = early_warning.watch_list(found, AS_OF, RULES).to_pylist()[0]
    assert before["next_review_at"] == DAY + timedelta(days=30)
    reviewed = {"a": datetime(2026, 6, 15, tzinfo=UTC)}
    after = early_warning.watch_list(found, AS_OF, RULES, reviewed).to_pylist()[0]
    assert after["next_review_at"] == datetime(2026, 6, 15) + timedelta(days=30)


def test_nobody_is_watched_where_nothing_happened() -> None:
    assert early_warning.watch_list(early_warning.EVENTS.empty_table(), AS_OF, RULES).num_rows == 0


CODES = [trigger.code for trigger in RULES.triggers]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(CODES), st.integers(0, 300)), max_size=25),
    st.integers(0, 400),
)
def test_the_list_is_what_weighing_every_event_day_by_day_gives(rows: list[tuple[str, str, int]], day: int) -> None:
    start = datetime(2025, 1, 1)
    found = _events(*((who, code, start + timedelta(days=at)) for who, code, at in rows if at <= day))
    moment = start + timedelta(days=day, hours=1)
    holds = {trigger.code: trigger.holds_days for trigger in RULES.triggers}
    expected = set()
    for who in "abc":
        active = {code for owner, code, at in rows if owner == who and at <= day < at + holds[code]}
        if sum(RULES.weights.of(RULES.severity(code)) for code in active) >= RULES.enters_at:
            expected.add(who)
    listed = _listed(found, moment.replace(tzinfo=UTC))
    assert {who for who, row in listed.items() if row["status"] == "watched"} == expected


def _risk(**customers: tuple[str, datetime | None, int]) -> pa.Table:
    tier, signal, exposure = zip(*customers.values(), strict=True)
    return pa.table(
        {
            "customer_id": pa.chunked_array([list(customers)]),
            "risk_tier": pa.chunked_array([list(tier)]),
            "signal_at": pa.chunked_array([pa.array(signal, pa.timestamp("us"))]),
            "exposure_minor": pa.chunked_array([pa.array(exposure, pa.int64())]),
        }
    )


def test_due_dates_follow_tier_and_watch_list_and_do_not_move_when_asked_again() -> None:
    risk = _risk(
        high=("high", DAY, 0),
        low=("low", DAY, 0),
        blind=("unknown", None, 5),
        nobody=("unknown", None, 0),
        seen=("low", DAY, 0),
    )
    events = _events(("seen", "public_record", DAY), ("low", "late_elsewhere", DAY - timedelta(days=1)))
    watched = early_warning.watch_list(events, AS_OF, RULES)
    due = reassessment.due_dates(risk, watched, AS_OF, SETTINGS.reassessment)
    rows = {row["customer_id"]: row for row in due.to_pylist()}
    assert rows["high"]["reassess_at"] == DAY + timedelta(days=92)
    # a medium sign of the day before: the record of the day after was graded since, so that nobody need look sooner
    assert rows["low"]["reassess_at"] == DAY + timedelta(days=365)
    # a grave one takes a person
    assert rows["seen"]["reassess_at"] == DAY + timedelta(days=10)
    assert rows["seen"]["cause"] == "watch_list"
    assert (rows["blind"]["cause"], rows["blind"]["is_due"]) == ("no_signal", True)
    assert (rows["nobody"]["reassess_at"], rows["nobody"]["is_due"]) == (None, False)
    assert due.equals(reassessment.due_dates(risk, watched, AS_OF, SETTINGS.reassessment))


def test_a_persons_review_counts_from_its_own_day() -> None:
    reviewed = {"high": datetime(2026, 6, 20, tzinfo=UTC)}
    nothing = early_warning.watch_list(early_warning.EVENTS.empty_table(), AS_OF, RULES)
    due = reassessment.due_dates(_risk(high=("high", DAY, 0)), nothing, AS_OF, SETTINGS.reassessment, reviewed)
    assert due["reassess_at"].to_pylist() == [datetime(2026, 6, 20) + timedelta(days=92)]


def test_a_trigger_that_lacks_what_its_kind_needs_is_refused_with_the_name() -> None:
    given_values = RULES.triggers[0].model_dump() | {"at_least": None}
    with pytest.raises(ValidationError, match='"inquiries_jump" of kind "rise" needs at_least'):
        Trigger.model_validate(given_values)
    twice = RULES.model_dump() | {"triggers": [RULES.triggers[0].model_dump()] * 2}
    with pytest.raises(ValidationError, match="stands here twice"):
        WarningSettings.model_validate(twice)


@pytest.mark.spark
def test_spark_finds_the_same_events(spark: Engine) -> None:
    rising: dict[str, list[float | None]] = {
        "inquiries_6m": [1, 1, 2, 4],
        "utilisation_rate": [0.1, 0.2, 0.3, 0.9],
        "worst_days_past_due_12m": [0, 0, 30, 95],
    }
    late: dict[str, list[float | None]] = {"delinquencies_12m": [0, 1, 1, 2], "public_records": [0, 0, 0, 1]}
    said = {"customer_id": "c", "kind": "complaint"}
    complaints = [{"interaction_id": str(at), "occurred_at": datetime(2026, 6, at), **said} for at in (1, 5)]
    salaries = _salaries("c", *[datetime(2026, month, 1) for month in (2, 3, 4)])
    tables = {
        "customers": curated("customers", _customers("a", "b", "c")),
        "bureau": curated("bureau", [*_bureau("a", **rising), *_bureau("b", **late)]),
        "transactions": curated("transactions", salaries),
        "interactions": curated("interactions", complaints),
    }
    expression, _ = early_warning.events({name: unbound(CURATED[name]) for name in tables}, AS_OF, RULES)
    with DuckDBEngine() as duck:
        for name, rows in tables.items():
            duck.attach(name, rows)
            spark.attach(name, rows)
        one, two = (sorted(engine.arrow(expression).to_pylist(), key=str) for engine in (duck, spark))
    assert len(one) >= 7
    assert one == two
