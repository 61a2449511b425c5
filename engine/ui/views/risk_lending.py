"""Who is lent to and who is not, on which terms and why, as charts."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from engine.ui.views import bars
from engine.ui.views.figure import CONTINUED, DROPPED, GOOD, TIER_COLOURS, WAITING, Figure, clickable, marked
from engine.ui.words import Words, is_undefined
from engine.workflows.view.risk_lending import ANSWERS

OUTCOMES: Final = {"approve": GOOD, "refer": WAITING, "decline": DROPPED}
_PALE: Final = "#B9C9E8"
_BANDS: Final = ("#0846C2", "#5C8DE8", "#E9B44C", "#C8553D", "#8A2F1F")
_REASONS_SHOWN: Final = 12


def answers(rows: pd.DataFrame, w: Words) -> Figure:
    """Return customers by what the gate leaves open to them, coloured by risk tier."""
    named = rows.assign(
        answer_name=[w.label("gate_answer", answer) for answer in rows["answer"]],
        tier=[w.label("risk_tier", tier) for tier in rows["risk_tier"]],
    )
    total = int(rows["customers"].sum())
    counts = {answer: int(rows.loc[rows["answer"] == answer, "customers"].sum()) for answer in ANSWERS}
    finding = w.t("risk.finding_no_answer")
    if total:
        finding = w.t(
            "risk.finding_answers",
            credit=w.share(counts["credit"] / total),
            customers=w.number(total),
            service=w.number(counts["service_only"]),
            block=w.number(counts["block"]),
        )
    chart = bars.stacked(
        named,
        "answer_name",
        "customers",
        "tier",
        title=w.t("word.customers"),
        colours={w.label("risk_tier", tier): colour for tier, colour in TIER_COLOURS.items()},
        tooltip={
            "answer_name": w.t("risk.answer"),
            "tier": w.t("risk.tier"),
            "customers": w.t("word.customers"),
        },
        order=[w.label("gate_answer", answer) for answer in ANSWERS],
    )
    table = pd.DataFrame(
        {
            w.t("risk.answer"): named["answer_name"],
            w.t("risk.tier"): named["tier"],
            w.t("word.customers"): named["customers"],
        }
    )
    marks = marked(
        named, "answer", label=("answer_name", "tier"), count="customers", at=("answer", "risk_tier"),
        answer="answer", risk_tier="risk_tier",
    )  # fmt: skip
    drawn = clickable(chart, "answer", "risk_tier") if total else None
    return Figure(finding=finding, chart=drawn, alt=finding, table=table, marks=marks)


def gate_reasons(rows: pd.DataFrame, w: Words) -> Figure:
    """Return whom each reason of the gate holds for, split into those with no other reason and the rest."""
    return _reasons(rows, "customers", w, effect=("gate_effect", "effect", w.t("risk.effect")))


def credit_reasons(rows: pd.DataFrame, w: Words) -> Figure:
    """Return how many decisions each reason holds for, split into those with no other reason and the rest."""
    return _reasons(rows, "decisions", w, effect=("credit_outcome", "outcome", w.t("risk.leads_to")))


def _reasons(rows: pd.DataFrame, counted: str, w: Words, effect: tuple[str, str, str]) -> Figure:
    kind, column, title = effect
    named = rows.assign(
        reason_text=[w.pick(en, zh).rstrip(".。") for en, zh in zip(rows["text_en"], rows["text_zh"], strict=True)],
        leads_to=[w.label(kind, value) for value in rows[column]],
        also=rows[counted] - rows[f"{counted}_only_by_this"],
    )
    shown = named[named[counted] > 0].head(_REASONS_SHOWN)
    parts = {w.t("risk.only_this"): f"{counted}_only_by_this", w.t("risk.with_others"): "also"}
    tidy = pd.concat(
        [
            shown.assign(part=part, count=shown[name], counted=which)
            for (part, name), which in zip(parts.items(), ("only", "also"), strict=True)
        ]
    )
    chart = bars.stacked(
        tidy,
        "reason_text",
        "count",
        "part",
        title=w.t(f"word.{counted}"),
        colours=dict(zip(parts, (CONTINUED, _PALE), strict=True)),
        tooltip={
            "reason_text": w.t("risk.reason"),
            "part": w.t("recommendations.counted"),
            "count": title_of(w, counted),
        },
        order=list(shown["reason_text"]),
    )
    table = pd.DataFrame(
        {
            w.t("risk.reason"): named["reason_text"],
            title: named["leads_to"],
            title_of(w, counted): named[counted],
            w.t("risk.only_this"): named[f"{counted}_only_by_this"],
        }
    )
    if shown.empty:
        nothing = w.t("risk.finding_no_reason")
        return Figure(finding=nothing, chart=None, alt=nothing, table=table)
    first, alone = shown.iloc[0], named.sort_values(f"{counted}_only_by_this", ascending=False).iloc[0]
    told = f"finding_reason_{counted}" if alone[f"{counted}_only_by_this"] else f"finding_never_alone_{counted}"
    finding = w.t(
        f"risk.{told}",
        first=first["reason_text"],
        count=w.number(first[counted]),
        alone=alone["reason_text"],
        only=w.number(alone[f"{counted}_only_by_this"]),
    )
    whole = shown.assign(part=w.t("counted.all"), count=shown[counted], counted="all")
    marks = marked(
        pd.concat([whole, tidy]),
        "gate_reason" if counted == "customers" else "credit_reason",
        label=("reason_text", "part"),
        count="count",
        at=("reason_code", "counted"),
        reason="reason_code",
        counted="counted",
    )
    drawn = clickable(chart, "reason_code", "counted")
    return Figure(finding=finding, chart=drawn, alt=finding, table=table, note=w.t("risk.reasons_note"), marks=marks)


def title_of(w: Words, counted: str) -> str:
    """Return what is counted, as the title of a column."""
    return w.t(f"word.{counted}")


def decisions(rows: pd.DataFrame, w: Words) -> Figure:
    """Return what was decided for each family of credit."""
    counted = rows.groupby(["family", "outcome"], as_index=False)[["decisions"]].sum()
    totals = counted.groupby("family")["decisions"].transform("sum")
    named = counted.assign(
        family_name=[w.label("family", family) for family in counted["family"]],
        outcome_name=[w.label("credit_outcome", outcome) for outcome in counted["outcome"]],
        share=[w.share(count / total) for count, total in zip(counted["decisions"], totals, strict=True)],
        rate=counted["decisions"] / totals,
    )
    table = _decision_table(rows, w)
    if named.empty:
        nothing = w.t("risk.finding_no_decision")
        return Figure(finding=nothing, chart=None, alt=nothing, table=table)
    chart = bars.stacked(
        named,
        "family_name",
        "decisions",
        "outcome_name",
        title=w.t("word.decisions"),
        colours={w.label("credit_outcome", name): colour for name, colour in OUTCOMES.items()},
        tooltip={
            "family_name": w.t("risk.family"),
            "outcome_name": w.t("risk.decided"),
            "decisions": w.t("word.decisions"),
            "share": w.t("risk.share_of_family"),
        },
    )
    approved = named[named["outcome"] == "approve"]
    told = [f"{row['family_name']} {row['share']}" for row in approved.to_dict("records")]
    finding = w.t("risk.finding_decisions", shares=w.t("word.comma").join(told)) if told else w.t("risk.none_approved")
    marks = marked(
        named, "credit", label=("family_name", "outcome_name"), count="decisions", at=("family", "outcome"),
        family="family", outcome="outcome",
    )  # fmt: skip
    drawn, note = clickable(chart, "family", "outcome"), w.t("risk.decisions_note")
    return Figure(finding=finding, chart=drawn, alt=finding, table=table, note=note, marks=marks)


def _decision_table(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    return pd.DataFrame(
        {
            w.t("risk.family"): [w.label("family", family) for family in rows["family"]],
            w.t("risk.decided"): [w.label("credit_outcome", outcome) for outcome in rows["outcome"]],
            w.t("risk.price_band"): [w.label("price_band", band) for band in rows["price_band"]],
            w.t("word.decisions"): rows["decisions"],
            w.t("risk.median_rate"): [w.share(rate, 2) for rate in rows["annual_rate"]],
            w.t("risk.rate_range"): _ranges(rows, "rate", w),
            w.t("risk.median_limit"): [w.money(limit) for limit in rows["limit_minor"]],
            w.t("risk.limit_range"): _ranges(rows, "limit_minor", w),
        }
    )


def _ranges(rows: pd.DataFrame, what: str, w: Words) -> list[str]:
    pairs = zip(rows[f"least_{what}"], rows[f"most_{what}"], strict=True)
    return [
        w.number(None) if is_undefined(low) else f"{_one(low, what, w)} – {_one(high, what, w)}" for low, high in pairs
    ]


def _one(value: Any, what: str, w: Words) -> str:
    return w.share(value, 2) if what == "rate" else w.money(value)


def terms(rows: pd.DataFrame, w: Words, family: str) -> Figure:
    """Return decisions of one family by band of the limit, coloured by price band."""
    named = rows.assign(
        limit=[w.t("risk.limit_from", limit=w.money(limit)) for limit in rows["limit_from_minor"]],
        band=[w.label("price_band", band) for band in rows["price_band"]],
    )
    table = pd.DataFrame(
        {
            w.t("risk.limit"): named["limit"],
            w.t("risk.price_band"): named["band"],
            w.t("word.decisions"): named["decisions"],
        }
    )
    if named.empty:
        nothing = w.t("risk.finding_no_terms", family=w.label("family", family))
        return Figure(finding=nothing, chart=None, alt=nothing, table=table)
    colours = dict(zip(sorted(set(named["band"])), _BANDS, strict=False))
    chart = bars.stacked(
        named,
        "limit",
        "decisions",
        "band",
        title=w.t("word.decisions"),
        colours=colours,
        tooltip={"limit": w.t("risk.limit"), "band": w.t("risk.price_band"), "decisions": w.t("word.decisions")},
    )
    sizes = named.groupby("limit", sort=False)["decisions"].sum()
    total = int(sizes.sum())
    finding = w.t(
        "risk.finding_terms",
        family=w.label("family", family),
        decisions=w.number(total),
        limit=str(sizes.idxmax()),
        share=w.share(float(sizes.max()) / total),
    )
    told = named.assign(family=family, price_band=named["price_band"].fillna("none"))
    marks = marked(
        told, "credit_terms", label=("limit", "band"), count="decisions", at=("limit_from_minor", "band"),
        family="family", price_band="price_band", limit_from="limit_from_minor",
    )  # fmt: skip
    drawn = clickable(chart, "limit_from_minor", "band")
    return Figure(finding=finding, chart=drawn, alt=finding, table=table, marks=marks)
