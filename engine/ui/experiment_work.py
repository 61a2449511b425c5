"""The controls of work on experiments: decide otherwise than the rules, review, plan a new one and put it on record."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import streamlit as st

from engine.domain.access import Right
from engine.domain.errors import ApprovalNeeded, NotEnoughData, WaylineError
from engine.store.persons import same
from engine.ui import controls, state, toml_text
from engine.ui.controls import Desk
from engine.workflows import experiment, experiment_planned, experiment_review
from engine.workflows.experiment_decided import ACTIONS, action_of_rules
from engine.workflows.experiment_planned import Baseline, Draft
from engine.workflows.view import experiment_export, today
from experiments.report import Report

_TOLD: Final = "e_told"
_REGISTERED: Final = "e_registered"
_POWERS: Final = (80, 90, 95)
_WINDOWS: Final = (7, 14, 30, 60, 90)


def deciding(desk: Desk, report: Report) -> None:
    """Place what decides otherwise than the rules, for whoever may."""
    words, viewer = desk.words, state.viewer()
    state.say_held(_TOLD)
    if not viewer.may(Right.DECIDE_EXPERIMENT):
        return
    by_rules = action_of_rules(report.facts)
    with st.form(f"e_decide_{report.experiment}", border=True):
        st.markdown(f"**{words.t('experiments.decide_head')}**")
        st.caption(words.t("experiments.decide_text"))
        action = st.selectbox(
            words.t("experiments.decide_action"),
            [one for one in ACTIONS if one != by_rules],
            format_func=lambda one: words.label("action", one),
        )
        note = st.text_input(words.t("experiments.decide_note"), key="e_decide_note")
        sent = st.form_submit_button(words.t("experiments.decide"), icon=":material/gavel:")
    if not sent:
        return
    try:
        experiment.decide(
            desk.workspace.home, report.experiment, str(action), owner=viewer, note=note, run_id=desk.run.run_id
        )
        state.hold(_TOLD, [("success", words.t("experiments.decided_ok"))])
        st.rerun()
    except ApprovalNeeded:
        st.rerun()  # the request stands above
    except WaylineError as fault:
        st.error(words.sentence(fault), icon=":material/error:")


def reviews(desk: Desk, report: Report) -> None:
    """Place the requests to ship an experiment against the advice, and their answers."""
    words, viewer, home = desk.words, state.viewer(), desk.workspace.home
    for one in state.ask_freely(experiment_review.listed, desk.workspace, report.experiment):
        if one.run_id != desk.run.run_id:
            continue
        if one.agreed is not None:
            key = "experiments.review_agreed" if one.agreed else "experiments.review_refused"
            told = words.t(
                key, reviewer=one.reviewer, name=one.asked_by, day=words.day(one.reviewed_at), note=one.review_note
            )
            st.markdown(controls.plain(told))
            continue
        before = words.label("action", one.instead_of)
        with st.container(border=True):
            asked = words.t("experiments.review_waits", name=one.asked_by, before=before, note=one.note)
            st.markdown(f"**{controls.plain(asked)}**")
            if same(one.asked_by, viewer.name):
                st.caption(words.t("experiments.review_own", n=one.number))
            elif viewer.may(Right.REVIEW_EXPERIMENT):
                with st.form(f"e_review_{one.number}", border=False):
                    note = st.text_input(words.t("experiments.decide_note"), key=f"e_review_note_{one.number}")
                    with st.container(horizontal=True):
                        agree = st.form_submit_button(words.t("experiments.review_agree"), type=state.emphasis())
                        refuse = st.form_submit_button(words.t("experiments.review_refuse"))
                answer = partial(experiment_review.answer, home, viewer, one.number, note, agreed=agree)
                if (agree or refuse) and controls.done(words, answer):
                    st.rerun()


def results(desk: Desk, experiment_id: str) -> None:
    """Place what hands over the whole result with the health of its data, for a tool to read."""
    words, viewer = desk.words, state.viewer()
    with st.popover(words.t("experiments.whole"), icon=":material/download:", help=words.t("experiments.whole_help")):
        for form in experiment_export.FORMS:
            st.download_button(
                words.t(f"experiments.whole_{form}"),
                data=partial(experiment_export.export, desk.workspace, desk.run, experiment_id, form, viewer),
                file_name=f"wayline-{experiment_id}-{desk.run.run_id}.{form}",
                mime="text/csv" if form == "csv" else "application/json",
                key=f"e_whole_{experiment_id}_{form}",
                on_click="ignore",
                type="tertiary",
                icon=":material/csv:" if form == "csv" else ":material/data_object:",
            )
        st.caption(words.t("chart.on_record"))


def planning(desk: Desk) -> None:
    """Place the plan of a new experiment, its size, and what puts it on record."""
    words, run = desk.words, desk.run
    waiting = state.ask_freely(experiment_planned.waiting, desk.workspace, run)
    if waiting:
        st.markdown(f"**{words.t('experiments.planned')}**")
        for one in waiting:
            metric = ", ".join(words.label("metric", each["metric"]) for each in one.spec["metrics"])
            name = words.pick(one.spec["name_en"], one.spec.get("name_zh") or "")
            day = words.day(one.registered_at)
            told = words.t("experiments.planned_by", name=name, metric=metric, day=day, who=one.registered_by)
            st.markdown(f"- {controls.plain(told)}")
    if not state.viewer().may(Right.PLAN_EXPERIMENT):
        return
    events = state.ask(experiment_planned.events, desk.workspace, run)
    if not events:
        st.write(words.t("experiments.none"))
        return
    named = {one: words.label("event", one) for one in events}
    left, right = st.columns(2, gap="large")
    with left:
        event = controls.choice(words, "experiments.plan_event", events, "e_plan_event", named)
        window = st.select_slider(words.t("experiments.plan_window"), _WINDOWS, value=30, key="e_plan_window")
        direction = st.segmented_control(
            words.t("experiments.plan_direction"),
            ("increase", "decrease"),
            default="increase",
            required=True,
            format_func=lambda one: words.t(f"experiments.plan_{one}"),
            key="e_plan_direction",
        )
    try:
        base: Baseline = state.ask(experiment_planned.baseline, desk.workspace, run, event, int(window))
    except NotEnoughData as fault:
        st.caption(words.sentence(fault))
        return
    with right:
        effect = st.number_input(words.t("experiments.plan_effect"), 0.5, 500.0, 10.0, 0.5, key="e_plan_effect")
        power = st.select_slider(words.t("experiments.plan_power"), _POWERS, value=80, key="e_plan_power")
        per_day = st.number_input(
            words.t("experiments.plan_per_day"),
            1.0,
            1e9,
            float(max(round(base.per_day), 1)),
            1.0,
            key=f"e_plan_{event}_day",
        )
    draft = Draft(
        event=event,
        window_days=int(window),
        direction="decrease" if direction == "decrease" else "increase",
        baseline=base.share,
        effect=effect / 100,
        power=int(power) / 100,
        per_day=float(per_day),
    )
    _sized(desk, draft, base)
    _registering(desk, draft)


def _sized(desk: Desk, draft: Draft, base: Baseline) -> None:
    words = desk.words
    told = words.t(
        "experiments.plan_baseline",
        event=words.label("event", draft.event),
        share=words.share(base.share),
        days=draft.window_days,
        happened=words.number(base.happened),
        customers=words.number(base.customers),
    )
    st.markdown(controls.plain(told))
    plan: dict[str, Any] = experiment_planned.planned(draft, desk.workspace.home)
    units, days = plan["units"], plan["days"]
    if units is None:
        st.warning(plan["why"], icon=":material/warning:")
        return
    bank = state.ask(today.headline, state.viewer(), desk.run).customers
    if bank is not None and units > bank:
        too_many = words.t("experiments.plan_too_many", units=words.number(units), customers=words.number(bank))
        st.warning(too_many, icon=":material/warning:")
    else:
        said = words.t("experiments.plan_can", units=words.number(units), days=words.number(days))
        st.markdown(f"**{said}**")
    reached = f"{words.share(draft.baseline)} → {words.share(draft.baseline + plan['effect'])}"
    controls.tiles(
        [
            (words.t("experiments.plan_units"), words.number(units), words.t("experiments.plan_units_help")),
            (words.t("experiments.plan_days"), words.number(days), words.t("experiments.plan_days_help")),
            (words.t("experiments.plan_found"), reached, words.t("experiments.plan_found_help")),
        ]
    )


def _registering(desk: Desk, draft: Draft) -> None:
    words, viewer, home = desk.words, state.viewer(), desk.workspace.home
    with st.form("e_register", border=True), st.container(horizontal=True, vertical_alignment="bottom"):
        named = st.text_input(words.t("experiments.plan_id"), placeholder="new_offer", key="e_plan_id").strip()
        title = st.text_input(words.t("experiments.plan_name"), key="e_plan_name")
        variant = st.text_input(words.t("experiments.plan_variant"), value="variant", key="e_plan_variant").strip()
        sent = st.form_submit_button(words.t("experiments.plan_register"), icon=":material/app_registration:")
    if sent:

        def register() -> None:
            values = experiment_planned.definition(draft, named, title, variant)
            experiment_planned.register(home, viewer, values)
            state.hold(_REGISTERED, values)

        if controls.done(words, register):
            st.rerun()
    kept = state.held(_REGISTERED, None)
    if kept:
        st.success(words.t("experiments.plan_registered", id=kept["experiment_id"]), icon=":material/check:")
        st.code(toml_text.table(kept, "experiments.experiments"), language="toml")
