"""Small experiments: who saw what when, and what happened then. Days count from the start."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from engine.config.experiments import ExperimentSettings
from engine.domain.curated import EVENTS, EXPOSURES
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import arrow_schema, unbound
from experiments import portfolio
from experiments.collection import Sources

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(days=100)

Exposure = tuple[str | None, str | None, float]
Event = tuple[str, str, float, float | None]


def day(days: float) -> datetime:
    return START + timedelta(days=days)


def experiment(**more: Any) -> ExperimentSettings:
    """An experiment "x" of a against b, with a proportion "bought" and a mean "spend" over 30 days."""
    plan: dict[str, Any] = {
        "experiment_id": "x",
        "name_en": "X",
        "control": "a",
        "weights": {"a": 0.5, "b": 0.5},
        "metrics": [
            {"metric": "bought", "kind": "proportion", "event": "buy", "window_days": 30},
            {"metric": "spend", "kind": "mean", "event": "buy", "window_days": 30},
        ],
    }
    return ExperimentSettings.model_validate(plan | more)


def exposures_table(exposures: Sequence[Exposure], experiment_id: str = "x") -> pa.Table:
    """Make exposures of (customer, variant, day)."""
    rows = [
        {"experiment_id": experiment_id, "customer_id": who, "variant": variant, "exposed_at": _naive(when)}
        for who, variant, when in exposures
    ]
    return pa.Table.from_pylist(rows, arrow_schema(EXPOSURES))


def events_table(events: Sequence[Event]) -> pa.Table:
    """Make events of (customer, event name, day, value)."""
    rows = [
        {"customer_id": who, "event_name": name, "occurred_at": _naive(when), "value": value}
        for who, name, when, value in events
    ]
    return pa.Table.from_pylist([dict.fromkeys(EVENTS.names) | row for row in rows], arrow_schema(EVENTS))


def _naive(days: float) -> datetime:
    return day(days).replace(tzinfo=None)


def analyse(
    exposures: Sequence[Exposure] | pa.Table,
    events: Sequence[Event] | pa.Table,
    *plans: ExperimentSettings,
    as_of: datetime = LATER,
    withhold: bool = True,
) -> portfolio.ExperimentTables:
    with DuckDBEngine(threads=1) as engine:
        engine.attach("exposures", exposures if isinstance(exposures, pa.Table) else exposures_table(exposures))
        engine.attach("events", events if isinstance(events, pa.Table) else events_table(events))
        sources = Sources(engine=engine, exposures=unbound(EXPOSURES), events=unbound(EVENTS), as_of=as_of)
        return portfolio.run(sources, plans or [experiment()], withhold=withhold)


def result(tables: portfolio.ExperimentTables, metric: str, variant: str = "b") -> dict[str, Any]:
    (row,) = [row for row in tables.results.to_pylist() if (row["metric"], row["variant"]) == (metric, variant)]
    return dict(row)


def check(tables: portfolio.ExperimentTables, name: str) -> dict[str, Any]:
    (row,) = [row for row in tables.health.to_pylist() if row["check"] == name]
    return dict(row)


def many(arm: str, count: int, when: float = 0) -> list[Exposure]:
    """Expose `count` customers named a0, a1, ... to variant a."""
    return [(f"{arm}{number}", arm, when) for number in range(count)]
