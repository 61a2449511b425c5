"""The controls of a change that takes two persons: propose what was tried, approve, refuse, revoke, comment on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from functools import partial
from typing import Any, Final

import streamlit as st

from engine.domain.access import Right, Viewer
from engine.store.persons import same
from engine.ui import comments, controls, state
from engine.ui.controls import Desk
from engine.ui.views import policies as views
from engine.ui.views import what_if
from engine.ui.views.policies import Standing
from engine.workflows import policy_approvals as work
from engine.workflows.view import eligibility

OPEN: Final = ("waiting", "stale")
_TOLD: Final = "policies_told"


def submit(desk: Desk, found: Mapping[str, Any]) -> None:
    """Place what proposes a change that was just tried."""
    words, viewer, home = desk.words, state.viewer(), desk.workspace.home
    if not viewer.may(Right.PROPOSE_POLICY):
        return
    with st.form("r_propose", border=True):
        st.markdown(f"**{words.t('policies.propose_head')}**")
        st.caption(words.t("policies.propose_text"))
        note = st.text_input(words.t("policies.note"), key="r_propose_note")
        sent = st.form_submit_button(words.t("policies.propose"), icon=":material/send:")
    if sent:
        # what decides takes seconds to load, and most visits propose nothing
        from engine.workflows.recommend_simulate import Policy  # noqa: PLC0415

        policy = Policy(values=found["values"], source=found["policy"])

        def propose() -> None:
            one = work.propose(home, viewer, policy, note, simulated=found)
            state.hold(_TOLD, [("success", words.t("policies.proposed", n=one.number))])

        if controls.done(words, propose):
            st.rerun()


def changes(desk: Desk) -> None:
    """Place every change that waits, with what can be done with it, and below what was decided."""
    words = desk.words
    state.say_held(_TOLD)
    found = state.ask_freely(work.standings, desk.workspace)
    if not found:
        st.write(words.t("policies.none"))
        return
    waiting = [one for one in found if one[1] in OPEN]
    if not waiting:
        st.write(words.t("policies.none_waiting"))
    for one in waiting:
        with st.container(border=True):
            _waits(desk, one)
    done = [one for one in found if one[1] not in OPEN]
    if done:
        with controls.section(words, "policies.decided", within=True):
            controls.sentences(views.decided(done, words))
            _revoking(desk, [one for one in done if one[1] == "approved"])


def _waits(desk: Desk, standing: Standing) -> None:
    words, viewer, (one, how) = desk.words, state.viewer(), standing
    with st.container(horizontal=True, vertical_alignment="center"):
        head = words.t("policies.head", n=one.number, author=one.author, when=words.instant(one.proposed_at))
        st.markdown(f"**{controls.plain(head)}**", width="content")
        st.badge(words.label("change_status", how), color=views.BADGES[how])
    st.text(one.note)
    controls.sentences(views.settings(one.changes, words))
    effect = eligibility.simulated(state.viewer(), one.effect)
    controls.tiles(what_if.tiles(effect, words))
    st.markdown(controls.plain(what_if.finding(effect, words)))
    st.caption(words.t("policies.tried_on", run=one.run_id))
    with st.expander(words.t("policies.effect"), icon=":material/query_stats:"):
        controls.show(words, what_if.products(effect, words), f"policies_products_{one.number}")
        controls.show(words, what_if.gates(effect, words), f"policies_gates_{one.number}")
    _deciding(desk, standing, viewer)
    comments.folded(words, "policy_change", str(one.number))


def _deciding(desk: Desk, standing: Standing, viewer: Viewer) -> None:
    words, home, (one, how) = desk.words, desk.workspace.home, standing
    own = same(one.author, viewer.name)
    if how == "stale":
        st.warning(words.t("policies.stale"), icon=":material/update:")
    if own:
        st.caption(words.t("policies.own"))
        st.code(f'wayline policy approve {one.number} --by NAME --note "..."', language=None)
    if not own and not viewer.may(Right.APPROVE_POLICY):
        return
    with st.container(horizontal=True):
        if not own and how == "waiting":
            with (
                st.popover(words.t("policies.approve"), icon=":material/check:", type=state.emphasis()),
                st.form(f"policies_approve_{one.number}", border=False),
            ):
                day = st.date_input(
                    words.t("policies.from_day"),
                    value=desk.run.as_of.astimezone(UTC).date(),
                    help=words.t("policies.from_help"),
                    format="YYYY-MM-DD",
                )
                note = st.text_input(words.t("policies.note"), key=f"policies_approve_note_{one.number}")
                if st.form_submit_button(words.t("policies.approve")):
                    _do(desk, partial(work.approve, home, viewer, one.number, note, day))
        name = "withdraw" if own else "refuse"
        with (
            st.popover(words.t(f"policies.{name}"), icon=":material/close:"),
            st.form(f"policies_refuse_{one.number}", border=False),
        ):
            why = st.text_input(words.t("policies.note"), key=f"policies_refuse_note_{one.number}")
            if st.form_submit_button(words.t(f"policies.{name}")):
                _do(desk, partial(work.refuse, home, viewer, one.number, why))


def _revoking(desk: Desk, approved: list[Standing]) -> None:
    words, viewer, home = desk.words, state.viewer(), desk.workspace.home
    if not approved or not viewer.may(Right.APPROVE_POLICY):
        return
    with st.popover(words.t("policies.revoke"), icon=":material/undo:"), st.form("policies_revoke", border=False):
        st.caption(words.t("policies.revoke_text"))
        named = {one.number: f"{one.number}: {views.in_short(one.changes, words)}" for one, _ in approved}
        number = st.selectbox(words.t("policies.which"), tuple(named), format_func=lambda at: named.get(at, str(at)))
        note = st.text_input(words.t("policies.note"), key="policies_revoke_note")
        if st.form_submit_button(words.t("policies.revoke")):
            _do(desk, partial(work.revoke, home, viewer, int(number), note))


def _do(desk: Desk, act: Callable[[], Any]) -> None:
    words = desk.words

    def step() -> None:
        one = act()
        told = words.t("policies.done", n=one.number, status=words.label("change_status", one.status).lower())
        state.hold(_TOLD, [("success", told)])

    if controls.done(words, step):
        st.rerun()
