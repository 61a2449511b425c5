"""A waterfall: how many there are, how many each step takes, how many are left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from engine.ui.views.figure import BAND, CONTINUED, DROPPED, axis, height_of, legend, scale
from engine.ui.words import Words

Step = tuple[str, int, str]
"""What a step is called, how many it takes, and its main reason in words, empty where there is none to tell."""


def bars(whole: tuple[str, int], steps: Sequence[Step], left: str, w: Words) -> pd.DataFrame:
    """Return one bar per row: all of them under the name of `whole`, each step from what is left, `left` at the end."""
    rows, before = [_bar(whole[0], (0, whole[1]), w)], whole[1]
    for name, removed, why in steps:
        rows.append(_bar(name, (before - removed, before), w, why))
        before -= removed
    return pd.DataFrame([*rows, _bar(left, (0, before), w)])


def chart(rows: pd.DataFrame, w: Words, unit: str) -> Any:
    """Return the chart of such bars; `unit` names what is counted."""
    told = {w.t("audiences.left_over"): CONTINUED, w.t("audiences.removed"): DROPPED}
    drawn = (
        alt.Chart(rows)
        .mark_bar(height=BAND, cornerRadius=2)
        .encode(
            x=alt.X("from:Q", title=unit, axis=axis()),
            x2="to:Q",
            y=alt.Y("step:N", sort=list(rows["step"]), title=None, axis=alt.Axis(labelLimit=220)),
            color=alt.Color("part:N", scale=scale(told), legend=legend(told)),
            tooltip=[
                alt.Tooltip("step:N", title=w.t("audiences.step")),
                alt.Tooltip("customers:Q", title=unit, format=",.0f"),
                alt.Tooltip("why:N", title=w.t("audiences.main_reason")),
            ],
        )
    )
    marks = (
        alt.Chart(rows)
        .mark_text(align="left", dx=5)
        .encode(x="to:Q", y=alt.Y("step:N", sort=list(rows["step"])), text="label:N")
    )
    return (drawn + marks).properties(height=height_of(len(rows), 34))


def _bar(step: str, ends: tuple[int, int], w: Words, why: str | None = None) -> dict[str, Any]:
    """Return one bar; `why` is the main reason of a step that removes, None where customers are left."""
    start, end = ends
    count, part = end - start, w.t("audiences.left_over" if why is None else "audiences.removed")
    label = w.number(-count) if why is not None and count else w.number(count)
    return {"step": step, "from": start, "to": end, "part": part, "customers": count, "label": label, "why": why or ""}
