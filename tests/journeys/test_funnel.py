"""The journey marts on a handful of customers, worked by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa

from engine.config.journeys import Journeys
from engine.config.load import load
from engine.domain.marts import JOURNEY_FUNNELS, JOURNEY_STAGES
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import arrow_schema
from journeys import funnel
from tests.journeys.builders import event_log, event_rows, journey, moment

STEPS = journey(["view", "apply", "open"], 100)

# as of second 200 with a window of 100 seconds, edge included
PEOPLE = {
    "converted": "view@0 apply@10 open@30",
    "left after view": "view@20",
    "left after apply": "view@50 apply@90",
    "open at the edge": "view@100",  # 100 + 100 = as of: still time
    "on the way": "view@150 apply@160",
    "came back": "view@0 apply@5 view@180",  # the deep try ran out, the new one is open
}
AS_OF = moment(200)


def computed(
    rows: list[dict[str, Any]], as_of: datetime = AS_OF, groups: Mapping[str, list[Any]] | None = None
) -> funnel.FunnelTables:
    with DuckDBEngine(threads=1) as engine:
        log = event_log(engine, rows)
        known = None
        if groups is not None:
            engine.attach("groups", pa.table(groups))
            known = ibis.table(dict.fromkeys(groups, "string"), name="groups")
        return funnel.run(engine, log, [STEPS], as_of, known)


def stages() -> dict[str, dict[str, Any]]:
    return {row["customer_id"]: row for row in computed(event_rows(PEOPLE)).stages.to_pylist()}


def steps_of(tables: funnel.FunnelTables, breakdown: str = "all", group: str = "all") -> list[dict[str, Any]]:
    rows = tables.funnels.to_pylist()
    return [row for row in rows if (row["breakdown"], row["group"]) == (breakdown, group)]


def test_whoever_still_has_time_is_in_progress_not_dropped() -> None:
    assert {customer: row["status"] for customer, row in stages().items()} == {
        "converted": "converted",
        "left after view": "dropped",
        "left after apply": "dropped",
        "open at the edge": "in_progress",
        "on the way": "in_progress",
        "came back": "in_progress",
    }


def test_stage_tells_the_step_reached_since_when_and_the_next_one() -> None:
    row = stages()["on the way"]
    assert (row["reached_step"], row["step"], row["next_step"]) == (2, "step_2", "step_3")
    assert (row["stage"], row["entered_at"], row["stage_since"]) == (
        "consideration",
        moment(150).replace(tzinfo=None),
        moment(160).replace(tzinfo=None),
    )


def test_converted_customer_has_no_next_step() -> None:
    assert stages()["converted"]["next_step"] is None


def test_customer_who_came_back_keeps_the_deepest_step_reached() -> None:
    assert stages()["came back"]["reached_step"] == 2


def test_every_step_accounts_for_everybody_who_reached_it() -> None:
    found = steps_of(computed(event_rows(PEOPLE)))
    assert [(row["customers"], row["continued"], row["dropped"], row["in_progress"]) for row in found] == [
        (6, 4, 1, 1),  # dropped: left after view; in progress: open at the edge
        (4, 1, 1, 2),  # dropped: left after apply; in progress: on the way, came back
        (1, 1, 0, 0),  # at the last step everybody has completed
    ]


def test_rates_and_median_waits_are_those_of_the_hand_calculation() -> None:
    found = steps_of(computed(event_rows(PEOPLE)))
    assert [row["rate_from_first"] for row in found] == [1, 4 / 6, 1 / 6]
    assert [row["rate_from_previous"] for row in found] == [None, 4 / 6, 1 / 4]
    # view to apply took 10, 40, 10 and 5 seconds: median 10; apply to open 20
    assert [row["median_seconds_from_previous"] for row in found] == [None, 10, 20]


def test_journey_that_nobody_entered_has_zeros_and_no_rates() -> None:
    found = steps_of(computed(event_rows({"ann": "apply@0"})))
    assert [(row["customers"], row["rate_from_first"], row["rate_from_previous"]) for row in found] == [
        (0, None, None)
    ] * 3


def test_channel_is_that_of_the_entry_event() -> None:
    rows = event_rows({"ann": "view@0"}, channel="web") + event_rows({"ann": "apply@1 open@2"}, channel="branch")
    assert [row["customers"] for row in steps_of(computed(rows), "channel", "web")] == [1, 1, 1]


def test_customer_without_a_group_counts_as_unknown() -> None:
    groups = {"customer_id": ["ann", "bob"], "risk_tier": ["low", None]}
    tables = computed(event_rows({"ann": "view@0 apply@1", "bob": "view@0", "eve": "view@0"}), groups=groups)
    assert [row["customers"] for row in steps_of(tables, "risk_tier", "low")] == [1, 1, 0]
    assert [row["customers"] for row in steps_of(tables, "risk_tier", "unknown")] == [2, 0, 0]


def test_groups_of_a_breakdown_add_up_to_everybody() -> None:
    groups = {"customer_id": list(PEOPLE), "value_tier": ["top", "top", "low", "low", "low", None]}
    tables = computed(event_rows(PEOPLE), groups=groups)
    everybody = steps_of(tables)
    for column in ("customers", "continued", "dropped", "in_progress"):
        parts = [steps_of(tables, "value_tier", group) for group in ("top", "low", "unknown")]
        assert [sum(part[step][column] for part in parts) for step in range(3)] == [row[column] for row in everybody]


def test_tables_keep_their_contracts_and_are_sorted_by_key() -> None:
    tables = computed(event_rows(PEOPLE))
    assert tables.stages.schema == arrow_schema(JOURNEY_STAGES)
    assert tables.funnels.schema == arrow_schema(JOURNEY_FUNNELS)
    keys = [tuple(row[name] for name in JOURNEY_FUNNELS.key) for row in tables.funnels.to_pylist()]
    assert keys == sorted(set(keys))


def test_customer_whom_an_exclusion_drops_stands_in_no_mart() -> None:
    out = {"events": ["complain"], "after": "step_1", "before": "step_2"}
    wanted = journey(["view", "apply"], 100, exclusions=[out])
    rows = event_rows({"ann": "view@0 complain@5 apply@9", "bob": "view@0 apply@9"})
    with DuckDBEngine(threads=1) as engine:
        tables = funnel.run(engine, event_log(engine, rows), [wanted], AS_OF)
    assert [row["customer_id"] for row in tables.stages.to_pylist()] == ["bob"]
    assert [row["customers"] for row in steps_of(tables)] == [1, 1]


def test_journeys_of_different_lengths_and_products_are_read_together() -> None:
    card = journey(["view", "apply", "open"], 100, products=["card"])
    loan = journey(["view", "open"], 100, products=["loan"]).model_copy(update={"journey": "loan"})
    rows = event_rows({"ann": "view@0 apply@5 open@9"}, product_id="card")
    rows += event_rows({"ann": "view@20", "bob": "view@20 open@30"}, product_id="loan")
    with DuckDBEngine(threads=1) as engine:
        tables = funnel.run(engine, event_log(engine, rows), [card, loan], AS_OF)
    found = [(row["journey"], row["customer_id"], row["reached_step"]) for row in tables.stages.to_pylist()]
    assert found == [("loan", "ann", 1), ("loan", "bob", 2), ("test", "ann", 3)]


def test_no_journeys_give_empty_tables() -> None:
    with DuckDBEngine(threads=1) as engine:
        tables = funnel.run(engine, event_log(engine, []), [], AS_OF)
    assert (tables.stages.num_rows, tables.funnels.num_rows) == (0, 0)


def test_shipped_journeys_run_together() -> None:
    shipped = load(Journeys, "journeys").journeys
    opened = "product_viewed@0 calculator_used@60 application_started@120"
    rows = event_rows({"ann": opened}, product_id="mortgage")
    with DuckDBEngine(threads=1) as engine:
        tables = funnel.run(engine, event_log(engine, rows), shipped, AS_OF)
    assert [(row["journey"], row["stage"]) for row in tables.stages.to_pylist()] == [("mortgage", "consideration")]
    assert {row["journey"] for row in tables.funnels.to_pylist()} == {one.journey for one in shipped}
