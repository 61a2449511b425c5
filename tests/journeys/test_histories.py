"""Histories: whatever the order of the rows, each customer's events stand in order of time and of what breaks ties."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys import histories
from journeys.histories import Histories

SCHEMA = pa.schema(
    [
        ("customer", pa.string()),
        ("event", pa.string()),
        ("at", pa.timestamp("us")),
        ("seq", pa.int64()),
        ("channel", pa.string()),
    ]
)
Row = tuple[Any, str, int, int, str | None]


def block(rows: list[Row], customers: pa.DataType | None = None) -> pa.Table:
    schema = SCHEMA if customers is None else SCHEMA.set(0, pa.field("customer", customers))
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in SCHEMA]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)


def told(of: Histories) -> dict[Any, list[tuple[str, int, str | None]]]:
    """The histories as plain lists by customer."""
    names, channels = of.event.texts().to_pylist(), of.attributes["channel"].texts().to_pylist()
    rows = list(zip(names, of.at.tolist(), channels, strict=True))
    bounds = of.starts.tolist()
    return {one: rows[bounds[i] : bounds[i + 1]] for i, one in enumerate(of.ids.to_pylist())}


def expected(rows: list[Row]) -> dict[Any, list[tuple[str, int, str | None]]]:
    """The same by Python's own sort: customer, time, sequence, event, channel with missing ones first."""
    ordered = sorted(rows, key=lambda row: (row[2], row[3], row[1], row[4] is not None, row[4] or ""))
    found: dict[Any, list[tuple[str, int, str | None]]] = {row[0]: [] for row in rows}
    for customer, event, at, _, channel in ordered:
        found[customer].append((event, at, channel))
    return found


ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from("ABC"),
        # few values beside each other and far apart: ties, near ties and times that leave little room in the key
        st.sampled_from([0, 1, 2, 3, 10**6, 10**6 + 1, 2**55, 2**55 + 1, -(2**55)]),
        st.integers(0, 2),
        st.sampled_from(["app", "web", None]),
    ),
    max_size=30,
)


@given(ROWS)
@settings(max_examples=300, deadline=None)
def test_events_stand_in_order_of_time_sequence_name_and_attributes(rows: list[Row]) -> None:
    text = [(f"c{row[0]}", *row[1:]) for row in rows]
    assert told(histories.of(block(text))) == expected(text)


@given(ROWS, st.sampled_from([1, 10**15]))
@settings(max_examples=200, deadline=None)
def test_ids_that_are_numbers_near_each_other_or_far_apart_give_the_same(rows: list[Row], apart: int) -> None:
    numbers = [(row[0] * apart - 1, *row[1:]) for row in rows]
    assert told(histories.of(block(numbers, pa.int64()))) == expected(numbers)


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_a_shuffle_of_the_rows_and_of_their_chunks_changes_nothing(rows: list[Row], random: Any) -> None:
    shuffled = random.sample(rows, len(rows))
    cut = random.randint(0, len(rows))
    chunked = pa.concat_tables([block(shuffled[:cut], pa.int64()), block(shuffled[cut:], pa.int64())])
    assert told(histories.of(chunked)) == expected(rows)


@given(ROWS, st.sampled_from([1, 10**15]))
@settings(max_examples=150, deadline=None)
def test_a_log_that_lies_in_order_of_time_and_sequence_keeps_that_order_within_each_customer(
    rows: list[Row], apart: int
) -> None:
    """As a file does whose rows are numbered: then nothing but the customers has to come together."""
    in_time = sorted(rows, key=lambda row: row[2])
    numbered = [(row[0] * apart, *row[1:3], seq, row[4]) for seq, row in enumerate(in_time)]
    assert told(histories.of(block(numbered, pa.int64()))) == expected(numbered)
    text = [(f"c{row[0]}", *row[1:]) for row in numbered]
    cut = len(text) // 2
    chunked = pa.concat_tables([block(text[:cut]), block(text[cut:])])
    assert told(histories.of(chunked)) == expected(text)


@given(ROWS, st.sampled_from([1, 10**3, 10**6]))
@settings(max_examples=150, deadline=None)
def test_a_log_of_nothing_but_customer_event_and_time_is_sorted_whatever_its_clock(rows: list[Row], unit: int) -> None:
    """Microseconds, milliseconds and seconds; times too far apart for one number go another way."""
    plain = [(row[0], row[1], row[2] * unit if abs(row[2]) < 2**40 else row[2], 0, None) for row in rows]
    table = block(plain, pa.int64())
    without = histories.of(table.select(["customer", "event", "at"]))
    told_without = {
        customer: [(event, at, None) for event, at in events] for customer, events in _events(without).items()
    }
    assert told_without == expected(plain)


def _events(of: Histories) -> dict[Any, list[tuple[str, int]]]:
    rows = list(zip(of.event.texts().to_pylist(), of.at.tolist(), strict=True))
    bounds = of.starts.tolist()
    return {one: rows[bounds[i] : bounds[i + 1]] for i, one in enumerate(of.ids.to_pylist())}


def test_times_far_apart_and_many_customers_are_put_in_order_to_the_microsecond() -> None:
    """20 + 12 + 57 bits are more than fit one number: what the coarse time leaves open is settled after."""
    rng = np.random.default_rng(3)
    at = rng.integers(0, 2**57, 3_000) // 2**40 * 2**40 + rng.integers(0, 50, 3_000)
    owners = rng.integers(0, 40, 3_000) * 10**9
    rows: list[Row] = [(int(c), "A", int(t), 0, None) for c, t in zip(owners, at, strict=True)]
    assert told(histories.of(block(rows, pa.int64()))) == expected(rows)


def test_a_log_without_a_sequence_puts_events_of_one_instant_in_order_of_their_names() -> None:
    rows: list[Row] = [("ann", "B", 5, 0, "web"), ("ann", "A", 5, 0, "app"), ("ann", "C", 4, 0, None)]
    assert told(histories.of(block(rows).drop_columns(["seq"])))["ann"] == [
        ("C", 4, None),
        ("A", 5, "app"),
        ("B", 5, "web"),
    ]


def test_no_events_give_no_customers() -> None:
    none = histories.of(block([]))
    assert (len(none), none.n_events, none.starts.tolist()) == (0, 0, [0])
    assert none.owners().tolist() == []


def test_kept_events_leave_a_customer_without_any_in_place() -> None:
    rows: list[Row] = [
        ("ann", "A", 1, 0, "app"),
        ("ben", "B", 1, 0, "web"),
        ("cid", "A", 2, 0, None),
        ("dan", "B", 9, 0, None),
    ]
    of = histories.of(block(rows))
    only = of.keep(of.event.codes == of.event.code_of("A"))
    assert only.first_of_customer().tolist() == [True, True]
    assert told(only) == {"ann": [("A", 1, "app")], "ben": [], "cid": [("A", 2, None)], "dan": []}


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_names_of_every_kind_of_text_are_read(kind: pa.DataType) -> None:
    rows: list[Row] = [("ann", "B", 1, 0, None), ("ann", "A", 2, 0, "web")]
    table = block(rows)
    table = table.set_column(1, "event", table.column("event").cast(kind))
    assert [name for name, _, _ in told(histories.of(table))["ann"]] == ["B", "A"]


def test_a_customer_with_a_hundred_thousand_events_is_one_history() -> None:
    n, start = 100_000, int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 10**6
    table = pa.table(
        {
            "customer": pa.array(np.zeros(n, dtype=np.int64)),
            "event": pa.array(["A", "B"] * (n // 2)),
            "at": pa.array(start + np.arange(n)[::-1].copy(), pa.timestamp("us")),
        }
    )
    of = histories.of(table)
    assert (len(of), of.n_events) == (1, n)
    assert (np.diff(of.at) == 1).all()
