"""Spark hands the same events to the same kernel and gives the same answers, value by value."""

from __future__ import annotations

from functools import partial

import ibis
import numpy as np
import pyarrow as pa
import pytest

from engine.lake.engine import DuckDBEngine, Engine
from journeys import funnel, outcomes
from journeys.event_log import EventLog
from tests.journeys import reference
from tests.journeys.builders import event_log, event_rows, journey, moment
from tests.journeys.random_logs import FUNNELS, answers_of_rows, block, comparable, logs

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("place", range(10))
def test_five_hundred_logs_are_answered_on_spark_as_by_trying_everything(spark: Engine, place: int) -> None:
    wanted = FUNNELS[:: len(FUNNELS) // 10][place]  # ten funnels of all kinds, fifty logs each
    told = logs(np.random.default_rng(place), 50)
    spark.attach("random_logs", block(told))
    columns = {"customer": "string", "event": "string", "at": "timestamp(6)", "page": "string"}
    log = EventLog(table=ibis.table(columns, name="random_logs"), customer="customer", event="event", time="at")
    chosen = log.events(names=wanted.names(), attributes=("page",), ordered=False)
    made = spark.map_blocks(chosen, "customer", partial(outcomes.rows, funnel=wanted))
    for one, answer in zip(told, answers_of_rows(made, len(told)), strict=True):
        expected = reference.answer(one, wanted)
        assert comparable(answer, wanted) == comparable(expected, wanted), (wanted, one)


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
