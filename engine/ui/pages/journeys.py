"""Journeys: where do customers stop, and who can still be helped?"""

from __future__ import annotations

import streamlit as st

from engine.ui import controls, people, state
from engine.ui.views import drop_offs, journey_flow
from engine.ui.views import funnel as views
from engine.workflows.view import journeys, selection

ALL = "all"
SHOWN = ("funnel", "flow")

desk = controls.open_page("journeys")
words, run, viewer = desk.words, desk.run, desk.viewer


def pickers() -> tuple[str, str, str, str, bool]:
    """Draw the filters, and return the journey, what it is broken down by, the group, the view, and whether in %."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        known = state.ask(journeys.listed, run)
        journey = controls.choice(
            words, "journeys.journey", known, "j_id", {name: words.name("journey", name) for name in known}
        )
        ways = state.ask(journeys.breakdowns, viewer, run, journey)
        breakdown = controls.choice(
            words, "journeys.breakdown", ways, "j_by", {way: words.label("breakdown", way) for way in ways}
        )
        group = group_of(journey, breakdown)
        units = {"counts": words.t("journeys.counts"), "shares": words.t("journeys.shares")}
        unit = controls.switch(words, "journeys.unit", tuple(units), "j_unit", units)
        named = {name: words.t(f"journeys.as_{name}") for name in SHOWN}
        shown = controls.switch(words, "journeys.shown", SHOWN, "j_view", named)
    return journey, breakdown, group, shown, unit == "shares"


def group_of(journey: str, breakdown: str) -> str:
    if breakdown == ALL:
        return ALL
    rows = state.ask(journeys.funnel, viewer, run, journey, breakdown)
    first = rows[rows["step_index"] == 1].sort_values("customers", ascending=False)
    groups = (ALL, *first["group"])
    named = {group: words.label(breakdown, group) for group in groups} | {ALL: words.t("journeys.all_groups")}
    return controls.choice(words, "journeys.group", groups, "j_group", named)


def how_far(journey: str, breakdown: str, group: str, shown: str, as_share: bool) -> None:
    """Draw the funnel or the flow: of one group, or of all of them."""
    if shown == "flow":
        rows = state.ask(journeys.funnel, viewer, run, journey, breakdown)
        controls.rounding(words, rows)
        figure = journey_flow.flow(rows, words, journey, group, as_share=as_share)
        controls.show(words, figure, f"j_flow_{journey}_{breakdown}_{group}")
        return
    rows = state.ask(journeys.funnel, viewer, run, journey, ALL if group == ALL else breakdown)
    controls.rounding(words, rows)
    chosen = rows[rows["group"] == group].reset_index(drop=True)
    controls.show(
        words, views.steps(chosen, words, journey, as_share=as_share), f"j_funnel_{journey}_{breakdown}_{group}"
    )


def matrix(journey: str, breakdown: str) -> None:
    rows = state.ask(journeys.funnel, viewer, run, journey, breakdown)
    everybody = state.ask(journeys.funnel, viewer, run, journey, ALL)
    controls.rounding(words, rows)
    controls.show(words, views.matrix(rows, everybody, words, breakdown), f"j_matrix_{journey}_{breakdown}")


def on_the_way(journey: str) -> None:
    st.caption(drop_offs.trust(state.ask(journeys.forecasts, run, journey), words))
    people.opener(desk, "j", selection.of("journey_open", journey=journey))


with controls.section(words, "journeys.funnel", "journeys.funnel_help"):
    journey, breakdown, group, shown, as_share = pickers()
    st.caption(words.t("people.hint"))
    how_far(journey, breakdown, group, shown, as_share)
    if breakdown != ALL:
        with controls.section(words, "journeys.matrix", "journeys.matrix_help", within=True):
            matrix(journey, breakdown)
    with controls.section(words, "journeys.cost", "journeys.cost_help", within=True):
        rows = state.ask(journeys.drop_offs, viewer, run, journey)
        controls.rounding(words, rows)
        controls.show(words, drop_offs.cost(rows, words, journey), f"j_cost_{journey}")
    with controls.section(words, "journeys.friction", "journeys.friction_help", within=True):
        signs = state.ask(journeys.friction, viewer, run, journey)
        controls.rounding(words, signs)
        controls.show(words, drop_offs.friction(signs, words), f"j_friction_{journey}")
    with controls.section(words, "journeys.open", "journeys.open_help", within=True):
        on_the_way(journey)
people.drawer(desk, "j")
