"""Small event logs and journeys, written so that they can be checked by eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import pyarrow as pa

from engine.config.journeys import JourneySettings, StepSettings
from engine.lake.engine import DuckDBEngine, Engine
from journeys import attempts, funnel, histories, spec
from journeys.attempts import Attempts
from journeys.event_log import EventLog
from journeys.histories import Histories

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
    """Return the best attempt of each customer, by customer id, read from a log by an engine."""
    with DuckDBEngine(threads=1) as engine:
        rows = funnel.attempted(engine, event_log(engine, event_rows(people)), [wanted], as_of).to_pylist()
    assert len({row["customer_id"] for row in rows}) == len(rows)
    return {row["customer_id"]: row for row in rows}


def customers_per_step(
    people: Mapping[str | None, str | Sequence[Event]], wanted: JourneySettings, as_of: datetime = LATER
) -> list[int]:
    """Return how many customers reach each step of a journey, read from a log by an engine."""
    depths = [row["depth"] for row in best_attempts(people, wanted, as_of).values()]
    return [sum(depth >= step for depth in depths) for step in range(1, len(wanted.steps) + 1)]


def block(people: Mapping[str, str | Sequence[Event]]) -> pa.Table:
    """Return events as `EventLog.events` selects them; seconds count from START. "A:url@5" has the page url."""
    rows = [(customer, *_paged(word)) for customer, told in people.items() for word in _words(told)]
    first = round(START.timestamp())
    return pa.table(
        {
            "customer": pa.array([row[0] for row in rows], pa.string()),
            "event": pa.array([row[1] for row in rows], pa.string()),
            "at": pa.array([round((first + row[3]) * 1_000_000) for row in rows], pa.timestamp("us")),
            "page": pa.array([row[2] for row in rows], pa.string()),
        }
    )


def _words(told: str | Sequence[Event]) -> list[Event]:
    return [_event(word) for word in told.split()] if isinstance(told, str) else list(told)


def _paged(event: Event) -> tuple[str, str | None, float]:
    name, _, page = event[1].partition(":")
    return name, page or None, event[0]


def people_of(told: Mapping[str, str | Sequence[Event]]) -> Histories:
    """Return the histories of {"ann": "A@0 B@60"}."""
    return histories.of(block(told))


def asked(steps: str | Sequence[str], window_seconds: float = 14 * 86_400, **more: Any) -> spec.Funnel:
    """Return a funnel of "A B? C|D E:url *": B is optional, C or D reach the third step, E only on the page url."""
    words = steps.split() if isinstance(steps, str) else list(steps)
    made = []
    for number, word in enumerate(words, start=1):
        names, _, page = word.rstrip("?").partition(":")
        made.append(
            spec.Step(
                name=f"step_{number}",
                events=tuple(names.split("|")),
                where={"page": (page,)} if page else {},
                optional=word.endswith("?"),
            )
        )
    return spec.Funnel(steps=tuple(made), window_seconds=window_seconds, **more)


def excluding(event: str, after_step: int, before_step: int, effect: spec.Effect | None = None) -> spec.Exclusion:
    """Return an exclusion; without an effect it drops the customer."""
    effect = effect or spec.Effect.DROP_CUSTOMER
    return spec.Exclusion(events=(event,), after_step=after_step, before_step=before_step, effect=effect)


def reached(found: Attempts) -> list[int]:
    """Return how many attempts reached each step."""
    counts: list[int] = (found.at != attempts.MISSING).sum(axis=0).tolist()
    return counts


def seconds(found: Attempts) -> list[list[float | None]]:
    """Return when each attempt reached each step, in seconds from START; None where it did not."""
    first = round(START.timestamp()) * 1_000_000
    return [[None if at == attempts.MISSING else (at - first) / 1e6 for at in row] for row in found.at.tolist()]
