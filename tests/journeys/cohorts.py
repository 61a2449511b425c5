"""Small logs for retention, lifecycle and stickiness, told in instants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from engine.lake.engine import DuckDBEngine, Engine
from journeys import activity, histories
from journeys.activity import ANY, Activity
from journeys.calendar import Calendar
from journeys.event_log import EventLog
from journeys.histories import Histories

SCHEMA = pa.schema(
    [
        ("customer", pa.string()),
        ("event", pa.string()),
        ("at", pa.timestamp("us")),
        ("channel", pa.string()),
        ("region", pa.string()),
    ]
)


def events(people: Mapping[str, Sequence[str]], **attributes: Any) -> pa.Table:
    """Turn {"ann": ["open 2026-03-01T23:45", "pay@app 2026-03-02T00:01"]} into rows; the channel follows the @."""
    rows = []
    for who, told in people.items():
        for word in told:
            name, at = word.split(" ")
            event, _, channel = name.partition("@")
            rows.append({"customer": who, "event": event, "at": datetime.fromisoformat(at), "channel": channel or None})
    return pa.Table.from_pylist([row | attributes for row in rows], schema=SCHEMA)


def people(told: Mapping[str, Sequence[str]], **attributes: Any) -> Histories:
    """The same as histories."""
    return histories.of(events(told, **attributes))


def log(engine: Engine, rows: pa.Table, name: str = "log") -> EventLog:
    """The same as a log of an engine."""
    engine.attach(name, rows)
    kinds = {"customer": "string", "event": "string", "at": "timestamp(6)", "channel": "string", "region": "string"}
    table = ibis.table(kinds, name=name)
    return EventLog(table=table, customer="customer", event="event", time="at", seq=None, product=None, lifecycle=None)


def active(rows: pa.Table, calendar: Calendar, *, start: Sequence[str] = ANY, active: Sequence[str] = ANY) -> Activity:
    """The activity of a log as an engine puts it together."""
    with DuckDBEngine(threads=1) as engine:
        times = rows.column("at")
        first, last = (one.as_py().replace(tzinfo=UTC) for one in (pc.min(times), pc.max(times)))
        events = log(engine, rows).events(last)
        masks = activity.masks(events, calendar, first, last, start=start, active=active)
        return activity.from_masks(engine.arrow(masks))
