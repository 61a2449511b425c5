"""Limits on all offers together: what each allows, what is used, and what one more unit of it would bring."""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import BAD, BAND, CONTINUED, Figure, axis, clickable, height_of, legend, marked, scale
from engine.ui.words import Words

_SHARE: Final = "min_share"
_BUDGET: Final = "budget"


def limits(rows: pd.DataFrame, measures: dict[str, float | None], w: Words) -> Figure:
    """Return how much of each limit is used, and its shadow price in words; for a minimum share, the share reached.

    `rows` are those of the mart allocation_limits, `measures` the values of the mart allocation by name.
    """
    named = rows.assign(
        name=[_name(kind, subject, w) for kind, subject in zip(rows["kind"], rows["subject"], strict=True)],
        part=(rows["used"] / rows["allowed"].where(rows["allowed"] > 0)).astype("float64"),
        said=[_price(row, w) for row in rows.to_dict("records")],
        state=[w.t(f"limits.{'binds' if binds else 'leaves_room'}") for binds in rows["binds"]],
    )
    finding = _finding(rows, measures, w)
    columns = zip(rows["kind"], rows["allowed"], rows["used"], rows["wanted"], strict=True)
    amounts = [
        (_amount(kind, most, w), _amount(kind, used, w), _amount(kind, _free(most, used), w), _amount(kind, wanted, w))
        for kind, most, used, wanted in columns
    ]
    told = pd.DataFrame(amounts, columns=["allowed", "used", "free", "wanted"])
    free = ["" if kind == _SHARE else left for kind, left in zip(rows["kind"], told["free"], strict=True)]
    table = pd.DataFrame(
        {
            w.t("limits.limit"): named["name"],
            w.t("limits.allowed"): told["allowed"],
            w.t("limits.used"): told["used"],
            w.t("limits.free"): free,
            w.t("limits.wanted"): told["wanted"],
            w.t("limits.price"): named["said"],
        }
    )
    return Figure(finding=finding, chart=_chart(named, w), alt=finding, table=table, note=" ".join(_binding(named)))


def _chart(named: pd.DataFrame, w: Words) -> Any:
    drawn = named.dropna(subset=["part"])
    if drawn.empty:
        return None
    colours = {w.t("limits.leaves_room"): CONTINUED, w.t("limits.binds"): BAD}
    bars = (
        alt.Chart(drawn)
        .mark_bar(height=BAND)
        .encode(
            x=alt.X("part:Q", title=w.t("limits.axis"), axis=alt.Axis(format=".0%", tickCount=6)),
            y=alt.Y("name:N", sort=list(drawn["name"]), title=None, axis=alt.Axis(labelLimit=260)),
            color=alt.Color("state:N", scale=scale(colours), legend=legend(colours)),
            tooltip=[
                alt.Tooltip("name:N", title=w.t("limits.limit")),
                alt.Tooltip("part:Q", title=w.t("limits.axis"), format=".1%"),
                alt.Tooltip("said:N", title=w.t("limits.price")),
            ],
        )
    )
    line = alt.Chart(pd.DataFrame({"at": [1.0]})).mark_rule(strokeDash=[4, 4]).encode(x="at:Q")
    return (bars + line).properties(height=height_of(len(drawn), 30, 110))


def _name(kind: str, subject: object, w: Words) -> str:
    if kind == _BUDGET:
        return w.t("limits.of_budget")
    of = w.label("channel", subject) if kind == "channel_capacity" else w.name("product", subject)
    return w.t(f"limits.of_{kind}", of=of)


def _amount(kind: str, value: object, w: Words) -> str:
    if kind == _BUDGET:
        return w.money(value, 2)
    return w.share(value) if kind == _SHARE else w.number(value)


def _free(most: float, used: float) -> float:
    """Return what is left; NaN where the use is not known."""
    return float(most) - float(used)


def _price(row: dict[Any, Any], w: Words) -> str:
    """Say what one more unit would bring; a budget's price is per unit of money, so it is the same in any unit."""
    price = row["shadow_price_minor"]
    if not row["binds"]:
        return w.t("limits.no_price")
    if row["kind"] == _BUDGET:
        return w.t("limits.budget_price", currency=w.currency, value=f"{w.number(price, 2)} {w.currency}")
    of = w.label("channel", row["subject"]) if row["kind"] == "channel_capacity" else w.name("product", row["subject"])
    return w.t(f"limits.{row['kind']}_price", of=of, value=w.money(price, 2))


def _binding(named: pd.DataFrame) -> list[str]:
    return list(named.loc[named["binds"].astype(bool), "said"])


def _finding(rows: pd.DataFrame, measures: dict[str, float | None], w: Words) -> str:
    bound, share = measures.get("bound_minor"), measures.get("share_of_bound")
    if share is None:
        return w.t("limits.finding_nothing")
    return w.t(
        "limits.finding",
        offers=w.number(measures.get("offers")),
        without=w.number(measures.get("offers_without_limits")),
        value=w.money(measures.get("value_minor")),
        bound=w.money(bound),
        # never rounded up to the whole
        share=w.share(int(share * 10_000) / 10_000, 2),
        binding=w.number(int(rows["binds"].sum())),
        limits=w.number(len(rows)),
    )


def changes(rows: pd.DataFrame, w: Words) -> Figure:
    """Return by product how many customers gave an offer up to the limits, and how many got one because of them."""
    lost, gained = w.t("limits.gave_way"), w.t("limits.came_in")
    named = rows.assign(product=[w.name("product", product) for product in rows["product_id"]])
    named = named[(named["gave_way"] > 0) | (named["came_in"] > 0)]
    tidy = pd.concat(
        [
            named.assign(kind=kind, change=column, moved=named[column], count=sign * named[column])
            for kind, column, sign in ((lost, "gave_way", -1), (gained, "came_in", 1))
        ]
    )
    colours = {lost: BAD, gained: CONTINUED}
    chart = (
        alt.Chart(tidy)
        .mark_bar(height=BAND)
        .encode(
            x=alt.X("count:Q", title=w.t("limits.axis_changes"), axis=axis()),
            y=alt.Y("product:N", sort=list(named["product"]), title=None, axis=alt.Axis(labelLimit=220)),
            color=alt.Color("kind:N", scale=scale(colours), legend=legend(colours)),
            tooltip=[
                alt.Tooltip("product:N", title=w.t("recommendations.product")),
                alt.Tooltip("kind:N", title=w.t("recommendations.counted")),
                alt.Tooltip("count:Q", title=w.t("word.customers"), format=",.0f"),
            ],
        )
        .properties(height=height_of(len(named), 28, 140))
    )
    finding = w.t("limits.finding_same")
    if len(named):
        most = named.sort_values("gave_way", ascending=False).iloc[0]
        finding = w.t(
            "limits.finding_changes",
            lost=w.number(named["gave_way"].sum()),
            gained=w.number(named["came_in"].sum()),
            product=most["product"],
            most=w.number(most["gave_way"]),
        )
    table = pd.DataFrame(
        {w.t("recommendations.product"): named["product"], lost: named["gave_way"], gained: named["came_in"]}
    )
    marks = marked(
        tidy, "limit_change", label=("product", "kind"), count="moved", at=("product_id", "change"),
        product="product_id", change="change",
    )  # fmt: skip
    drawn = clickable(chart, "product_id", "change") if len(named) else None
    return Figure(finding=finding, chart=drawn, alt=finding, table=table, marks=marks)
