"""Journeys: where do customers stop, and who can still be helped?"""

from __future__ import annotations

import streamlit as st

from engine.ui import controls, state
from engine.ui.views import drop_offs
from engine.ui.views import funnel as views
from engine.workflows.view import journeys

desk = controls.open_page("journeys")
words, run = desk.words, desk.run


def pickers() -> tuple[str, str, bool]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        known = state.ask(journeys.listed, run)
        journey = controls.choice(
            words, "journeys.journey", known, "j_id", {name: words.name("journey", name) for name in known}
        )
        ways = state.ask(journeys.breakdowns, run, journey)
        breakdown = controls.choice(
            words, "journeys.breakdown", ways, "j_by", {way: words.label("breakdown", way) for way in ways}
        )
        units = {"counts": words.t("journeys.counts"), "shares": words.t("journeys.shares")}
        unit = controls.switch(words, "journeys.unit", tuple(units), "j_unit", units)
    return journey, breakdown, unit == "shares"


def group_of(journey: str, breakdown: str) -> str:
    if breakdown == "all":
        return "all"
    rows = state.ask(journeys.funnel, run, journey, breakdown)
    first = rows[rows["step_index"] == 1].sort_values("customers", ascending=False)
    groups = tuple(first["group"])
    return controls.choice(
        words, "journeys.group", groups, "j_group", {group: words.label(breakdown, group) for group in groups}
    )


def funnel(journey: str, breakdown: str, group: str, as_share: bool) -> None:
    rows = state.ask(journeys.funnel, run, journey, breakdown)
    chosen = rows[rows["group"] == group].reset_index(drop=True)
    mark = controls.show(
        words, views.steps(chosen, words, journey, as_share=as_share), f"j_funnel_{journey}", views.SELECTION
    )
    if state.newly("j_clicked", mark) and mark is not None:
        state.choose("j_step", str(int(mark["step_index"])), "1")
        state.choose("j_outcome", mark["outcome"], "dropped")


def matrix(journey: str, breakdown: str) -> None:
    rows = state.ask(journeys.funnel, run, journey, breakdown)
    everybody = state.ask(journeys.funnel, run, journey, "all")
    figure = views.matrix(rows, everybody, words, breakdown)
    mark = controls.show(words, figure, f"j_matrix_{journey}_{breakdown}", views.CELL)
    if state.newly("j_cell", mark) and mark is not None:
        state.choose("j_step", str(int(mark["step_index"])), "1")
        state.choose("j_outcome", "dropped", "dropped")
        state.choose_next("j_group", mark["group"])


def behind(journey: str, breakdown: str, group: str) -> None:
    st.caption(words.t("journeys.behind_hint"))
    rows = state.ask(journeys.funnel, run, journey, "all")
    steps = {str(row["step_index"]): words.label("step", row["step"]) for row in rows.to_dict("records")}
    outcomes = views.outcomes_at(rows, state.bound("j_step", tuple(steps), "1"))
    with st.container(horizontal=True):
        step = controls.choice(words, "journeys.step", tuple(steps), "j_step", steps)
        outcome = controls.choice(
            words, "journeys.outcome", outcomes, "j_outcome", {name: words.label("outcome", name) for name in outcomes}
        )
    bar = journeys.Bar(journey=journey, step_index=int(step), outcome=outcome, breakdown=breakdown, group=group)
    total, _ = state.ask(journeys.behind, run, bar, 0)
    named = words.label("outcome", outcome)
    st.markdown(
        "**" + words.t("journeys.behind_count", count=words.number(total), outcome=named, step=steps[step]) + "**"
    )
    offset = controls.page_number(total, f"j_page_{journey}_{step}_{outcome}_{breakdown}_{group}")
    _, found = state.ask(journeys.behind, run, bar, controls.ROWS_A_PAGE, offset)
    if len(found):
        controls.customers(words, views.people(found, words), tuple(found["customer_id"]), "j_people")


def on_the_way(journey: str) -> None:
    st.caption(drop_offs.trust(state.ask(journeys.forecasts, run, journey), words))
    total, _ = state.ask(journeys.on_the_way, run, journey, 0)
    st.markdown("**" + words.t("journeys.open_count", count=words.number(total)) + "**")
    offset = controls.page_number(total, f"j_open_{journey}")
    _, found = state.ask(journeys.on_the_way, run, journey, controls.ROWS_A_PAGE, offset)
    if len(found):
        people = drop_offs.open_people(found, words)
        controls.customers(words, people, tuple(found["customer_id"]), "j_open", "journeys.open_customer")


with controls.section(words, "journeys.funnel", "journeys.funnel_help"):
    journey, breakdown, as_share = pickers()
    group = group_of(journey, breakdown)
    funnel(journey, breakdown, group, as_share)
    if breakdown != "all":
        with controls.section(words, "journeys.matrix", "journeys.matrix_help", within=True):
            matrix(journey, breakdown)
    with controls.section(words, "journeys.behind", within=True):
        behind(journey, breakdown, group)
    with controls.section(words, "journeys.cost", "journeys.cost_help", within=True):
        rows = state.ask(journeys.drop_offs, run, journey)
        controls.show(words, drop_offs.cost(rows, words, journey), f"j_cost_{journey}")
    with controls.section(words, "journeys.friction", "journeys.friction_help", within=True):
        signs = state.ask(journeys.friction, run, journey)
        controls.show(words, drop_offs.friction(signs, words), f"j_friction_{journey}")
    with controls.section(words, "journeys.open", "journeys.open_help", within=True):
        on_the_way(journey)
