"""Customer: what happened to this one, and why this advice?"""

from __future__ import annotations

import streamlit as st

from engine.ui import controls, state
from engine.ui.views import customer as views
from engine.workflows.view import customer, recommendations
from engine.workflows.view.customer import TIMELINE_EVENTS, Customer

desk = controls.open_page("customer")
words, run = desk.words, desk.run


def begin_with() -> None:
    st.caption(words.t("customer.start"))
    with st.container(horizontal=True):
        for one in state.ask(customer.some, run):
            controls.link(words, "customer", one, ":material/person:", c_id=one)


def risk(found: Customer) -> None:
    if found.risk is None or found.risk["score"] is None:
        st.write(words.t("customer.risk_none"))
        return
    st.write(views.risk_line(found.risk, words))


def offers(found: Customer) -> None:
    run.require("recommendations")
    lines = views.offers(found.offers, words) if found.offers is not None else []
    for line in lines or [words.t("customer.no_offers")]:
        st.markdown(line)


def explain(found: Customer) -> None:
    run.require("decisions")
    if found.decisions is not None:
        figure = views.explain(found.decisions, state.ask(recommendations.gates, run), words)
        controls.show(words, figure, "c_explain", unfolded=True)


def stages(found: Customer) -> None:
    run.require("journey_stages")
    if found.stages is not None:
        controls.table(views.stages(found.stages, words), "c_stages")


def show(found: Customer) -> None:
    controls.tiles(views.tiles(found, words, run.as_of))
    st.caption(views.cluster(found, words))
    left, right = st.columns(2, gap="medium")
    with left, controls.section(words, "customer.offers"):
        offers(found)
    with right, controls.section(words, "customer.risk"):
        run.require("risk")
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
    record = state.ask_freely(customer.find, desk.workspace, run, sought)
    if record is None:
        st.warning(words.t("customer.unknown", id=sought), icon=":material/person_off:")
        begin_with()
    else:
        show(record)
