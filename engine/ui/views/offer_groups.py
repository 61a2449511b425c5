"""How often each group is offered each product, as a chart; four fifths is a screening figure, never the law."""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import BAD, GOOD, NEUTRAL, Figure, height_of, legend, scale
from engine.ui.words import Words

UNEXPLAINED: Final = "unexplained"
_COLOURS: Final = {
    UNEXPLAINED: BAD,
    "may_be_chance": "#C9A24A",
    "explained": NEUTRAL,
    "pass": GOOD,
    "not_assessable": "#B9C9E8",
}
_FOUR_FIFTHS: Final = 0.8


def groups(rows: pd.DataFrame, w: Words, attribute: str) -> Figure:
    """Return each group's offer rate over that of the best group, product by product, coloured by the verdict."""
    found = rows[rows["attribute"] == attribute]
    named = found.assign(
        product=[w.name("product", product) for product in found["product_id"]],
        name=[w.pick(en, zh) for en, zh in zip(found["group_en"], found["group_zh"], strict=True)],
        said=[w.label("offer_verdict", verdict) for verdict in found["verdict"]],
        rate=[w.share(value, 2) for value in found["offer_rate"]],
        sentence=[w.pick(en, zh) for en, zh in zip(found["text"], found["text_zh"], strict=True)],
    )
    finding = _finding(named, w)
    drawn = named.dropna(subset=["ratio"])
    chart = None if drawn.empty else _chart(drawn, w)
    table = pd.DataFrame(
        {
            w.t("recommendations.product"): named["product"],
            w.t("recommendations.group"): named["name"],
            w.t("recommendations.group_verdict"): named["said"],
            w.t("recommendations.offer_rate"): named["rate"],
            w.t("recommendations.group_ratio"): [w.number(value, 2) for value in named["ratio"]],
            w.t("recommendations.eligible_ratio"): [w.number(value, 2) for value in named["eligible_ratio"]],
            w.t("recommendations.group_said"): named["sentence"],
        }
    )
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=w.t("recommendations.groups_note"))


def _chart(drawn: pd.DataFrame, w: Words) -> Any:
    colours = {
        w.label("offer_verdict", verdict): colour
        for verdict, colour in _COLOURS.items()
        if verdict in set(drawn["verdict"])
    }
    products = list(drawn.groupby("product")["ratio"].min().sort_values().index)
    dots = (
        alt.Chart(drawn)
        .mark_point(filled=True, size=80, opacity=0.9)
        .encode(
            x=alt.X("ratio:Q", title=w.t("recommendations.group_ratio"), axis=alt.Axis(format=".1f", tickCount=6)),
            y=alt.Y("product:N", sort=products, title=None, axis=alt.Axis(labelLimit=220)),
            color=alt.Color("said:N", scale=scale(colours), legend=legend(colours)),
            tooltip=[
                alt.Tooltip("product:N", title=w.t("recommendations.product")),
                alt.Tooltip("name:N", title=w.t("recommendations.group")),
                alt.Tooltip("rate:N", title=w.t("recommendations.offer_rate")),
                alt.Tooltip("ratio:Q", title=w.t("recommendations.group_ratio"), format=".2f"),
                alt.Tooltip("said:N", title=w.t("recommendations.group_verdict")),
            ],
        )
    )
    line = alt.Chart(pd.DataFrame({"at": [_FOUR_FIFTHS]})).mark_rule(strokeDash=[4, 4], color=BAD).encode(x="at:Q")
    return (dots + line).properties(height=height_of(len(products), 24, 110))


def _finding(named: pd.DataFrame, w: Words) -> str:
    bad = named[named["verdict"] == UNEXPLAINED]
    if bad.empty:
        return w.t("recommendations.finding_groups_fair")
    held = sorted(set(named.loc[named["held_back"].fillna(False).astype(bool), "product"]))
    if held:
        return w.t("recommendations.finding_groups_held", products=w.pick(", ".join(held), "、".join(held)))
    worst = bad.sort_values("ratio").iloc[0]
    return w.t(
        "recommendations.finding_groups",
        products=w.number(bad["product"].nunique()),
        product=worst["product"],
        group=worst["name"],
        ratio=w.number(worst["ratio"], 2),
    )
