"""Journey types and comparisons are the same on Spark: it reads and cuts the log, and one kernel does the rest."""

from __future__ import annotations

import pytest

from engine.lake.engine import DuckDBEngine, Engine
from journeys import comparison, journey_portraits, journey_types
from journeys.sides import Groups
from tests.journeys import builders

WAYS = ("A@0 B@60 C@120", "A@0 D@30 D@90 D@150", "E@0 A@10", "A@0 B@60 C@120")


@pytest.mark.spark
def test_types_and_differences_are_the_same_on_spark(spark: Engine) -> None:
    rows = [
        row
        for number in range(80)
        for row in builders.event_rows({f"c{number:02d}": WAYS[number % 4]}, channel="web" if number % 3 else "app")
    ]
    sides = Groups(column="channel", base="web", other="app")
    found = []
    with DuckDBEngine(threads=1) as duckdb:
        for engine in (duckdb, spark):
            log = builders.event_log(engine, rows)
            types = journey_types.find(engine, log, builders.LATER)
            differences = comparison.compare(engine, log, builders.LATER, sides, with_types=True)
            found.append((types.assigned.to_pylist(), journey_portraits.describe(types), differences))
    for own, other in zip(*found, strict=True):
        assert own == other
    # every way through each of two channels is a type of its own here: nobody strays from one
    assert [one.customers for one in found[0][1]] == [26, 14, 14, 13, 7, 6]
