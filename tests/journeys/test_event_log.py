"""What of an event log reaches a journey at all."""

from __future__ import annotations

from engine.config.journeys import StepSettings
from engine.lake.engine import DuckDBEngine
from journeys import funnel
from tests.journeys.builders import customers_per_step, event_log, event_rows, journey, moment


def test_events_of_nobody_are_dropped_not_lumped_together() -> None:
    assert customers_per_step({None: "A@0 B@1", "ann": "A@0"}, journey(["A", "B"])) == [1, 0]


def test_event_at_exactly_as_of_counts_and_a_later_one_does_not() -> None:
    people = {"ann": "A@0 B@10", "bob": "A@0 B@11"}
    assert customers_per_step(people, journey(["A", "B"]), moment(10)) == [2, 1]


def test_journey_with_products_reads_only_events_about_them() -> None:
    rows = event_rows({"ann": "A@0 B@1"}, product_id="card") + event_rows({"bob": "A@0 B@1"}, product_id="loan")
    rows += event_rows({"eve": "A@0"})
    with DuckDBEngine(threads=1) as engine:
        log = event_log(engine, rows)
        wanted = journey(["A", "B"], products=("card",))
        found = funnel.attempted(engine, log, [wanted], moment(99)).to_pylist()
    assert [row["customer_id"] for row in found] == ["ann"]


def test_step_with_a_lifecycle_reads_only_events_in_that_phase() -> None:
    steps = (
        StepSettings(step="asked", events=("A",), lifecycles=("start",), stage="decision"),
        StepSettings(step="done", events=("A",), lifecycles=("complete",), stage="decision"),
    )
    wanted = journey(["A", "A"]).model_copy(update={"steps": steps})
    rows = event_rows({"ann": "A@0", "bob": "A@5"}, lifecycle="start")
    rows += event_rows({"ann": "A@9", "eve": "A@9"}, lifecycle="complete")
    with DuckDBEngine(threads=1) as engine:
        found = funnel.attempted(engine, event_log(engine, rows), [wanted], moment(99)).to_pylist()
    assert {row["customer_id"]: row["depth"] for row in found} == {"ann": 2, "bob": 1}
