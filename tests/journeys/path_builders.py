"""Small logs for tests of paths, and their paths as plain lists, counted by hand in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from journeys import histories, paths
from journeys.paths import Paths, Wanted

Told = Mapping[str, str]


def block(people: Told) -> pa.Table:
    """Turn {"ann": "A@0 B/web@60"} into a block of events: name, perhaps its channel, and second; seq as written."""
    rows = [_row(customer, word) for customer, told in people.items() for word in told.split()]
    schema = pa.schema(
        [
            ("customer", pa.string()),
            ("event", pa.string()),
            ("at", pa.timestamp("us")),
            ("channel", pa.string()),
            ("seq", pa.int64()),
        ]
    )
    return pa.Table.from_pylist([{**row, "seq": seq} for seq, row in enumerate(rows)], schema=schema)


def _row(customer: str, word: str) -> dict[str, Any]:
    name, second = word.rsplit("@", 1)
    event, _, channel = name.partition("/")
    return {"customer": customer, "event": event, "at": round(float(second) * 1e6), "channel": channel or None}


def paths_of(people: Told, **wanted: Any) -> Paths:
    return paths.of(histories.of(block(people)), Wanted(**wanted))


def told(of: Paths) -> dict[str, list[str]]:
    """The paths by customer, each as its events with a space between."""
    names, bounds = of.histories.event.texts().to_pylist(), of.histories.starts.tolist()
    found: dict[str, list[str]] = {}
    for path, customer in enumerate(of.histories.ids.to_pylist()):
        found.setdefault(customer, []).append(" ".join(names[bounds[path] : bounds[path + 1]]))
    return found


def in_two_halves(people: Told, function: Any) -> pa.Table:
    """What a function makes of a block of every other customer and of a block of the others."""
    names = list(people)
    halves = [{name: people[name] for name in names[begin::2]} for begin in (0, 1)]
    return pa.concat_tables(function(block(half)) for half in halves)


def logs(events: str = "ABC", most: int = 8) -> st.SearchStrategy[dict[str, str]]:
    """Random logs of few customers and events, with ties."""
    words = st.lists(st.tuples(st.sampled_from(events), st.integers(0, 9)), max_size=most)
    people = st.lists(words, max_size=6)
    return people.map(lambda told: {f"c{n}": _written(one) for n, one in enumerate(told)})


def logs_without_ties(events: str = "ABC", most: int = 8) -> st.SearchStrategy[dict[str, str]]:
    """Random logs in which no customer has two events at one time."""
    people = st.lists(st.lists(st.sampled_from(events), max_size=most), max_size=6)
    return people.map(
        lambda told: {f"c{n}": _written(list(zip(one, range(9), strict=False))) for n, one in enumerate(told)}
    )


def _written(events: Sequence[tuple[str, int]]) -> str:
    return " ".join(f"{name}@{second}" for name, second in events)
