"""Alerts and cases: which first, whose, and what came of them?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

import pandas as pd
import streamlit as st

from engine.domain.access import Right
from engine.domain.errors import UnknownName
from engine.ui import comments, controls, state
from engine.ui.views import cases as views
from engine.ui.views import customer as customer_views
from engine.ui.words import is_undefined
from engine.workflows import alerts
from engine.workflows import cases as work
from engine.workflows.cases import Seen
from engine.workflows.view import cases
from engine.workflows.view.cases import Asked, Detail

ONE: Final = "q_id"
SEEN: Final = "q_seen"
"""Which version of each case was on the screen when the reader pressed a button; the page reads newer ones before."""
EVERY: Final = "all"

desk = controls.open_page("cases")
words, run, workspace = desk.words, desk.run, desk.workspace
viewer, home = state.viewer(), desk.workspace.home
viewer.require(Right.SEE_CASES)
stamp = cases.stamp(workspace, viewer)
may_work = viewer.may(Right.WORK_CASES)


def act(step: Callable[[], object]) -> None:
    """Do one thing and draw the page anew; what is refused is said."""
    if controls.done(words, step):
        state.hold(SEEN, {})
        st.rerun()


def pictures(found: pd.DataFrame) -> None:
    closed = state.ask(cases.outcomes, workspace, viewer, stamp)
    controls.tiles(views.tiles(cases.counts(found), closed, words))
    for fault in alerts.missing(run):
        st.caption(words.sentence(fault))
    left, right = st.columns(2, gap="medium")
    with left, controls.section(words, "cases.ages", "cases.ages_help"):
        controls.show(words, views.ages(cases.ages(found), words), "q_ages")
    with right, controls.section(words, "cases.outcomes", "cases.outcomes_help"):
        controls.show(words, views.outcomes(closed, words), "q_outcomes")


def asked(found: pd.DataFrame) -> Asked:
    """Draw the filters and return what they say."""
    counts = cases.counts(found)
    named: dict[str, str] = {one: words.t(f"cases.view_{one}", n=words.number(counts[one])) for one in cases.VIEWS}
    view = controls.switch(words, "cases.view", cases.VIEWS, "q_view", named)
    kinds = cases.kinds(found, view)
    shown = {EVERY: words.t("cases.every_kind", n=words.number(sum(kinds.values())))}
    for kind, n in kinds.items():
        shown[kind] = words.t("cases.of_kind", kind=words.label("alert_kind", kind), n=words.number(n))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = controls.choice(words, "cases.kind", tuple(shown), "q_kind", shown)
        customer = controls.search(words, "cases.customer", "q_customer", "cases.customer_placeholder")
        tag = controls.search(words, "cases.tag", "q_tag", "cases.tag_placeholder")
    kind_or_none = None if chosen == EVERY else chosen
    return Asked(view=view, kind=kind_or_none, customer_id=customer, tag=tag.lower())  # type: ignore[arg-type]


def inbox(counted: pd.DataFrame) -> None:
    wanted = asked(counted)
    of_view = cases.kinds(counted, wanted.view)
    total = sum(of_view.values()) if wanted.kind is None else of_view.get(wanted.kind, 0)
    if wanted.customer_id or wanted.tag:
        total, _ = state.ask(cases.inbox, workspace, run, viewer, wanted, stamp)
    if not total:
        st.write(words.t("cases.none"))
        return
    of_page = f"q_page_{wanted.view}_{wanted.kind}"
    offset = controls.page_number(total, of_page)
    part = Asked(**{**_plain(wanted), "offset": offset})
    _, found = state.ask(cases.inbox, workspace, run, viewer, part, stamp)
    st.caption(words.t("cases.found", n=words.number(total), **{"from": offset + 1, "to": offset + len(found)}))
    bar = st.container()
    marked = _marked(found, f"q_rows_{wanted.view}_{wanted.kind}_{offset}")
    with bar:
        over_the_list(found, marked)


def _plain(one: Asked) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("view", "kind", "customer_id", "tag", "limit", "offset")}


def _marked(found: pd.DataFrame, key: str) -> list[int]:
    event = st.dataframe(
        views.rows(found, words),
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        height="content",
        column_config={words.t("cases.what"): st.column_config.TextColumn(width="large")},
    )
    return [place for place in event["selection"]["rows"] if place < len(found)]


def over_the_list(found: pd.DataFrame, marked: list[int]) -> None:
    """Place what is done with rows: open one by a picker, or the same with all that are marked."""
    ids = tuple(found["alert_id"])
    named = {one["alert_id"]: views.named(one, words) for one in found.to_dict("records")}
    shown = {one["alert_id"]: int(one["version"]) for one in found.to_dict("records")}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        picked = st.selectbox(
            words.t("cases.pick"),
            ids,
            format_func=lambda one: named.get(one, one),
            index=None,
            key="q_pick",
            placeholder=words.t("control.choose"),
        )
        one = ids[marked[0]] if len(marked) == 1 else picked
        if one and st.button(words.t("cases.open_button"), icon=":material/folder_open:", key="q_open", type="primary"):
            state.choose_next(ONE, one)
        chosen = [ids[place] for place in marked] or ([picked] if picked else [])
        if chosen and may_work:
            seen = shown | {ref: version for ref, version in state.held(SEEN, {}).items() if ref in shown}
            with_marked([Seen(ref=ref, version=seen[ref]) for ref in chosen])
    state.hold(SEEN, shown)
    state.say_held("q_told")


def with_marked(chosen: list[Seen]) -> None:
    st.badge(words.t("cases.marked", n=len(chosen)), color="blue")
    if st.button(words.t("cases.to_me"), icon=":material/person_add:", key="q_all_to_me"):
        together(chosen, lambda one: work.assign(home, viewer, one, viewer.name))
    with st.popover(words.t("cases.snooze"), icon=":material/snooze:"), st.form("q_all_snooze", border=False):
        until, note = _until(), st.text_input(words.t("cases.note"), key="q_all_snooze_note")
        if st.form_submit_button(words.t("cases.snooze")):
            together(chosen, lambda one: work.snooze(home, viewer, one, until, note))
    with st.popover(words.t("cases.close"), icon=":material/check_circle:"), st.form("q_all_close", border=False):
        outcome, note = _outcome(), st.text_input(words.t("cases.note"), key="q_all_close_note")
        if st.form_submit_button(words.t("cases.close")):
            together(chosen, lambda one: work.close(home, viewer, one, outcome, note))


def together(chosen: list[Seen], step: Callable[[Seen], object]) -> None:
    done, refused = work.bulk(chosen, step)
    told = [("success", words.t("cases.done_n", n=words.number(done)))] if done else []
    if refused:
        told.append(("error", words.t("cases.not_done", n=words.number(len(refused)), why=refused[0])))
    state.hold("q_told", told)
    state.hold(SEEN, {})
    st.rerun()


def _until() -> datetime:
    today = datetime.now(UTC).date()
    day = st.date_input(words.t("cases.until"), value=today + timedelta(days=7), min_value=today, format="YYYY-MM-DD")
    return datetime.combine(day, time(23, 59, 59), tzinfo=UTC)


def _outcome() -> str:
    return str(
        st.selectbox(words.t("cases.outcome"), work.OUTCOMES, format_func=lambda one: words.label("case_outcome", one))
    )


def one_case(alert_id: str) -> None:
    if st.button(words.t("cases.back"), icon=":material/arrow_back:", type="tertiary"):
        state.choose_next(ONE, "")
    try:
        found = state.ask_freely(cases.detail, workspace, run, viewer, alert_id)
    except UnknownName:
        st.warning(words.t("cases.unknown", id=alert_id), icon=":material/search_off:")
        return
    head(found.item, found)
    if may_work:
        steps(found)
    state.hold(SEEN, {alert_id: int(found.item["version"])})
    left, right = st.columns([3, 2], gap="large")
    with left:
        behind(found)
    with right:
        with controls.section(words, "cases.history", within=True):
            if found.history:
                controls.sentences(views.history(found.history, words))
            else:
                st.caption(words.t("cases.no_history"))
        with controls.section(words, "comments.title", within=True):
            if found.case is None:
                first_comment(found)
            else:
                comments.thread(words, "case", str(found.case.case_id))


def head(item: Mapping[str, Any], found: Detail) -> None:
    number = words.t("cases.alert") if found.case is None else words.t("cases.case_n", n=found.case.case_id)
    st.header(f"{words.label('alert_kind', item['kind'])} · {number}")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(views.due(item, words), color="red" if item["is_late"] else "gray", icon=":material/schedule:")
        st.badge(words.label("case_severity", item["severity"]), color=views.BADGES[item["severity"]])
        st.badge(views.status(item, words), color=views.STATUS_BADGES[item["status"]])
        if item["assignee"]:
            st.badge(words.t("cases.of_whom", name=item["assignee"]), icon=":material/person:", color="blue")
        for tag in str(item["tags"] or "").split():
            st.badge(tag, color="gray", icon=":material/label:")
    st.markdown(f"**{controls.plain(words.pick(item['text_en'], item['text_zh']))}**")
    st.caption(words.t("cases.raised", day=words.day(item["since"] if found.case is None else found.case.raised_at)))
    if not found.still_raised:
        st.caption(words.t("cases.gone"))
    with st.container(horizontal=True):
        if item["customer_id"]:
            opened = words.t("cases.open_customer")
            controls.link(words, "customer", opened, ":material/person_search:", c_id=item["customer_id"])
        if item["kind"] in ("experiment_stopped", "guardrail_harmed"):
            experiment = str(item["alert_id"]).split("/")[1]
            controls.link(words, "experiments", words.t("cases.open_experiment"), ":material/science:", e_id=experiment)


def steps(found: Detail) -> None:
    """Place what can be done with it now."""
    item = found.item
    seen = Seen(ref=str(item["alert_id"]), version=state.held(SEEN, {}).get(item["alert_id"], int(item["version"])))
    with st.container(horizontal=True, vertical_alignment="center"):
        if item["status"] == "resolved":
            _with_note("reopen", ":material/restart_alt:", lambda note: work.reopen(home, viewer, seen, note))
            return
        if st.button(words.t("cases.to_me"), icon=":material/person_add:", type="primary", key="q_to_me"):
            act(lambda: work.assign(home, viewer, seen, viewer.name))
        with st.popover(words.t("cases.assign"), icon=":material/group:"), st.form("q_assign", border=False):
            to = st.text_input(words.t("cases.assign_to"))
            if st.form_submit_button(words.t("cases.assign")):
                act(lambda: work.assign(home, viewer, seen, to.strip() or None))
        with st.popover(words.t("cases.move"), icon=":material/flag:"), st.form("q_move", border=False):
            status = st.selectbox(
                words.t("cases.move"), work.BY_HAND, format_func=lambda one: words.label("case_status", one)
            )
            if st.form_submit_button(words.t("cases.set")):
                act(lambda: work.move(home, viewer, seen, str(status)))
        with st.popover(words.t("cases.snooze"), icon=":material/snooze:"), st.form("q_snooze", border=False):
            until, note = _until(), st.text_input(words.t("cases.note"), key="q_snooze_note")
            if st.form_submit_button(words.t("cases.snooze")):
                act(lambda: work.snooze(home, viewer, seen, until, note))
        with st.popover(words.t("cases.escalate"), icon=":material/priority_high:"):
            st.caption(words.t("cases.escalate_warning"))
            with st.form("q_escalate", border=False):
                level = st.selectbox(
                    words.t("cases.level"), work.LEVELS[::-1], format_func=lambda one: words.label("review_level", one)
                )
                why = st.text_input(words.t("cases.note"), key="q_escalate_note")
                if st.form_submit_button(words.t("cases.set")):
                    act(lambda: work.escalate(home, viewer, seen, str(level), why))
        with st.popover(words.t("cases.tags"), icon=":material/label:"), st.form("q_tags", border=False):
            tags = st.text_input(words.t("cases.tag_set"), value=str(item["tags"] or ""))
            if st.form_submit_button(words.t("cases.set")):
                act(lambda: work.tag(home, viewer, seen, tags.split()))
        with st.popover(words.t("cases.close"), icon=":material/check_circle:"), st.form("q_close", border=False):
            outcome, reason = _outcome(), st.text_input(words.t("cases.note"), key="q_close_note")
            if st.form_submit_button(words.t("cases.close")):
                act(lambda: work.close(home, viewer, seen, outcome, reason))


def _with_note(name: str, icon: str, step: Callable[[str], object]) -> None:
    with st.popover(words.t(f"cases.{name}"), icon=icon), st.form(f"q_{name}", border=False):
        note = st.text_input(words.t("cases.note"), key=f"q_{name}_note")
        if st.form_submit_button(words.t(f"cases.{name}")):
            act(lambda: step(note))


def behind(found: Detail) -> None:
    customer = found.item["customer_id"]
    if found.hits:
        with controls.section(words, "cases.hits", "cases.hits_help", within=True):
            only = st.toggle(words.t("cases.hits_only"), value=True, key="q_hits")
            finding, table = views.hits(found.hits, words, only=only)
            st.markdown(f"**{finding}**")
            controls.sentences(table)
    if not is_undefined(customer) and customer:
        with controls.section(words, "cases.timeline", within=True):
            rows = state.ask_freely(cases.timeline, workspace, run, viewer, str(customer))
            controls.show(words, customer_views.timeline(rows, words), "q_timeline")


def first_comment(found: Detail) -> None:
    """Place a field for the first comment, which makes an alert a case."""
    st.caption(words.t("comments.none"))
    if not may_work:
        return
    with st.form("q_comment", clear_on_submit=True, border=False):
        said = st.text_area(words.t("comments.text"), placeholder=words.t("comments.placeholder"), height=90)
        if st.form_submit_button(words.t("comments.send"), icon=":material/chat:"):
            act(lambda: work.comment(home, viewer, str(found.item["alert_id"]), said))


state.bound(ONE, None, "")
if state.value(ONE):
    one_case(state.value(ONE))
else:
    whole = state.ask(cases.summary, workspace, run, viewer, stamp)
    pictures(whole)
    with controls.section(words, "cases.list", "cases.list_help"):
        inbox(whole)
