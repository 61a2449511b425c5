"""Today: what needs me?"""

from __future__ import annotations

import streamlit as st

from engine.ui import controls, state
from engine.ui.views import today as views
from engine.workflows.view import today

desk = controls.open_page("home")
words = desk.words

controls.tiles(views.tiles(state.ask(today.headline, desk.run), words))

with controls.section(words, "home.attention"):
    items = state.ask(today.attention, desk.workspace, desk.run)
    if not items:
        st.success(words.t("home.nothing"), icon=":material/check:")
    for item in items:
        with (
            st.container(border=True),
            st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"),
        ):
            st.markdown(f"{views.ICONS[item.kind]} {views.sentence(item, words)}", width="stretch")
            controls.link(words, item.page, views.button(item, words), ":material/arrow_forward:", **item.filters)
