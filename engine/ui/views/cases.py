"""The inbox of alerts and cases as key figures, charts and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

import altair as alt
import pandas as pd

from engine.store.work_records import CaseEventRecord
from engine.ui.views.figure import BAD, CONTINUED, NEUTRAL, WAITING, Figure, axis, height_of, legend, scale
from engine.ui.words import UNDEFINED, Words, capital, is_undefined
from engine.workflows.view.cases import AGES

SEVERITIES: Final = ("high", "medium", "low")
_COLOURS: Final = {"high": BAD, "medium": WAITING, "low": NEUTRAL}
Badge = Literal["green", "red", "orange", "blue", "gray", "violet"]
BADGES: Final[dict[str, Badge]] = {"high": "red", "medium": "orange", "low": "gray"}
STATUS_BADGES: Final[dict[str, Badge]] = {
    "pending": "gray",
    "investigating": "blue",
    "waiting_for_action": "orange",
    "snoozed": "violet",
    "resolved": "green",
}


def tiles(counts: Mapping[str, int], closed: pd.DataFrame, w: Words) -> list[tuple[str, str, str]]:
    """Return the key figures: label, value, and what exactly is counted."""
    total = int(closed["closed"].sum())
    share = None if not total else closed["false_positives"].sum() / total
    values = {
        "open": w.number(counts["inbox"]),
        "late": w.number(counts["late"]),
        "mine": w.number(counts["mine"]),
        "unassigned": w.number(counts["unassigned"]),
        "false_positives": w.share(share),
    }
    return [(w.t(f"cases.{name}"), value, w.t(f"cases.{name}_help")) for name, value in values.items()]


def ages(rows: pd.DataFrame, w: Words) -> Figure:
    """Return how long alerts and cases have been open, by severity."""
    if rows.empty:
        nothing = w.t("cases.finding_no_ages")
        return Figure(finding=nothing, chart=None, alt=nothing, table=pd.DataFrame())
    old = rows[rows["age"] == "over_30"]
    finding = w.t(
        "cases.finding_ages",
        old=w.number(old["items"].sum()),
        all=w.number(rows["items"].sum()),
        high=w.number(old.loc[old["severity"] == "high", "items"].sum()),
    )
    brackets = [w.t(f"cases.age_{age}") for age in AGES]
    named = rows.assign(
        age_name=[w.t(f"cases.age_{age}") for age in rows["age"]],
        severity_name=[w.label("case_severity", one) for one in rows["severity"]],
        order=[SEVERITIES.index(one) for one in rows["severity"]],
    )
    colours = {w.label("case_severity", one): _COLOURS[one] for one in SEVERITIES if one in set(rows["severity"])}
    chart = (
        alt.Chart(named)
        .mark_bar()
        .encode(
            x=alt.X("items:Q", title=w.t("cases.items"), axis=axis()),
            y=alt.Y(
                "age_name:N",
                sort=brackets,
                title=None,
                axis=alt.Axis(labelOverlap=False),
                scale=alt.Scale(domain=brackets),
            ),
            color=alt.Color("severity_name:N", scale=scale(colours), legend=legend(colours)),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("age_name:N", title=w.t("cases.age")),
                alt.Tooltip("severity_name:N", title=w.t("cases.severity")),
                alt.Tooltip("items:Q", title=w.t("cases.items"), format=",.0f"),
            ],
        )
        .properties(height=height_of(len(brackets), 36, 90))
    )
    wide = named.pivot_table(index="age_name", columns="severity_name", values="items", fill_value=0, aggfunc="sum")
    table = wide.reindex(brackets, fill_value=0).reindex(columns=list(colours)).reset_index()
    return Figure(finding=finding, chart=chart, alt=finding, table=table.rename(columns={"age_name": w.t("cases.age")}))


def outcomes(rows: pd.DataFrame, w: Words) -> Figure:
    """Return by month how many of the closed cases were false positives."""
    if rows.empty:
        nothing = w.t("cases.finding_no_outcomes")
        return Figure(finding=nothing, chart=None, alt=nothing, table=pd.DataFrame())
    months = rows.groupby("month", as_index=False)[["closed", "false_positives"]].sum()
    kinds = rows.groupby("kind", as_index=False)[["closed", "false_positives"]].sum()
    wrong, total = int(months["false_positives"].sum()), int(months["closed"].sum())
    finding = w.t("cases.finding_outcomes", false=w.number(wrong), closed=w.number(total), share=w.share(wrong / total))
    worst = kinds.sort_values(["false_positives", "kind"], ascending=[False, True]).iloc[0]
    if wrong:
        finding += w.t(
            "cases.finding_worst",
            kind=w.label("alert_kind", worst["kind"]),
            false=w.number(worst["false_positives"]),
            closed=w.number(worst["closed"]),
        )
    shares = months.assign(share=months["false_positives"] / months["closed"])
    chart = (
        alt.Chart(shares)
        .mark_line(point={"size": 70, "filled": True}, color=CONTINUED)
        .encode(
            x=alt.X("month:O", title=w.t("cases.month"), axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y(
                "share:Q",
                title=w.t("cases.false_share"),
                axis=alt.Axis(format=".0%", tickCount=5),
                scale=alt.Scale(domain=[0, 1]),
            ),
            tooltip=[
                alt.Tooltip("month:O", title=w.t("cases.month")),
                alt.Tooltip("closed:Q", title=w.t("cases.closed"), format=",.0f"),
                alt.Tooltip("false_positives:Q", title=w.t("cases.false_n"), format=",.0f"),
            ],
        )
        .properties(height=height_of(len(AGES), 36, 90))
    )
    table = pd.DataFrame(
        {
            w.t("cases.month"): shares["month"],
            w.t("cases.closed"): shares["closed"],
            w.t("cases.false_n"): shares["false_positives"],
            w.t("cases.false_share"): [w.share(one) for one in shares["share"]],
        }
    )
    return Figure(finding=finding, chart=chart, alt=finding, table=table)


def rows(found: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return a page of the inbox in the reader's words."""
    items = found.to_dict("records")
    table = pd.DataFrame(
        {
            w.t("cases.due"): [due(one, w) for one in items],
            w.t("cases.severity"): [w.label("case_severity", one["severity"]) for one in items],
            w.t("cases.kind"): [w.label("alert_kind", one["kind"]) for one in items],
            w.t("cases.customer"): [_or_dash(one["customer_id"]) for one in items],
            w.t("cases.status"): [status(one, w) for one in items],
            w.t("cases.assignee"): [
                w.t("cases.nobody") if is_undefined(one["assignee"]) else one["assignee"] for one in items
            ],
            w.t("cases.what"): [w.pick(one["text_en"], one["text_zh"]) for one in items],
            w.t("cases.tags"): [one["tags"] or "" for one in items],
        }
    )
    return table if any(table[w.t("cases.tags")]) else table.drop(columns=w.t("cases.tags"))


def _or_dash(value: object) -> str:
    return UNDEFINED if is_undefined(value) else str(value)


def due(item: Mapping[Any, Any], w: Words) -> str:
    """Say how much time is left, or since when there is none."""
    if item["status"] == "resolved":
        return w.t("cases.is_done")
    if item["status"] == "snoozed":
        return w.t("cases.back_on", day=w.day(item["snoozed_until"]))
    late = int(item["days_late"])
    if item["is_late"]:
        return w.t("cases.days_late", n=w.number(late)) if late > 0 else w.t("cases.late_today")
    # whole days that are left: -1 is less than a day
    return w.t("cases.days_left", n=w.number(-late - 1)) if late < -1 else w.t("cases.due_today")


def status(item: Mapping[Any, Any], w: Words) -> str:
    """Say how far the work is, and what came of it where it is done."""
    said = w.label("case_status", item["status"])
    if not is_undefined(item["outcome"]):
        return f"{said}: {w.label('case_outcome', item['outcome'])}"
    if not is_undefined(item["level"]):
        return f"{said} · {w.label('review_level', item['level'])}"
    return said


def named(item: Mapping[Any, Any], w: Words) -> str:
    """Return one line that tells an alert or a case from the others."""
    parts = [due(item, w), w.label("alert_kind", item["kind"])]
    if not is_undefined(item["customer_id"]):
        parts.append(str(item["customer_id"]))
    return " · ".join(parts)


def hits(rules: Sequence[Mapping[str, Any]], w: Words, *, only: bool) -> tuple[str, pd.DataFrame]:
    """Return how many rules hit, and the rules: all, or those that hit."""
    shown = [one for one in rules if one["hit"] or not only]
    finding = w.t("cases.finding_hits", n=sum(bool(one["hit"]) for one in rules), all=len(rules))
    return finding, pd.DataFrame(
        {
            w.t("cases.hit"): [w.t("word.yes") if one["hit"] else UNDEFINED for one in shown],
            w.t("cases.severity"): [w.label("case_severity", one["severity"]) for one in shown],
            w.t("cases.rule"): [capital(w.pick(one["text_en"], one["text_zh"])) for one in shown],
        }
    )


def history(events: Sequence[CaseEventRecord], w: Words) -> pd.DataFrame:
    """Return what was done with a case, the newest first."""
    shown = list(events)[::-1]
    return pd.DataFrame(
        {
            w.t("cases.when"): [w.instant(one.at) for one in shown],
            w.t("cases.who"): [one.by for one in shown],
            w.t("cases.did"): [w.label("case_act", one.act) for one in shown],
            w.t("cases.details"): [_details(one, w) for one in shown],
        }
    )


def _details(event: CaseEventRecord, w: Words) -> str:
    told = []
    for name, value in event.details.items():
        if value is None or name in ("closed_by", "closed_at", "due_at"):
            continue
        if name == "snoozed_until":
            told.append(w.t("cases.back_on", day=w.day(datetime.fromisoformat(value))))
        elif name == "tags":
            told.append(" ".join(value))
        else:
            kind = {"status": "case_status", "outcome": "case_outcome", "level": "review_level"}.get(name)
            told.append(str(value) if kind is None else w.label(kind, value))
    if event.note:
        told.append(event.note)
    return " · ".join(told) or UNDEFINED
