"""A prepared log answers as the events that it was prepared from, however they came in."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.lake.engine import DuckDBEngine
from journeys import attached, histories, prepared
from journeys.prepared import EVENT_ID, Prepared

SCHEMA = pa.schema(
    [
        ("customer", pa.string()),
        ("event", pa.string()),
        ("at", pa.timestamp("us")),
        ("seq", pa.int64()),
        ("channel", pa.string()),
    ]
)
Row = tuple[str, str, int, int, str | None]
Told = dict[Any, list[tuple[str, int, str | None]]]

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "eve", "joe"]),
        st.sampled_from("ABCD"),
        st.integers(0, 5),
        st.sampled_from(["app", "web", None]),
    ),
    min_size=1,
    max_size=40,
)


def numbered(events: list[tuple[str, str, int, str | None]]) -> list[Row]:
    """Give each event its place as seq, so that no two are alike."""
    return [(customer, event, at, place, channel) for place, (customer, event, at, channel) in enumerate(events)]


def table(rows: list[Row]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in SCHEMA]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], SCHEMA)


def told(log: Prepared, **asked: Any) -> Told:
    """The histories of a log as plain lists by customer."""
    found: Told = {}

    def read(block: pa.Table) -> pa.Table:
        of = histories.of(block)
        names, channels = of.event.texts().to_pylist(), of.attributes["channel"].texts().to_pylist()
        rows, bounds = list(zip(names, of.at.tolist(), channels, strict=True)), of.starts.tolist()
        for place, one in enumerate(of.ids.to_pylist()):
            assert one not in found, "a customer stands in two blocks"
            found[one] = rows[bounds[place] : bounds[place + 1]]
        return block.slice(0, 0).select([])

    log.map_blocks(read, attributes=["channel"], **asked)
    return found


def expected(rows: list[Row]) -> Told:
    found: Told = {}
    for customer, event, at, _, channel in sorted(rows, key=lambda row: (row[2], row[3])):
        found.setdefault(customer, []).append((event, at, channel))
    return found


@given(EVENTS)
@settings(max_examples=100, deadline=None)
def test_a_prepared_log_holds_every_customers_events_in_order(events: list[Any]) -> None:
    rows = numbered(events)
    assert told(prepared.prepare([table(rows)])) == expected(rows)


@given(EVENTS, st.randoms(use_true_random=False), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_batches_in_whatever_order_make_the_log_that_all_at_once_make(events: list[Any], random: Any, n: int) -> None:
    rows = numbered(events)
    batches: list[list[Row]] = [[] for _ in range(n)]
    for row in rows:
        random.choice(batches).append(row)
    log = prepared.prepare([table(batches[0])])
    for batch in batches[1:]:
        log = prepared.append(log, table(batch)).log
    assert told(log) == expected(rows)
    assert log.n_customers == len({row[0] for row in rows})


@given(EVENTS, st.integers(0, 40))
@settings(max_examples=100, deadline=None)
def test_an_increment_brings_up_to_date_whatever_adds_up_over_customers(events: list[Any], cut: int) -> None:
    rows = numbered(events)
    batch = rows[cut:]
    added = prepared.append(prepared.prepare([table(rows[:cut])]), table(batch))
    # how often each event follows each: a count that adds up over customers
    counts = followers(told(prepared.prepare([table(rows[:cut])])))
    counts.subtract(followers(told(added.before)))
    counts.update(followers(told(added.after)))
    assert +counts == followers(expected(rows))
    assert added.after.n_customers == len({row[0] for row in batch})
    assert {*told(added.after)} == {row[0] for row in batch}, "a customer without a new event was touched"


def followers(people: Told) -> Counter[tuple[str, str]]:
    pairs: Counter[tuple[str, str]] = Counter()
    for events in people.values():
        pairs.update((one[0], two[0]) for one, two in pairwise(events))
    return pairs


@given(EVENTS, st.integers(-1, 6), st.sets(st.sampled_from("ABCDX")))
@settings(max_examples=100, deadline=None)
def test_what_is_asked_of_a_prepared_log_is_what_the_events_themselves_would_give(
    events: list[Any], until: int, names: set[str]
) -> None:
    rows = numbered(events)
    as_of = datetime(1970, 1, 1, 0, 0, 0, max(until, 0), tzinfo=UTC)
    log = prepared.prepare([table(rows)])
    kept = [row for row in rows if row[2] <= max(until, 0)]
    assert told(log, as_of=as_of) == expected(kept)
    assert told(log, as_of=as_of, names=sorted(names)) == expected([row for row in kept if row[1] in names])
    assert log.tied == sum(n for n in Counter((row[0], row[2]) for row in rows).values() if n > 1)
    assert log.count(as_of) == len(kept)
    assert log.customers(as_of) == len({row[0] for row in kept})
    assert log.event_names(as_of) == {row[1] for row in kept}


def test_a_late_event_moves_only_its_own_customer() -> None:
    rows = numbered([("ann", "A", 0, None), ("ann", "C", 9, None), ("bob", "A", 0, None)])
    added = prepared.append(prepared.prepare([table(rows)]), table([("ann", "B", 5, 3, "app")]))
    assert told(added.before) == {"ann": [("A", 0, None), ("C", 9, None)]}
    assert told(added.after) == {"ann": [("A", 0, None), ("B", 5, "app"), ("C", 9, None)]}
    assert told(added.log) == told(added.after) | {"bob": [("A", 0, None)]}


def test_a_batch_writes_only_the_histories_that_it_changes() -> None:
    rows = numbered([("ann", "A", 0, None), ("bob", "A", 0, None), ("bob", "B", 1, None), ("eve", "A", 2, None)])
    log = prepared.prepare([table(rows)])
    added = prepared.append(log, table([("ann", "B", 5, 4, "app")])).log
    assert added.blocks[0] is log.blocks[0], "a block that nothing was added to was written anew"
    assert [len(block) for block in added.blocks] == [4, 2]
    assert [moved.tolist() for moved in added.moved] == [[0], []]
    assert (added.n_events, added.n_customers, added.tied) == (5, 3, 0)
    # the rows as an engine reads them: ann's first event stands in the first block still, and counts no more
    assert added.rows().column("live").to_pylist() == [False, True, True, True, True, True]


def test_a_block_of_which_less_than_half_counts_is_written_anew() -> None:
    rows = numbered([("ann", "A", 0, None), ("ann", "B", 1, None), ("bob", "A", 0, None)])
    added = prepared.append(prepared.prepare([table(rows)]), table([("ann", "C", 5, 4, None)])).log
    assert [len(block) for block in added.blocks] == [1, 3]
    assert added.moved == ()


def test_many_small_blocks_become_one() -> None:
    log = prepared.prepare([table(numbered([("c0", "A", 0, None)]))])
    rows: list[Row] = [("c0", "A", 0, 0, None)]
    for day in range(1, 20):
        batch: list[Row] = [(f"c{day}", "A", day, 2 * day, None), (f"c{day // 2}", "B", day, 2 * day + 1, "app")]
        rows += batch
        log = prepared.append(log, table(batch)).log
        assert len(log.blocks) <= 8
        assert told(log) == expected(rows)
        assert log.n_events == len(rows)


@given(EVENTS, st.randoms(use_true_random=False), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_what_is_asked_of_a_log_that_grew_is_what_the_events_themselves_would_give(
    events: list[Any], random: Any, until: int
) -> None:
    rows = numbered(events)
    batches: list[list[Row]] = [[] for _ in range(4)]
    for row in rows:
        random.choice(batches).append(row)
    log = prepared.prepare([table(batches[0])])
    for batch in batches[1:]:
        log = prepared.append(log, table(batch)).log
    as_of = datetime(1970, 1, 1, 0, 0, 0, until, tzinfo=UTC)
    kept = [row for row in rows if row[2] <= until]
    assert told(log, as_of=as_of, names=["A", "B"]) == expected([row for row in kept if row[1] in "AB"])
    assert log.tied == sum(n for n in Counter((row[0], row[2]) for row in rows).values() if n > 1)
    assert (log.count(as_of), log.customers(as_of)) == (len(kept), len({row[0] for row in kept}))
    assert log.event_names(as_of) == {row[1] for row in kept}
    assert log.last_seq == max(row[3] for row in rows)


def test_an_event_that_was_there_under_its_id_is_dropped() -> None:
    first = table(numbered([("ann", "A", 0, None)])).append_column(EVENT_ID, pa.array(["e1"]))
    again = table([("ann", "A", 0, 1, None), ("ann", "B", 1, 2, None)]).append_column(EVENT_ID, pa.array(["e1", "e2"]))
    added = prepared.append(prepared.prepare([first]), again)
    assert added.dropped == 1
    assert told(added.log) == {"ann": [("A", 0, None), ("B", 1, None)]}


def test_an_empty_batch_changes_nothing() -> None:
    log = prepared.prepare([table(numbered([("ann", "A", 0, None)]))])
    added = prepared.append(log, table([]))
    assert told(added.log) == told(log)
    assert (told(added.before), told(added.after)) == ({}, {})
    assert (added.before.n_customers, added.dropped) == (0, 0)


def test_ids_of_another_type_are_refused() -> None:
    log = prepared.prepare([table(numbered([("ann", "A", 0, None)]))])
    other = table([]).set_column(0, "customer", pa.array([], pa.int64()))
    with pytest.raises(ValueError, match="customers are int64, those of the log string"):
        prepared.append(log, other)


def test_a_large_block_is_cut_between_customers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "EVENTS_PER_BLOCK", 3)
    rows = numbered(
        [(customer, event, at, None) for customer in ("ann", "bob", "eve") for at, event in enumerate("AB")]
    )
    log = prepared.prepare([table(rows)])
    assert len(log.blocks) == 2
    assert told(log) == expected(rows)


def test_a_million_events_with_ties_come_in_the_order_of_the_table_on_two_threads() -> None:
    # every customer has ten events at one instant; the engine keeps no order of rows, the sequence does
    rng = np.random.default_rng(3)
    customers = rng.permutation(np.repeat(np.arange(100_000), 10))
    event = pa.array([f"e{n}" for n in range(10)]).take(pa.array(rng.integers(0, 10, 1_000_000)))
    whole = pa.table({"who": customers, "what": event, "when": pa.repeat(pa.scalar(datetime(2026, 1, 1)), 1_000_000)})
    with DuckDBEngine(threads=2) as engine:
        log = attached.attach(engine, whole, customer="who", event="what", time="when").log
        names = [f"e{n}" for n in range(9)]
        found = log.map_blocks(engine, _ways, names=names).sort_by("customer")
    kept = whole.filter(pa.compute.is_in(whole["what"], pa.array(names)))
    order = np.argsort(np.asarray(kept["who"]), kind="stable")
    assert found["way"].combine_chunks().flatten().equals(kept["what"].combine_chunks().take(pa.array(order)))


def _ways(block: pa.Table) -> pa.Table:
    of = histories.of(block)
    way = pa.ListArray.from_arrays(pa.array(of.starts, pa.int32()), of.event.texts())
    return pa.table({"customer": of.ids, "way": way})


def test_a_log_of_many_blocks_is_read_as_one_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = numbered([(f"c{n % 50}", "ABC"[n % 3], n // 60, None) for n in range(600)])
    with DuckDBEngine(threads=1) as engine:
        made = attached.attach(engine, table(rows), customer="customer", event="event", time="at", seq="seq")
        whole = made.log.map_blocks(engine, partial(_ways)).sort_by("customer")
        monkeypatch.setattr("journeys.event_log.EVENTS_PER_BLOCK", 70)
        assert made.log.blocks(engine) == 9
        assert made.log.map_blocks(engine, _ways).sort_by("customer").equals(whole)
