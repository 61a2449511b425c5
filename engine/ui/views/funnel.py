"""Journeys as charts: how many get how far, and where one group leaves more often than the others."""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import (
    CONTINUED,
    DIVERGING,
    DROPPED,
    GOOD,
    INK_ON_PALE,
    MARK,
    NEUTRAL,
    PALE,
    WAITING,
    Figure,
    Mark,
    axis,
    height_of,
    peak,
    scale,
)
from engine.ui.words import Words, is_undefined
from engine.workflows.view import selection

FEW: Final = 30  # customers below which a group's drop-off is mostly chance: not coloured
# a word a line: seven steps beside each other have room on a small screen
_WRAPPED: Final = {"labelAngle": 0, "labelLimit": 140, "labelOverlap": False, "labelExpr": "split(datum.label, ' ')"}
OUTCOMES: Final = ("continued", "in_progress", "dropped")


def steps(rows: pd.DataFrame, w: Words, journey: str, *, as_share: bool) -> Figure:
    """Return the funnel of one group: per step, who went on, who still can, who left.

    `rows` are the contract's columns of one journey and one group. With `as_share`, a bar is as high as the share of
    the step before that reached it.
    """
    bars = _stacked(rows, w, as_share)
    order = list(dict.fromkeys(bars["step"]))
    title = w.t("journeys.axis_share") if as_share else w.t("journeys.axis_customers")
    picked = alt.selection_point(name=MARK, fields=["step_index", "outcome"])
    base = alt.Chart(bars).encode(x=alt.X("step:N", sort=order, title=None, axis=alt.Axis(**_WRAPPED)))
    colours = {
        w.label("outcome", "continued"): CONTINUED,
        w.label("outcome", "converted"): GOOD,
        w.label("outcome", "in_progress"): WAITING,
        w.label("outcome", "dropped"): DROPPED,
    }
    highest = max(1e-9, float(bars["top"].max()))
    headroom = alt.Scale(domain=[0, 1.16 * highest], nice=False)  # for the labels above the bars
    ticks = alt.Axis(format=".0%", values=[0, 0.2, 0.4, 0.6, 0.8, 1]) if as_share else axis()
    columns = base.mark_bar(cursor="pointer", width={"band": 0.5}).encode(
        y=alt.Y("height:Q", title=title, axis=ticks, scale=headroom),
        color=alt.Color("label:N", scale=scale(colours), legend=alt.Legend(title=None, orient="top")),
        order="position:O",
        detail=["step_index:Q", "outcome:N"],
        opacity=alt.condition(picked, alt.value(1.0), alt.value(0.45)),
        tooltip=[
            alt.Tooltip("step:N", title=w.t("journeys.step")),
            alt.Tooltip("label:N", title=w.t("journeys.outcome")),
            alt.Tooltip("customers:Q", title=w.t("word.customers"), format=",.0f"),
            alt.Tooltip("of_step:Q", title=w.t("journeys.of_step"), format=".1%"),
        ],
    )
    tops = alt.Chart(bars.drop_duplicates("step_index")).encode(x=alt.X("step:N", sort=order), y="top:Q")
    counts = tops.mark_text(dy=-22, fontWeight=600, fontSize=13).encode(text="count_text:N")
    shares = tops.mark_text(dy=-8, fontSize=11, color=NEUTRAL).encode(text="share_text:N")
    chart = (columns.add_params(picked) + counts + shares).properties(height=360)
    finding = steps_finding(rows, w, journey)
    return Figure(
        finding=finding,
        chart=chart,
        alt=finding,
        table=_steps_table(rows, w),
        note=_slowest(rows, w),
        marks=_bar_marks(bars, rows, w, journey),
    )


def _bar_marks(bars: pd.DataFrame, rows: pd.DataFrame, w: Words, journey: str) -> tuple[Mark, ...]:
    breakdown, group = (str(rows[name].iloc[0]) for name in ("breakdown", "group"))
    return tuple(
        Mark(
            selection=selection.of(
                "journey_step",
                journey=journey,
                step=bar["step_index"],
                outcome=bar["outcome"],
                breakdown=breakdown,
                group=group,
            ),
            label=f"{bar['step']}, {bar['label']}",
            count=int(bar["customers"]),
            at={"step_index": bar["step_index"], "outcome": bar["outcome"]},
        )
        for bar in bars.to_dict("records")
        if bar["customers"]
    )


def steps_finding(rows: pd.DataFrame, w: Words, journey: str) -> str:
    """Return how many complete the journey, and after which step most of them leave."""
    first, last = rows.iloc[0], rows.iloc[-1]
    name = w.name("journey", journey)
    if first["customers"] == 0:
        return w.t("journeys.finding_nobody", journey=name)
    worst = peak(rows, "dropped")
    finished = w.t(
        "journeys.finding_completed",
        journey=name,
        done=w.number(last["customers"]),
        entered=w.number(first["customers"]),
        share=w.share(last["customers"] / first["customers"]),
    )
    if worst["dropped"] == 0:
        return finished
    leaving = w.t(
        "journeys.finding_worst",
        step=w.label("step", worst["step"]),
        dropped=w.number(worst["dropped"]),
        share=w.share(worst["dropped"] / worst["customers"]),
    )
    return f"{finished} {leaving}"


def matrix(rows: pd.DataFrame, everybody: pd.DataFrame, w: Words, breakdown: str) -> Figure:
    """Return the share that drops off at each step in each group, coloured by how far it is from that of all.

    Groups with fewer than FEW customers at a step keep their number but get no colour.
    """
    cells = _cells(rows, everybody, w)
    order = list(dict.fromkeys(cells["step"]))
    groups = list(cells.groupby("group_name")["customers"].max().sort_values(ascending=False).index)
    widest = max(0.05, float(cells["deviation"].abs().max() or 0))
    picked = alt.selection_point(name=MARK, fields=["step_index", "group"])
    base = alt.Chart(cells).encode(
        x=alt.X("step:N", sort=order, title=None, axis=alt.Axis(orient="top", **_WRAPPED)),
        y=alt.Y("group_name:N", sort=groups, title=w.label("breakdown", breakdown), axis=alt.Axis(labelLimit=180)),
        detail=["step_index:Q", "group:N"],
    )
    tips = [
        alt.Tooltip("group_name:N", title=w.label("breakdown", breakdown)),
        alt.Tooltip("step:N", title=w.t("journeys.step")),
        alt.Tooltip("customers:Q", title=w.t("word.customers"), format=",.0f"),
        alt.Tooltip("dropped:Q", title=w.label("outcome", "dropped"), format=",.0f"),
        alt.Tooltip("share:Q", title=w.t("journeys.drop_share"), format=".1%"),
    ]
    ground = base.mark_rect(cursor="pointer", color=PALE, stroke="#FFFFFF", strokeWidth=2).encode(tooltip=tips)
    squares = (
        base.transform_filter("isValid(datum.deviation)")
        .mark_rect(cursor="pointer", stroke="#FFFFFF", strokeWidth=2)
        .encode(
            color=alt.Color(
                "deviation:Q",
                title=w.t("journeys.deviation"),
                scale=alt.Scale(domain=[-widest, 0, widest], range=list(DIVERGING), interpolate="rgb"),
                legend=alt.Legend(format="+.0%", orient="bottom", gradientLength=220),
            ),
            opacity=alt.condition(picked, alt.value(1.0), alt.value(0.55)),
            tooltip=tips,
        )
    )
    strong = f"abs(datum.deviation) > {widest * 0.72}"
    texts = base.mark_text(fontSize=12).encode(
        text="text:N", color=alt.condition(strong, alt.value("#FFFFFF"), alt.value(INK_ON_PALE))
    )
    chart = (ground.add_params(picked) + squares + texts).properties(height=height_of(len(groups), 32, 150))
    finding = _matrix_finding(cells, w, w.label("breakdown", breakdown))
    marks = tuple(
        Mark(
            selection=selection.of(
                "journey_step",
                journey=cell["journey"],
                step=cell["step_index"],
                outcome="dropped",
                breakdown=breakdown,
                group=cell["group"],
            ),
            label=f"{cell['group_name']}, {cell['step']}, {w.label('outcome', 'dropped')}",
            count=int(cell["dropped"]),
            at={"step_index": cell["step_index"], "group": cell["group"]},
        )
        for cell in cells.to_dict("records")
        if cell["dropped"]
    )
    few = w.t("journeys.few", few=FEW)
    return Figure(finding=finding, chart=chart, alt=finding, table=_matrix_table(cells, w), note=few, marks=marks)


def _stacked(rows: pd.DataFrame, w: Words, as_share: bool) -> pd.DataFrame:
    last = int(rows["step_index"].max())
    previous = rows["customers"].shift(1)
    tidy: list[dict[str, Any]] = []
    for position, row in enumerate(rows.to_dict("records")):
        reached = row["customers"]
        before = reached if position == 0 else previous.iloc[position]
        unit = before if as_share else 1
        for place, outcome in enumerate(OUTCOMES):
            shown = "converted" if outcome == "continued" and row["step_index"] == last else outcome
            tidy.append(
                {
                    "step_index": row["step_index"],
                    "step": _numbered(row, w),
                    "outcome": shown,
                    "label": w.label("outcome", shown),
                    "position": place,
                    "customers": row[outcome],
                    "of_step": row[outcome] / reached if reached else None,
                    "height": row[outcome] / unit if unit else 0.0,
                    "top": reached / unit if unit else 0.0,
                    "count_text": w.number(reached),
                    "share_text": "" if position == 0 else w.share(row["rate_from_previous"]),
                }
            )
    return pd.DataFrame(tidy)


def _numbered(row: Any, w: Words) -> str:
    return f"{row['step_index']}. {w.label('step', row['step'])}"


def _steps_table(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    return pd.DataFrame(
        {
            w.t("journeys.step"): [_numbered(row, w) for row in rows.to_dict("records")],
            w.t("journeys.stage"): [w.label("stage", stage) for stage in rows["stage"]],
            w.t("word.customers"): rows["customers"],
            w.label("outcome", "continued"): rows["continued"],
            w.label("outcome", "in_progress"): rows["in_progress"],
            w.label("outcome", "dropped"): rows["dropped"],
            w.t("journeys.of_first"): [w.share(rate) for rate in rows["rate_from_first"]],
            w.t("journeys.of_previous"): [w.share(rate) for rate in rows["rate_from_previous"]],
            w.t("journeys.median_time"): [w.duration(seconds) for seconds in rows["median_seconds_from_previous"]],
        }
    )


def _slowest(rows: pd.DataFrame, w: Words) -> str:
    waits = rows["median_seconds_from_previous"]
    if waits.isna().all():
        return ""
    row = peak(rows, "median_seconds_from_previous")
    return w.t(
        "journeys.slowest",
        step=w.label("step", row["step"]),
        time=w.duration(row["median_seconds_from_previous"]),
    )


def _cells(rows: pd.DataFrame, everybody: pd.DataFrame, w: Words) -> pd.DataFrame:
    inner = pd.DataFrame(rows[rows["step_index"] < rows["step_index"].max()])
    overall = (everybody["dropped"] / everybody["customers"].where(everybody["customers"] > 0)).to_numpy()
    shares = dict(zip(everybody["step_index"], overall, strict=True))
    inner["share"] = inner["dropped"] / inner["customers"].where(inner["customers"] > 0)
    inner["deviation"] = (inner["share"] - inner["step_index"].map(shares)).where(inner["customers"] >= FEW)
    inner["step"] = [_numbered(row, w) for row in inner.to_dict("records")]
    inner["group_name"] = [
        w.label(str(kind), group) for kind, group in zip(inner["breakdown"], inner["group"], strict=True)
    ]
    inner["text"] = [w.share(share, 0) for share in inner["share"]]
    return inner


def _matrix_finding(cells: pd.DataFrame, w: Words, by: str) -> str:
    known = cells[cells["deviation"].notna()]
    if known.empty:
        return w.t("journeys.finding_too_few", few=FEW)
    worst = peak(known, "deviation")
    if is_undefined(worst["deviation"]) or worst["deviation"] < 0.005:
        return w.t("journeys.finding_alike")
    return w.t(
        "journeys.finding_group",
        by=by,
        group=worst["group_name"],
        step=w.label("step", str(worst["step"]).split(". ", 1)[1]),
        share=w.share(worst["share"], 0),
        points=w.points(worst["deviation"], 0),
    )


def _matrix_table(cells: pd.DataFrame, w: Words) -> pd.DataFrame:
    return pd.DataFrame(
        {
            w.t("journeys.group"): cells["group_name"],
            w.t("journeys.step"): cells["step"],
            w.t("word.customers"): cells["customers"],
            w.label("outcome", "dropped"): cells["dropped"],
            w.t("journeys.drop_share"): [w.share(share) for share in cells["share"]],
            w.t("journeys.deviation"): [w.points(deviation) for deviation in cells["deviation"]],
        }
    )
