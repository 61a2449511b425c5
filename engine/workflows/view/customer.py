"""What happened to one customer and what was decided for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pandas as pd

from engine.domain.access import Right, Viewer
from engine.domain.curated import CURATED
from engine.lake.engine import identifier
from engine.lake.runs import Run
from engine.lake.schema import naive_utc
from engine.lake.workspace import Workspace
from engine.store import Store, SuppressionRecord
from engine.workflows import customer_risk, personal, session, suppressed
from engine.workflows.customer_risk import RiskAnswers
from engine.workflows.personal import Masked
from engine.workflows.view import eligibility, reading
from engine.workflows.view.guard import needs

TIMELINE_EVENTS: Final = 400
"""Entries of one lane that a page can still draw and read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """What the run and the curated tables hold of one customer and the viewer may see, personal data masked.

    A table is None when the run or the workspace does not have it. `eligibility` is open or blocked, and all that who
    may not see risk learns of it; `risk` is None then.
    """

    customer_id: str
    record: Mapping[str, Any]
    personal: tuple[Masked, ...]
    segment: Mapping[str, Any] | None
    eligibility: str | None
    risk: Mapping[str, Any] | None
    stages: pd.DataFrame | None
    offers: pd.DataFrame | None
    decisions: pd.DataFrame | None
    timeline: pd.DataFrame


def find(viewer: Viewer, workspace: Workspace, run: Run, customer_id: str) -> Customer | None:
    """Return one customer by the exact id, or None when the bank has none of that id.

    Whoever knows the id may ask: what each role sees of it differs.
    """
    record = _curated_row(workspace, "customers", customer_id)
    if record is None:
        return None
    lent = _lent(workspace)
    offers = reading.rows_of(run, "recommendations", customer_id)
    decisions = reading.rows_of(run, "decisions", customer_id)
    return Customer(
        customer_id=customer_id,
        record=record,
        personal=personal.masked(viewer, workspace, customer_id),
        segment=reading.only(run, "segments", customer_id),
        eligibility=eligibility.state_of(viewer, run, customer_id) if run.has("risk_gate") else None,
        risk=reading.only(run, "risk", customer_id) if viewer.may(Right.SEE_RISK) else None,
        stages=reading.rows_of(run, "journey_stages", customer_id),
        offers=None if offers is None else eligibility.offers(viewer, offers, lent),
        decisions=None if decisions is None else eligibility.decisions(viewer, run, decisions, lent),
        timeline=timeline(workspace, customer_id, run.as_of),
    )


@needs(Right.SEE_RISK)
def risk_answers(run: Run, customer_id: str) -> RiskAnswers:
    """Return what risk decided of one customer and why; raises NotAllowed."""
    return customer_risk.find(run, customer_id)


@needs(Right.SEE_RISK)
def what_would_lift(answers: RiskAnswers, workspace: Workspace, run: Run, customer_id: str) -> RiskAnswers:
    """Return the answers with what would lift each decline; raises NotAllowed."""
    return customer_risk.with_changes(answers, workspace, run, customer_id)


def _lent(workspace: Workspace) -> frozenset[str]:
    """Return the products that are credit."""
    folder = workspace.curated("products")
    if not folder.is_dir():
        return frozenset()
    return frozenset(reading.sql({"products": folder}, "SELECT product_id FROM products WHERE is_credit")["product_id"])


def exists(workspace: Workspace, customer_id: str) -> bool:
    """Tell whether the bank has a customer of that very id."""
    if not workspace.curated("customers").is_dir():
        return False
    text = "SELECT customer_id FROM customers WHERE customer_id = ?"
    return len(reading.sql({"customers": workspace.curated("customers")}, text, (customer_id,))) > 0


def not_contacted(workspace: Workspace, customer_id: str) -> tuple[SuppressionRecord, ...]:
    """Return what forbids to contact a customer now, by channel; looking makes no database."""
    if not session.has_register(workspace):
        return ()
    with Store(session.database_url(workspace)) as store:
        return tuple(store.suppressions(customer_id=customer_id))


def stop_contacting(viewer: Viewer, workspace: Workspace, customer_id: str, channel: str | None, note: str) -> None:
    """Enter in the viewer's name that a customer is not contacted on a channel, on every channel where it is None.

    Raises
    ------
    NotAllowed
    UnknownName
        There is no such channel.
    RefusedByPolicy
        No reason is given.
    """
    viewer.require(Right.SUPPRESS)
    suppressed.suppress(workspace.home, customer_id, channel, viewer.name, note)


@needs(Right.SEE_CUSTOMERS)
def some(run: Run, limit: int = 5) -> tuple[str, ...]:
    """Return a few ids to begin with: customers who were made an offer, else any."""
    mart = "recommendations" if run.has("recommendations") else "segments"
    if not run.has(mart):
        return ()
    ids = run.read(mart, columns=["customer_id"], limit=limit * 3).column("customer_id").to_pylist()
    return tuple(dict.fromkeys(ids))[:limit]


# lane, curated table, its instant, what it was, a detail, an amount in minor units, its channel
_LANES: Final = (
    ("digital", "events", "occurred_at", "event_name", "product_id", "NULL", "channel"),
    ("money", "transactions", "booked_at", "category", "currency", "amount_minor", "channel"),
    ("service", "interactions", "occurred_at", "kind", "topic", "NULL", "channel"),
    ("application", "applications", "applied_at", "product_id", "decision", "requested_minor", "channel"),
    ("product", "holdings", "opened_at", "product_id", "NULL", "opening_minor", "NULL"),
    ("contact", "offers_feedback", "occurred_at", "event", "product_id", "NULL", "channel"),
)


def timeline(workspace: Workspace, customer_id: str, as_of: datetime) -> pd.DataFrame:
    """Return what happened to one customer up to the cut-off, the latest first, at most TIMELINE_EVENTS of each lane.

    Free texts are left out: they may name a person.
    """
    present = [lane for lane in _LANES if workspace.curated(lane[1]).is_dir()]
    if not present:
        return pd.DataFrame(columns=["lane", "happened_at", "what", "detail", "amount_minor", "channel"])
    selects = [
        f"""(SELECT '{lane}' AS lane, {time} AS happened_at, {what} AS what, CAST({detail} AS VARCHAR) AS detail,
             CAST({amount} AS BIGINT) AS amount_minor, CAST({channel} AS VARCHAR) AS channel
             FROM {table} WHERE customer_id = $1 AND {time} <= $2 ORDER BY {time} DESC LIMIT {TIMELINE_EVENTS})"""
        for lane, table, time, what, detail, amount, channel in present
    ]
    sources = {lane[1]: workspace.curated(lane[1]) for lane in present}
    text = f"SELECT * FROM ({' UNION ALL '.join(selects)}) ORDER BY happened_at DESC, lane, what"
    return reading.sql(sources, text, (customer_id, naive_utc(as_of)))


def _curated_row(workspace: Workspace, table: str, customer_id: str) -> Mapping[str, Any] | None:
    if not workspace.curated(table).is_dir():
        return None
    shown = [column.name for column in CURATED[table] if not column.personal]
    text = f"SELECT {', '.join(map(identifier, shown))} FROM {table} WHERE customer_id = ?"
    rows = reading.records(reading.sql({table: workspace.curated(table)}, text, (customer_id,)))
    return rows[0] if rows else None
