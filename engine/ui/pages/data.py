"""Data: are they right, fresh and whole?"""

from __future__ import annotations

import streamlit as st

from engine.ui import controls, state
from engine.ui.views import data as views
from engine.workflows.view import data

desk = controls.open_page("data")
words = desk.words

with controls.section(words, "data.intake", "data.intake_help"):
    loaded = state.ask(data.intake_tables, desk.workspace)
    st.markdown(f"**{views.intake_finding(loaded, words)}**")
    if len(loaded):
        controls.table(views.intake(loaded, words), "d_intake")

with controls.section(words, "data.quarantine", "data.quarantine_help"):
    controls.show(words, views.quarantine(state.ask(data.quarantine, desk.workspace), words), "d_quarantine")

with controls.section(words, "data.freshness"):
    fresh = state.ask(data.freshness, desk.workspace)
    st.markdown(f"**{views.freshness_finding(fresh, words)}**")
    controls.table(views.freshness(fresh, words), "d_freshness")

with controls.section(words, "data.run"):
    done = state.ask(data.stages, desk.run)
    st.markdown(f"**{views.stages_finding(done, words)}**")
    controls.table(views.stages(done, words), "d_stages")
    with st.expander(words.t("data.manifest"), icon=":material/receipt_long:"):
        st.json(views.short_manifest(desk.run.manifest), expanded=1)
