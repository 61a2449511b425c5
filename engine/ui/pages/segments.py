"""Segments: who are my groups of customers, and what sets them apart?"""

from __future__ import annotations

import streamlit as st

from engine.ui import controls, people, state
from engine.ui.views import segments as views
from engine.workflows.view import segments, selection

desk = controls.open_page("segments")
words, run, viewer = desk.words, desk.run, desk.viewer

with controls.section(words, "segments.clusters", "segments.clusters_help"):
    portraits, facts = state.ask(segments.portraits, viewer, run), state.ask(segments.persona_facts, viewer, run)
    profiles = state.ask(segments.clusters, viewer, run)
    controls.rounding(words, profiles)
    cards = views.cards(profiles, words, portraits, facts)
    if not cards:
        st.info(words.t("segments.finding_no_clusters"), icon=":material/info:")
    with st.grid(3, min_column_width=330, border=True):
        for place, card in enumerate(cards):
            with st.container():
                st.subheader(card.name)
                st.caption(words.t("segments.size", customers=card.customers, share=card.share))
                controls.show(words, card.figure, f"s_card_{place}")
                people.opener(desk, "s", selection.of("cluster", cluster=card.cluster), named=False)
                if card.approach:
                    told = [(True, words.t("segments.approach")), (False, card.approach)]
                    heading = [(True, words.t("segments.portrait"))]
                    with st.expander(words.t("segments.persona")):
                        controls.answers(told + heading + [(False, one) for one in card.told])

left, right = st.columns(2, gap="medium")
with left, controls.section(words, "segments.rfm", "segments.rfm_help"):
    cells = state.ask(segments.rfm_cells, viewer, run)
    controls.rounding(words, cells)
    controls.show(words, views.rfm(cells, words), "s_rfm")
with right, controls.section(words, "segments.value_risk"):
    controls.show(words, views.value_by_risk(state.ask(segments.value_by_risk, viewer, run), words), "s_value_risk")

with controls.section(words, "segments.choices"):
    controls.show(words, views.choices(state.ask(segments.cluster_choices, run), words), "s_choices")
people.drawer(desk, "s")
