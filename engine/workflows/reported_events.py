"""What was reported as events that experiments can measure: `offer_converted`, `offer_clicked`, with what it was worth.

They lie in a file of the workspace, made anew with the rows of offers_feedback, and are no part of the curated events:
a message that was opened is no visit. Unlike the rows they need no product and no channel, so that a conversion which a
tool reports of somebody it never contacted counts for the control group too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import ibis

from engine.config.bank import BankSettings
from engine.config.experiments import ExperimentSettings
from engine.domain.money import minor_digits
from engine.domain.words import FEEDBACK_EVENTS
from engine.lake.engine import Engine
from engine.lake.workspace import Workspace

PREFIX: Final = "offer_"
"""What the names of these events begin with; what happened follows, such as offer_converted."""

_TABLE: Final = "_feedback_events"
_SCHEMA: Final = {
    "feedback_id": "string",
    "customer_id": "string",
    "event_name": "string",
    "occurred_at": "timestamp(6)",
    "ingested_at": "timestamp(6)",
    "value": "float64",
}


def path(workspace: Workspace) -> Path:
    """Return where the events lie; no file where nothing was reported."""
    return workspace.home / "feedback" / "events.parquet"


def select(bank: BankSettings, said: str) -> str:
    """Return the SQL that makes the events of the relation _reported; `said` are ids that the bank's own file has too.

    Amounts are minor units of the base currency at the bank's rate.
    """
    base = minor_digits(bank.base_currency)
    factors = " ".join(
        f"WHEN '{code}' THEN {rate * 10.0 ** (base - minor_digits(code))!r}" for code, rate in bank.rates.items()
    )
    listed = ", ".join(f"'{name}'" for name in FEEDBACK_EVENTS)
    return (
        f"SELECT event_id AS feedback_id, customer_id, concat('{PREFIX}', type) AS event_name, "
        "occurred_at AT TIME ZONE 'UTC' AS occurred_at, received_at AT TIME ZONE 'UTC' AS ingested_at, "
        f"value_minor * CASE currency {factors} END AS value FROM _reported "
        f"WHERE type IN ({listed}) AND NOT machine_open AND received_at IS NOT NULL "
        f"AND event_id NOT IN ({said}) ORDER BY feedback_id"
    )


def wanted(experiments: Iterable[ExperimentSettings]) -> bool:
    """Whether any experiment measures or waits for such an event."""
    return any(
        name is not None and name.startswith(PREFIX)
        for one in experiments
        for name in (one.activation_event, *(event for metric in one.metrics for event in metric.events))
    )


def beside(engine: Engine, tables: Mapping[str, Any], workspace: Workspace) -> Any:
    """Return the curated events with what was reported, and with what the bank's own table of feedback says.

    Those of the bank's table have no value, and no time at which they came in.
    """
    events = tables["events"]
    columns = {name: str(kind) for name, kind in events.schema().items()}
    parts = [events]
    reported = path(workspace)
    if reported.is_file():
        engine.attach(_TABLE, reported)
        parts.append(_as_events(ibis.table(_SCHEMA, name=_TABLE), columns))
    if "offers_feedback" in tables:
        own = tables["offers_feedback"]
        if reported.is_file():
            own = own.anti_join(ibis.table(_SCHEMA, name=_TABLE), "feedback_id")
        named = own.mutate(
            event_name=ibis.literal(PREFIX) + own.event,
            ingested_at=ibis.null().cast("timestamp(6)"),
            value=ibis.null().cast("float64"),
        )
        parts.append(_as_events(named, columns))
    return ibis.union(*parts, distinct=False) if len(parts) > 1 else events


def _as_events(rows: Any, columns: Mapping[str, str]) -> Any:
    have = {"event_id": rows.feedback_id, **{name: rows[name] for name in _SCHEMA if name != "feedback_id"}}
    return rows.select(
        **{name: (have[name] if name in have else ibis.null()).cast(kind) for name, kind in columns.items()}
    )
