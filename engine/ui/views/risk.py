"""How risky the customers are, how points are given, and how far the scorecard can be trusted."""

from __future__ import annotations

import re
from typing import Any, Final

import altair as alt
import pandas as pd
import streamlit as st

from engine.risk.file_reasons import bin_text
from engine.ui.views.figure import BAND, TIER_COLOURS, Figure, Mark, axis, clickable, marked, peak, scale
from engine.ui.words import Words, catalogue

TIERS: Final = tuple(TIER_COLOURS)
_ANY_NUMBER: Final = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    known = rows.assign(place=[TIERS.index(tier) if tier in TIERS else len(TIERS) for tier in rows["risk_tier"]])
    return known.sort_values("place", ignore_index=True)


def tiers(rows: pd.DataFrame, w: Words) -> Figure:
    """Return customers by risk tier."""
    found = _ordered(rows)
    found["tier"] = [w.label("risk_tier", tier) for tier in found["risk_tier"]]
    total = found["customers"].sum()
    found["share"] = found["customers"] / total if total else float("nan")
    found["text"] = [f"{w.number(n)} ({w.share(s)})" for n, s in zip(found["customers"], found["share"], strict=True)]
    base = alt.Chart(found).encode(y=alt.Y("tier:N", sort=list(found["tier"]), title=None))
    bars = base.mark_bar(height=BAND, cornerRadius=2).encode(
        x=alt.X("customers:Q", title=w.t("word.customers"), axis=axis(), scale=_room(found["customers"])),
        color=_tier_colour(w),
        tooltip=[
            alt.Tooltip("tier:N", title=w.t("risk.tier")),
            alt.Tooltip("customers:Q", title=w.t("word.customers"), format=",.0f"),
            alt.Tooltip("default_probability:Q", title=w.t("risk.mean_probability"), format=".2%"),
        ],
    )
    texts = base.mark_text(align="left", dx=6).encode(x="customers:Q", text="text:N")
    known = found[found["risk_tier"] != "unknown"]["customers"].sum()
    high = found[found["risk_tier"] == "high"]["customers"].sum()
    finding = w.t("risk.finding_no_tier", unknown=w.number(total))
    if known:
        finding = w.t("risk.finding_tiers", high=w.share(high / known), unknown=w.number(total - known))
    chart = (clickable(bars, "risk_tier") + texts).properties(height=220)
    return Figure(finding=finding, chart=chart, alt=finding, table=_tier_table(found, w), marks=_tier_marks(found))


def _tier_marks(found: pd.DataFrame) -> tuple[Mark, ...]:
    return marked(found, "tier", label=("tier",), count="customers", at=("risk_tier",), risk_tier="risk_tier")


def losses(rows: pd.DataFrame, w: Words) -> Figure:
    """Return expected loss by risk tier."""
    found = _ordered(rows)
    found["tier"] = [w.label("risk_tier", tier) for tier in found["risk_tier"]]
    found["loss"] = [None if pd.isna(minor) else w.major(minor) for minor in found["expected_loss_minor"]]
    found["text"] = [w.money(minor) for minor in found["expected_loss_minor"]]
    base = alt.Chart(found).encode(y=alt.Y("tier:N", sort=list(found["tier"]), title=None))
    bars = base.mark_bar(height=BAND, cornerRadius=2).encode(
        x=alt.X("loss:Q", title=w.t("risk.axis_loss", currency=w.currency), axis=axis(), scale=_room(found["loss"])),
        color=_tier_colour(w),
        tooltip=[
            alt.Tooltip("tier:N", title=w.t("risk.tier")),
            alt.Tooltip("loss:Q", title=w.t("risk.loss"), format=",.0f"),
        ],
    )
    texts = base.mark_text(align="left", dx=6).encode(x="loss:Q", text="text:N")
    known = found.dropna(subset=["expected_loss_minor"])
    total = known["expected_loss_minor"].sum() if len(known) else None
    finding = w.t("risk.finding_no_loss")
    if total is None:
        return Figure(finding=finding, chart=None, alt=finding, table=_tier_table(found, w))
    if total:
        worst = peak(known, "expected_loss_minor")
        finding = w.t(
            "risk.finding_loss",
            total=w.money(total),
            tier=w.label("risk_tier", worst["risk_tier"]),
            share=w.share(worst["expected_loss_minor"] / total),
        )
    chart = (clickable(bars, "risk_tier") + texts).properties(height=220)
    return Figure(finding=finding, chart=chart, alt=finding, table=_tier_table(found, w), marks=_tier_marks(found))


def scores(rows: pd.DataFrame, w: Words) -> Figure:
    """Return customers by scorecard points, coloured by tier."""
    named = rows.assign(tier=[w.label("risk_tier", tier) for tier in rows["risk_tier"]])
    if named.empty:
        return Figure(finding=w.t("risk.finding_no_score"), chart=None, alt=w.t("risk.finding_no_score"), table=named)
    width = int(named["score_from"].drop_duplicates().sort_values().diff().min() or 10) if len(named) > 1 else 10
    named["score_to"] = named["score_from"] + width
    chart = (
        alt.Chart(named)
        .mark_bar()
        .encode(
            x=alt.X("score_from:Q", title=w.t("risk.axis_score"), bin="binned", scale=alt.Scale(zero=False)),
            x2="score_to:Q",
            y=alt.Y("customers:Q", title=w.t("word.customers"), axis=axis()),
            color=_tier_colour(w, legend=True),
            tooltip=[
                alt.Tooltip("score_from:Q", title=w.t("risk.axis_score")),
                alt.Tooltip("tier:N", title=w.t("risk.tier")),
                alt.Tooltip("customers:Q", title=w.t("word.customers"), format=",.0f"),
            ],
        )
        .properties(height=260)
    )
    most = int(
        peak(pd.DataFrame(named.groupby("score_from", as_index=False)[["customers"]].sum()), "customers")["score_from"]
    )
    finding = w.t("risk.finding_score", low=w.number(most), high=w.number(most + width))
    table = pd.DataFrame(
        {
            w.t("risk.axis_score"): named["score_from"],
            w.t("risk.tier"): named["tier"],
            w.t("word.customers"): named["customers"],
        }
    )
    marks = marked(
        named, "score", label=("score_from", "tier"), count="customers", at=("score_from", "risk_tier"),
        score_from="score_from", risk_tier="risk_tier",
    )  # fmt: skip
    chart, points = clickable(chart, "score_from", "risk_tier"), (w.t("risk.axis_score"),)
    return Figure(finding=finding, chart=chart, alt=finding, table=table, marks=marks, uncounted=points)


def scorecard(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return the scorecard as a table."""
    return pd.DataFrame(
        {
            w.t("risk.characteristic"): [w.name("characteristic", name) for name in rows["characteristic"]],
            w.t("risk.bin"): [
                _range(name, text, w) for name, text in zip(rows["characteristic"], rows["bin"], strict=True)
            ],
            w.t("risk.points"): rows["points"],
            w.t("risk.bad_rate"): rows["bad_rate"] * 100,
            w.t("risk.goods"): rows["goods"],
            w.t("risk.bads"): rows["bads"],
            w.t("risk.woe"): rows["weight_of_evidence"],
            w.t("risk.iv"): rows["information_value"],
        }
    )


def _range(name: str, text: str, w: Words) -> str:
    """Write a bin for readers: amounts in the currency, shares as percent, values of the vocabulary by their words."""
    if _ANY_NUMBER.search(text) is None:
        words = [w.label(name, value) if f"{name}.{value}" in catalogue() else value for value in text.split(", ")]
        return bin_text(w.t("word.comma").join(words), w.language)
    if name.endswith("_minor") and not text.startswith("="):
        text = _ANY_NUMBER.sub(lambda found: w.number(w.major(_read(found))), text) + f" {w.currency}"
    elif name.endswith("_rate") and not text.startswith("="):
        text = _ANY_NUMBER.sub(lambda found: w.share(_read(found)), text)
    return bin_text(text, w.language)


def _read(found: re.Match[str]) -> float:
    return float(found.group().replace(",", ""))


def scorecard_finding(rows: pd.DataFrame, w: Words) -> str:
    """Say which characteristic tells the most."""
    if rows.empty:
        return w.t("risk.finding_no_scorecard")
    first = rows.iloc[0]
    return w.t(
        "risk.finding_scorecard",
        n=w.number(rows["characteristic"].nunique()),
        first=w.name("characteristic", first["characteristic"]),
        iv=w.number(rows.loc[rows["characteristic"] == first["characteristic"], "information_value"].sum(), 2),
    )


def _tier_colour(w: Words, legend: bool = False) -> alt.Color:
    colours = {w.label("risk_tier", tier): colour for tier, colour in TIER_COLOURS.items()}
    return alt.Color("tier:N", scale=scale(colours), legend=alt.Legend(title=None, orient="top") if legend else None)


def _room(values: pd.Series) -> alt.Scale:
    """Return a scale that leaves room for a number beside the longest bar."""
    return alt.Scale(domain=[0, 1.35 * max(1.0, float(values.max()))], nice=False)


def _tier_table(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    return pd.DataFrame(
        {
            w.t("risk.tier"): rows["tier"],
            w.t("word.customers"): rows["customers"],
            w.t("risk.mean_probability"): [w.share(value, 2) for value in rows["default_probability"]],
            w.t("risk.exposure"): [w.money(minor) for minor in rows["exposure_minor"]],
            w.t("risk.loss"): [w.money(minor) for minor in rows["expected_loss_minor"]],
        }
    )


def height(rows: pd.DataFrame) -> int:
    """Return the height of the scorecard's table: tall enough to read, never taller than the screen."""
    return min(560, 35 * (len(rows) + 1) + 3)


def scorecard_columns(w: Words) -> dict[str, Any]:
    """Return how the numbers of the scorecard are written; the table still sorts by their value."""
    column = st.column_config.NumberColumn
    return {
        w.t("risk.bad_rate"): column(format="%.2f"),
        w.t("risk.woe"): column(format="%.3f"),
        w.t("risk.iv"): column(format="%.4f"),
        w.t("risk.points"): column(format="%d"),
    }
