"""Steps towards a product: their codes by hand, what they add to the odds recovered, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.domain.curated import CURATED, EVENTS
from engine.lake.engine import DuckDBEngine, Engine
from engine.lake.schema import arrow_schema, unbound
from engine.recommendations import interest
from engine.recommendations.decide import decide
from engine.recommendations.interest import CODES
from tests.engine.recommendations import builders

NOW = builders.AS_OF
PRODUCTS = ("card", "gold_card", "loan", "fund")
FAMILIES = ("card", "card", "loan", "investment")


def _ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def _events(*taken: tuple[str | None, str | None, str, float]) -> pa.Table:
    rows = [
        {"event_id": str(at), "customer_id": who, "product_id": what, "event_name": name, "occurred_at": _ago(days)}
        for at, (who, what, name, days) in enumerate(taken)
    ]
    schema = arrow_schema(EVENTS)
    return pa.Table.from_pylist([dict.fromkeys(schema.names) | row for row in rows], schema=schema)


def _steps(engine: Engine, events: pa.Table) -> pa.Table:
    engine.attach("events", events)
    found = engine.arrow(interest.steps({"events": unbound(CURATED["events"])}, NOW))
    return found.sort_by([("customer_id", "ascending"), ("product_id", "ascending")])


def _codes(taken: pa.Table, held: dict[tuple[str, str], float] | None = None) -> dict[tuple[str, str], int]:
    pairs = held or {}
    holdings = pa.table(
        {
            "customer_id": pa.array([who for who, _ in pairs], pa.string()),
            "product_id": pa.array([what for _, what in pairs], pa.string()),
            "opened_at": pa.array([_ago(days).replace(tzinfo=None) for days in pairs.values()], pa.timestamp("us")),
        }
    )
    ids = pa.array(["ann", "bob", "cyd"])
    found = interest.codes(taken, holdings, ids, product_ids=PRODUCTS, together=FAMILIES, as_of=NOW)
    return {
        (who, what): int(found[row, place])
        for row, who in enumerate(ids.to_pylist())
        for place, what in enumerate(PRODUCTS)
        if found[row, place]
    }


@pytest.fixture
def duck() -> Any:
    with DuckDBEngine() as engine:
        yield engine


STORY = (
    ("ann", "card", "product_viewed", 40.0),
    ("ann", "card", "application_started", 12.0),
    ("ann", "card", "product_viewed", 3.0),
    ("ann", "loan", "application_submitted", 100.0),
    ("bob", "fund", "calculator_used", 90.0),
    ("bob", "loan", "documents_uploaded", 89.0),
    ("bob", "loan", "application_submitted", 95.0),
    ("cyd", "card", "product_viewed", 7.0),
    # none of these is a step towards a product
    ("cyd", "fund", "login", 1.0),
    ("cyd", None, "product_viewed", 1.0),
    (None, "fund", "product_viewed", 1.0),
    ("cyd", "fund", "product_viewed", -1.0),
    ("cyd", "unsold", "product_viewed", 1.0),
)


def test_codes_are_those_worked_out_by_hand(duck: Engine) -> None:
    assert _codes(_steps(duck, _events(*STORY))) == {
        # began within 90 days and was last there 3 days ago: depth 1, band 0
        ("ann", "card"): 1 + 1 * 3 + 0,
        ("ann", "gold_card"): 11,
        ("ann", "loan"): 10,
        # exactly 90 days back is longer ago, exactly 7 in the second band
        ("bob", "fund"): 10,
        # what was handed in 95 days ago no longer counts for how far, the papers of day 89 do
        ("bob", "loan"): 1 + 1 * 3 + 2,
        ("cyd", "card"): 1 + 0 * 3 + 1,
        ("cyd", "gold_card"): 11,
    }
    assert CODES[4].text_en == "Began an application for this product in the last 7 days."


def test_steps_that_led_to_what_is_held_say_nothing_more(duck: Engine) -> None:
    found = _codes(_steps(duck, _events(*STORY)), {("ann", "card"): 2.0, ("cyd", "card"): 8.0, ("bob", "card"): 1.0})
    assert ("ann", "card") not in found
    # but something of a similar product: ann chose between the two three days ago
    assert CODES[found["ann", "gold_card"]].text_en == "Looked into a similar product in the last 90 days."
    # looked at again after it was opened
    assert found["cyd", "card"] == 2


def test_products_are_alike_within_a_journey_and_within_a_family_where_no_journey_names_any() -> None:
    assert interest.labels(PRODUCTS, FAMILIES, []) == FAMILIES
    # the fund is in no journey, and then like nothing else
    assert interest.labels(PRODUCTS, FAMILIES, [("loan", "card")]) == ("loan", "gold_card", "loan", "fund")


def test_no_table_and_no_rows_are_no_steps(duck: Engine) -> None:
    assert interest.steps({}, NOW) is None
    assert _codes(_steps(duck, _events())) == {}


@pytest.mark.spark
def test_spark_finds_the_same_steps(duck: Engine, spark: Engine) -> None:
    assert _steps(spark, _events(*STORY)).to_pylist() == _steps(duck, _events(*STORY)).to_pylist()


def test_what_a_code_adds_is_found_again() -> None:
    random = np.random.default_rng(3)
    codes = random.integers(0, 5, (60_000, 4)).astype(np.int8)
    scores = random.uniform(0.01, 0.2, codes.shape)
    planted = np.array([0.0, 1.5, -1.0, 0.4, 0.0, *np.zeros(len(CODES) - 5)])
    true = interest.lift(scores, codes, np.exp(planted))
    opened = random.random(codes.shape) < true
    eligible = random.random(codes.shape) < 0.8
    found = interest.learn(codes, scores, opened, eligible)
    # 38,000 pairs of each code, some 4,000 of them opened: a standard error of about 0.02
    assert found == pytest.approx(planted, abs=0.08)
    assert found[0] == 0.0


def test_a_code_that_nobody_has_adds_nothing_and_one_pair_little() -> None:
    codes = np.array([[1, 0], [0, 0]], dtype=np.int8)
    found = interest.learn(codes, np.full((2, 2), 0.01), codes > 0, np.ones((2, 2), dtype=bool))
    # slope 0.99 of one opening against a curve of 1 + 0.0099: the prior holds it to about half the way to certainty
    assert 0.5 < found[1] < 2.5
    assert not found[2:].any()


def test_odds_are_multiplied_and_bits_do_not_depend_on_the_rows() -> None:
    scores, codes = np.array([[0.2, 0.5, 0.0]]), np.array([[1, 0, 1]], dtype=np.int8)
    factors = np.array([1.0, 3.0])
    # odds of 1 to 4 become 3 to 4; what has no step, or no chance, stays
    assert interest.lift(scores, codes, factors) == pytest.approx(np.array([[3 / 7, 0.5, 0.0]]))
    random = np.random.default_rng(1)
    many, of = random.random((500, 3)), random.integers(0, 2, (500, 3)).astype(np.int8)
    whole = interest.lift(many, of, factors)
    each = np.concatenate([interest.lift(many[row : row + 1], of[row : row + 1], factors) for row in range(500)])
    assert np.array_equal(whole, each)


def test_a_step_that_raises_the_chance_is_the_first_reason() -> None:
    made = builders.prepared(2000)
    block = next(made.decision_blocks())
    factors = np.ones(len(CODES))
    factors[4] = 20.0
    bundle = replace(made.bundle, fitted=replace(made.bundle.fitted, factors=factors))
    steps = np.full(block.view.owned.shape, 4, dtype=np.int8)
    with_steps, without = (
        decide(replace(block, view=replace(block.view, steps=codes)), bundle) for codes in (steps, np.zeros_like(steps))
    )
    assert (with_steps.propensity >= without.propensity).all()
    assert len(with_steps.offer_rows) > 0
    first = np.array(bundle.phrases.en)[with_steps.offer_reasons[:, 0]]
    assert set(first) == {CODES[4].text_en}
    assert CODES[4].text_en not in set(np.array(bundle.phrases.en)[without.offer_reasons.ravel()])
