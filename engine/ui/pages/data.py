"""Data and health: are the data right, fresh and whole, and do the models still hold?"""

from __future__ import annotations

import streamlit as st

from engine.domain.access import Right
from engine.ui import controls, state, work
from engine.ui.views import data as views
from engine.ui.views import health as health_views
from engine.ui.views import work as work_views
from engine.workflows import jobs, own_data
from engine.workflows.view import data, health

PARTS = ("sources", "drift", "runs", "machine")
SHOWN = 10

desk = controls.open_page("data")
words = desk.words


def actions() -> None:
    """Offer to load, check and run for whoever may; all of them are jobs."""
    if not desk.viewer.may(Right.LOAD_DATA):
        st.caption(f":material/lock: {words.t('data.actions_locked')}")
        return
    saved = desk.workspace.home / own_data.MAPPING
    with st.container(horizontal=True, vertical_alignment="center"):
        controls.link(words, "load", words.t("data.load"), ":material/upload_file:")
        if saved.is_file() and st.button(words.t("data.check_again"), icon=":material/fact_check:"):
            controls.done(words, lambda: own_data.begin_check(desk.viewer, state.home())) and st.rerun()
        if st.button(words.t("data.run_now"), icon=":material/play_arrow:") and work.start(words, "run"):
            st.rerun()


def sources() -> None:
    """Show what was loaded, how whole and fresh it is, and what was refused, down to the rows."""
    loaded = state.ask(data.intake_tables, desk.workspace)
    with controls.section(words, "data.completeness", "data.completeness_help"):
        fresh, whole = state.ask(data.freshness, desk.workspace), state.ask(health.completeness, desk.workspace)
        finding, table = health_views.sources(loaded, fresh, whole, desk.run.as_of, words)
        st.markdown(f"**{finding}**")
        controls.table(table, "d_sources")
    with controls.section(words, "data.intake", "data.intake_help"):
        st.markdown(f"**{views.intake_finding(loaded, words)}**")
        if len(loaded):
            controls.table(views.intake(loaded, words), "d_intake")
    with controls.section(words, "data.quarantine", "data.quarantine_help"):
        refused = state.ask(data.quarantine, desk.workspace)
        controls.show(words, views.quarantine(refused, words), "d_quarantine")
        named = health_views.reasons(refused, words)
        if named:
            chosen = controls.choice(words, "data.reason_picker", ("", *named), "d_reason", {"": "—", **named})
            if chosen:
                table_name, code, column = chosen.split("/", 2)
                rows = health.refused_examples(desk.viewer, desk.workspace, table_name, code, column)
                st.caption(words.t("data.examples"))
                controls.table(health_views.examples(rows, words), "d_examples")


def drift() -> None:
    """Show whether customers and what the risk model sees have moved, and how well the models do."""
    with controls.section(words, "data.drift", "data.drift_help"):
        before = health.earlier(desk.workspace, desk.run)
        if before is None:
            st.write(words.t("data.drift_none"))
        else:
            moved = state.ask(health.features_drift, desk.run, before)
            clicked = controls.show(
                words, health_views.drift(moved, before.as_of, words), "d_drift", select=health_views.SELECTED
            )
            known = tuple(moved["feature"])
            if clicked and state.newly("d_drift_clicked", clicked.get("feature")) and clicked["feature"] in known:
                state.choose("d_feature", str(clicked["feature"]), known[0])
            names = {feature: health_views.feature_name(feature, words) for feature in known}
            feature = controls.choice(words, "data.drift_of", known, "d_feature", names)
            index = float(moved.loc[moved["feature"] == feature, "value"].iloc[0])
            shares = state.ask(health.distribution, desk.run, before, feature)
            controls.show(words, health_views.overlay(shares, feature, index, before.as_of, words), "d_overlay")
    with controls.section(words, "data.model_drift", "data.model_drift_help"):
        rows = state.ask(health.model_drift, desk.viewer, desk.run)
        controls.show(words, health_views.model_drift(rows, words), "d_model_drift")
    with controls.section(words, "data.models", "data.models_help"):
        finding, table = health_views.models(state.ask(health.models, desk.viewer, desk.run), words)
        st.markdown(f"**{finding}**")
        if len(table):
            controls.table(table, "d_models")


def runs() -> None:
    """Show work under way and done, what the run did, and all runs."""
    with controls.section(words, "data.work"):
        found = jobs.listed(state.home())
        if not found:
            st.write(words.t("work.none"))
        else:
            work.watch(words, tuple(jobs.KINDS), "d_work")
            if found[1:]:
                controls.table(work_views.history(found[1 : SHOWN + 1], words), "d_jobs")
    with controls.section(words, "data.run"):
        done = state.ask(data.stages, desk.run)
        st.markdown(f"**{views.stages_finding(done, words)}**")
        controls.table(views.stages(done, words), "d_stages")
        with st.expander(words.t("data.manifest"), icon=":material/receipt_long:"):
            st.json(views.short_manifest(desk.run.manifest), expanded=1)
    with controls.section(words, "data.history"):
        finding, table = health_views.runs(health.runs(desk.workspace), words)
        st.markdown(f"**{finding}**")
        controls.table(table, "d_runs")


def machine() -> None:
    """Show what `wayline doctor` finds."""
    with controls.section(words, "data.machine", "data.machine_help"):
        finding, table = health_views.machine(health.machine(desk.viewer, state.home()), words)
        st.markdown(f"**{finding}**")
        controls.sentences(table)


actions()
part = controls.switch(words, "data.part", PARTS, "d_part", {name: words.t(f"data_part.{name}") for name in PARTS})
{"sources": sources, "drift": drift, "runs": runs, "machine": machine}[part]()
