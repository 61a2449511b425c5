"""Recommendations: what are we telling whom, and what did we hold back?"""

from __future__ import annotations

import streamlit as st

from engine.ui import controls, state
from engine.ui.views import offer_groups
from engine.ui.views import recommendations as views
from engine.workflows.view import recommendations

desk = controls.open_page("recommendations")
words, run = desk.words, desk.run


def gates() -> None:
    counted = state.ask(recommendations.considered, run)
    controls.tiles(views.tiles(counted, words))
    controls.show(words, views.gates(state.ask(recommendations.gates, run), words, counted[0]), "r_gates")


def refused() -> None:
    rows = state.ask(recommendations.gates, run)
    asked = rows[rows["refused_pairs"] > 0].sort_values("refused_pairs", ascending=False)
    named = {row["gate"]: words.pick(row["text_en"], row["text_zh"]) for row in asked.to_dict("records")}
    if not named:
        st.write(words.t("recommendations.finding_none_refused"))
        return
    gate = controls.choice(words, "recommendations.gate", tuple(named), "r_gate", named)
    bit = int(asked.loc[asked["gate"] == gate, "bit"].iloc[0])
    total, _ = state.ask(recommendations.refused_by, run, bit, 0)
    st.subheader(words.t("recommendations.refused_count", count=words.number(total)))
    offset = controls.page_number(total, f"r_page_{gate}")
    _, found = state.ask(recommendations.refused_by, run, bit, controls.ROWS_A_PAGE, offset)
    controls.customers(words, views.refused(found, words), tuple(found["customer_id"]), "r_people")


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


with controls.section(words, "recommendations.gates", "recommendations.gates_help"):
    gates()
with controls.section(words, "recommendations.refused"):
    refused()
with controls.section(words, "recommendations.offers_section"):
    controls.show(words, views.offers(state.ask(recommendations.offers, run), words), "r_offers")
with controls.section(words, "recommendations.groups_section", "recommendations.groups_help"):
    groups()
with controls.section(words, "recommendations.race_section", "recommendations.race_help"):
    race = state.ask(recommendations.models, run)
    st.markdown(f"**{views.race_finding(race, words)}**")
    controls.table(views.race(race, words), "r_race")
with controls.section(words, "recommendations.rules_section", "recommendations.rules_help"):
    rules()
