"""Recommendations: what are we telling whom, and what did we hold back?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from engine.ui import controls, people, state
from engine.ui import policies as approvals
from engine.ui.views import offer_groups, offer_limits
from engine.ui.views import recommendations as views
from engine.ui.views import what_if as what_if_views
from engine.workflows.view import eligibility, policies, recommendations

COMPARED: Final = "r_compared"
"""Under which the comparison last asked for is kept in this session: counts and sums, and a few ids of customers."""

desk = controls.open_page("recommendations")
words, run, viewer = desk.words, desk.run, desk.viewer


def gates() -> None:
    counted = state.ask(recommendations.considered, run)
    controls.tiles(views.tiles(counted, words))
    rows = state.ask(recommendations.gates, viewer, run)
    controls.rounding(words, rows)
    controls.show(words, views.gates(rows, words, counted[0]), "r_gates")


def chosen() -> None:
    # asked first: an older run has no such table, and its offers do not say how they were chosen
    apart = state.ask(recommendations.not_contacted, run)
    rows = state.ask(recommendations.selections, viewer, run)
    controls.rounding(words, rows)
    told, table = views.selections(rows, apart, words)
    st.markdown(f"**{told}**")
    controls.table(table, "r_chosen")
    controls.mark_picker(words, views.chosen_marks(rows, apart, words), "r_chosen")
    told, table = views.channel_responses(state.ask(recommendations.channel_responses, run), words)
    st.markdown(f"**{told}**")
    controls.table(table, "r_channels")


def rules() -> None:
    rows = state.ask(recommendations.product_rules, run)
    st.markdown(f"**{views.rules_finding(rows, words)}**")
    controls.table(views.rules(rows, words), "r_rules")


def groups() -> None:
    rows = state.ask(recommendations.fairness, run)
    if rows.empty:
        st.write(words.t("recommendations.no_groups"))
        return
    pairs = zip(rows["attribute"], rows["attribute_en"], rows["attribute_zh"], strict=True)
    named = {attribute: words.pick(en, zh) for attribute, en, zh in pairs}
    attribute = controls.switch(words, "recommendations.attribute", tuple(named), "r_attribute", named)
    controls.show(words, offer_groups.groups(rows, words, attribute), "r_groups")


def limits_to_try(now: policies.MainLimits) -> policies.MainLimits | None:
    """Draw the limits to try, set to those of the run; return them once the comparison is asked for."""
    digits = words.major(1)
    with st.form("r_policy"):
        left, right = st.columns(2, gap="large")
        with left:
            ratio = st.slider(words.t("what_if.debt_service"), 0, 100, round(now.max_debt_service_ratio * 100), 1)
            risk = st.slider(words.t("what_if.default"), 0.0, 50.0, float(now.max_default_probability * 100), 0.5)
            least = st.number_input(
                words.t("what_if.least", currency=words.currency),
                min_value=0.0,
                value=words.major(now.min_expected_value_minor),
                step=0.5,
            )
        with right:
            top = st.slider(words.t("what_if.top_n"), 1, 10, min(now.top_n, 10))
            contacts = now.max_contacts
            if now.cap is not None:
                contacts = st.slider(words.t("what_if.contacts"), 0, max(30, contacts), contacts)
        asked = st.form_submit_button(words.t("what_if.compare"), icon=":material/compare_arrows:")
    if not asked:
        return None
    return policies.MainLimits(
        max_debt_service_ratio=ratio / 100,
        max_default_probability=risk / 100,
        min_expected_value_minor=round(least / digits),
        top_n=top,
        cap=now.cap,
        max_contacts=contacts,
    )


def what_if() -> None:
    now = state.ask(policies.in_force, run)
    tried = limits_to_try(now)
    if tried is not None:
        state.hold(COMPARED, None)
        state.hold(COMPARED, simulated(tried.changes_from(now)))
    found = state.held(COMPARED, None)
    if found is not None and found["run_id"] == run.run_id:
        compared(eligibility.simulated(viewer, found))
        approvals.submit(desk, found)


def simulated(values: Mapping[str, Any]) -> dict[str, Any]:
    # what decides takes seconds to load, and most visits ask for no comparison
    from engine.workflows import policy_approvals  # noqa: PLC0415
    from engine.workflows.recommend_simulate import Policy  # noqa: PLC0415

    bar, working = st.progress(0.0, words.t("what_if.working")), words.t("what_if.working")

    def advance(done: int, total: int) -> None:
        bar.progress(done / total, working)

    policy = Policy(values=values, source=words.t("what_if.source"))
    try:
        return policy_approvals.simulate(desk.workspace.home, policy, run_id=run.run_id, progress=advance)
    finally:
        bar.empty()


def compared(found: Mapping[str, Any]) -> None:
    controls.tiles(what_if_views.tiles(found, words))
    controls.show(words, what_if_views.products(found, words), "r_if_products")
    controls.show(words, what_if_views.gates(found, words), "r_if_gates")
    known = what_if_views.breakdowns(found)
    if known:
        named = {name: words.label("breakdown", name) for name in known}
        breakdown = controls.switch(words, "what_if.by", known, "r_if_by", named)
        controls.show(words, what_if_views.moves(found, words, breakdown), "r_if_moves")
    st.markdown(f"**{controls.plain(what_if_views.groups_finding(found, words))}**")
    controls.table(what_if_views.groups(found, words), "r_if_groups")
    st.markdown(f"**{controls.plain(what_if_views.factors_finding(found, words))}**")
    controls.table(what_if_views.factors(found, words), "r_if_factors")


def limits() -> None:
    rows, measures = state.ask(recommendations.limits, run)
    if rows.empty:
        st.write(words.t("limits.none"))
        return
    controls.show(words, offer_limits.limits(rows, measures, words), "r_limits")
    moved = state.ask(recommendations.limit_changes, viewer, run)
    controls.rounding(words, moved)
    controls.show(words, offer_limits.changes(moved, words), "r_limit_changes")


with controls.section(words, "recommendations.gates", "recommendations.gates_help"):
    gates()
with controls.section(words, "recommendations.offers_section"):
    made = state.ask(recommendations.offers, viewer, run)
    controls.rounding(words, made)
    controls.show(words, views.offers(made, words), "r_offers")
with controls.section(words, "limits.section", "limits.section_help"):
    limits()
with controls.section(words, "recommendations.groups_section", "recommendations.groups_help"):
    groups()
with controls.section(words, "recommendations.chosen_section", "recommendations.chosen_help"):
    chosen()
with controls.section(words, "what_if.section", "what_if.section_help"):
    what_if()
with controls.section(words, "policies.section", "policies.section_help"):
    approvals.changes(desk)
with controls.section(words, "recommendations.race_section", "recommendations.race_help"):
    race = state.ask(recommendations.models, run)
    st.markdown(f"**{views.race_finding(race, words)}**")
    controls.table(views.race(race, words), "r_race")
with controls.section(words, "recommendations.rules_section", "recommendations.rules_help"):
    rules()
people.drawer(desk, "r")
