"""Groups of customers: what sets a cluster apart, how recency meets frequency, how value meets risk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import BAND, SEQUENTIAL, Figure, clickable, marked, nothing, text_colour
from engine.ui.words import Words, capital

TELLING: Final = 5  # features on a card
CLEAR: Final = 0.2  # effect size below which a difference is not worth a word
VALUE: Final = ("top", "high", "middle", "low", "none")
RISK: Final = ("low", "medium", "high", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One cluster: its name, size, share of all clustered customers, and its most telling features.

    `cluster` is the name that the run has for it, `told` are the sentences of its portrait, the clearest first,
    `approach` is what to say to it; both may be empty.
    """

    name: str
    cluster: str
    customers: str
    share: str
    figure: Figure
    told: tuple[str, ...]
    approach: str


def cards(profiles: pd.DataFrame, w: Words, portraits: pd.DataFrame, facts: pd.DataFrame) -> list[Card]:
    """Return a card for every cluster, the largest first."""
    approaches = {row["cluster_id"]: w.pick(row["approach"], row["approach_zh"]) for _, row in portraits.iterrows()}
    total = profiles.drop_duplicates("cluster_id")["customers"].sum()
    found = []
    for _, rows in profiles.groupby("cluster_id", sort=False):
        first = rows.iloc[0]
        found.append(
            Card(
                name=w.pick(first["cluster_name"], first["cluster_name_zh"]),
                cluster=str(first["cluster_name"]),
                customers=w.number(first["customers"]),
                share=w.share(first["customers"] / total),
                figure=_profile(rows, w),
                told=tuple(
                    w.pick(row["text"], row["text_zh"])
                    for _, row in facts[facts["cluster_id"] == first["cluster_id"]].iterrows()
                ),
                approach=approaches.get(first["cluster_id"], ""),
            )
        )
    return found


def _profile(rows: pd.DataFrame, w: Words) -> Figure:
    named = [w.name("feature", name) for name in rows["feature"]]
    shown = pd.DataFrame({"feature": named, "effect": rows["effect_size"].to_numpy()}).head(TELLING)
    shown["side"] = shown["effect"] > 0
    widest = max(1.0, float(shown["effect"].abs().max()))
    chart = (
        alt.Chart(shown)
        .mark_bar(height=BAND, cornerRadius=2)
        .encode(
            x=alt.X(
                "effect:Q",
                title=w.t("segments.axis_effect"),
                scale=alt.Scale(domain=[-widest, widest]),
                axis=alt.Axis(tickCount=5),
            ),
            y=alt.Y("feature:N", sort=list(shown["feature"]), title=None, axis=alt.Axis(labelLimit=200)),
            color=alt.Color("side:N", scale=alt.Scale(domain=[True, False], range=["#3566CF", "#9DB4D9"]), legend=None),
            tooltip=[
                alt.Tooltip("feature:N", title=w.t("segments.feature")),
                alt.Tooltip("effect:Q", title=w.t("segments.axis_effect"), format="+.2f"),
            ],
        )
        .properties(height=190)
    )
    finding = _telling(shown, w)
    table = pd.DataFrame(
        {
            w.t("segments.feature"): named,
            w.t("segments.mean"): [w.number(value, 2) for value in rows["mean"]],
            w.t("segments.overall_mean"): [w.number(value, 2) for value in rows["overall_mean"]],
            w.t("segments.axis_effect"): [w.number(value, 2) for value in rows["effect_size"]],
        }
    )
    return Figure(finding=finding, chart=chart, alt=finding, table=table)


def _telling(shown: pd.DataFrame, w: Words) -> str:
    clear = shown[shown["effect"].abs() >= CLEAR].head(2)
    if clear.empty:
        return w.t("segments.finding_average")
    parts = [
        w.t("segments.more" if row["effect"] > 0 else "segments.less", feature=row["feature"])
        for row in clear.to_dict("records")
    ]
    return capital(w.t("word.and").join(parts))


def choices(rows: pd.DataFrame, w: Words) -> Figure:
    """Return how well each number of clusters separates the customers."""
    if rows.empty:
        return nothing(w.t("segments.finding_none_tried"))
    chart = (
        alt.Chart(rows)
        .mark_line(point=alt.OverlayMarkDef(size=60), strokeWidth=2)
        .encode(
            x=alt.X("clusters:O", title=w.t("segments.axis_clusters"), axis=alt.Axis(labelAngle=0)),
            y=alt.Y("silhouette:Q", title=w.t("segments.axis_silhouette"), scale=alt.Scale(zero=False)),
        )
    )
    used = rows[rows["chosen"]]
    mark = (
        alt.Chart(used).mark_point(size=220, strokeWidth=2.5, color="#B4542C").encode(x="clusters:O", y="silhouette:Q")
    )
    finding = w.t("segments.finding_none_chosen")
    if not used.empty:
        row = used.iloc[0]
        measures = {"silhouette": "silhouette", "stability": "stability", "weakest": "weakest_cluster"}
        figures = {name: w.number(row[column], 2) for name, column in measures.items()}
        finding = w.t("segments.finding_chosen", n=row["clusters"], **figures)
    table = pd.DataFrame(
        {
            w.t("segments.axis_clusters"): rows["clusters"],
            w.t("segments.axis_silhouette"): [w.number(value, 3) for value in rows["silhouette"]],
            w.t("segments.stability"): [w.number(value, 2) for value in rows["stability"]],
            w.t("segments.weakest_cluster"): [w.number(value, 2) for value in rows["weakest_cluster"]],
            w.t("segments.used"): [w.t("word.yes") if chosen else "" for chosen in rows["chosen"]],
        }
    )
    return Figure(finding=finding, chart=(chart + mark).properties(height=220), alt=finding, table=table,
                  uncounted=(w.t("segments.axis_clusters"),))  # fmt: skip


def rfm(cells: pd.DataFrame, w: Words) -> Figure:
    """Return customers by recency and frequency: the lower left has gone, the upper right is the core."""
    total = cells["customers"].sum()
    if total == 0:
        return nothing(w.t("segments.finding_no_rfm"))
    best = cells[(cells["recency_score"] == 5) & (cells["frequency_score"] == 5)]["customers"].sum()
    asleep = cells[cells["recency_score"] == 1]["customers"].sum()
    finding = w.t("segments.finding_rfm", core=w.share(best / total), asleep=w.share(asleep / total))
    heat = _heat(
        cells.assign(text=[w.number(count) for count in cells["customers"]]),
        x=alt.X("recency_score:O", title=w.t("segments.axis_recency"), axis=alt.Axis(labelAngle=0)),
        y=alt.Y("frequency_score:O", title=w.t("segments.axis_frequency"), sort="descending"),
        title=w.t("word.customers"),
        extra=[
            alt.Tooltip("recency_score:O", title=w.t("segments.axis_recency")),
            alt.Tooltip("frequency_score:O", title=w.t("segments.axis_frequency")),
            alt.Tooltip("monetary_score:Q", title=w.t("segments.money_score"), format=".1f"),
        ],
    )
    table = pd.DataFrame(
        {
            w.t("segments.axis_recency"): cells["recency_score"],
            w.t("segments.axis_frequency"): cells["frequency_score"],
            w.t("word.customers"): cells["customers"],
            w.t("segments.money_score"): [w.number(value, 1) for value in cells["monetary_score"]],
        }
    )
    chart = clickable(heat, "recency_score", "frequency_score").properties(height=300)
    told = cells.assign(
        label=[
            w.t("segments.cell", recency=recency, frequency=frequency)
            for recency, frequency in zip(cells["recency_score"], cells["frequency_score"], strict=True)
        ]
    )
    marks = marked(
        told, "rfm", label=("label",), count="customers", at=("recency_score", "frequency_score"),
        recency="recency_score", frequency="frequency_score",
    )  # fmt: skip
    scores = (w.t("segments.axis_recency"), w.t("segments.axis_frequency"))
    return Figure(finding=finding, chart=chart, alt=finding, table=table, marks=marks, uncounted=scores)


def value_by_risk(cells: pd.DataFrame, w: Words) -> Figure:
    """Return customers by value tier and risk tier."""
    total = cells["customers"].sum()
    precious = cells[cells["value_tier"].isin(["top", "high"]) & (cells["risk_tier"] == "high")]["customers"].sum()
    finding = w.t("segments.finding_no_tier")
    if (cells["risk_tier"] != "unknown").any():
        finding = w.t("segments.finding_value_risk", n=w.number(precious), share=w.share(precious / total))
    named = cells.assign(
        value=[w.label("value_tier", tier) for tier in cells["value_tier"]],
        risk=[w.label("risk_tier", tier) for tier in cells["risk_tier"]],
        text=[w.number(count) for count in cells["customers"]],
    )
    heat = _heat(
        named,
        x=alt.X(
            "risk:N",
            sort=[w.label("risk_tier", tier) for tier in RISK],
            title=w.t("segments.axis_risk"),
            axis=alt.Axis(labelAngle=0),
        ),
        y=alt.Y("value:N", sort=[w.label("value_tier", tier) for tier in VALUE], title=w.t("segments.axis_value")),
        title=w.t("word.customers"),
        extra=[
            alt.Tooltip("value:N", title=w.t("segments.axis_value")),
            alt.Tooltip("risk:N", title=w.t("segments.axis_risk")),
        ],
    )
    wide = named.pivot_table(index="value_tier", columns="risk_tier", values="customers", aggfunc="sum", fill_value=0)
    wide = wide.reindex(index=[tier for tier in VALUE if tier in wide.index])
    wide = wide[[tier for tier in RISK if tier in wide.columns]]
    wide.columns = [w.label("risk_tier", tier) for tier in wide.columns]
    wide.insert(0, w.t("segments.axis_value"), [w.label("value_tier", tier) for tier in wide.index])
    table = wide.reset_index(drop=True)
    marks = marked(
        named, "value_risk", label=("value", "risk"), count="customers", at=("value_tier", "risk_tier"),
        value_tier="value_tier", risk_tier="risk_tier",
    )  # fmt: skip
    chart = clickable(heat, "value_tier", "risk_tier").properties(height=300)
    return Figure(finding=finding, chart=chart, alt=finding, table=table, marks=marks)


def _heat(cells: pd.DataFrame, *, x: Any, y: Any, title: str, extra: list[Any]) -> Any:
    most = float(cells["customers"].max()) if len(cells) else 1.0
    base = alt.Chart(cells).encode(x=x, y=y)
    squares = base.mark_rect(stroke="#FFFFFF", strokeWidth=2).encode(
        color=alt.Color(
            "customers:Q", title=title, scale=alt.Scale(domain=[0, most], range=list(SEQUENTIAL)), legend=None
        ),
        tooltip=[*extra, alt.Tooltip("customers:Q", title=title, format=",.0f")],
    )
    return squares + base.mark_text(fontSize=12).encode(text="text:N", color=text_colour("customers", most * 0.55))
