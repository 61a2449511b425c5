"""Risk: who is lent to, what may be lost, is the model still right, how do groups fare, who needs attention?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import streamlit as st

from engine.ui import controls, people, policies, state
from engine.ui.views import risk as views
from engine.ui.views import risk_attention, risk_groups, risk_lending, risk_losses, risk_model, risk_moves
from engine.ui.words import capital
from engine.workflows.view import risk, selection
from engine.workflows.view import risk_lending as lending
from engine.workflows.view import risk_watch as watch

_FLAGGED_UNFOLDED: Final = 20

desk = controls.open_page("risk")
words, run, viewer = desk.words, desk.run, desk.viewer


def who_is_lent_to() -> None:
    left, right = st.columns(2, gap="medium")
    with left, controls.section(words, "risk.answers", "risk.answers_help"):
        controls.show(words, risk_lending.answers(state.ask(lending.answers, viewer, run), words), "k_answers")
    with right, controls.section(words, "risk.tiers"):
        controls.show(words, views.tiers(state.ask(risk.tiers, viewer, run), words), "k_tiers")
    with controls.section(words, "risk.gate_reasons", "risk.gate_reasons_help"):
        controls.show(
            words, risk_lending.gate_reasons(state.ask(lending.gate_reasons, viewer, run), words), "k_gate_reasons"
        )
    with controls.section(words, "risk.decisions", "risk.decisions_help"):
        controls.show(words, risk_lending.decisions(state.ask(lending.decisions, viewer, run), words), "k_decisions")
    with controls.section(words, "risk.credit_reasons", "risk.credit_reasons_help"):
        rows = state.ask(lending.credit_reasons, viewer, run)
        controls.show(words, risk_lending.credit_reasons(rows, words), "k_credit_reasons")
    with controls.section(words, "risk.terms", "risk.terms_help"):
        on_which_terms()


def on_which_terms() -> None:
    families = state.ask(lending.families, viewer, run)
    if not families:
        st.write(words.t("risk.finding_no_decision"))
        return
    family = controls.switch(
        words, "risk.family", families, "r_family", {name: words.label("family", name) for name in families}
    )
    rows = state.ask(lending.terms, viewer, run, family)
    controls.show(words, risk_lending.terms(rows, words, family), f"k_terms_{family}")


def what_may_be_lost() -> None:
    with controls.section(words, "risk.stages", "risk.stages_help"):
        rows = state.ask(lending.stages, viewer, run)
        figures, unit = risk_losses.tiles(rows, words)
        controls.tiles(figures)
        st.caption(unit)
        controls.show(words, risk_losses.stages(rows, words), "k_stages")
    with controls.section(words, "risk.losses", "risk.losses_help"):
        controls.show(words, views.losses(state.ask(risk.tiers, viewer, run), words), "k_losses")


def is_the_model_still_right() -> None:
    with controls.section(words, "risk.cautions", "risk.cautions_help"):
        finding, table = risk_model.cautions(
            state.ask(watch.cautions, viewer, run), state.ask(watch.under_caution, viewer, run), words
        )
        st.markdown(f"**{finding}**")
        if len(table):
            controls.sentences(table)
    with controls.section(words, "risk.models", "risk.models_help"):
        controls.show(words, risk_model.models(state.ask(risk.measures, viewer, run), words), "k_models")
    left, right = st.columns(2, gap="medium")
    with left, controls.section(words, "risk.calibration", "risk.calibration_help"):
        controls.show(words, risk_model.calibration(state.ask(risk.measures, viewer, run), words), "k_calibration")
    with right, controls.section(words, "risk.agreement", "risk.agreement_help"):
        controls.show(words, risk_model.agreement(state.ask(risk.measures, viewer, run), words), "k_agreement")
    with controls.section(words, "risk.stability", "risk.stability_help"):
        has_anything_drifted()


def has_anything_drifted() -> None:
    populations = state.ask(watch.populations, viewer, run)
    for sentence in risk_model.matured(state.ask(watch.matured, viewer, run), words):
        st.write(sentence)
    if not populations:
        st.write(words.t("risk.finding_no_stability"))
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        named = {name: words.label("population", name) for name in populations}
        population = controls.switch(words, "risk.population", populations, "r_population", named)
        rows = state.ask(watch.stability, viewer, run, population)
        whats = tuple(dict.fromkeys(rows["what"]))
        what = controls.choice(
            words, "risk.what_moved", whats, "r_what", {name: risk_model.what_name(name, words) for name in whats}
        )
    left, right = st.columns(2, gap="medium")
    with left:
        controls.show(words, risk_model.latest(rows, words), f"k_latest_{population}")
    with right:
        controls.show(words, risk_model.history(rows, words, what), f"k_history_{population}_{what}")


def what_the_scorecard_is_made_of() -> None:
    with controls.section(words, "risk.scores"):
        controls.show(words, views.scores(state.ask(risk.scores, viewer, run), words), "k_scores")
    with controls.section(words, "risk.scorecard", "risk.scorecard_help"):
        rows = state.ask(risk.scorecard, viewer, run)
        st.markdown(f"**{views.scorecard_finding(rows, words)}**")
        controls.table(views.scorecard(rows, words), "k_scorecard", views.scorecard_columns(words), views.height(rows))
    with controls.section(words, "risk.rejects", "risk.rejects_help"):
        controls.show(words, risk_model.rejects(state.ask(watch.reject_inference, viewer, run), words), "k_rejects")


def how_groups_fare() -> None:
    with controls.section(words, "risk.groups", "risk.groups_help"):
        attributes = state.ask(watch.attributes, viewer, run)
        if not attributes:
            st.write(words.t("risk.finding_no_groups"))
            return
        with st.container(horizontal=True, vertical_alignment="bottom"):
            names = {name: capital(words.pick(*told)) for name, told in attributes.items()}
            attribute = controls.choice(words, "risk.attribute", tuple(names), "r_attribute", names)
            rows = state.ask(watch.fairness, viewer, run, attribute)
            measures = risk_groups.known(rows)
            named = {name: words.label("fairness_measure", name) for name in measures}
            measure = controls.choice(words, "risk.measure", measures, "r_measure", named)
        controls.show(words, risk_groups.groups(rows, words, measure), f"k_groups_{attribute}_{measure}")
    with controls.section(words, "risk.flagged", "risk.flagged_help"):
        finding, table = risk_groups.flagged(state.ask(watch.flagged, viewer, run), words)
        st.markdown(f"**{finding}**")
        if len(table):
            with st.container(
                height=views.height(table) if len(table) > _FLAGGED_UNFOLDED else "content", border=False
            ):
                controls.sentences(table)


def who_needs_attention() -> None:
    left, right = st.columns(2, gap="medium")
    with left, controls.section(words, "risk.watch_list", "risk.watch_list_help"):
        rows, silent = state.ask(watch.severities, viewer, run), state.ask(watch.silent_triggers, viewer, run)
        controls.show(words, risk_attention.severities(rows, silent, words), "k_watch")
    with right, controls.section(words, "risk.reassessment", "risk.reassessment_help"):
        controls.show(words, risk_attention.reassessments(state.ask(watch.reassessments, viewer, run), words), "k_due")
    with controls.section(words, "risk.treatments", "risk.treatments_help"):
        controls.show(words, risk_attention.treatments(state.ask(watch.treatments, viewer, run), words), "k_treatments")
    with controls.section(words, "risk.people"):
        the_customers()


def the_customers() -> None:
    """Place what opens the lists of those who need attention."""
    for one in (
        *(selection.of("attention", list=name) for name in watch.LISTED),
        selection.of("reassessment", cause="all", due="due"),
    ):
        people.opener(desk, "k", one)


def how_it_moves() -> None:
    with controls.section(words, "risk.moves", "risk.moves_help"):
        named = {kind: words.label("move_kind", kind) for kind in risk_moves.KINDS}
        kind = controls.switch(words, "risk.move_kind", risk_moves.KINDS, "r_moves", named)
        rows = state.ask(watch.moves, viewer, run, kind)
        controls.show(words, risk_moves.moves(rows, words, kind), f"k_moves_{kind}")
    with controls.section(words, "risk.vintages", "risk.vintages_help"):
        controls.show(words, risk_moves.vintages(state.ask(watch.vintages, viewer, run), words), "k_vintages")


def policy_changes() -> None:
    with controls.section(words, "policies.section", "policies.section_help"):
        policies.changes(desk)


PARTS: Final[dict[str, Callable[[], None]]] = {
    "lending": who_is_lent_to,
    "losses": what_may_be_lost,
    "model": is_the_model_still_right,
    "scorecard": what_the_scorecard_is_made_of,
    "groups": how_groups_fare,
    "attention": who_needs_attention,
    "movement": how_it_moves,
    "changes": policy_changes,
}

part = controls.switch(
    words, "risk.part", tuple(PARTS), "r_part", {name: words.label("risk_part", name) for name in PARTS}
)
st.caption(words.t(f"risk.part_{part}"))
PARTS[part]()
people.drawer(desk, "k")
