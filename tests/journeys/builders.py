"""Small event logs and journeys, written so that they can be checked by eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import ibis
import pyarrow as pa

from engine.config.journeys import JourneySettings, StepSettings
from engine.lake.engine import DuckDBEngine, Engine
from journeys import attempts
from journeys.event_log import EventLog

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(days=400)

_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("event_name", pa.string()),
        ("occurred_at", pa.timestamp("us")),
        ("channel", pa.string()),
        ("product_id", pa.string()),
        ("lifecycle", pa.string()),
    ]
)
_ROLES = {"customer_id": "string", "event_name": "string", "occurred_at": "timestamp(6)", "channel": "string"}
_IBIS = {**_ROLES, "product_id": "string", "lifecycle": "string"}

Event = tuple[float, str]


def event_rows(people: Mapping[str | None, str | Sequence[Event]], **roles: str) -> list[dict[str, Any]]:
    """Turn {"ann": "A@0 B@60"} into rows; seconds count from START. Roles set channel, product_id, lifecycle."""
    rows = []
    for customer, told in people.items():
        events = [_event(word) for word in told.split()] if isinstance(told, str) else told
        rows += [
            {"customer_id": customer, "event_name": name, "occurred_at": moment(seconds).replace(tzinfo=None), **roles}
            for seconds, name in events
        ]
    return rows


def _event(word: str) -> Event:
    name, seconds = word.split("@")
    return float(seconds), name


def moment(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def event_log(engine: Engine, rows: Sequence[Mapping[str, Any]]) -> EventLog:
    whole = [{name: row.get(name) for name in _SCHEMA.names} for row in rows]
    engine.attach("log", pa.Table.from_pylist(whole, schema=_SCHEMA))
    return EventLog(table=ibis.table(_IBIS, name="log"), seq=None)


def journey(steps: Sequence[str | Sequence[str]], window_seconds: float = 14 * 86_400, **more: Any) -> JourneySettings:
    """A journey whose steps are event names, or lists of them; a name that stands twice is two steps."""
    stages = ("awareness", "consideration", "decision", "retention")
    return JourneySettings(
        journey="test",
        name_en="Test",
        window_days=window_seconds / 86_400,
        steps=tuple(
            StepSettings(
                step=f"step_{number}",
                events=(names,) if isinstance(names, str) else tuple(names),
                stage=stages[min(number, 4) - 1],
            )
            for number, names in enumerate(steps, start=1)
        ),
        **more,
    )


def best_attempts(
    people: Mapping[str | None, str | Sequence[Event]], wanted: JourneySettings, as_of: datetime = LATER
) -> dict[str, dict[str, Any]]:
    """Return the best attempt of each customer, by customer id."""
    with DuckDBEngine(threads=1) as engine:
        event_log(engine, event_rows(people))
        rows = engine.query(_compiled(wanted, as_of)).to_pylist()
    assert len({row["customer_id"] for row in rows}) == len(rows)
    return {row["customer_id"]: row for row in rows}


@lru_cache
def _compiled(wanted: JourneySettings, as_of: datetime) -> str:
    """SQL of the best attempts: compiling takes longer than running it on a log of this size."""
    with DuckDBEngine(threads=1) as engine:
        return engine.compile(attempts.best(event_log(engine, []), wanted, as_of))


def customers_per_step(
    people: Mapping[str | None, str | Sequence[Event]], wanted: JourneySettings, as_of: datetime = LATER
) -> list[int]:
    """Return how many customers reach each step."""
    depths = [row["depth"] for row in best_attempts(people, wanted, as_of).values()]
    return [sum(depth >= step for depth in depths) for step in range(1, len(wanted.steps) + 1)]
