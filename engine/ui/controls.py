"""What every page is built of: its head, its sections, its figures, its links, its pages of customers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import pandas as pd
import streamlit as st

from engine.domain.access import SMALL_GROUP, Right, Viewer
from engine.domain.errors import NotAllowed, RunMissing, WaylineError
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.ui import chart_menu, first_run, state
from engine.ui import words as speech
from engine.ui.views import theme
from engine.ui.views.figure import MARK, Figure, Mark
from engine.ui.views.flow import Flow
from engine.ui.words import UNDEFINED, Words, days_between
from engine.workflows.view import desk, segments, small_groups

ROWS_A_PAGE: Final = 25
STALE_DAYS: Final = 35  # monthly extracts: older than a month and some days of delivery
_PADDING: Final = {"left": 4, "top": 4, "right": 18, "bottom": 4}  # the last mark of an axis is cut off without
_SHOWN: Final = "shown on the page"  # under which the workspace and the run are held that figures are of
plain: Final = speech.plain
_PAGES: Final = Path(__file__).parent / "pages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a page works on: the workspace, its current run, the reader's words, and who the reader is."""

    workspace: Workspace
    run: Run
    words: Words
    viewer: Viewer


def open_page(name: str) -> Desk:
    """Draw the head of a page and return what it works on; without a run, say what to do and stop here.

    Whoever sees nothing on the page is told who does, and sees nothing.
    """
    words, viewer = state.words(), state.viewer()
    st.title(words.t(f"{name}.title"))
    st.caption(words.t(f"{name}.question"))
    state.notices()
    if not viewer.opens(name):
        closed(words, viewer)
    try:
        workspace, run = state.newest()
    except RunMissing:
        first_run.draw(words)
        st.stop()
    _provenance(words, workspace, run)
    state.hold(_SHOWN, (workspace, run))
    named = {**words.names, "cluster": state.ask(segments.cluster_names, run)}
    return Desk(workspace=workspace, run=run, words=replace(words, names=named), viewer=viewer)


def closed(words: Words, viewer: Viewer) -> NoReturn:
    """Say that the page holds nothing for the viewer's role, and stop here."""
    st.info(words.t("head.closed", role=words.label("viewer_role", viewer.role)), icon=":material/lock:")
    st.stop()


def _provenance(words: Words, workspace: Workspace, run: Run) -> None:
    """Say which data the page shows, and warn when newer ones are known or they are old."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(words.t("head.cutoff", day=words.instant(run.as_of), run=run.run_id), width="content")
        reloaded = desk.reloaded_at(workspace, run)
        if reloaded is not None:
            when = words.instant(reloaded.astimezone(UTC))
            st.badge(words.t("head.reloaded"), color="orange", help=words.t("head.reloaded_help", when=when))
        age = days_between(run.as_of, datetime.now(UTC))
        if age > STALE_DAYS:
            st.badge(words.t("head.stale", days=words.number(age)), color="orange", help=words.t("head.stale_help"))


def open_frame(name: str) -> Words:
    """Draw the head of a page that needs no run, and return the reader's words."""
    words = state.words()
    st.title(words.t(f"{name}.title"))
    st.caption(words.t(f"{name}.question"))
    return words


@contextmanager
def section(words: Words, title: str, help_key: str | None = None, *, within: bool = False) -> Iterator[None]:
    """Open a section under a heading; what the run cannot answer becomes a sentence in it.

    `within` marks a section of a section, whose heading is one level lower.
    """
    heading = st.subheader if within else st.header
    heading(words.t(title), help=words.t(help_key) if help_key else None)
    try:
        yield
    except NotAllowed as fault:
        st.caption(f":material/lock: {words.sentence(fault)}")
    except WaylineError as fault:
        st.info(words.sentence(fault), icon=":material/info:")


def show(
    words: Words, figure: Figure, key: str, select: str | None = None, *, unfolded: bool = False
) -> Mapping[str, Any] | None:
    """Place a figure: what it found, the chart, its table. Return the fields of the mark clicked, if any.

    A mark that leads to customers opens them: by a click, or by the picker below the chart. `select` is the name of
    another selection in the chart; `unfolded` shows the table too, its sentences to their end.
    """
    st.markdown(f"**{plain(figure.finding)}**")
    clicked, page = None, key.partition("_")[0]
    if figure.marks and select is None:
        select = MARK
    if isinstance(figure.chart, Flow):
        clicked = _flow(figure.chart, figure.alt, key)
    elif figure.chart is not None:
        coloured = theme.on_dark(figure.chart) if state.dark() else figure.chart
        ink = state.ink()
        drawn = coloured.configure_text(color=ink).configure_axis(labelColor=ink, titleColor=ink)
        drawn = drawn.configure_legend(labelColor=ink, titleColor=ink).properties(padding=_PADDING)
        options: dict[str, Any] = {} if select is None else {"on_select": "rerun"}
        event: Any = st.altair_chart(drawn, key=key, alt=figure.alt, width="stretch", **options)
        marks = event["selection"].get(select) if select is not None else None
        clicked = marks[0] if isinstance(marks, list) and marks else None
    if figure.marks and state.newly(f"{key}_clicked", clicked) and clicked is not None:
        found = next((one for one in figure.marks if one.is_at(clicked)), None)
        if found is not None:
            state.select(page, found.selection.written())
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if figure.marks:
            mark_picker(words, figure.marks, key)
        shown = state.held(_SHOWN, None)
        if shown is not None:
            chart_menu.draw(words, shown, figure, key)
    if figure.note:
        st.caption(figure.note)
    if figure.table.empty and figure.chart is None:
        return None
    with st.expander(words.t("head.table"), expanded=unfolded, icon=":material/table:"):
        if unfolded:
            sentences(figure.table)
        else:
            table(figure.table, key=f"{key}_table")
    return clicked


def _flow(chart: Flow, alt: str, key: str) -> Mapping[str, Any] | None:
    """Place a flow, and return which node or band is clicked."""
    event: Any = st.echarts_chart(chart.spec(state.ink()), key=key, alt=alt, height=chart.height, on_select="rerun")
    for group in event["selection"]["selected"]:
        if group["data_indices"]:
            return chart.clicked(group["data_type"], group["data_indices"][0])
    return None


def mark_picker(words: Words, marks: Sequence[Mark], key: str) -> None:
    """Draw the picker that opens the customers behind a mark, for whoever does not click."""
    page = key.partition("_")[0]
    least = 1 if state.viewer().may(Right.SEE_SMALL_GROUPS) else SMALL_GROUP
    named = {one.selection.written(): f"{one.label}: {words.number(one.count)}" for one in marks if one.count >= least}
    if not named:
        return
    picker = f"{key}_mark"

    def picked() -> None:
        state.select(page, state.held(picker, None))
        state.hold(picker, None)  # so that the same mark can be opened again

    st.selectbox(
        words.t("people.pick"),
        tuple(named),
        index=None,
        format_func=lambda one: named.get(one, one),
        placeholder=words.t("control.choose"),
        key=picker,
        on_change=picked,
    )


def rounding(words: Words, rows: pd.DataFrame) -> None:
    """Say that counts are rounded or rows left out, where they are: the viewer's role does not see small groups."""
    if small_groups.is_rounded(rows):
        st.caption(f":material/filter_b_and_w: {words.t('head.rounded', least=SMALL_GROUP)}")
    if count := small_groups.left_out(rows):
        st.caption(f":material/filter_b_and_w: {words.t('head.left_out', n=words.number(count), least=SMALL_GROUP)}")


def table(rows: pd.DataFrame, key: str, columns: Mapping[str, Any] | None = None, height: int | None = None) -> None:
    """Place a table whose columns are already named for the reader."""
    whole = len(rows) <= ROWS_A_PAGE
    options: dict[str, Any] = {"height": height or ("content" if whole else "auto")}
    counts = {name: st.column_config.NumberColumn(format="localized") for name in rows.select_dtypes("number").columns}
    written = {**counts, **(columns or {})}
    st.dataframe(rows, hide_index=True, key=key, column_config=written, placeholder=UNDEFINED, **options)


def sentences(rows: pd.DataFrame) -> None:
    """Place a small table whose cells are sentences, each shown to its end and as it is written."""
    written = rows.map(lambda cell: plain(cell) if isinstance(cell, str) else cell)
    st.table(written, hide_index=True, border="horizontal")


def answers(told: Sequence[tuple[bool, str]]) -> None:
    """Place sentences: those that lead in bold, the others as points below them."""
    st.markdown("\n".join(f"\n**{plain(text)}**\n" if leads else f"- {plain(text)}" for leads, text in told))


def choice(words: Words, label: str, options: Sequence[str], key: str, names: Mapping[str, str] | None = None) -> str:
    """Draw a picker whose choice stands in the address, and return what is chosen: the first option by default."""
    named = names or {}
    st.selectbox(
        words.t(label),
        options,
        format_func=lambda option: named.get(option, option),
        placeholder=words.t("control.choose"),
        **state.bind(key, options, options[0]),
    )
    return state.value(key)


def switch(words: Words, label: str, options: Sequence[str], key: str, names: Mapping[str, str] | None = None) -> str:
    """Draw a row of buttons of which one is always chosen, in the address too, and return it."""
    named = names or {}
    st.segmented_control(
        words.t(label),
        options,
        format_func=lambda option: named.get(option, option),
        required=True,
        **state.bind(key, options, options[0]),
    )
    return state.value(key)


def search(words: Words, label: str, key: str, placeholder: str) -> str:
    """Draw a field for an exact id, kept in the address, and return what was typed, without spaces around it."""
    st.text_input(words.t(label), placeholder=words.t(placeholder), **state.bind(key, None, ""))
    return state.value(key).strip()


def link(words: Words, page: str, label: str, icon: str | None = None, **filters: str) -> None:
    """Place a link to another page with its filters set, in the reader's language."""
    st.page_link(_PAGES / f"{page}.py", label=label, icon=icon, query_params=_address(words, filters))


def customers(words: Words, rows: pd.DataFrame, ids: Sequence[str], key: str, label: str = "control.customer") -> None:
    """Place a page of customers; a click on a row, or the picker above, leads to that customer's page.

    `label` names the picker: two lists on one page must not have pickers of one name.
    """
    above = st.container(horizontal=True, vertical_alignment="bottom")
    event = st.dataframe(
        rows, hide_index=True, key=f"{key}_rows", on_select="rerun", selection_mode="single-row", height="content"
    )
    marked = event["selection"]["rows"]
    with above:
        picked = st.selectbox(words.t(label), ids, key=f"{key}_pick", index=None, placeholder=words.t("control.choose"))
        found = ids[marked[0]] if marked and marked[0] < len(ids) else picked
        if found:
            link(words, "customer", words.t("control.open", customer=found), ":material/person_search:", c_id=found)


def row_of(rows: pd.DataFrame, key: str, columns: Mapping[str, Any] | None = None) -> int | None:
    """Place a table of which a row can be clicked, and return its place, None while none is.

    It needs a picker beside it, for whoever does not click."""
    counts = {name: st.column_config.NumberColumn(format="localized") for name in rows.select_dtypes("number").columns}
    event = st.dataframe(
        rows,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        column_config={**counts, **(columns or {})},
        placeholder=UNDEFINED,
        height="content" if len(rows) <= ROWS_A_PAGE else "auto",
    )
    marked = event["selection"]["rows"]
    return marked[0] if marked and marked[0] < len(rows) else None


def done(words: Words, act: Callable[[], object]) -> bool:
    """Do something that may be refused, and say so in the reader's language; return whether it was done."""
    try:
        act()
    except WaylineError as fault:
        st.error(words.sentence(fault), icon=":material/error:")
        return False
    return True


def page_number(total: int, key: str) -> int:
    """Draw the page numbers of a long list, where there is more than one, and return the page's offset in rows."""
    pages = -(-total // ROWS_A_PAGE)
    return 0 if pages < 2 else (st.pagination(pages, key=key) - 1) * ROWS_A_PAGE


def tiles(figures: Sequence[tuple[str, str, str]]) -> None:
    """Place a row of key figures: label, value, and what exactly is counted."""
    with st.grid(len(figures), min_column_width=170, gap="small"):
        for label, value, explained in figures:
            st.metric(label, value, help=explained, border=True, height="stretch")


def _address(words: Words, filters: Mapping[str, str]) -> dict[str, str]:
    language = {} if words.language == "en" else {state.LANGUAGE: words.language}
    return {**filters, **language}
