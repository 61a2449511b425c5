"""Spark hands the same events to the same watcher: the stays are the same, row by row."""

from __future__ import annotations

import ibis
import numpy as np
import pyarrow as pa
import pytest

from engine.lake.engine import DuckDBEngine, Engine
from journeys import signals
from journeys.event_log import EventLog
from journeys.stays import Observer, Observers
from tests.journeys.random_logs import FUNNELS, block, logs

pytestmark = pytest.mark.spark

COLUMNS = {"customer": "string", "event": "string", "at": "timestamp(6)", "page": "string"}


def rows(table: pa.Table) -> list[tuple[object, ...]]:
    listed = table.drop_columns(["attempt"]).to_pylist()  # numbered within a block
    return sorted((row["journey"], row["view"], row["customer"], row["step"], str(row)) for row in listed)


def test_stays_and_what_they_met_are_the_same_on_spark(spark: Engine) -> None:
    told = block(logs(np.random.default_rng(5), 80))
    observers = tuple(
        Observer(
            journey=f"j{number}",
            funnel=funnel,
            as_of=10_000_000,
            signals=signals.of(funnel, {None: ["A", "B", "x"]}, ("x",), channels=True),
            silence_seconds=2,
            channel="page",
        )
        for number, funnel in enumerate((FUNNELS[0], FUNNELS[len(FUNNELS) // 2]))
    )

    def watched(engine: Engine) -> pa.Table:
        engine.attach("watched_logs", told)
        log = EventLog(
            table=ibis.table(COLUMNS, name="watched_logs"), customer="customer", event="event", time="at", seq=None
        )
        return log.map_blocks(engine, Observers(observers=observers), attributes=("page",))

    with DuckDBEngine(threads=1) as duckdb:
        here = watched(duckdb)
    there = watched(spark)
    assert len(here) > 100
    assert here.schema.names == there.schema.names
    assert rows(here) == rows(there)
