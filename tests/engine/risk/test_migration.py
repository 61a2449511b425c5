"""Moves between tiers, roll rates and vintage curves: counted by hand, and the same on DuckDB and Spark."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from engine.domain.curated import CURATED
from engine.lake.engine import DuckDBEngine, Engine
from engine.lake.schema import of_arrow, unbound
from engine.risk import migration
from engine.risk.migration import Move
from tests.engine.risk.lending import AS_OF, SETTINGS, curated, run

RULES = SETTINGS.migration
TIERS = ("low", "medium", "high", "unknown")


def _expression(name: str, rows: pa.Table) -> object:
    import ibis

    return ibis.table(of_arrow(rows.schema), name=name)


def _tiers(**customers: str) -> pa.Table:
    return pa.table({"customer_id": list(customers), "risk_tier": list(customers.values())})


BEFORE = _tiers(a="low", b="low", c="low", d="medium", e="high", f="low")
AFTER = _tiers(a="low", b="medium", c="low", d="medium", e="medium", g="high")


def _counted(engine: DuckDBEngine) -> pa.Table:
    engine.attach("before", BEFORE)
    engine.attach("after", AFTER)
    return engine.arrow(migration.tier_moves(_expression("before", BEFORE), _expression("after", AFTER)))


def _shares(found: list[Move]) -> dict[tuple[str, str], float | None]:
    return {(move.origin, move.target): move.share for move in found if move.count}


def test_moves_between_tiers_are_shares_of_where_customers_were() -> None:
    with DuckDBEngine() as engine:
        found = migration.moves(_counted(engine), (*TIERS, migration.NEW, migration.LEFT), RULES)
    # of 4 low: a and c stayed, b rose to medium, f left
    assert _shares(found) == {
        ("low", "low"): 2 / 4,
        ("low", "medium"): 1 / 4,
        ("low", "left"): 1 / 4,
        ("medium", "medium"): 1.0,
        ("high", "medium"): 1.0,
        ("new", "high"): 1.0,
    }
    assert all(move.small for move in found)


def _delays() -> pa.Table:
    reports = {"a": (0, 0, 31, 65, 95), "b": (0, 5, 0, 0, 0), "c": (0, None, 0, 0, 0)}
    rows = [
        {"customer_id": who, "at": datetime(2026, 1 + month, 1), "days_past_due": days}
        for who, all_days in reports.items()
        for month, days in enumerate(all_days)
    ]
    return pa.Table.from_pylist(
        rows, pa.schema([("customer_id", pa.string()), ("at", pa.timestamp("us")), ("days_past_due", pa.int64())])
    )


def test_roll_rates_follow_each_customer_from_report_to_report() -> None:
    with DuckDBEngine() as engine:
        engine.attach("delays", _delays())
        counted = engine.arrow(migration.roll_moves(_expression("delays", _delays()), RULES))
    names = migration.buckets(RULES)
    assert names == ["current", "1 to 29", "30 to 59", "60 to 89", "90 and over"]
    found = _shares(migration.moves(counted, names, RULES))
    # from current: a to current, to 31 days; b to 5 days, then twice to current; c, whose empty report does not count,
    # three times to current: 6 of 8 stay
    assert found["current", "current"] == pytest.approx(6 / 8)
    assert found["current", "1 to 29"] == pytest.approx(1 / 8)
    assert found["current", "30 to 59"] == pytest.approx(1 / 8)
    assert found["1 to 29", "current"] == 1.0
    assert found["60 to 89", "90 and over"] == 1.0
    shares = migration.matrix(migration.moves(counted, names, RULES), names)
    assert shares.sum(axis=1) == pytest.approx(np.ones(5))


def _chain(transition: np.ndarray, seed: int, people: int = 3_000, steps: int = 6) -> pa.Table:
    draw, names = np.random.default_rng(seed), migration.buckets(RULES)[:2]
    state = np.zeros((people, steps), dtype=int)
    for step in range(1, steps):
        state[:, step] = draw.random(people) < transition[state[:, step - 1], 1]
    return _triples(state, names)


def _triples(state: np.ndarray, names: list[str]) -> pa.Table:
    steps = [state[:, at : at + 3] for at in range(state.shape[1] - 2)]
    seen, counts = np.unique(np.concatenate(steps), axis=0, return_counts=True)
    columns = {name: [names[code] for code in seen[:, at]] for at, name in enumerate(("origin", "target", "third"))}
    return pa.table({**columns, "count": counts})


def test_a_chain_without_memory_passes_the_check_and_one_with_memory_does_not() -> None:
    names = migration.buckets(RULES)
    passed = [
        migration.markov_check(_chain(np.array([[0.9, 0.1], [0.4, 0.6]]), seed), names).p_value for seed in range(20)
    ]
    assert np.mean([value is not None and value < 0.05 for value in passed]) <= 0.2
    draw = np.random.default_rng(1)
    # some are always late and some never: whoever was late twice is likelier to be late again
    habit = draw.choice([0.02, 0.8], 3_000)
    state = (draw.random((3_000, 6)) < habit[:, None]).astype(int)
    found = migration.markov_check(_triples(state, names[:2]), names)
    assert found.p_value is not None
    assert found.p_value < 0.001
    assert found.gap is not None
    assert found.gap > 0.05


OUTCOMES = [
    {"application_id": "1", "booked_at": datetime(2025, 1, 5), "defaulted_at": datetime(2025, 4, 20)},
    {"application_id": "2", "booked_at": datetime(2025, 1, 9), "defaulted_at": None},
    {"application_id": "3", "booked_at": datetime(2025, 2, 9), "defaulted_at": datetime(2026, 6, 1)},
    {"application_id": "4", "booked_at": datetime(2025, 3, 31), "defaulted_at": None},
    {"application_id": "5", "booked_at": datetime(2026, 5, 5), "defaulted_at": None},
]


def _outcomes() -> pa.Table:
    return curated(
        "outcomes", [{**row, "customer_id": "c", "observed_until": datetime(2026, 6, 30)} for row in OUTCOMES]
    )


def test_a_vintage_cell_is_empty_until_the_youngest_loan_is_that_old() -> None:
    counted = run({"outcomes": _outcomes()}, lambda bound: migration.vintage_counts(bound["outcomes"], AS_OF, RULES))
    cells = {(cell.cohort, cell.month): cell for cell in migration.vintages(counted, RULES)}
    # 1 of 4 defaulted 3.5 months after booking
    assert cells["2025Q1", 3].share == 0.0
    assert cells["2025Q1", 4].share == pytest.approx(1 / 4)
    # the loan of 31 March is 14 months old on 31 May and 15 on 30 June: then the default of June counts? it is 16
    # months after its booking, when the youngest is not that old yet
    assert cells["2025Q1", 14].share == pytest.approx(1 / 4)
    assert cells["2025Q1", 16].share is None
    assert cells["2025Q1", 16].defaults is None
    assert cells["2026Q2", 1].share == 0.0
    assert cells["2026Q2", 2].share is None
    assert cells["2025Q1", 4].loans == 4


@pytest.mark.spark
def test_spark_counts_the_same(spark: Engine) -> None:
    def rows(table: pa.Table) -> list[tuple[object, ...]]:
        return sorted((tuple(row.values()) for row in table.to_pylist()), key=str)

    outcomes = _outcomes()
    made = {
        "moves": migration.tier_moves(_expression("before", BEFORE), _expression("after", AFTER)),
        "rolls": migration.roll_moves(_expression("delays", _delays()), RULES),
        "vintages": migration.vintage_counts(unbound(CURATED["outcomes"]), AS_OF, RULES),
    }
    sources = {"before": BEFORE, "after": AFTER, "delays": _delays(), "outcomes": outcomes}
    with DuckDBEngine() as duck:
        for name, source in sources.items():
            duck.attach(name, source)
            spark.attach(name, source)
        for name, expression in made.items():
            assert rows(spark.arrow(expression)) == rows(duck.arrow(expression)), name


def test_without_any_report_there_is_nothing_to_roll() -> None:
    assert migration.delays({}, datetime(2026, 6, 30, tzinfo=UTC)) is None
    none = migration.moves(pa.table({"origin": [], "target": [], "count": []}), TIERS, RULES)
    assert none == []
    assert migration.markov_check(pa.table({"origin": [], "target": [], "third": [], "count": []}), TIERS).gap is None
