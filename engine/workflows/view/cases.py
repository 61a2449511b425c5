"""The inbox of alerts and cases: what is open, since when, whose it is, and what stands behind one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import pandas as pd
import pyarrow as pa

from engine.config.cases import CaseSettings
from engine.config.risk import RiskSettings
from engine.domain.access import Right, Viewer
from engine.domain.errors import UnknownName
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.store import CaseEventRecord, CaseRecord, Cases, CommentRecord, Comments, Store, persons
from engine.workflows import alerts, session
from engine.workflows.alerts import KINDS, Facts
from engine.workflows.view import reading

Shown = Literal["inbox", "mine", "unassigned", "late", "snoozed", "closed"]
VIEWS: Final[tuple[Shown, ...]] = ("inbox", "mine", "unassigned", "late", "snoozed", "closed")
AGES: Final = ("0_2", "3_10", "11_30", "over_30")
"""Brackets of days for which something has been open."""
PAGE: Final = 25
_CASES: Final = pa.schema(
    [
        ("alert_id", pa.string()), ("case_id", pa.int64()), ("kind", pa.string()), ("severity", pa.string()),
        ("customer_id", pa.string()), ("text_en", pa.string()), ("text_zh", pa.string()),
        ("opened_at", pa.timestamp("us")), ("due_at", pa.timestamp("us")), ("status", pa.string()),
        ("assignee", pa.string()), ("tags", pa.string()), ("level", pa.string()),
        ("snoozed_until", pa.timestamp("us")), ("outcome", pa.string()), ("version", pa.int64()),
    ]
)  # fmt: skip
_ITEMS: Final = """
WITH found AS ({alerts}),
items AS (
    SELECT alert_id, NULL::BIGINT AS case_id, kind, severity, customer_id, text_en, text_zh, raised_at AS since,
           raised_at + to_days(CASE severity WHEN 'high' THEN $high WHEN 'medium' THEN $medium ELSE $low END) AS due_at,
           seen_from, 'pending' AS status, NULL::VARCHAR AS assignee, NULL::VARCHAR AS level, '' AS tags,
           NULL::VARCHAR AS outcome, 0::BIGINT AS version, NULL::TIMESTAMP AS snoozed_until
    FROM found WHERE alert_id NOT IN (SELECT alert_id FROM cases_of_the_store)
    UNION ALL BY NAME
    SELECT alert_id, case_id, kind, severity, customer_id, text_en, text_zh, opened_at AS since, due_at,
           $now::TIMESTAMP AS seen_from,
           CASE WHEN status = 'snoozed' AND snoozed_until <= $now::TIMESTAMP
                THEN CASE WHEN assignee IS NULL THEN 'pending' ELSE 'investigating' END ELSE status END AS status,
           assignee, level, tags, outcome, version, snoozed_until
    FROM cases_of_the_store
),
told AS (
    SELECT *, due_at < seen_from AND status NOT IN ('resolved', 'snoozed') AS is_late,
           floor(epoch(seen_from - due_at) / 86400)::BIGINT AS days_late,
           greatest(floor(epoch(seen_from - since) / 86400), 0)::BIGINT AS days_open
    FROM items
)
"""
_WHERE: Final[Mapping[str, str]] = {
    "inbox": "status NOT IN ('resolved', 'snoozed')",
    "mine": "status NOT IN ('resolved', 'snoozed') AND lower(assignee) = lower($me)",
    "unassigned": "status NOT IN ('resolved', 'snoozed') AND assignee IS NULL",
    "late": "is_late",
    "snoozed": "status = 'snoozed'",
    "closed": "status = 'resolved'",
}
_ORDER: Final = """ORDER BY CASE severity WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END, level = 'escalate' DESC,
due_at, alert_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which part of the inbox somebody looks at; None and "" leave everything in."""

    view: Shown = "inbox"
    kind: str | None = None
    customer_id: str = ""
    tag: str = ""
    limit: int = PAGE
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One alert or case with what stands behind it; `case` is None as long as nobody works on it."""

    item: Mapping[str, Any]
    case: CaseRecord | None
    still_raised: bool
    hits: tuple[Mapping[str, Any], ...]
    history: tuple[CaseEventRecord, ...]
    comments: tuple[CommentRecord, ...]


def stamp(workspace: Workspace, viewer: Viewer) -> str:
    """Return a text of a viewer that is another one as soon as anybody did anything, and every ten minutes.

    Cases grow late by themselves; and what is one's own is nobody else's answer.
    """
    ticks = f"{viewer.name} {int(datetime.now(UTC).timestamp() // 600)}"
    if not session.has_register(workspace):
        return ticks
    with Store(session.database_url(workspace)) as store:
        return f"{ticks} {store.audit_head().hash}"


def summary(workspace: Workspace, run: Run, viewer: Viewer, _stamp: str = "") -> pd.DataFrame:
    """Return how many alerts and cases are of each kind, severity and age, and in which views of the inbox they stand.

    Columns: kind, severity, age (of AGES), one of yes and no for each of VIEWS, and items. Raises NotAllowed.
    """
    viewer.require(Right.SEE_CASES)
    flags = ", ".join(f"coalesce({where}, false) AS {name}" for name, where in _WHERE.items())
    text = f"""SELECT kind, severity, CASE WHEN days_open <= 2 THEN '0_2' WHEN days_open <= 10 THEN '3_10'
                                           WHEN days_open <= 30 THEN '11_30' ELSE 'over_30' END AS age,
                      {flags}, count(*) AS items, $me AS me
               FROM told GROUP BY ALL ORDER BY ALL"""
    return _read(workspace, run, viewer, text).drop(columns="me")


def counts(found: pd.DataFrame) -> dict[str, int]:
    """Return how many of a summary each view of the inbox holds."""
    return {name: int(found.loc[found[name], "items"].sum()) for name in VIEWS}


def kinds(found: pd.DataFrame, view: str) -> dict[str, int]:
    """Return how many of a summary are in a view by kind, in the order of KINDS."""
    held = found[found[view]].groupby("kind")["items"].sum()
    return {kind: int(held[kind]) for kind in KINDS if kind in held.index}


def ages(found: pd.DataFrame) -> pd.DataFrame:
    """Return how many of a summary are open by age and severity: columns age, severity, items."""
    return found[found["inbox"]].groupby(["age", "severity"])[["items"]].sum().reset_index()


def inbox(workspace: Workspace, run: Run, viewer: Viewer, asked: Asked, _stamp: str = "") -> tuple[int, pd.DataFrame]:
    """Return how many there are, and one page: the urgent first, of those the one whose time ends first.

    Columns: alert_id, case_id (empty where nobody works on it), version, kind, severity, customer_id, text_en,
    text_zh, since, due_at, days_late (below 0 while there is time), days_open, is_late, status, assignee, level, tags,
    outcome, snoozed_until, total. Raises NotAllowed.
    """
    viewer.require(Right.SEE_CASES)
    if asked.view not in VIEWS:
        raise UnknownName("view of the inbox", asked.view, VIEWS)
    where, more = [_WHERE[asked.view], "($me = $me)"], {}
    if asked.kind is not None:
        where.append("kind = $kind")
        more["kind"] = asked.kind
    if asked.customer_id:
        where.append("customer_id = $customer")
        more["customer"] = asked.customer_id
    if asked.tag:
        where.append("list_contains(string_split(tags, ' '), $tag)")
        more["tag"] = asked.tag
    text = f"""SELECT *, count(*) OVER () AS total FROM told WHERE {" AND ".join(where)}
               {_ORDER} LIMIT {asked.limit:d} OFFSET {asked.offset:d}"""
    rows = _read(workspace, run, viewer, text, more)
    return (int(rows["total"].iloc[0]) if len(rows) else 0), rows


def outcomes(workspace: Workspace, viewer: Viewer, _stamp: str = "") -> pd.DataFrame:
    """Return closed cases by month and kind: closed, and how many of them were false positives; raises NotAllowed."""
    viewer.require(Right.SEE_CASES)
    rows: list[tuple[str, str, datetime]] = []
    if session.has_register(workspace):
        with Store(session.database_url(workspace)) as store:
            rows = Cases(store).outcomes()
    told = pd.DataFrame(
        [
            {"month": f"{at:%Y-%m}", "kind": kind, "closed": 1, "false_positives": int(outcome == "false_positive")}
            for kind, outcome, at in rows
        ],
        columns=["month", "kind", "closed", "false_positives"],
    )
    return told.groupby(["month", "kind"], as_index=False).sum()


def detail(workspace: Workspace, run: Run, viewer: Viewer, alert_id: str) -> Detail:
    """Return an alert or a case with everything behind it; not to be remembered.

    Raises
    ------
    NotAllowed
    UnknownName
        Neither the run nor the store knows such an alert.
    """
    viewer.require(Right.SEE_CASES)
    text = """SELECT *, alert_id IN (SELECT alert_id FROM found) AS still_raised, $me AS me
              FROM told WHERE alert_id = $alert"""
    rows = reading.records(_read(workspace, run, viewer, text, {"alert": alert_id}))
    if not rows:
        raise UnknownName("alert or case", alert_id, [])
    case: CaseRecord | None = None
    history: tuple[CaseEventRecord, ...] = ()
    comments: tuple[CommentRecord, ...] = ()
    if session.has_register(workspace):
        with Store(session.database_url(workspace)) as store:
            case = Cases(store).of_alert(alert_id)
            if case is not None:
                history = tuple(Cases(store).history(case.case_id))
                comments = tuple(Comments(store).on("case", str(case.case_id)))
    return Detail(
        item={name: None if pd.isna(value) else value for name, value in rows[0].items()},
        case=case,
        still_raised=bool(rows[0]["still_raised"]),
        hits=_hits(workspace, run, rows[0]),
        history=history,
        comments=comments,
    )


def timeline(workspace: Workspace, run: Run, viewer: Viewer, customer_id: str) -> pd.DataFrame:
    """Return what happened to the customer of a case; raises NotAllowed."""
    viewer.require(Right.SEE_CASES, Right.SEE_CUSTOMERS)
    from engine.workflows.view import customer  # noqa: PLC0415  seconds to import, and most look at the list

    return customer.timeline(workspace, customer_id, run.as_of)


def at_stake(workspace: Workspace, run: Run, viewer: Viewer) -> int | None:
    """Return what the customers of late alerts and cases may cost in 12 months, None where nothing is known of it.

    The expected loss, in minor units of the base currency. Raises NotAllowed.
    """
    viewer.require(Right.SEE_CASES, Right.SEE_RISK)
    if not run.has("risk_losses"):
        return None
    text = """SELECT sum(expected_loss_12m_minor) AS minor, $me AS me FROM risk_losses
              WHERE customer_id IN (SELECT customer_id FROM told WHERE is_late)"""
    minor = _read(workspace, run, viewer, text, also=("risk_losses",))["minor"].iloc[0]
    return None if pd.isna(minor) else int(minor)


def _hits(workspace: Workspace, run: Run, item: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return every rule that could have raised an alert of the watch list, and whether it did; else nothing."""
    if item["kind"] != "watch_list" or not run.has("risk_watch_list"):
        return ()
    row = reading.only(run, "risk_watch_list", str(item["customer_id"]))
    hit = set(str(row["triggers"] or "").split()) if row is not None and row["status"] == "watched" else set()
    rules = session.settings(workspace, RiskSettings, "risk").early_warning.triggers
    told = [
        {"severity": one.severity, "text_en": one.text, "text_zh": one.text_zh, "hit": one.code in hit} for one in rules
    ]
    return tuple(sorted(told, key=lambda one: not one["hit"]))


def _read(
    workspace: Workspace,
    run: Run,
    viewer: Viewer,
    text: str,
    more: Mapping[str, object] | None = None,
    *,
    also: Sequence[str] = (),
) -> pd.DataFrame:
    found = _facts(workspace, run)
    found = replace(found, sources={**found.sources, **{mart: run.require(mart) for mart in also}})
    settings = session.settings(workspace, CaseSettings, "cases")
    now = datetime.now(UTC).replace(tzinfo=None)
    parameters = {
        **found.parameters,
        **settings.sla_days.model_dump(),
        "now": now,
        "me": persons.name(viewer.name),
        **(more or {}),
    }
    given = {**found.given, "cases_of_the_store": _cases(workspace)}
    return reading.joined(found.sources, given, _joined(text, found), parameters)


def _joined(text: str, found: Facts) -> str:
    # the tables of the run stand before, under one WITH
    opening = _ITEMS.format(alerts=found.text).strip()
    return (f", {opening.removeprefix('WITH ')}" if found.sources else opening) + text


def _facts(workspace: Workspace, run: Run) -> Facts:
    return alerts.facts(workspace, run, session.settings(workspace, CaseSettings, "cases"), datetime.now(UTC))


def _cases(workspace: Workspace) -> pa.Table:
    rows: list[dict[str, Any]] = []
    if session.has_register(workspace):
        with Store(session.database_url(workspace)) as store:
            rows = [asdict(one) | {"tags": " ".join(one.tags)} for one in Cases(store).every()]
    for row in rows:
        for name, value in row.items():
            if isinstance(value, datetime):
                row[name] = value.astimezone(UTC).replace(tzinfo=None)
    return pa.Table.from_pylist([{name: row[name] for name in _CASES.names} for row in rows], schema=_CASES)


def due(raised: datetime, severity: str, settings: CaseSettings) -> datetime:
    """Return by when somebody should have dealt with something that begins at an instant."""
    return raised + timedelta(days=int(getattr(settings.sla_days, severity)))
