"""What came of contacts: a funnel of customers by audience, run and tool, and a comparison with the control group.

A customer counts once at each step, in whatever order the reports came: who clicked was reached, whether anybody told
of the delivery or not. What a mail programme opened stands apart and is no answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.lake.engine import DuckDBEngine
from engine.lake.workspace import Workspace
from engine.numerics.intervals import wilson
from engine.store import Store
from engine.workflows import feedback_control, session

_COLUMNS: Final = {
    "type": pa.string(),
    "customer_id": pa.string(),
    "run_id": pa.string(),
    "audience_id": pa.string(),
    "source": pa.string(),
    "machine_open": pa.bool_(),
    "value_minor": pa.int64(),
    "currency": pa.string(),
}
_ASKED: Final = "wayline feedback funnel"
# each step as a condition over the events of one customer in one group; a later step implies that a message was reached
_STEPS: Final = {
    "sent": "type IN ('sent', 'delivered', 'opened', 'clicked', 'bounced', 'complained')",
    "delivered": "type IN ('delivered', 'opened', 'clicked', 'complained') AND NOT machine_open",
    "machine_opened": "type = 'opened' AND machine_open",
    "opened": "(type = 'opened' AND NOT machine_open) OR type = 'clicked'",
    "clicked": "type = 'clicked'",
    "converted": "type = 'converted'",
    "bounced": "type = 'bounced'",
    "failed": "type IN ('dropped', 'failed')",
    "unsubscribed": "type = 'unsubscribed'",
    "complained": "type = 'complained'",
}
_RATES: Final = {
    "delivery": ("delivered", "sent"),
    "open": ("opened", "reached"),
    "machine_open": ("machine_opened", "reached"),
    "click": ("clicked", "reached"),
    "conversion": ("converted_sent", "sent"),
    "bounce": ("bounced", "sent"),
    "unsubscription": ("unsubscribed_sent", "sent"),
    "complaint": ("complained", "sent"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share of customers with its 95 % interval; all None where there is nothing to divide by, as `reason` says."""

    rate: float | None
    lower: float | None
    upper: float | None
    of: str
    reason: str | None = None


def funnel(home: Path, *, audience: str | None = None, run_id: str | None = None, days: int = 30) -> dict[str, Any]:
    """Return the funnel of each audience, run and tool, and a comparison for each of these runs.

    Parameters
    ----------
    audience, run_id : only what is of that audience, or of that run.
    days : after the run, within which a product that is opened counts.

    Raises
    ------
    WorkspaceMissing, SettingsFault
    UnknownName
        Nothing was reported of that audience.
    NotEnoughData
        Nothing was reported at all, or nothing of that run.
    """
    if days < 1:
        raise SettingsFault(_ASKED, [f"--days {days}: expected one day at least, such as 30."])
    workspace = session.workspace_at(home)
    report = workspace.report()
    events = _events(workspace)
    with session.duckdb(workspace) as engine:
        engine.attach("_reported_events", events)
        _attribute(engine, workspace)
        groups = _groups(engine, audience, run_id)
        _refuse_empty(engine, groups, audience, run_id)
    until = session.end_of_extract(report)
    window = feedback_control.Window(days=days, known_until=until)
    runs = sorted({group["run_id"] for group in groups if group["run_id"] is not None})
    return {
        "groups": groups,
        "comparisons": [asdict(feedback_control.compared(home, one, audience, window)) for one in runs],
        "days": days,
    }


def _events(workspace: Workspace) -> pa.Table:
    schema = pa.schema(list(_COLUMNS.items()))
    if not session.has_register(workspace):
        return schema.empty_table()
    with (
        Store(session.database_url(workspace)) as store,
        store.feedback_columns(list(_COLUMNS)) as blocks,
    ):
        tables = [_block(rows, schema) for rows in blocks]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _block(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema)


def _attribute(engine: DuckDBEngine, workspace: Workspace) -> None:
    """Name the audience of events that name none, where only one audience of their run went to their tool."""
    only: dict[tuple[str, str], set[str]] = defaultdict(set)
    if session.has_register(workspace):
        with Store(session.database_url(workspace)) as store:
            for bundle in store.export_bundles():
                # a destination is the preset and the channel; several presets may be of one tool: braze_cdi, braze_csv
                only[bundle.run_id, bundle.destination.partition("/")[0].partition("_")[0]].add(bundle.audience)
    rows = [
        {"run_id": run_id, "source": tool, "audience": next(iter(names))}
        for (run_id, tool), names in sorted(only.items())
        if len(names) == 1
    ]
    kinds = pa.schema([("run_id", pa.string()), ("source", pa.string()), ("audience", pa.string())])
    engine.attach("_only_audience", pa.Table.from_pylist(rows, kinds))
    engine.connection.execute(
        "CREATE OR REPLACE TEMP TABLE _told AS SELECT e.* EXCLUDE (audience_id), "
        "coalesce(e.audience_id, o.audience) AS audience "
        "FROM _reported_events e LEFT JOIN _only_audience o USING (run_id, source)"
    )


def _groups(engine: DuckDBEngine, audience: str | None, run_id: str | None) -> list[dict[str, Any]]:
    steps = ", ".join(f"bool_or({condition}) AS {name}" for name, condition in _STEPS.items())
    counts = ", ".join(f"count(*) FILTER ({name}) AS {name}" for name in _STEPS)
    rows = engine.query(
        f"""
        WITH per_customer AS (
            SELECT audience, run_id, source, customer_id, {steps},
                bool_or(type = 'delivered') AS told_delivered
            FROM _told WHERE (? IS NULL OR audience = ?) AND (? IS NULL OR run_id = ?) GROUP BY ALL
        )
        SELECT audience, run_id, source, {counts}, bool_or(told_delivered) AS tells_deliveries,
            count(*) FILTER (converted AND sent) AS converted_sent,
            count(*) FILTER (unsubscribed AND sent) AS unsubscribed_sent
        FROM per_customer GROUP BY ALL ORDER BY run_id NULLS LAST, audience NULLS LAST, source
        """,
        [audience, audience, run_id, run_id],
    ).to_pylist()
    values = _values(engine, audience, run_id)
    return [_group(row, values.get((row["audience"], row["run_id"], row["source"]), {})) for row in rows]


def _values(
    engine: DuckDBEngine, audience: str | None, run_id: str | None
) -> dict[tuple[str | None, str | None, str], dict[str, int]]:
    rows = engine.query(
        "SELECT audience, run_id, source, currency, sum(value_minor)::BIGINT AS value_minor FROM _told "
        "WHERE type = 'converted' AND value_minor IS NOT NULL AND (? IS NULL OR audience = ?) "
        "AND (? IS NULL OR run_id = ?) GROUP BY ALL ORDER BY ALL",
        [audience, audience, run_id, run_id],
    )
    found: dict[tuple[str | None, str | None, str], dict[str, int]] = defaultdict(dict)
    for row in rows.to_pylist():
        found[row["audience"], row["run_id"], row["source"]][row["currency"]] = row["value_minor"]
    return found


def _group(row: dict[str, Any], values: dict[str, int]) -> dict[str, Any]:
    tells = bool(row["tells_deliveries"])
    reached = row["delivered"] if tells else row["sent"]
    bases = {"sent": row["sent"], "reached": reached}
    rates = {}
    for name, (part, base) in _RATES.items():
        called = ("delivered" if tells else "sent") if base == "reached" else base
        if name == "delivery" and not tells:
            rates[name] = Rate(rate=None, lower=None, upper=None, of=called, reason="the tool reports no deliveries")
        else:
            rates[name] = _rate(row[part], bases[base], called)
    counts = {name: row[name] for name in _STEPS if name != "delivered" or tells} | (
        {} if tells else {"delivered": None}
    )
    return {
        "audience": row["audience"],
        "run_id": row["run_id"],
        "source": row["source"],
        "customers": {name: counts[name] for name in _STEPS},
        "converted_minor": values,
        "rates": {name: asdict(rate) for name, rate in rates.items()},
    }


def _rate(part: int, whole: int, of: str) -> Rate:
    if not whole:
        return Rate(rate=None, lower=None, upper=None, of=of, reason=f"nobody was {of}")
    # a report of a machine may be all there is of a customer, so that more opened than were delivered by its report
    part = min(part, whole)
    interval = wilson(part, whole)
    return Rate(rate=part / whole, lower=interval.lower, upper=interval.upper, of=of)


def _refuse_empty(engine: DuckDBEngine, groups: list[dict[str, Any]], audience: str | None, run_id: str | None) -> None:
    if groups:
        return
    if audience is not None:
        names = engine.query("SELECT DISTINCT audience FROM _told WHERE audience IS NOT NULL ORDER BY 1")
        known = [one.as_py() for one in names["audience"]]
        if audience not in known:
            raise UnknownName("audience with feedback", audience, known)
    what = f"nothing was reported of the run {run_id}" if run_id else "nothing was reported"
    raise NotEnoughData("funnel", what, "feedback: wayline feedback load, or POST /v1/feedback")
