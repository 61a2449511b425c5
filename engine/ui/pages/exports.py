"""Exports and feedback: what left the building, who received it, what came back?"""

from __future__ import annotations

import streamlit as st

from engine.domain.access import Right
from engine.domain.errors import WaylineError
from engine.ui import comments, controls, people, state
from engine.ui.views import audiences as audience_views
from engine.ui.views import exports as views
from engine.ui.views import feedback as feedback_views
from engine.workflows.export_approvals import Waiting
from engine.workflows.export_plan import Wanted
from engine.workflows.view import audiences, exports

FIRST = "wayline audience save FILE\nwayline export AUDIENCE --to generic --dry-run\n"
FIRST += "wayline export AUDIENCE --to generic --by NAME"
REPORTED = "wayline feedback load FILE --from generic"
CHOSEN = "x_id"

desk = controls.open_page("exports")
words, home, viewer = desk.words, state.home(), desk.viewer


def listing(total: int, rows: tuple[exports.Handed, ...]) -> exports.Handed:
    """Draw what left, and return the export that is chosen: the newest by default."""
    st.markdown(f"**{views.finding(total, rows, words)}**")
    by_key = {one.key: one for one in rows}
    written = {
        words.t(f"exports.{name}"): st.column_config.Column(help=words.t(f"exports.{name}_help"), width="small")
        for name in ("rejected", "signed")
    }
    marked = controls.row_of(views.listing(rows, words), "x_list", written)
    if state.newly("x_marked", rows[marked].key if marked is not None else None) and marked is not None:
        state.choose(CHOSEN, rows[marked].key, rows[0].key)
    if total > len(rows):
        st.caption(words.t("exports.newest", n=words.number(len(rows)), total=words.number(total)))
    named = {key: views.called(one, words) for key, one in by_key.items()}
    return by_key[controls.choice(words, "exports.export", tuple(by_key), CHOSEN, named)]


def inside(one: exports.Handed) -> None:
    if one.manifest is None:
        st.write(views.unread(one, words))
        return
    controls.show(words, views.inside(one, words), "x_inside")
    marks = views.member_marks(one, words)
    if marks:
        controls.mark_picker(words, marks, "x_members")
    st.caption(controls.plain(views.facts(one, one.manifest, words)))
    why = views.reasons(one.manifest, exports.REASONS, words)
    if len(why):
        st.subheader(words.t("exports.why"))
        controls.sentences(why)


def files(one: exports.Handed) -> None:
    if one.manifest is not None:
        controls.table(views.files(one.manifest, words), "x_files")
        checking(one)
    st.subheader(words.t("exports.command"))
    st.code(views.commands(one), language=None, wrap_lines=True)


def taking_back(one: exports.Handed) -> None:
    may = viewer.may(Right.APPROVE_EXPORT) and one.revoked_by is None
    if not may or not one.is_of_audience or one.to is None or "/" not in one.to:
        return
    with st.expander(words.t("exports.take_back"), icon=":material/undo:"), st.form("x_revoke", border=False):
        st.write(words.t("exports.take_back_text"))
        note = st.text_input(words.t("exports.note"), key="x_revoke_note")
        asked = st.form_submit_button(words.t("exports.take_back"), icon=":material/undo:")
    if asked and controls.done(words, lambda: exports.revoke(viewer, home, one, note)):
        st.rerun()


def checking(one: exports.Handed) -> None:
    if not st.button(words.t("exports.check"), icon=":material/verified_user:"):
        return
    with st.spinner(words.t("exports.checking")):
        # asked anew each time: a file may have changed since
        found = state.ask_freely(exports.check, viewer, one)
    key = "exports.checked" if found["signed_by"] else "exports.checked_unsigned"
    told = words.t(key, files=words.number(found["files"]), rows=words.number(found["rows"]), signer=found["signed_by"])
    st.success(told, icon=":material/check_circle:")


def back(one: exports.Handed, stamp: str) -> None:
    found = state.ask(exports.came_back, viewer, home, one, stamp)
    if found is None:
        st.write(words.t("exports.nothing_back"))
        st.code(REPORTED, language=None)
        return
    tools = {group["source"]: group for group in found.groups}
    tool = controls.switch(words, "exports.tool", tuple(tools), "x_tool")
    controls.show(words, feedback_views.funnel(tools[tool], words), "x_funnel")
    st.subheader(words.t("exports.control"))
    told, table = feedback_views.control(found.comparison, words)
    st.markdown(controls.plain(told))
    if len(table):
        controls.table(table, "x_control")
        st.caption(words.t("exports.control_note"))


def waiting(rows: list[Waiting]) -> None:
    if not rows:
        st.write(words.t("exports.none_waiting"))
        return
    st.markdown(f"**{views.waiting_finding(rows, words)}**")
    controls.table(views.waiting(rows, words), "x_waiting")
    agreed = [one for one in rows if one.approved_by is not None]
    if agreed:
        st.caption(words.t("exports.ask_again"))
        st.code("\n".join(views.asked_again(one) for one in agreed), language=None, wrap_lines=True)
    approving([one for one in rows if one.approved_by is None])


def approving(rows: list[Waiting]) -> None:
    if not rows or not viewer.may(Right.APPROVE_EXPORT):
        return
    with st.form("x_approve", border=True):
        st.markdown(words.t("exports.approve_text"))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            place = st.selectbox(
                words.t("exports.which"),
                range(len(rows)),
                format_func=lambda at: f"{views.named(rows[at], words)} · {rows[at].destination} · {rows[at].asked_by}",
            )
            note = st.text_input(words.t("exports.note"), key="x_note")
            asked = st.form_submit_button(words.t("exports.approve"), icon=":material/how_to_reg:")
    if asked and controls.done(words, lambda: exports.approve(viewer, home, rows[place], note)):
        st.rerun()


def new_export() -> None:
    """Draw what an export would do, and ask for it."""
    viewer.require(Right.REQUEST_EXPORT)
    kept = [row for row in state.ask(audiences.listed, home, audiences.stamp(home)) if row["retired_at"] is None]
    if not kept:
        st.write(words.t("exports.none_kept"))
        return
    named = {"": words.t("exports.no_audience")} | {row["audience"]: audience_views.named(row, words) for row in kept}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        audience = controls.choice(words, "audiences.audience", tuple(named), "x_audience", named)
        if not audience:
            return
        places = exports.destinations(viewer, home, audience)
        if not places:
            st.write(words.t("exports.no_destination"))
            return
        preset = controls.choice(words, "exports.to_preset", tuple(places), "x_to")
        told = {name: words.label("channel", name) for name in places[preset]}
        channel = controls.choice(words, "exports.on_channel", places[preset], "x_channel", told)
    wanted = Wanted(audience=audience, preset=preset, channel=channel, run_id=desk.run.run_id)
    found = state.ask(exports.dry_run, viewer, home, wanted, stamp)
    controls.show(words, views.trial(found, words), "x_trial")
    for why in found["refused"]:
        st.warning(words.t("exports.refused_so", why=why), icon=":material/front_hand:")
    if st.button(words.t("exports.ask_now"), type=state.emphasis(), icon=":material/outbox:"):
        asking(wanted)


def asking(wanted: Wanted) -> None:
    try:
        made = exports.request(viewer, home, wanted)
    except WaylineError as fault:
        st.error(words.sentence(fault), icon=":material/error:")
        return
    rows = words.number(made["counts"]["exported"])
    st.success(words.t("exports.made", rows=rows, folder=made["folder"]), icon=":material/check_circle:")


def asked_for() -> None:
    with controls.section(words, "exports.head_new", "exports.help_new"):
        new_export()


chosen: exports.Handed | None = None
stamp = exports.stamp(home)
begins = bool(state.addressed("x_audience"))  # who comes with an audience comes to export it
if begins:
    asked_for()
with controls.section(words, "exports.head_left", "exports.help_left"):
    total, rows = state.ask(exports.handed, viewer, home, stamp)
    waits = state.ask(exports.waiting, viewer, home, stamp)
    controls.tiles(views.tiles(total, rows, waits, words))
    if rows:
        chosen = listing(total, rows)
    else:
        st.write(words.t("exports.none"))
        st.code(FIRST, language=None)
        st.write(words.t("exports.none_offers"))
        st.code("wayline export recommendations", language=None)
if chosen is not None:
    left, right = st.columns(2, gap="large")
    with left, controls.section(words, "exports.head_inside", "exports.help_inside"):
        inside(chosen)
    with right, controls.section(words, "exports.head_back", "exports.help_back"):
        back(chosen, stamp)
    with controls.section(words, "exports.head_files"):
        files(chosen)
        taking_back(chosen)
        comments.folded(words, "export", chosen.key)
if not begins:
    asked_for()
with controls.section(words, "exports.head_waiting", "exports.help_waiting"):
    waiting(state.ask(exports.waiting, viewer, home, stamp))
people.drawer(desk, "x")
