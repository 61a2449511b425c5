"""Bars by category, alone or stacked, and a plain table beside them: what most sections of a page need."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import BAND, axis, height_of, legend, scale

_AHEAD: Final = re.compile(r"\n([，。；：、])")  # such a mark never begins a line
_LINE: Final = 30  # letters of a name on one line


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
    wrapped = {name: _wrapped(name) for name in listed}
    deepest = max((text.count("\n") + 1 for text in wrapped.values()), default=1)
    place = {name: at for at, name in enumerate(colours)}
    told = [_told(rows, column, name, form) for column, name in tooltip.items()]
    return (
        alt.Chart(rows.assign(place=rows[part].map(place)))
        .mark_bar(height=BAND)
        .encode(
            x=alt.X(f"{size}:Q", title=title, axis=axis(format=form, tickMinStep=1 if form == ",.0f" else 0)),
            y=alt.Y(f"{category}:N", sort=listed, title=None, axis=lines(wrapped)),
            color=alt.Color(f"{part}:N", scale=scale(dict(colours)), legend=legend(colours)),
            order="place:O",
            tooltip=told,
        )
        .properties(height=height_of(len(listed), max(30, 14 * deepest + 4), 110))
    )


def lines(wrapped: Mapping[str, str]) -> Any:
    """Return an axis of categories whose names stand on several lines, so that bars have room on a phone too."""
    names = {name: text.split("\n") for name, text in wrapped.items() if "\n" in text}
    told = {} if not names else {"labelExpr": f"{json.dumps(names)}[datum.value] || datum.value"}
    return alt.Axis(labelLimit=240, labelLineHeight=13, **told)


def _wrapped(name: str) -> str:
    """Break a name into lines; Chinese has no spaces to break at and is twice as wide."""
    if name.isascii():
        return "\n".join(textwrap.wrap(name, _LINE)) or name
    width = -(-len(name) // -(-len(name) // (_LINE // 2)))  # lines of about one length: none holds a single letter
    return _AHEAD.sub(r"\1\n", "\n".join(name[at : at + width] for at in range(0, len(name), width)))


def _told(rows: pd.DataFrame, column: str, title: str, form: str) -> Any:
    if pd.api.types.is_numeric_dtype(rows[column]):
        return alt.Tooltip(f"{column}:Q", title=title, format=form)
    return alt.Tooltip(f"{column}:N", title=title)
