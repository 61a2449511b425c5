"""Whose an event is that carries only an identifier: as one could know it then, and as one knows it now."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.lake.engine import DuckDBEngine, Engine
from journeys import identity
from journeys.event_log import EventLog
from journeys.identity import LINKS, Mode

END = datetime(2026, 3, 31, tzinfo=UTC)


def day(number: int | None) -> datetime | None:
    return None if number is None else datetime(2026, 3, number)


def links(*rows: tuple[str, str, int | None, int | None]) -> pa.Table:
    """Device, customer, first day of March, day on which it no longer holds."""
    made = [
        {"id_type": "device", "id_value": value, "customer": who, "since": day(since), "until": day(until)}
        for value, who, since, until in rows
    ]
    return pa.Table.from_pylist(made, schema=LINKS)


def owners(told: pa.Table, mode: Mode, days: Sequence[int], device: str = "d", as_of: datetime = END) -> list[Any]:
    """Whose an event of a device is on some days, at noon."""
    found = identity.spans(told, mode, as_of).table.to_pylist()
    seen = []
    for number in days:
        noon = datetime(2026, 3, number, 12)
        mine = [
            row["customer"]
            for row in found
            if row["id_value"] == device
            and (row["since"] is None or row["since"] <= noon)
            and (row["until"] is None or noon < row["until"])
        ]
        assert len(mine) <= 1
        seen.append(mine[0] if mine else None)
    return seen


def test_a_visit_before_the_log_in_was_nobodys_then_and_is_the_customers_now() -> None:
    told = links(("d", "ann", 10, None))
    assert owners(told, Mode.AS_KNOWN, [5, 10, 20]) == [None, "ann", "ann"]
    assert owners(told, Mode.AS_OF, [5, 10, 20]) == ["ann", "ann", "ann"]


def test_what_is_learnt_after_the_date_is_not_known() -> None:
    told = links(("d", "ann", 10, None))
    assert owners(told, Mode.AS_OF, [5, 20], as_of=datetime(2026, 3, 9, tzinfo=UTC)) == [None, None]


def test_a_device_that_is_passed_on_belongs_to_each_in_turn() -> None:
    told = links(("d", "ann", 5, 10), ("d", "bob", 15, None))
    assert owners(told, Mode.AS_KNOWN, [2, 7, 12, 20]) == [None, "ann", None, "bob"]
    assert owners(told, Mode.AS_OF, [2, 7, 12, 20]) == ["ann", "ann", "bob", "bob"]


def test_a_shared_device_joins_nobody_and_is_counted() -> None:
    told = links(("d", "ann", 5, None), ("d", "bob", 10, 15), ("own", "cy", None, None))
    assert owners(told, Mode.AS_KNOWN, [7, 12, 20]) == ["ann", None, "ann"]
    assert owners(told, Mode.AS_OF, [7, 12, 20]) == [None, None, None]
    for mode in Mode:
        found = identity.spans(told, mode, END)
        assert found.shared == {"device": 1}
        assert owners(told, mode, [3], device="own") == ["cy"]


def test_the_same_link_told_twice_shares_nothing() -> None:
    told = links(("d", "ann", 5, 12), ("d", "ann", 10, None), ("d", "ann", 12, 14))
    for mode in Mode:
        assert owners(told, mode, [7, 11, 20]) == ["ann"] * 3
        assert identity.spans(told, mode, END).shared == {}


def test_dropping_a_link_undoes_it() -> None:
    told = links(("d", "ann", 5, None), ("d", "bob", 10, None))
    apart = identity.without(told, "device", "d", "bob")
    assert owners(apart, Mode.AS_OF, [7, 12]) == ["ann", "ann"]
    assert owners(identity.without(apart, "device", "d", "ann"), Mode.AS_OF, [7, 12]) == [None, None]


def test_links_that_say_nothing_are_passed_over() -> None:
    told = pa.concat_tables([links(("d", "ann", 10, 5)), pa.Table.from_pylist([{"id_type": "device"}], schema=LINKS)])
    for mode in Mode:
        assert identity.spans(told, mode, END).table.num_rows == 0
        assert identity.spans(LINKS.empty_table(), mode, END).table.num_rows == 0


def _stitched(engine: Engine) -> None:
    schema = pa.schema(
        [("who", pa.string()), ("id_type", pa.string()), ("id_value", pa.string()), ("at", pa.timestamp("us"))]
    )
    rows = [
        ("ann", "device", "d", day(1)),
        (None, "device", "d", day(2)),
        (None, "device", "d", day(12)),
        (None, "cookie", "d", day(12)),
        (None, None, None, day(12)),
    ]
    engine.attach(
        "visits", pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)
    )
    kinds = {"who": "string", "id_type": "string", "id_value": "string", "at": "timestamp(6)"}
    log = EventLog(table=ibis.table(kinds, name="visits"), customer="who", event="id_type", time="at", seq=None)
    engine.attach("spans", identity.spans(links(("d", "bob", 10, None)), Mode.AS_KNOWN, END).table)
    spans = {name: "timestamp(6)" if name in ("since", "until") else "string" for name in LINKS.names}
    table = identity.stitched(log, ibis.table(spans, name="spans")).table
    found = engine.arrow(table).to_pylist()
    assert sorted((row["at"].day, row["id_type"] or "", row["who"] or "") for row in found) == [
        (1, "device", "ann"),
        (2, "device", ""),
        (12, "", ""),
        (12, "cookie", ""),
        (12, "device", "bob"),
    ]


def test_events_are_read_through_the_links_and_those_that_know_their_customer_stay() -> None:
    with DuckDBEngine(threads=1) as engine:
        _stitched(engine)


@pytest.mark.spark
def test_events_are_read_through_the_links_on_spark(spark: Engine) -> None:
    _stitched(spark)


LINK = st.tuples(st.sampled_from("de"), st.sampled_from(["ann", "bob", "cy"]), st.integers(1, 20), st.integers(2, 25))


@settings(deadline=None, max_examples=150)
@given(st.lists(LINK, max_size=8))
def test_as_known_is_whoever_alone_is_linked_on_the_day(told: list[tuple[str, str, int, int]]) -> None:
    table = links(*told)
    for device in "de":
        for number, found in zip(range(1, 26), owners(table, Mode.AS_KNOWN, range(1, 26), device), strict=True):
            linked = {who for value, who, since, until in told if value == device and since <= number < until}
            assert found == (linked.pop() if len(linked) == 1 else None)


@settings(deadline=None, max_examples=100)
@given(st.lists(LINK, max_size=8))
def test_looking_back_knows_all_that_was_known_then_unless_the_identifier_is_shared(
    told: list[tuple[str, str, int, int]],
) -> None:
    table = links(*told)
    shared = identity.spans(table, Mode.AS_KNOWN, END).shared == identity.spans(table, Mode.AS_OF, END).shared
    assert shared
    for device in "de":
        then, now = (owners(table, mode, range(1, 26), device) for mode in Mode)
        if any(now):
            assert all(a is None or a == b for a, b in zip(then, now, strict=True))
