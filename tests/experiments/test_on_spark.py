"""The same expressions on Spark give the same marts, value by value."""

from __future__ import annotations

import numpy as np
import pytest

from engine.domain.curated import EVENTS, EXPOSURES
from engine.lake.engine import DuckDBEngine, Engine
from engine.lake.schema import unbound
from experiments import portfolio
from experiments.collection import Sources
from tests.experiments.builders import day, events_table, experiment, exposures_table, many

pytestmark = pytest.mark.spark


def test_experiment_marts_are_the_same_on_spark(spark: Engine) -> None:
    rng = np.random.default_rng(8)
    # one customer in both variants, one variant outside the plan, one exposure of nobody, windows still open
    exposures = [*many("a", 40), *many("b", 35), *many("b", 40, 10)[35:], ("a0", "b", 2.0), ("z", "c", 0.0)]
    exposures += [(None, "a", 0.0)]
    events = [
        (f"{rng.choice(['a', 'b'])}{rng.integers(0, 40)}", "buy", float(rng.uniform(0, 50)), round(rng.normal(9, 5), 3))
        for _ in range(90)
    ]
    events += [("b1", "buy", 1.0, None), ("b2", "buy", 1.0, float("nan")), ("b3", "buy", 1.0, float("inf"))]

    def marts(engine: Engine) -> portfolio.ExperimentTables:
        engine.attach("exposures", exposures_table(exposures))
        engine.attach("events", events_table(events))
        sources = Sources(engine=engine, exposures=unbound(EXPOSURES), events=unbound(EVENTS), as_of=day(35))
        return portfolio.run(sources, [experiment()])

    with DuckDBEngine(threads=1) as duckdb:
        here = marts(duckdb)
    there = marts(spark)
    assert here.results == there.results
    assert here.health == there.health


def test_every_kind_of_metric_is_the_same_on_spark(spark: Engine) -> None:
    rng = np.random.default_rng(9)
    exposures = [*many("a", 30, 35), *many("b", 30, 36.5), ("early", "a", 0.0)]
    events = [
        (f"{rng.choice(['a', 'b'])}{rng.integers(0, 30)}", str(rng.choice(["buy", "open"])), when, round(when * 1.7, 3))
        for when in rng.uniform(0, 90, 300)
    ]
    plan = experiment(
        activation_event="open",
        starts_at=day(10),
        covariates=[{"covariate": "before", "event": "buy", "days": 20}],
        looks={"shares": "daily", "days": 60},
        metrics=[
            {"metric": "spend", "kind": "mean", "event": "buy", "window_days": 20, "cap_percentile": 80},
            {"metric": "capped", "kind": "mean", "event": "buy", "window_days": 20, "cap": 50, "nulls": "zero"},
            {"metric": "visits", "kind": "mean", "event": "open", "measured": "count", "window_days": 20},
            {"metric": "bought", "kind": "proportion", "event": "buy", "window_days": 20},
            {"metric": "basket", "kind": "ratio", "event": "buy", "denominator_event": "buy", "window_days": 20},
            {"metric": "back", "kind": "retention", "event": "open", "from_days": 3, "to_days": 12},
            {"metric": "soon", "kind": "time_to_event", "event": "buy", "horizon_days": 10},
            {"metric": "median", "kind": "quantile", "event": "buy", "quantile": 0.5, "window_days": 20},
            {"metric": "net", "kind": "composite", "terms": {"spend": 0.3, "bought": -2.5}},
        ],
    )

    def marts(engine: Engine) -> portfolio.ExperimentTables:
        engine.attach("exposures", exposures_table(exposures))
        engine.attach("events", events_table(events))
        sources = Sources(engine=engine, exposures=unbound(EXPOSURES), events=unbound(EVENTS), as_of=day(80))
        return portfolio.run(sources, [plan], withhold=False)

    with DuckDBEngine(threads=1) as duckdb:
        here = marts(duckdb)
    there = marts(spark)
    assert here.results == there.results
    assert here.health == there.health
    assert here.results.num_rows == 11  # nine metrics and two twins
