"""Effects with their intervals as dots, one row each, or as a line in a band, one day each; 0 is always on the axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import BAD, DIVERGING, NEUTRAL, height_of, scale, signed_axis
from experiments.report_plots import WIDEST, WIDEST_DAY, Point, ends

LINE: Final = DIVERGING[0]  # seen on a light and on a dark page
LABELS: Final = 200  # pixels for names at an axis, so that a telephone has room for the plot
_TWO_LINES: Final = "split(datum.label, ' × ')"


def dots(rows: pd.DataFrame, *, title: str, form: str, colours: Mapping[str, str], tooltip: Mapping[str, str]) -> Any:
    """Return one row per effect, in the order of the rows; a column `margin` is drawn as a tick on the same axis.

    Parameters
    ----------
    rows : name, which stands in two lines where it holds a ×, value, lower, upper, and mark, one of `colours`.
    form : how numbers stand at the axis.
    colours : word to colour; the legend, in this order, where there is more than one.
    tooltip : column to title of what a mark tells.
    """
    legend = alt.Legend(title=None, orient="top", columns=1, labelLimit=340) if len(colours) > 1 else None
    base = alt.Chart(rows).encode(
        y=alt.Y(
            "name:N",
            sort=list(rows["name"]),
            title=None,
            axis=alt.Axis(labelLimit=LABELS, labelExpr=_TWO_LINES, zindex=1),
        ),
        color=alt.Color("mark:N", scale=scale(dict(colours)), legend=legend),
        tooltip=[_told(rows, column, name) for column, name in tooltip.items()],
    )
    x = {"scale": _scale(rows, WIDEST), "axis": signed_axis(form)}
    lines = base.mark_rule(strokeWidth=3).encode(x=alt.X("lower:Q", title=title, **x), x2="upper:Q")
    points = base.mark_point(filled=True, size=100, opacity=1).encode(x=alt.X("value:Q", title=title, **x))
    around = 70 + 30 * (len(colours) if legend else 0)
    layers = _zero("x") + lines + points
    if "margin" in rows and rows["margin"].notna().any():
        marked = rows[rows["margin"].notna()]
        layers += (
            alt.Chart(marked)
            .mark_tick(color=BAD, thickness=3, size=24)
            .encode(
                x=alt.X("margin:Q", title=title, **x),
                y=alt.Y("name:N", sort=list(rows["name"])),
                tooltip=[_told(rows, column, name) for column, name in tooltip.items()],
            )
        )
    return layers.properties(height=height_of(len(rows), 34, around))


def band(rows: pd.DataFrame, *, day: Any, title: str, form: str, tooltip: Mapping[str, str]) -> Any:
    """Return the effect by day as a line in the band of its intervals; the first days, which are widest, are cut.

    Parameters
    ----------
    rows : value, lower, upper, and what `day` names.
    day : the axis of days.
    """
    y = {"scale": _scale(rows, WIDEST_DAY), "axis": signed_axis(form)}
    base = alt.Chart(rows).encode(x=day, tooltip=[_told(rows, column, name) for column, name in tooltip.items()])
    area = base.mark_area(opacity=0.22, color=LINE).encode(y=alt.Y("lower:Q", title=title, **y), y2="upper:Q")
    line = base.mark_line(color=LINE, strokeWidth=2, point=alt.OverlayMarkDef(size=28, color=LINE))
    return (_zero("y") + area + line.encode(y=alt.Y("value:Q", title=title, **y))).properties(height=280)


def _zero(along: str) -> Any:
    mark = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=NEUTRAL, strokeDash=[4, 3])
    return mark.encode(x="zero:Q") if along == "x" else mark.encode(y="zero:Q")


def _scale(rows: pd.DataFrame, widest: float) -> Any:
    drawn = zip(rows["value"], rows["lower"], rows["upper"], strict=True)
    points = [Point(name="", value=value, lower=lower, upper=upper) for value, lower, upper in drawn]
    margins = rows["margin"].dropna() if "margin" in rows else ()
    points += [Point(name="", value=one, lower=one, upper=one) for one in margins]  # a margin is always on the axis
    return alt.Scale(domain=list(ends(points, widest)), clamp=True, nice=False)


def _told(rows: pd.DataFrame, column: str, title: str) -> Any:
    if pd.api.types.is_datetime64_any_dtype(rows[column]):
        return alt.Tooltip(f"{column}:T", title=title, format="%Y-%m-%d")
    if pd.api.types.is_numeric_dtype(rows[column]):
        return alt.Tooltip(f"{column}:Q", title=title, format=",.0f")
    return alt.Tooltip(f"{column}:N", title=title)
