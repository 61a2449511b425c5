"""Who needs attention: the watch list, reassessments due, treatments, and the customers behind them."""

from __future__ import annotations

from typing import Final

import pandas as pd

from engine.ui.views import bars
from engine.ui.views.figure import CONTINUED, DROPPED, Figure, clickable, marked
from engine.ui.words import Words

_SEVERITIES: Final = {"high": "#C8553D", "medium": "#E9B44C", "low": "#7FB69A"}
_KINDS: Final = {
    "care": "#7A5AA6", "collections": "#C8553D", "prevention": "#E9B44C", "engagement": CONTINUED, "none": "#A9B2BD",
}  # fmt: skip
_STATUS: Final = {"watched": CONTINUED, "left": "#C9D3E3"}


def severities(rows: pd.DataFrame, silent: tuple[str, ...], w: Words) -> Figure:
    """Return customers on the watch list, and who left it lately, by severity."""
    named = rows.assign(
        severity_name=[w.label("severity", severity) for severity in rows["severity"]],
        status_name=[w.label("watch_status", status) for status in rows["status"]],
    )
    table = pd.DataFrame(
        {
            w.t("risk.severity"): named["severity_name"],
            w.t("risk.watch_status"): named["status_name"],
            w.t("word.customers"): named["customers"],
            w.t("risk.reviews_due"): named["overdue"],
        }
    )
    on = named[named["status"] == "watched"]
    note = w.t("risk.silent", triggers=w.t("word.comma").join(w.label("trigger", one) for one in silent))
    finding = w.t("risk.finding_nobody_watched")
    if len(on):
        finding = w.t(
            "risk.finding_watched",
            customers=w.number(on["customers"].sum()),
            high=w.number(on.loc[on["severity"] == "high", "customers"].sum()),
            due=w.number(on["overdue"].sum()),
        )
    chart = bars.stacked(
        named,
        "severity_name",
        "customers",
        "status_name",
        title=w.t("word.customers"),
        colours={w.label("watch_status", status): colour for status, colour in _STATUS.items()},
        tooltip={
            "severity_name": w.t("risk.severity"),
            "status_name": w.t("risk.watch_status"),
            "customers": w.t("word.customers"),
        },
        order=[w.label("severity", name) for name in _SEVERITIES if name in set(rows["severity"])],
    )
    marks = marked(
        named, "watch", label=("severity_name", "status_name"), count="customers", at=("severity", "status"),
        severity="severity", status="status",
    )  # fmt: skip
    drawn = clickable(chart, "severity", "status") if len(named) else None
    return Figure(finding=finding, chart=drawn, alt=finding, table=table, note=note if silent else "", marks=marks)


def reassessments(rows: pd.DataFrame, w: Words) -> Figure:
    """Return customers by what sets the date of their reassessment, due and later."""
    parts = {True: w.t("risk.due"), False: w.t("risk.due_later")}
    named = rows.assign(
        cause_name=[w.label("reassess_cause", cause) for cause in rows["cause"]],
        when=[parts[bool(due)] for due in rows["is_due"]],
        due=["due" if due else "later" for due in rows["is_due"]],
    )
    table = pd.DataFrame(
        {
            w.t("risk.cause"): named["cause_name"],
            w.t("risk.reassessment"): named["when"],
            w.t("word.customers"): named["customers"],
            w.t("risk.earliest"): [w.day(moment) for moment in named["earliest"]],
        }
    )
    due = named[named["is_due"].astype(bool)]
    finding = w.t("risk.finding_none_due")
    if len(due):
        first = due.sort_values("customers", ascending=False).iloc[0]
        finding = w.t(
            "risk.finding_due",
            customers=w.number(due["customers"].sum()),
            cause=first["cause_name"],
            count=w.number(first["customers"]),
        )
    chart = bars.stacked(
        named,
        "cause_name",
        "customers",
        "when",
        title=w.t("word.customers"),
        colours=dict(zip(parts.values(), (DROPPED, "#C9D3E3"), strict=True)),
        tooltip={"cause_name": w.t("risk.cause"), "when": w.t("risk.reassessment"), "customers": w.t("word.customers")},
    )
    marks = marked(
        named, "reassessment", label=("cause_name", "when"), count="customers", at=("cause", "due"),
        cause="cause", due="due",
    )  # fmt: skip
    drawn = clickable(chart, "cause", "due") if len(named) else None
    return Figure(finding=finding, chart=drawn, alt=finding, table=table, marks=marks)


def treatments(rows: pd.DataFrame, w: Words) -> Figure:
    """Return customers by treatment, coloured by its kind; why, and what becomes of limits, stands in the table."""
    named = rows.assign(
        name=[w.label("treatment", treatment) for treatment in rows["treatment"]],
        kind_name=[w.label("treatment_kind", kind) for kind in rows["kind"]],
        reason=[w.pick(en, zh) for en, zh in zip(rows["reason_en"], rows["reason_zh"], strict=True)],
    )
    table = pd.DataFrame(
        {
            w.t("risk.treatment"): named["name"],
            w.t("risk.treatment_kind"): named["kind_name"],
            w.t("word.customers"): named["customers"],
            w.t("risk.by_person"): named["by_person"],
            w.t("risk.limit_up"): named["increased"],
            w.t("risk.limit_cut"): named["cut"],
            w.t("risk.terms_change"): [w.label("terms_change", change) for change in named["terms_change"]],
            w.t("risk.why"): named["reason"],
        }
    )
    acted = named[named["kind"] != "none"]
    if acted.empty:
        nothing = w.t("risk.finding_no_treatment")
        return Figure(finding=nothing, chart=None, alt=nothing, table=table)
    chart = bars.stacked(
        acted,
        "name",
        "customers",
        "kind_name",
        title=w.t("word.customers"),
        colours={
            w.label("treatment_kind", kind): colour for kind, colour in _KINDS.items() if kind in set(acted["kind"])
        },
        tooltip={
            "name": w.t("risk.treatment"),
            "reason": w.t("risk.why"),
            "customers": w.t("word.customers"),
            "by_person": w.t("risk.by_person"),
        },
    )
    finding = w.t(
        "risk.finding_treatments",
        customers=w.number(acted["customers"].sum()),
        person=w.number(acted["by_person"].sum()),
        cut=w.number(acted["cut"].sum()),
        up=w.number(acted["increased"].sum()),
    )
    marks = marked(
        acted, "treatment", label=("name", "kind_name"), count="customers", at=("treatment", "kind"),
        treatment="treatment", treatment_kind="kind",
    )  # fmt: skip
    drawn = clickable(chart, "treatment", "kind")
    return Figure(finding=finding, chart=drawn, alt=finding, table=table, marks=marks)
