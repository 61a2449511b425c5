"""The same expressions on Spark give the same marts, value by value."""

from __future__ import annotations

import ibis
import numpy as np
import pyarrow as pa
import pytest

from engine.lake.engine import DuckDBEngine, Engine
from journeys import funnel
from tests.journeys.builders import event_log, event_rows, journey, moment

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("steps", [["A", "B", "C"], ["A", ["A", "B"], "B"]], ids=["single", "tied"])
def test_journey_marts_are_the_same_on_spark(spark: Engine, steps: list[str]) -> None:
    rng = np.random.default_rng(7)
    people = {
        f"c{number}": [(float(rng.integers(0, 12)), str(rng.choice(["A", "B", "C", "x"]))) for _ in range(6)]
        for number in range(60)
    }
    rows = event_rows(people, channel="web")
    groups = pa.table({"customer_id": [f"c{number}" for number in range(40)], "tier": ["top", "low"] * 20})

    def marts(engine: Engine) -> funnel.FunnelTables:
        log = event_log(engine, rows)
        engine.attach("groups", groups)
        known = ibis.table({"customer_id": "string", "tier": "string"}, name="groups")
        return funnel.run(engine, log, [journey(steps, 5)], moment(12), known)

    with DuckDBEngine(threads=1) as duckdb:
        here = marts(duckdb)
    there = marts(spark)
    assert here.stages == there.stages
    assert here.funnels == there.funnels
