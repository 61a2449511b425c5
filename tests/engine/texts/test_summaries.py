"""Customers and steps by hand."""

from datetime import datetime
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from pytest import approx

from engine.config.texts import TextSettings
from engine.domain.curated import CURATED
from engine.domain.marts import MARTS
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import arrow_schema, ibis_schema
from engine.texts import summaries

SETTINGS = TextSettings(days_after_step=14, smallest_cell=2)


def _table(engine: DuckDBEngine, name: str, contract: Any, rows: list[dict[str, Any]]) -> Any:
    schema = arrow_schema(contract)
    engine.attach(name, pa.Table.from_pylist(rows, schema=schema))
    return ibis.table(ibis_schema(contract), name=name)


def _day(day: int) -> datetime:
    return datetime(2026, 6, day)


def _talk(number: int, customer: str, day: int, score: int | None = None) -> dict[str, Any]:
    return {
        "interaction_id": f"I{number}",
        "customer_id": customer,
        "occurred_at": _day(day),
        "kind": "call",
        "satisfaction_score": score,
    }


def _told(number: int, customer: str, day: int, *found: Any) -> dict[str, Any]:
    talk = {name: _talk(number, customer, day)[name] for name in ("interaction_id", "customer_id", "occurred_at")}
    return talk | dict(zip(("topic", "sentiment", "sentiment_score"), found, strict=True))


TALKS = [_talk(1, "A", 2, 1), _talk(2, "A", 5, 4), _talk(3, "A", 9), _talk(4, "B", 3, 5), _talk(5, "C", 28, 2)]
TOLD = [
    _told(1, "A", 2, "fees", "negative", -0.8),
    _told(2, "A", 5, "fees", "neutral", 0.0),
    _told(3, "A", 9, "transfer", "positive", 0.6),
    _told(4, "B", 3, "advice", "positive", 0.5),
    _told(5, "C", 28, None, None, None),
]


def test_a_customer_is_told_by_what_was_said_and_felt() -> None:
    with DuckDBEngine(threads=1) as engine:
        talks = _table(engine, "i", CURATED["interactions"], TALKS)
        told = _table(engine, "t", MARTS["text_contacts"], TOLD)
        rows = engine.arrow(summaries.by_customer(talks, told)).to_pylist()
    found = {row["customer_id"]: row for row in rows}
    one = found["A"]
    assert (one["contacts"], one["texts_read"], one["texts_fees"], one["texts_transfer"]) == (3, 3, 2, 1)
    assert one["sentiment_mean"] == approx((-0.8 + 0.0 + 0.6) / 3)
    assert one["negative_share"] == approx(1 / 3)
    assert one["worst_topic"] == "fees"  # (-0.8 + 0.0) / 2 = -0.4, transfer 0.6
    assert (one["newest_topic"], one["newest_sentiment"]) == ("transfer", "positive")
    assert one["newest_satisfaction"] == 4  # the newest contact has no score: that of the 5th is the newest
    assert found["B"]["worst_topic"] is None
    # C wrote what cannot be read: counted, and nothing is made up
    assert (found["C"]["contacts"], found["C"]["texts_read"], found["C"]["sentiment_mean"]) == (1, 0, None)


def test_a_step_has_the_contacts_of_the_days_after_it_with_each_customer_once() -> None:
    stages = [
        {"journey": "loan", "customer_id": name, "current_step": "applied", "stage_since": _day(1)} for name in "ABC"
    ]
    stages.append({"journey": "loan", "customer_id": "D", "current_step": "viewed", "stage_since": _day(1)})
    with DuckDBEngine(threads=1) as engine:
        talks = _table(engine, "i", CURATED["interactions"], TALKS)
        told = _table(engine, "t", MARTS["text_contacts"], TOLD)
        standing = _table(engine, "s", MARTS["journey_stages"], stages)
        sums = engine.arrow(summaries.by_step(standing, talks, told, SETTINGS))
    rows = summaries.means(sums, SETTINGS).to_pylist()
    assert [row["current_step"] for row in rows] == ["applied", "viewed"]
    applied, viewed = rows
    # C spoke 27 days after the step, which is too late
    assert (applied["customers"], applied["contacts"], applied["scored_customers"]) == (3, 4, 2)
    # A gave 1 and 4, mean 2.5; B gave 5
    assert applied["satisfaction_mean"] == approx((2.5 + 5) / 2)
    # t(0.975, 1) = 12.706, s = 2.5 / sqrt 2, s / sqrt 2 = 1.25: 3.75 -+ 15.9, cut at the ends of the scale
    assert (applied["satisfaction_lower"], applied["satisfaction_upper"]) == (1, 5)
    assert applied["sentiment_mean"] == approx((-0.2 / 3 + 0.5) / 2, abs=1e-5)
    assert applied["negative_share"] == approx((1 / 3 + 0) / 2, abs=1e-5)
    assert applied["reason"] is None
    assert (viewed["customers"], viewed["contacts"], viewed["satisfaction_mean"]) == (1, 0, None)
    assert viewed["reason"] == "fewer than 2 customers gave a score, and fewer than 2 wrote"


def test_an_interval_of_means_is_students() -> None:
    scores = np.array([2.0, 3.0, 4.0, 3.0])
    mean, half = summaries._mean(np.array([scores.sum()]), np.array([(scores**2).sum()]), np.array([4.0]), few=2)
    # variance 2/3, standard error sqrt(2/3 / 4) = 0.40825, t(0.975, 3) = 3.18245
    assert (mean[0], half[0]) == (approx(3.0), approx(3.18245 * 0.40825, rel=1e-4))


def test_figures_are_the_same_to_the_byte_in_whatever_order_rows_come() -> None:
    rng = np.random.default_rng(5)
    rows = [_told(n, f"C{n % 7}", 1 + n % 28, "fees", "negative", float(rng.normal() / 3)) for n in range(3000)]
    talks = [_talk(n, f"C{n % 7}", 1 + n % 28) for n in range(3000)]
    stages = [{"journey": "j", "customer_id": f"C{n}", "current_step": "s", "stage_since": _day(1)} for n in range(7)]
    found = []
    for turn in (rows, rows[::-1]):
        with DuckDBEngine(threads=2) as engine:
            interactions = _table(engine, "i", CURATED["interactions"], talks)
            told = _table(engine, "t", MARTS["text_contacts"], turn)
            standing = _table(engine, "s", MARTS["journey_stages"], stages)
            customers = engine.arrow(summaries.by_customer(interactions, told).order_by("customer_id"))
            sums = engine.arrow(summaries.by_step(standing, interactions, told, SETTINGS))
        found.append((customers.to_pylist(), summaries.means(sums, SETTINGS).to_pylist()))
    assert found[0] == found[1]
