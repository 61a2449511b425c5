"""Events before their exposure, late and twice, counted in DuckDB."""

from collections.abc import Sequence
from datetime import timedelta

import pyarrow as pa

from engine.domain.curated import EVENTS, EXPOSURES
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import arrow_schema, unbound
from experiments import arrivals, units
from experiments.integrity import Check
from tests.experiments.builders import LATER, Exposure, day, experiment, exposures_table, many

SECOND = 1 / 86_400

Arrival = tuple[str, float, float | None, float | None]


def arrived(events: Sequence[Arrival]) -> pa.Table:
    """Make events "buy" of (customer, day, day of arrival, value)."""
    rows = [
        {
            "customer_id": who,
            "event_name": "buy",
            "occurred_at": day(when).replace(tzinfo=None),
            "ingested_at": None if came is None else day(came).replace(tzinfo=None),
            "value": value,
        }
        for who, when, came, value in events
    ]
    return pa.Table.from_pylist([dict.fromkeys(EVENTS.names) | row for row in rows], arrow_schema(EVENTS))


def checked(exposures: Sequence[Exposure], events: Sequence[Arrival]) -> dict[str, Check]:
    plan = experiment()
    with DuckDBEngine(threads=1) as engine:
        engine.attach("exposures", exposures_table(exposures))
        engine.attach("events", arrived(events))
        seen = units.single(units.exposed(unbound(EXPOSURES), plan, LATER), plan)
        customers = {name: sum(arm == name for _, arm, _ in exposures) for name in plan.weights}
        found = list(arrivals.checks(engine, seen, unbound(EVENTS), plan, as_of=LATER, customers=customers))
    return {check.check: check for check in found}


def test_events_shortly_before_exposure_of_one_variant_stop_the_metrics_that_read_them() -> None:
    exposures = many("a", 100, when=5) + many("b", 100, when=5)
    found = checked(exposures, [(f"b{number}", 5 - 30 * SECOND, None, 1.0) for number in range(40)])
    assert found["exposure_race.bought"].status == "stop"
    assert '"a" 0 of 100, "b" 40 of 100' in found["exposure_race.bought"].detail
    assert found["exposure_race.spend"].status == "stop"


def test_events_at_the_exposure_or_long_before_it_are_no_race() -> None:
    exposures = many("a", 100, when=5) + many("b", 100, when=5)
    events = [(f"b{number}", when, None, 1.0) for number in range(40) for when in (5.0, 5 - 61 * SECOND)]
    found = checked(exposures, events)["exposure_race.bought"]
    assert (found.status, found.detail) == (
        "ok",
        '0 of 200 customers had the event of "bought" shortly before exposure.',
    )


def test_late_and_repeated_events_are_counted_once_each() -> None:
    exposures = many("a", 10) + many("b", 10)
    events: list[Arrival] = [
        ("a0", 1.0, 1.0, 5.0),
        ("a0", 1.0, 1.5, 5.0),
        ("a1", 1.0, 4.0, 5.0),
        ("b1", 1.0, 4.1, None),
    ]
    found = checked(exposures, [*events, ("stranger", 1.0, 90.0, 1.0), ("b2", 1.0, None, 1.0)])
    # a0 twice; of the four whose arrival is known b1's came after more than three days
    assert found["duplicates.events"].detail == "1 of 5 rows of events repeat another."
    assert found["late_events"].detail.startswith("1 of 4 events arrived more than 3 days after")


def test_without_any_known_arrival_nothing_is_said_of_late_events() -> None:
    found = checked(many("a", 2) + many("b", 2), [("a0", 1.0, None, 1.0)])
    assert "late_events" not in found
    assert found["duplicates.events"].status == "ok"
    assert checked(many("a", 2), [])["duplicates.events"].detail == "0 of 0 rows of events repeat another."


def test_arrivals_after_as_of_do_not_count() -> None:
    after = (LATER - day(0)) / timedelta(days=1) + 1
    assert checked(many("a", 2), [("a0", after, None, 1.0)])["duplicates.events"].detail.startswith("0 of 0")
