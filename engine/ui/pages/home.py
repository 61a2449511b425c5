"""Today: what needs me?"""

from __future__ import annotations

from functools import partial

import streamlit as st

from engine.ui import controls, state
from engine.ui.views import today as views
from engine.workflows import dismissals
from engine.workflows.view import cases, today, waiting
from engine.workflows.view.today import Attention

desk = controls.open_page("home")
words, run, viewer, home = desk.words, desk.run, desk.viewer, desk.workspace.home


def tiles() -> None:
    before = state.ask_freely(today.earlier, desk.workspace, run)
    counted = [state.ask(today.headline, desk.viewer, one) for one in before]
    shown = views.tiles(state.ask(today.headline, desk.viewer, run), words, counted)
    since = words.t("home.since_before", day=words.day(before[-1].as_of)) if before else None
    with st.grid(len(shown), min_column_width=170, gap="small"):
        for one in shown:
            st.metric(
                one.label,
                one.value,
                one.change,
                delta_color="off",
                delta_description=since if one.change is not None else None,
                chart_data=list(one.course) or None,
                help=one.explained,
                border=True,
                height="stretch",
            )


def card(item: Attention, place: int) -> None:
    with (
        st.container(border=True),
        st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"),
    ):
        with st.container(width="stretch", gap="xxsmall"):
            st.markdown(f"{views.ICONS[item.kind]} {views.sentence(item, words)}")
            st.caption(views.size(item, words))
        controls.link(words, item.page, views.button(item, words), ":material/arrow_forward:", **item.filters)
        with st.popover(words.t("home.dismiss"), icon=":material/close:", type="tertiary"):
            st.caption(words.t("home.dismiss_text"))
            with st.form(f"h_dismiss_{place}", border=False):
                reason = st.text_input(words.t("home.dismiss_reason"), key=f"h_reason_{place}")
                sent = st.form_submit_button(words.t("home.dismiss"))
            put_off = partial(dismissals.add, home, viewer, run.run_id, item.item, reason)
            if sent and controls.done(words, put_off):
                st.rerun()


def attention() -> None:
    stamp = cases.stamp(desk.workspace, viewer)
    mine = state.ask(waiting.for_viewer, desk.workspace, run, viewer, stamp)
    items = today.by_money((*mine, *state.ask(today.attention, desk.viewer, desk.workspace, run)))
    gone = state.ask_freely(dismissals.of, home, viewer, run.run_id)
    shown = [one for one in items if one.item not in gone]
    if not shown:
        st.success(words.t("home.nothing"), icon=":material/check:")
    for place, item in enumerate(shown):
        card(item, place)
    hidden = len(items) - len(shown)
    if hidden:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(words.t("home.dismissed", n=words.number(hidden)))
            again = partial(dismissals.show_again, home, viewer, run.run_id)
            if st.button(words.t("home.show_again"), type="tertiary", icon=":material/undo:"):
                again()
                st.rerun()


tiles()
with controls.section(words, "home.attention"):
    attention()
