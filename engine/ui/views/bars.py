"""Bars by category, alone or stacked, and a plain table beside them: what most sections of a page need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from engine.ui.views.figure import BAND, axis, height_of, scale


def stacked(
    rows: pd.DataFrame,
    category: str,
    size: str,
    part: str,
    *,
    title: str,
    colours: Mapping[str, str],
    tooltip: Mapping[str, str],
    order: Sequence[str] | None = None,
    form: str = ",.0f",
) -> Any:
    """Return one bar per category, cut into parts: `colours` gives the parts in their order.

    Parameters
    ----------
    rows : one row per category and part.
    tooltip : column to title of what a mark tells; numbers are written with `form`.
    order : the categories from top to bottom; None for the order of the rows.
    """
    listed = list(order) if order is not None else list(dict.fromkeys(rows[category]))
    place = {name: at for at, name in enumerate(colours)}
    told = [_told(rows, column, name, form) for column, name in tooltip.items()]
    return (
        alt.Chart(rows.assign(place=rows[part].map(place)))
        .mark_bar(height=BAND)
        .encode(
            x=alt.X(f"{size}:Q", title=title, axis=axis(format=form, tickMinStep=1 if form == ",.0f" else 0)),
            y=alt.Y(f"{category}:N", sort=listed, title=None, axis=alt.Axis(labelLimit=420)),
            color=alt.Color(f"{part}:N", scale=scale(dict(colours)), legend=alt.Legend(title=None, orient="top")),
            order="place:O",
            tooltip=told,
        )
        .properties(height=height_of(len(listed), 30, 110))
    )


def _told(rows: pd.DataFrame, column: str, title: str, form: str) -> Any:
    if pd.api.types.is_numeric_dtype(rows[column]):
        return alt.Tooltip(f"{column}:Q", title=title, format=form)
    return alt.Tooltip(f"{column}:N", title=title)
