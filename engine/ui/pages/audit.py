"""Compliance and audit: can I prove what we did?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final

import streamlit as st

from engine.domain.access import Right
from engine.domain.errors import WaylineError
from engine.exports import dossier
from engine.ui import controls, state
from engine.ui.views import audit as views
from engine.workflows import audit_report, personal, subject_access
from engine.workflows.view import audit
from engine.workflows.view.audit import Filters

PERIODS: Final = ("all", "today", "7", "30", "90")
EVERYBODY: Final = "all"
AT_ONCE: Final = 10_000
"""Entries of the log that are checked as the page opens: half a second; more are checked when asked for."""
PARTS: Final = ("acts", "checks", "replay", "subject")

desk = controls.open_page("audit")
words, viewer, home = desk.words, desk.viewer, state.home()


def since(period: str) -> date | None:
    today = datetime.now(UTC).date()
    return None if period == "all" else today if period == "today" else today - timedelta(days=int(period))


def filters() -> Filters:
    """Draw the filters, which stand in the address, and return what they ask for."""
    actors, actions = state.ask_freely(audit.named, viewer, home)
    kinds = tuple(dict.fromkeys(one.partition(".")[0] for one in actions))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        told = {one: words.t(f"audit.period_{one}") for one in PERIODS}
        period = controls.switch(words, "audit.period", PERIODS, "y_period", told)
        everybody = {EVERYBODY: words.t("audit.everybody")}
        actor = EVERYBODY
        if viewer.may(Right.SEE_AUDIT):
            actor = controls.choice(words, "audit.actor", (EVERYBODY, *actors), "y_actor", everybody)
        everything = {EVERYBODY: words.t("audit.everything")} | {one: views.act(one, words) for one in kinds}
        kind = controls.choice(words, "audit.act", (EVERYBODY, *kinds), "y_act", everything)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        subject = controls.search(words, "audit.subject_begins", "y_subject", "audit.subject_example")
        customer = controls.search(words, "audit.about", "y_customer", "customer.placeholder")
    return Filters(
        since=since(period),
        actor="" if actor == EVERYBODY else actor,
        action="" if kind == EVERYBODY else f"{kind}.",
        subject=subject,
        customer_id=customer,
    )


def acts() -> None:
    if not viewer.may(Right.SEE_AUDIT):
        st.caption(words.t("audit.own_only", name=viewer.name))
    what = filters()
    total, _ = state.ask_freely(audit.found, viewer, home, what)
    st.markdown(f"**{words.t('audit.finding', n=words.number(total))}**")
    offset = controls.page_number(total, "y_page")
    _, rows = state.ask_freely(audit.found, viewer, home, what, offset)
    if not rows:
        return
    marked = controls.row_of(views.acts(rows, words), "y_rows")
    by_seq = {str(one.seq): one for one in rows}
    named = {seq: views.called(one, words) for seq, one in by_seq.items()}
    if state.newly("y_marked", str(rows[marked].seq) if marked is not None else None) and marked is not None:
        state.choose("y_entry", str(rows[marked].seq), str(rows[0].seq))
    chosen = by_seq[controls.choice(words, "audit.entry", tuple(by_seq), "y_entry", named)]
    with controls.section(words, "audit.head_entry", "audit.help_entry", within=True):
        controls.sentences(views.changed(state.ask_freely(audit.changes, viewer, home, chosen), words))
        st.caption(words.t("audit.hashes", previous=chosen.previous[:16], hash=chosen.hash[:16]))


def checks() -> None:
    viewer.require(Right.SEE_AUDIT)
    with st.spinner(words.t("audit.checking")):
        found = state.ask_freely(audit_report.coverage, viewer, home)
    st.markdown(f"**{views.finding(found, words)}**")
    controls.sentences(views.checks(found, words))
    with controls.section(words, "audit.head_report", "audit.help_report", within=True):
        report()


def report() -> None:
    told = {one: words.t(f"audit.period_{one}") for one in PERIODS}
    period = controls.switch(words, "audit.report_period", PERIODS, "y_report", told)

    def made() -> bytes:
        what = Filters(since=since(period))
        return dossier.packed(audit_report.report(state.viewer(), home, what, words.language))

    st.download_button(
        words.t("audit.download"),
        data=made,
        file_name=f"wayline-audit-{datetime.now(UTC):%Y-%m-%d}.zip",
        mime="application/zip",
        icon=":material/download:",
        on_click="ignore",
    )
    st.caption(words.t("audit.report_holds"))


def replaying() -> None:
    viewer.require(Right.SEE_AUDIT, Right.SEE_CUSTOMERS)
    customer = controls.search(words, "audit.replay_customer", "y_replay", "customer.placeholder")
    if not customer or not st.button(words.t("audit.replay"), icon=":material/replay:"):
        return
    with st.spinner(words.t("audit.replaying")):
        found = state.ask_freely(audit.replayed, viewer, home, customer)
    told, table = views.replayed(found, words)
    (st.success if found["equal"] else st.error)(told)
    if len(table):
        controls.sentences(table)


def subject() -> None:
    viewer.require(Right.SEE_PERSONAL)
    st.write(words.t("audit.subject_text"))
    with st.form("y_bundle", border=True):
        customer = st.text_input(words.t("customer.search"), placeholder=words.t("customer.placeholder")).strip()
        reason = st.selectbox(
            words.t("customer.reveal_why"),
            personal.REASONS,
            index=None,
            format_func=lambda one: words.label("reveal_reason", one),
            placeholder=words.t("control.choose"),
        )
        note = st.text_input(words.t("customer.reveal_note"), max_chars=personal.MOST_OF_A_NOTE)
        asked = st.form_submit_button(words.t("audit.prepare"), type="primary", icon=":material/folder_zip:")
    if not asked or not customer or reason is None:
        return
    # made when the button is pressed: it is kept neither in the session nor on the server's disk
    make = partial(subject_access.bundle, viewer, home, customer, reason, note)

    def content() -> bytes:
        return dossier.packed(make())

    try:
        subject_access.allowed(viewer, home, customer, reason, note)
    except WaylineError as fault:
        st.error(words.sentence(fault), icon=":material/error:")
        return
    st.download_button(
        words.t("audit.download_bundle"),
        data=content,
        file_name="subject-access.zip",
        mime="application/zip",
        icon=":material/download:",
        on_click="ignore",
    )


def chain() -> None:
    if not viewer.may(Right.SEE_AUDIT):
        return
    head = state.ask_freely(audit.newest, viewer, home)
    if head.seq > AT_ONCE and not st.button(
        words.t("audit.check_log", n=words.number(head.seq)), icon=":material/verified_user:"
    ):
        return
    # looked at anew when something was done, and every five minutes: somebody may change old entries
    stamp = f"{head.hash} {int(datetime.now(UTC).timestamp()) // 300}"
    with st.spinner(words.t("audit.checking")):
        found = state.ask(audit.whole, viewer, home, stamp)
    told, colour, icon = views.whole(found, words)
    st.badge(told, color=colour, icon=icon)


ANSWERS: Final[dict[str, Callable[[], None]]] = {
    "acts": acts,
    "checks": checks,
    "replay": replaying,
    "subject": subject,
}

chain()
part = controls.switch(words, "audit.part", PARTS, "y_part", {one: words.t(f"audit.part_{one}") for one in PARTS})
with controls.section(words, f"audit.head_{part}", f"audit.help_{part}"):
    ANSWERS[part]()
