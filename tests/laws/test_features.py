"""Laws of the feature table: the future has no say, order has no say, and the windows nest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.words import CATEGORIES, CHANNELS, FEEDBACK_EVENTS, INTERACTION_KINDS
from engine.features import activity
from engine.features.table import FEATURES, THEMES
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import naive_utc
from tests.engine.features.rows import AS_OF, of_table

NOW = naive_utc(AS_OF)
CUSTOMERS = ["c1", "c2", "c3"]
TIMES = {
    "customers": "joined_at",
    "holdings": "opened_at",
    "transactions": "booked_at",
    "events": "occurred_at",
    "interactions": "occurred_at",
    "bureau": "reported_at",
    "offers_feedback": "occurred_at",
}
KEYS = {
    "holdings": "holding_id",
    "transactions": "transaction_id",
    "events": "event_id",
    "interactions": "interaction_id",
    "offers_feedback": "feedback_id",
}
PRODUCTS = [
    {"product_id": "gold", "family": "card", "is_credit": True},
    {"product_id": "fund", "family": "investment", "is_credit": False},
]
Bank = dict[str, list[dict[str, Any]]]
laws = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# the edges of the windows and the instant itself are drawn often, and two rows at one instant too
past = st.one_of(
    st.sampled_from([0, 1, 30 * 86400, 30 * 86400 + 1, 90 * 86400, 365 * 86400]), st.integers(0, 800 * 86400)
).map(lambda seconds: NOW - timedelta(seconds=seconds))
future = st.integers(1, 800 * 86400).map(lambda seconds: NOW + timedelta(seconds=seconds))
amounts = st.integers(-100_000, 100_000)


def rows_at(times: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[dict[str, Any]]]:
    """One row of each table that became known at one of the times."""
    later = st.none() | past | future
    owner, product = st.sampled_from(CUSTOMERS), st.sampled_from(["gold", "fund"])
    currency, score = st.sampled_from(["CNY", "USD"]), st.none() | st.integers(1, 5)
    build = st.fixed_dictionaries
    return {
        "holdings": build(
            {
                "customer_id": owner,
                "product_id": product,
                "opened_at": times,
                "closed_at": later,
                "currency": currency,
                "limit_minor": st.none() | st.integers(0, 10**9),
            }
        ),
        "transactions": build(
            {
                "customer_id": owner,
                "holding_id": st.sampled_from([None, "h1", "h2"]),
                "booked_at": times,
                "amount_base_minor": amounts,
                "currency": currency,
                "category": st.none() | st.sampled_from(CATEGORIES),
                "balance_after_minor": st.none() | amounts,
            }
        ),
        "events": build(
            {
                "customer_id": st.none() | owner,
                "occurred_at": times,
                "event_name": st.sampled_from(["login", "product_viewed", "calculator_used", "page_view"]),
                "channel": st.none() | st.sampled_from(CHANNELS),
                "session_id": st.sampled_from([None, "s1", "s2"]),
                "product_id": st.none() | product,
            }
        ),
        "interactions": build(
            {
                "customer_id": owner,
                "occurred_at": times,
                "kind": st.sampled_from(INTERACTION_KINDS),
                "satisfaction_score": score,
                "resolved_at": later,
            }
        ),
        "bureau": build({"customer_id": owner, "reported_at": times, "credit_lines": st.none() | st.integers(0, 9)}),
        "offers_feedback": build(
            {
                "customer_id": owner,
                "campaign_id": st.sampled_from([None, "k1", "k2"]),
                "product_id": product,
                "channel": st.sampled_from(["email", "sms"]),
                "event": st.sampled_from(FEEDBACK_EVENTS),
                "occurred_at": times,
            }
        ),
    }


@st.composite
def banks(draw: st.DrawFn, times: st.SearchStrategy[Any] = past, most: int = 8, mark: str = "p") -> Bank:
    """A bank of three customers with up to `most` rows in each table; `mark` keeps the ids of two banks apart."""
    bank = {name: draw(st.lists(row, max_size=most)) for name, row in rows_at(times).items()}
    for name, key in KEYS.items():
        bank[name] = [{key: f"{mark}{number}", **row} for number, row in enumerate(bank[name])]
    reports = {(row["customer_id"], row["reported_at"]): row for row in bank["bureau"]}
    bank["bureau"] = list(reports.values())
    bank["customers"] = [{"customer_id": name, "joined_at": NOW - timedelta(days=900)} for name in CUSTOMERS]
    bank["products"] = PRODUCTS
    return bank


ENGINE = DuckDBEngine(threads=1)


def features(bank: Bank) -> dict[str, dict[str, Any]]:
    return of_table(ENGINE, **bank)


@laws
@given(banks(), banks(times=future, mark="f"))
def test_rows_later_than_the_instant_change_nothing(bank, to_come):
    newcomer = {"customer_id": "c4", "joined_at": NOW + timedelta(seconds=1)}
    together = {
        name: rows + (to_come[name] if name in TIMES and name != "customers" else []) for name, rows in bank.items()
    }
    together["customers"] = [*bank["customers"], newcomer]
    assert features(together) == features(bank)


@laws
@given(banks(), st.data())
def test_an_end_that_lies_in_the_future_is_no_end_yet(bank, data):
    def postponed(row, column):
        ended = row[column]
        return {**row, column: data.draw(st.none() | future) if ended is None or ended > NOW else ended}

    changed = {
        **bank,
        "holdings": [postponed(row, "closed_at") for row in bank["holdings"]],
        "interactions": [postponed(row, "resolved_at") for row in bank["interactions"]],
    }
    assert features(changed) == features(bank)


@laws
@given(banks(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(bank, random):
    shuffled = {name: random.sample(rows, len(rows)) for name, rows in bank.items()}
    assert features(shuffled) == features(bank)


@laws
@given(banks())
def test_each_customer_stands_alone(bank):
    """What the others do changes nothing for a customer."""
    alone = {name: [row for row in rows if row.get("customer_id", "c1") == "c1"] for name, rows in bank.items()}
    assert features(alone)["c1"] == features(bank)["c1"]


@laws
@given(banks(most=12))
def test_windows_nest_parts_add_up_and_shares_are_shares(bank):
    for row in features(bank).values():
        for name in ("transactions_{}d", "money_in_{}d_minor", "money_out_{}d_minor"):
            assert row[name.format(30)] <= row[name.format(90)] <= row[name.format(365)]
        for days in activity.SPEND_WINDOWS:
            spent = sum(row[f"spend_{group}_{days}d_minor"] for group in activity.SPEND_GROUPS)
            assert spent <= row[f"money_out_{days}d_minor"]
        assert row["salary_90d_minor"] <= row["money_in_90d_minor"]
        assert row["products_held"] <= row["holdings_open"]
        shares = [row[name] for name, feature in FEATURES.items() if feature.kind == "share"]
        assert all(share is None or 0 <= share <= 1 for share in shares)


@laws
@given(banks(most=4))
def test_a_missing_table_leaves_the_other_themes_as_they_are(bank):
    whole = features(bank)
    for lost in ("transactions", "products", "bureau"):
        rest = features({name: rows for name, rows in bank.items() if name != lost})
        without = {theme.name for theme in THEMES if lost in theme.reads}
        for customer, row in rest.items():
            for name, feature in FEATURES.items():
                assert row[name] == (None if feature.theme in without else whole[customer][name])
