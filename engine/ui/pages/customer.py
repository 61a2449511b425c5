"""Customer: what happened to this one, and why this advice?"""

from __future__ import annotations

from functools import partial
from typing import Final

import streamlit as st

from engine.domain.access import Right
from engine.domain.errors import WaylineError
from engine.domain.words import CONTACT_CHANNELS
from engine.ui import controls, state
from engine.ui.views import customer as views
from engine.workflows import customer_risk_told, offer_words, personal
from engine.workflows.customer_risk import RiskAnswers
from engine.workflows.view import customer, recommendations
from engine.workflows.view.customer import TIMELINE_EVENTS, Customer

_TOPICS: Final = (("gate", "credit", "overrides"), ("losses", "treatment", "watch", "reassessment"))
"""What risk answers, by column: what is allowed on the left, what stands behind it on the right."""

desk = controls.open_page("customer")
words, run, viewer = desk.words, desk.run, desk.viewer


def begin_with() -> None:
    st.caption(words.t("customer.start"))
    with st.container(horizontal=True):
        for one in state.ask(customer.some, viewer, run):
            controls.link(words, "customer", one, ":material/person:", c_id=one)


def risk(found: Customer) -> None:
    answers = state.ask_freely(customer.risk_answers, viewer, run, found.customer_id)
    if not answers.rows:
        run.require("risk_gate")
    if found.risk is not None and found.risk["score"] is not None:
        st.write(views.risk_line(found.risk, words))
    naming = state.ask(customer_risk_told.naming, desk.workspace)
    columns = st.columns(2, gap="large")
    for column, topics in zip(columns, _TOPICS, strict=True):
        with column:
            for topic in topics:
                st.subheader(words.label("risk_topic", topic))
                if topic == "credit":
                    answers = lifted(answers, found.customer_id)
                told = customer_risk_told.statements(answers, naming)
                controls.answers(views.sentences(told, topic, words))


def lifted(answers: RiskAnswers, customer_id: str) -> RiskAnswers:
    """Ask only when wanted: what would lift a decline is worked out from all records of the customer."""
    if not any(row["outcome"] == "decline" for row in answers.rows.get("credit", ())):
        return answers
    if not st.button(words.t("customer.what_if"), help=words.t("customer.what_if_help"), icon=":material/swap_vert:"):
        return answers
    with st.spinner(words.t("customer.working")):
        return state.ask_freely(customer.what_would_lift, viewer, answers, desk.workspace, run, customer_id)


def offers(found: Customer) -> None:
    run.require("recommendations")
    lines = views.offers(found.offers, words) if found.offers is not None else []
    standing = state.ask_freely(offer_words.standing, run, found.customer_id)
    told = [words.pick(*text) for text in standing] + lines
    for line in told or [words.t("customer.no_offers")]:
        st.markdown(line)


def explain(found: Customer) -> None:
    run.require("decisions")
    if found.decisions is not None:
        figure = views.explain(found.decisions, state.ask(recommendations.gates, viewer, run), words)
        controls.show(words, figure, "c_explain", unfolded=True)


def personal_data(found: Customer) -> None:
    viewer.require(Right.SEE_NAMES)
    if not found.personal:
        st.write(words.t("customer.nothing_personal"))
        return
    controls.sentences(views.personal(found.personal, words))
    if viewer.may(Right.SEE_PERSONAL):
        asked = st.button(words.t("customer.reveal"), icon=":material/visibility:", key="c_reveal")
        if asked:
            st.dialog(words.t("customer.reveal_title"), width="medium")(revealing)(found.customer_id)


def revealing(customer_id: str) -> None:
    """Ask why; then show the data in full, in this dialog alone: they are in no state and gone once it is closed."""
    place = st.empty()
    with place.form("c_reveal_form", border=False):
        st.write(words.t("customer.reveal_told"))
        reason = st.selectbox(
            words.t("customer.reveal_why"),
            personal.REASONS,
            index=None,
            format_func=lambda one: words.label("reveal_reason", one),
            placeholder=words.t("control.choose"),
        )
        note = st.text_input(
            words.t("customer.reveal_note"),
            max_chars=personal.MOST_OF_A_NOTE,
            help=words.t("customer.reveal_note_help"),
        )
        asked = st.form_submit_button(words.t("customer.reveal"), type=state.emphasis(), icon=":material/visibility:")
    if not asked or reason is None:
        return
    try:
        found = personal.reveal(state.viewer(), desk.workspace, customer_id, reason, note)
    except WaylineError as fault:
        st.error(words.sentence(fault), icon=":material/error:")
        return
    with place.container():
        controls.sentences(views.revealed(found, words))
        st.caption(words.t("customer.reveal_kept"))


def contact(found: Customer) -> None:
    held = state.ask_freely(customer.not_contacted, desk.workspace, found.customer_id)
    if held:
        controls.table(views.not_contacted(held, words), "c_held")
    else:
        st.write(words.t("customer.may_contact"))
    if viewer.may(Right.SUPPRESS):
        with st.expander(words.t("customer.stop"), icon=":material/do_not_disturb_on:"):
            stopping(found.customer_id)


def stopping(customer_id: str) -> None:
    with st.form("c_stop", border=False):
        st.write(words.t("customer.stop_text"))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            channel = st.selectbox(
                words.t("customer.stop_channel"),
                (None, *CONTACT_CHANNELS),
                format_func=lambda one: words.label("channel", one) if one else words.t("customer.every_channel"),
                key="c_stop_channel",
            )
            note = st.text_input(words.t("customer.stop_why"), key="c_stop_note")
            asked = st.form_submit_button(words.t("customer.stop"), icon=":material/do_not_disturb_on:")
    act = partial(customer.stop_contacting, viewer, desk.workspace, customer_id, channel, note)
    if asked and controls.done(words, act):
        st.rerun()


def stages(found: Customer) -> None:
    run.require("journey_stages")
    if found.stages is not None:
        controls.table(views.stages(found.stages, words), "c_stages")


def show(found: Customer) -> None:
    controls.tiles(views.tiles(found, words, run.as_of))
    st.caption(views.cluster(found, words))
    with controls.section(words, "customer.personal", "customer.personal_help"):
        personal_data(found)
    with controls.section(words, "customer.offers"):
        offers(found)
    with controls.section(words, "customer.contact", "customer.contact_help"):
        contact(found)
    with controls.section(words, "customer.risk", "customer.risk_help"):
        risk(found)
    with controls.section(words, "customer.explain"):
        explain(found)
    with controls.section(words, "customer.stages"):
        stages(found)
    with controls.section(words, "customer.timeline"):
        st.caption(words.t("customer.timeline_help", limit=TIMELINE_EVENTS))
        controls.show(words, views.timeline(found.timeline, words), "c_timeline")


sought = controls.search(words, "customer.search", "c_id", "customer.placeholder")
if not sought:
    begin_with()
else:
    record = state.ask_freely(customer.find, viewer, desk.workspace, run, sought)
    if record is None:
        st.warning(words.t("customer.unknown", id=sought), icon=":material/person_off:")
        begin_with()
    else:
        show(record)
