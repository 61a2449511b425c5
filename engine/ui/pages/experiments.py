"""Experiments: should we ship it?"""

from __future__ import annotations

import streamlit as st

from engine.ui import controls, state
from engine.ui.views import experiments as views
from engine.workflows.view import experiments

desk = controls.open_page("experiments")
words, run = desk.words, desk.run


def listed(entries: list[views.Entry]) -> None:
    for entry in entries:
        with (
            st.container(border=True),
            st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"),
        ):
            st.markdown(views.advice(entry, words), width="stretch")
            st.badge(words.label("verdict", entry.verdict), color=views.COLOURS.get(entry.verdict, "gray"))
            st.badge(
                words.label("health", entry.health),
                color=views.HEALTH[entry.health],
                icon=":material/health_and_safety:",
            )


def detail(experiment: str) -> None:
    rows = results[results["experiment_id"] == experiment]
    reason = views.withheld_reason(rows)
    if reason is not None:
        st.error(words.t("experiments.withheld", reason=reason), icon=":material/block:")
    if (rows["verdict"] != "withheld").any():
        controls.show(words, views.forest(rows, words), f"e_forest_{experiment}")
    left, right = st.columns([1, 3], gap="medium")
    with left, controls.section(words, "experiments.arms", within=True):
        controls.table(views.arms(rows, words), "e_arms")
    with right, controls.section(words, "experiments.checks", within=True):
        controls.sentences(views.checks(health[health["experiment_id"] == experiment], words))


with controls.section(words, "experiments.list"):
    results = state.ask(experiments.results, run)
    health = state.ask(experiments.health, run)
    entries = views.listed(results, health, words)
    if not entries:
        st.write(words.t("experiments.none"))
        st.stop()
    listed(entries)
    with controls.section(words, "experiments.result", "experiments.result_help", within=True):
        names = {entry.experiment_id: entry.name for entry in entries}
        detail(controls.choice(words, "experiments.experiment", tuple(names), "e_id", names))
