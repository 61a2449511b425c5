"""Risk: how risky are the customers, and how far can the scorecard be trusted?"""

from __future__ import annotations

import streamlit as st

from engine.ui import controls, state
from engine.ui.views import risk as views
from engine.workflows.view import risk

desk = controls.open_page("risk")
words, run = desk.words, desk.run

left, right = st.columns(2, gap="medium")
with left, controls.section(words, "risk.tiers"):
    controls.show(words, views.tiers(state.ask(risk.tiers, run), words), "k_tiers")
with right, controls.section(words, "risk.losses", "risk.losses_help"):
    controls.show(words, views.losses(state.ask(risk.tiers, run), words), "k_losses")

left, right = st.columns(2, gap="medium")
with left, controls.section(words, "risk.scores"):
    controls.show(words, views.scores(state.ask(risk.scores, run), words), "k_scores")
with right, controls.section(words, "risk.validation", "risk.validation_help"):
    controls.show(words, views.validation(state.ask(risk.validation, run), words), "k_validation")

with controls.section(words, "risk.scorecard", "risk.scorecard_help"):
    rows = state.ask(risk.scorecard, run)
    st.markdown(f"**{views.scorecard_finding(rows, words)}**")
    controls.table(views.scorecard(rows, words), "k_scorecard", views.scorecard_columns(words), views.height(rows))
