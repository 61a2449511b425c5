"""Drop-offs as charts: what winning customers back would bring, which friction goes along, who may be next."""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import (
    BAD,
    CONTINUED,
    DROPPED,
    NEUTRAL,
    Figure,
    Mark,
    axis,
    clickable,
    height_of,
    peak,
    scale,
    signed_axis,
)
from engine.ui.words import Words, is_undefined
from engine.workflows.view import selection

NET: Final = "#E39A00"  # seen on the bars of margin and of loss, and beside them
MOST_SIGNALS: Final = 8  # of a step's friction, the rest is mostly chance and stands in the table


def cost(rows: pd.DataFrame, w: Words, journey: str) -> Figure:
    """Return per step what the customers who left would bring: margin, less the loss expected on them.

    `rows` are one journey's drop-offs of all customers. Without money the bars are the customers who left.
    """
    ordered = rows.sort_values("step_index", ignore_index=True)
    table = _cost_table(ordered, w)
    if ordered["dropped"].sum() == 0:
        finding = w.t("journeys.cost_nobody", journey=w.name("journey", journey))
        return Figure(finding=finding, chart=None, alt=finding, table=table)
    valued = ordered[ordered["net_minor"].notna()]
    if valued.empty:
        return _left(ordered, w, table, journey)
    finding = _cost_finding(valued, w)
    unvalued = int(ordered["unvalued"].fillna(0).sum())
    note = w.t("journeys.cost_unvalued", count=w.number(unvalued)) if unvalued else ""
    chart, marks = _cost_chart(valued, w), _marks(valued, w, journey)
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=note, marks=marks)


def _marks(rows: pd.DataFrame, w: Words, journey: str) -> tuple[Mark, ...]:
    return tuple(
        Mark(
            selection=selection.of(
                "journey_step",
                journey=journey,
                step=row["step_index"],
                outcome="dropped",
                breakdown="all",
                group="all",
            ),
            label=f"{_numbered(row, w)}, {w.label('outcome', 'dropped')}",
            count=int(row["dropped"]),
            at={"step_index": row["step_index"]},
        )
        for row in rows.to_dict("records")
        if row["dropped"]
    )


def _cost_chart(valued: pd.DataFrame, w: Words) -> Any:
    bars = []
    for row in valued.to_dict("records"):
        parts = ("margin", row["gross_minor"]), ("expected_loss", -row["expected_loss_minor"])
        for part, minor in parts:
            bars.append(
                {
                    "step": _numbered(row, w),
                    "step_index": row["step_index"],
                    "part": w.t(f"journeys.{part}"),
                    "amount": w.major(minor),
                    "net": w.major(row["net_minor"]),
                    "dropped": row["dropped"],
                    "converters": row["converters"],
                    "net_text": w.money(row["net_minor"]),
                }
            )
    frame = pd.DataFrame(bars)
    net_name = w.t("journeys.net")
    colours = {w.t("journeys.margin"): CONTINUED, w.t("journeys.expected_loss"): DROPPED, net_name: NET}
    base = alt.Chart(frame).encode(y=alt.Y("step:N", sort=None, title=None, axis=alt.Axis(labelLimit=220)))
    columns = base.mark_bar(height={"band": 0.55}).encode(
        x=alt.X("amount:Q", title=w.t("journeys.axis_cost", currency=w.currency), axis=axis(format="~s")),
        color=alt.Color("part:N", scale=scale(colours), legend=alt.Legend(title=None, orient="top", labelLimit=260)),
        tooltip=[
            alt.Tooltip("step:N", title=w.t("journeys.step")),
            alt.Tooltip("dropped:Q", title=w.label("outcome", "dropped"), format=",.0f"),
            alt.Tooltip("converters:Q", title=w.t("journeys.converters"), format=",.0f"),
            alt.Tooltip("part:N", title=w.t("journeys.part")),
            alt.Tooltip("amount:Q", title=w.currency, format=",.0f"),
            alt.Tooltip("net_text:N", title=w.t("journeys.net")),
        ],
    )
    net = (
        base.transform_aggregate(net="max(net)", groupby=["step"])
        .mark_tick(thickness=4, height={"band": 0.85})
        .encode(x="net:Q", color=alt.datum(net_name), tooltip=[alt.Tooltip("net:Q", title=net_name, format=",.0f")])
    )
    return (clickable(columns, "step_index") + net).properties(height=height_of(len(valued), 40))


def _cost_finding(valued: pd.DataFrame, w: Words) -> str:
    best = peak(valued, "net_minor")
    facts = {
        "step": w.label("step", best["step"]),
        "dropped": w.number(best["dropped"]),
        "converters": w.number(best["converters"]),
        "gross": w.money(best["gross_minor"]),
        "loss": w.money(best["expected_loss_minor"]),
        "net": w.money(best["net_minor"]),
    }
    return w.t("journeys.cost_worth" if best["net_minor"] > 0 else "journeys.cost_not_worth", **facts)


def _left(ordered: pd.DataFrame, w: Words, table: pd.DataFrame, journey: str) -> Figure:
    names = [_numbered(row, w) for row in ordered.to_dict("records")]
    frame = pd.DataFrame({"step": names, "step_index": ordered["step_index"], "n": ordered["dropped"]})
    chart = (
        alt.Chart(frame)
        .mark_bar(color=DROPPED, height={"band": 0.55})
        .encode(
            y=alt.Y("step:N", sort=None, title=None, axis=alt.Axis(labelLimit=220)),
            x=alt.X("n:Q", title=w.t("journeys.axis_customers"), axis=axis()),
        )
        .properties(height=height_of(len(frame), 40))
    )
    worst = peak(ordered, "dropped")
    finding = w.t(
        "journeys.finding_worst",
        step=w.label("step", worst["step"]),
        dropped=w.number(worst["dropped"]),
        share=w.share(worst["drop_rate"]),
    )
    return Figure(
        finding=finding,
        chart=clickable(chart, "step_index"),
        alt=finding,
        table=table,
        note=w.t("journeys.cost_no_money"),
        marks=_marks(ordered, w, journey),
    )


def _cost_table(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    return pd.DataFrame(
        {
            w.t("journeys.step"): [_numbered(row, w) for row in rows.to_dict("records")],
            w.label("outcome", "dropped"): rows["dropped"],
            w.t("journeys.drop_share"): [
                _between(row, w, "drop_rate", "drop_rate_lower", "drop_rate_upper") for row in rows.to_dict("records")
            ],
            w.t("journeys.last_seen"): [w.duration(seconds) for seconds in rows["last_seen_seconds"]],
            w.t("journeys.next_channel"): [_most(row, w, "channel") for row in rows.to_dict("records")],
            w.t("journeys.next_event"): [_most(row, w, "event") for row in rows.to_dict("records")],
            w.t("journeys.converters"): [w.number(value) for value in rows["converters"]],
            w.t("journeys.margin"): [w.money(minor) for minor in rows["gross_minor"]],
            w.t("journeys.expected_loss"): [w.money(minor) for minor in rows["expected_loss_minor"]],
            w.t("journeys.net"): [w.money(minor) for minor in rows["net_minor"]],
        }
    )


def _most(row: dict[Any, Any], w: Words, kind: str) -> str:
    what, share = row[f"next_{kind}"], row[f"next_{kind}_share"]
    if is_undefined(what):
        return w.label(kind, what)
    named = w.t("journeys.nothing") if what == "nothing" else w.label(kind, what)
    return f"{named} ({w.share(share, 0)})"


def _between(row: dict[Any, Any], w: Words, value: str, lower: str, upper: str) -> str:
    if is_undefined(row[value]):
        return w.share(row[value])
    return f"{w.share(row[value])} ({w.share(row[lower])} – {w.share(row[upper])})"


def _numbered(row: Any, w: Words) -> str:
    return f"{row['step_index']}. {w.label('step', row['step'])}"


def friction(rows: pd.DataFrame, w: Words) -> Figure:
    """Return how much less often customers go on after a sign of friction, each with its interval.

    `rows` are one journey's signals. Those that too few met have no interval: they stand in the table only.
    """
    ranked = rows.sort_values("rank", ignore_index=True)
    known = ranked.dropna(subset=["lower", "upper"])
    table = _friction_table(ranked, w)
    if known.empty:
        finding = w.t("journeys.friction_unknown")
        return Figure(finding=finding, chart=None, alt=finding, table=table)
    finding = _friction_finding(known, w)
    chart = _forest(known.head(MOST_SIGNALS), w)
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=w.t("journeys.friction_note"))


def _forest(shown: pd.DataFrame, w: Words) -> Any:
    frame = shown.assign(
        name=[_signal(row, w) for row in shown.to_dict("records")],
        mark=[w.t("journeys.harmful") if harmful else w.t("journeys.unclear") for harmful in shown["harmful"]],
    )
    colours = {w.t("journeys.harmful"): BAD, w.t("journeys.unclear"): NEUTRAL}
    base = alt.Chart(frame).encode(
        y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=360, zindex=1)),
        color=alt.Color("mark:N", scale=scale(colours), legend=alt.Legend(title=None, orient="top", labelLimit=260)),
        tooltip=[
            alt.Tooltip("name:N", title=w.t("journeys.signal")),
            alt.Tooltip("met:Q", title=w.t("journeys.met"), format=",.0f"),
            alt.Tooltip("difference:Q", title=w.t("journeys.axis_friction"), format="+.1%"),
            alt.Tooltip("lower:Q", title=w.t("experiments.lower"), format="+.1%"),
            alt.Tooltip("upper:Q", title=w.t("experiments.upper"), format="+.1%"),
            alt.Tooltip("lost:Q", title=w.t("journeys.lost"), format=",.1f"),
        ],
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=NEUTRAL, strokeDash=[4, 3]).encode(x="zero:Q")
    lines = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("lower:Q", title=w.t("journeys.axis_friction"), axis=signed_axis("+.0%")),
        x2="upper:Q",
    )
    points = base.mark_point(filled=True, size=90, opacity=1).encode(x="difference:Q")
    return (zero + lines + points).properties(height=height_of(len(frame), 34))


def _friction_finding(known: pd.DataFrame, w: Words) -> str:
    harmful = known[known["harmful"].astype(bool)]
    if harmful.empty:
        return w.t("journeys.friction_none")
    worst = peak(harmful, "lost")
    return w.t(
        "journeys.friction_found",
        step=w.label("step", worst["step"]),
        signal=_kind(worst, w),
        points=w.points(abs(worst["difference"])).lstrip("+"),
        lost=w.number(worst["lost"]),
        converters=w.number(worst["lost_converters"]),
    )


def _friction_table(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    return pd.DataFrame(
        {
            w.t("journeys.step"): [_numbered(row, w) for row in rows.to_dict("records")],
            w.t("journeys.signal"): [_kind(row, w) for row in rows.to_dict("records")],
            w.t("journeys.met"): rows["met"],
            w.t("journeys.axis_friction"): [w.points(value) for value in rows["difference"]],
            w.t("experiments.lower"): [w.points(value) for value in rows["lower"]],
            w.t("experiments.upper"): [w.points(value) for value in rows["upper"]],
            w.t("journeys.q_value"): [w.probability(value) for value in rows["q_value"]],
            w.t("journeys.lost"): [w.number(value, 1) for value in rows["lost"]],
            w.t("journeys.lost_converters"): [w.number(value, 1) for value in rows["lost_converters"]],
            w.t("journeys.structural"): [w.t("word.yes") if value else "" for value in rows["structural"]],
        }
    )


def _kind(row: Any, w: Words) -> str:
    return w.label("event", row["signal"]) if row["kind"] == "error" else w.label("signal", row["kind"])


def _signal(row: Any, w: Words) -> str:
    return f"{w.label('step', row['step'])}: {_kind(row, w)}"


def trust(rows: pd.DataFrame, w: Words) -> str:
    """Say how forecasts of this kind came true at an earlier date; empty where none could be tried."""
    found = rows[rows["measure"] == "drop_rate"]
    if found.empty or is_undefined(found["predicted"].iloc[0]):
        return w.t("journeys.open_untested")
    row = found.iloc[0]
    return w.t(
        "journeys.open_trust",
        stays=w.number(row["stays"]),
        predicted=w.share(row["predicted"]),
        observed=w.share(row["value"]),
        lower=w.share(row["lower"]),
        upper=w.share(row["upper"]),
    )
