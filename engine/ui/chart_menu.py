"""The small menu of every figure: its table as CSV, for a tool or for a spreadsheet, and its picture."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import streamlit as st

from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.ui import state
from engine.ui.views.figure import Figure
from engine.ui.views.flow import Flow
from engine.ui.words import Words
from engine.workflows.view import chart_export
from engine.workflows.view.chart_export import Chart

_OF_ONE: Final = "c"
"""The letter of the page of one customer: what is known of a person leaves by the answer to that person's request."""
_MIME: Final[Mapping[chart_export.Format, str]] = {"csv": "text/csv", "spreadsheet": "text/csv", "png": "image/png"}
_ICONS: Final[Mapping[chart_export.Format, str]] = {
    "csv": ":material/csv:", "spreadsheet": ":material/table_view:", "png": ":material/image:",
}  # fmt: skip


def draw(words: Words, shown: tuple[Workspace, Run], figure: Figure, key: str) -> None:
    """Place the menu of a figure of a run; what it hands over is made and put on record once it is asked for."""
    if key.partition("_")[0] == _OF_ONE or figure.table.empty:
        return
    (workspace, run), viewer = shown, state.viewer()
    chart = Chart(
        key=re.sub("[^a-z0-9_-]+", "-", key.lower())[:80].strip("-"),
        finding=figure.finding,
        cut_off=words.t("head.cutoff", day=words.instant(run.as_of), run=run.run_id),
        table=figure.table,
        spec=_spec(figure),
        uncounted=frozenset(figure.uncounted),
    )
    hides = chart_export.hides(chart, viewer)
    with st.popover(words.t("chart.menu"), icon=":material/download:", help=words.t("chart.menu_help")):
        for form in _MIME:
            if form == "png" and chart.spec is None:
                continue
            st.download_button(
                words.t(f"chart.{form}"),
                data=partial(chart_export.export, workspace, run, chart, form, viewer),
                file_name=chart.file_name(run, form),
                mime=_MIME[form],
                key=f"{key}_as_{form}",
                on_click="ignore",
                type="tertiary",
                icon=_ICONS[form],
                disabled=form == "png" and hides,
                help=words.t("chart.png_hidden") if form == "png" and hides else None,
            )
        st.caption(words.t("chart.on_record_masked" if hides else "chart.on_record"))


def _spec(figure: Figure) -> Callable[[], Mapping[str, Any]] | None:
    if figure.chart is None:
        return None
    if isinstance(figure.chart, Flow):
        return figure.chart.vega
    return figure.chart.to_dict  # type: ignore[no-any-return]
