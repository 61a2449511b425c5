"""What campaign tools reported, brought into the curated table offers_feedback, like any other source.

It lies in a file of its own beside the bank's, made anew from the store whenever a run or a load begins, so that every
reader of the table sees both and the hash of a run's inputs covers both. Contacts that live decisions made count as
sent. What the bank's own file says already is left out, a contact that only its delivery or opening tells of is entered
as sent, and what a mail programme opened is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from engine.config.bank import BankSettings
from engine.config.recommendations import RecommendationSettings
from engine.domain.curated import OFFERS_FEEDBACK
from engine.domain.words import FEEDBACK_EVENTS
from engine.intake.sql import first_row
from engine.lake.engine import DuckDBEngine, parquet_scan, quoted
from engine.lake.files import file_digest
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.store.live_contacts import LiveOffer
from engine.workflows import reported_events, session

FILE: Final = "reported.parquet"
LIVE: Final = "live:"
"""What the id of a contact begins with that a live decision made; the decision's own id follows."""

_BUILDING: Final = "_reported.building"  # no name of a Parquet file: nobody reads it before it is whole
_TABLE: Final = OFFERS_FEEDBACK.name
_COLUMNS: Final = {
    "event_id": pa.string(),
    "type": pa.string(),
    "customer_id": pa.string(),
    "product_id": pa.string(),
    "channel": pa.string(),
    "audience_id": pa.string(),
    "run_id": pa.string(),
    "recommendation_id": pa.string(),
    "decision_id": pa.string(),
    "message_id": pa.string(),
    "machine_open": pa.bool_(),
    "value_minor": pa.int64(),
    "currency": pa.string(),
    "received_at": pa.timestamp("us", "UTC"),
    "occurred_at": pa.timestamp("us", "UTC"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What became of the events and live contacts of the store: rows of offers_feedback.

    `implied` of the rows are sends that nobody reported, `said` were in the bank's own file already. `reason` says why
    nothing was brought, None where it was.
    """

    events: int
    rows: int
    implied: int
    said: int
    reason: str | None = None


def bring_in(workspace: Workspace, engine: DuckDBEngine) -> Brought:
    """Write what was reported beside the bank's own rows, and return the counts; the caller holds the workspace.

    Where the bank has no such table, nobody knows whom it contacted before, and a few reports are no record of that:
    nothing is brought, unless the settings say that the history is empty.
    """
    folder = workspace.curated(_TABLE)
    (folder / _BUILDING).unlink(missing_ok=True)
    events = _events(workspace)
    engine.attach("_reported", events)
    own = sorted(path for path in folder.rglob("*.parquet") if path.name != FILE) if folder.is_dir() else []
    reason = _left_aside(workspace, events, own)
    if reason is None:
        folder.mkdir(parents=True, exist_ok=True)
        told = _written(engine, workspace, events, own)
    else:
        (folder / FILE).unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()  # a table that is there says that its history is known
        told = Brought(events=events.num_rows, rows=0, implied=0, said=0, reason=reason)
    _keep_events(engine, workspace, told)
    return told


def _left_aside(workspace: Workspace, events: pa.Table, own: list[Path]) -> str | None:
    if not events.num_rows:
        return "no feedback was reported"
    settings = session.settings(workspace, RecommendationSettings, "recommendations")
    if own or _TABLE in settings.assumptions.empty_histories:
        return None
    return f"the bank has no table {_TABLE}, so nobody knows whom it contacted before"


def _keep_events(engine: DuckDBEngine, workspace: Workspace, told: Brought) -> None:
    """Write what was reported for experiments; see `reported_events`."""
    target = reported_events.path(workspace)
    if not told.events:
        target.unlink(missing_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_suffix(".building")
    said = "SELECT feedback_id FROM _brought WHERE said" if told.reason is None else "''"
    sql = reported_events.select(session.settings(workspace, BankSettings, "bank"), said)
    engine.connection.execute(f"COPY ({sql}) TO {quoted(str(building))} (FORMAT parquet, COMPRESSION zstd)")
    building.replace(target)


def _events(workspace: Workspace) -> pa.Table:
    schema = pa.schema(list(_COLUMNS.items()))
    if not session.has_register(workspace):
        return schema.empty_table()
    with Store(session.database_url(workspace)) as store:
        made = [_contact(one) for one in store.live_contacts()]
        with store.feedback_columns(list(_COLUMNS), store.last_feedback()) as blocks:
            tables = [_block(rows, schema) for rows in blocks]
    if made:
        tables.append(pa.Table.from_pylist(made, schema))
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _contact(one: LiveOffer) -> dict[str, Any]:
    """Return a contact that a live decision made as an event: it was sent when it was decided."""
    told = {name: getattr(one, name) for name in ("customer_id", "product_id", "channel", "run_id", "decision_id")}
    return told | {
        "event_id": f"{LIVE}{one.decision_id}",
        "type": "sent",
        "occurred_at": one.at,
        "machine_open": False,
    }


def _block(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema)


def _written(engine: DuckDBEngine, workspace: Workspace, events: pa.Table, own: list[Path]) -> Brought:
    folder = workspace.curated(_TABLE)
    connection = engine.connection
    connection.execute(f"CREATE OR REPLACE TEMP VIEW _said AS {_said(own)}")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _brought AS {_rows(workspace)}")
    target = folder / _BUILDING
    columns = ", ".join(OFFERS_FEEDBACK.names)
    connection.execute(
        f"COPY (SELECT {columns} FROM _brought WHERE NOT said ORDER BY feedback_id) TO {quoted(str(target))} "
        "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
    )
    target.replace(folder / FILE)
    rows, implied, said = first_row(
        engine,
        "SELECT count(*) FILTER (NOT said), count(*) FILTER (NOT said AND implied), count(*) FILTER (said) "
        "FROM _brought",
    )
    return Brought(events=events.num_rows, rows=rows, implied=implied, said=said)


def _said(own: list[Path]) -> str:
    if not own:
        return "SELECT * FROM (SELECT '' AS feedback_id, '' AS told) WHERE false"
    files = ", ".join(quoted(str(path)) for path in own)
    return f"SELECT feedback_id, {_TOLD} AS told FROM read_parquet([{files}], hive_partitioning = false)"


# two systems of one bank write the same thing to the second, under ids of their own
_TOLD: Final = "concat_ws('|', customer_id, product_id, channel, event, date_trunc('second', occurred_at))"


def _rows(workspace: Workspace) -> str:
    """Return the events as rows of the contract, with what they are beside: implied, said by the bank."""
    known = " ".join(
        f"SEMI JOIN (SELECT {key} FROM {parquet_scan(workspace.curated(name))}) {name} USING ({key})"
        for name, key in (("customers", "customer_id"), ("products", "product_id"))
        if workspace.curated(name).is_dir()
    )
    listed = ", ".join(map(quoted, FEEDBACK_EVENTS))
    return f"""
        WITH told AS (
            SELECT event_id AS feedback_id, coalesce(audience_id, run_id) AS campaign_id, customer_id, product_id,
                channel, type AS event, occurred_at AT TIME ZONE 'UTC' AS occurred_at,
                coalesce(decision_id, message_id) AS message,
                coalesce(decision_id, message_id, recommendation_id, run_id, event_id) AS contact,
                -- a live decision is one contact whatever it showed; a message is one for each product that it tells of
                if(decision_id IS NULL, concat_ws('|', product_id, channel), '') AS shown
            FROM _reported {known}
            WHERE product_id IS NOT NULL AND channel IS NOT NULL AND type IN ({listed}) AND NOT machine_open
        ), once AS (
            -- however many systems report that it was sent
            SELECT * FROM told QUALIFY event <> 'sent' OR message IS NULL OR row_number() OVER (
                PARTITION BY customer_id, event, contact, shown
                ORDER BY NOT starts_with(feedback_id, '{LIVE}'), occurred_at, feedback_id) = 1
        ), unsent AS (
            SELECT concat(first(feedback_id ORDER BY occurred_at, feedback_id), ':sent') AS feedback_id,
                first(campaign_id ORDER BY occurred_at, feedback_id) AS campaign_id, customer_id,
                first(product_id ORDER BY occurred_at, feedback_id) AS product_id,
                first(channel ORDER BY occurred_at, feedback_id) AS channel,
                'sent' AS event, min(occurred_at) AS occurred_at
            FROM told WHERE event IN ('sent', 'delivered', 'opened', 'clicked', 'bounced')
            GROUP BY customer_id, contact, shown HAVING count(*) FILTER (event = 'sent') = 0
        ), every AS (
            SELECT feedback_id, campaign_id, customer_id, product_id, channel, event, occurred_at, false AS implied
            FROM once UNION ALL SELECT *, true FROM unsent
        )
        SELECT *, feedback_id IN (SELECT feedback_id FROM _said) OR {_TOLD} IN (SELECT told FROM _said) AS said
        FROM every
    """


def facts(workspace: Workspace, brought: Brought) -> dict[str, Any]:
    """Return what a run's manifest says of the feedback of campaign tools; nothing where there was none."""
    if not brought.events:
        return {}
    told: dict[str, Any] = {"events": brought.events, "rows": brought.rows}
    told |= {"implied": brought.implied, "said": brought.said, "sha256": file_digest(reported_events.path(workspace))}
    return {"feedback": told | ({"left_aside": brought.reason} if brought.reason else {})}
