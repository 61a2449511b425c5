"""Audiences: whom can a campaign use, how many does it reach, and why is somebody in or out?"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import streamlit as st

from engine.domain.access import Right
from engine.ui import audience_builder as builder
from engine.ui import comments, controls, people, state, toml_text
from engine.ui.views import audiences as views
from engine.workflows.view import audiences

PARTS: Final = ("list", "build", "reach", "overlap")
CHANNELS: Final = ("email", "push", "sms", "post", "phone")
SCHEDULES: Final = ("every_run", "daily", "weekly", "monthly", "manual")
TEXT: Final = "b_text"
MARKS: Final = {True: ":green[:material/check_circle:]", False: ":red[:material/cancel:]"}

desk = controls.open_page("audiences")
words, run, viewer = desk.words, desk.run, desk.viewer
home = state.home()
stamp = audiences.stamp(home)
parts = {part: words.t(f"audiences.part_{part}") for part in PARTS}
ways = {"conditions": words.t("builder.way_conditions"), "text": words.t("builder.way_text")}
state.remember(builder.KEPT)


def listing() -> None:
    rows = state.ask(audiences.listed, home, stamp)
    if rows:
        kept(rows)
    else:
        st.write(words.t("audiences.none"))
    with controls.section(words, "audiences.head_builds", within=True):
        built = state.ask(audiences.builds, run)
        if built.empty:
            st.write(words.t("audiences.none_built"))
            return
        named = {row["audience"]: views.named(row, words) for row in rows}
        controls.sentences(views.builds(built, named, words))


def kept(rows: list[dict[str, Any]]) -> None:
    st.markdown(f"**{views.listing_finding(rows, words)}**")
    sizes = st.column_config.LineChartColumn(words.t("audiences.sizes"), help=words.t("audiences.sizes_help"), y_min=0)
    controls.table(views.listing(rows, words), "a_list", {words.t("audiences.sizes"): sizes})
    moved = state.ask(audiences.builds, run) if run.has("audience_builds") else pd.DataFrame({"compared_with": []})
    controls.mark_picker(words, views.member_marks(rows, moved, run.run_id, words), "a_members")
    verifying([row for row in rows if not row["is_verified"] and row["retired_at"] is None])
    named = {row["audience"]: views.named(row, words) for row in rows}
    of = controls.choice(words, "audiences.comments_on", tuple(named), "a_comments", named)
    comments.folded(words, "audience", of)


def verifying(rows: list[dict[str, Any]]) -> None:
    if not rows or not viewer.may(Right.VERIFY_AUDIENCE):
        return
    named = {row["audience"]: views.named(row, words) for row in rows}
    with st.form("a_verify", border=True):
        st.markdown(words.t("audiences.verify_text"))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox(words.t("audiences.audience"), tuple(named), format_func=lambda one: named[one])
            asked = st.form_submit_button(words.t("audiences.verify"), icon=":material/verified:")
    if asked and controls.done(words, lambda: audiences.verify(viewer, home, chosen)):
        st.rerun()


def building() -> None:
    choices = state.ask(audiences.choices, viewer, run, desk.workspace, stamp)
    draft = described() | {"rule": {}}
    how = controls.switch(words, "builder.way", ("conditions", "text"), "a_way", ways)
    if how == "text":
        draft = as_text(draft) or {}
    elif (rule := builder.rule(words, choices)) is not None:
        draft["rule"] = rule
    if not draft.get("rule"):
        st.write(words.t("builder.empty"))
        return
    # what cannot be counted can be neither explained nor saved
    with controls.section(words, "builder.result", within=True):
        counted(state.ask(audiences.tried, viewer, home, draft, run, stamp))
        explaining(draft)
        if how != "text":
            with st.expander(words.t("builder.as_toml"), icon=":material/code:"):
                st.code(toml_text.written(draft), language="toml")
        saving(draft)


def explaining(draft: dict[str, Any]) -> None:
    with controls.section(words, "builder.why", within=True):
        customer = st.text_input(words.t("customer.search"), key="a_customer").strip()
        if customer:
            answer = state.ask_freely(audiences.why, viewer, home, draft, customer)
            st.markdown(f"**{controls.plain(views.why_finding(answer, words))}**")
            lines = [
                f"{'  ' * depth}- {MARKS[holds]} {controls.plain(text)}"
                for depth, holds, text in views.why(answer, words)
            ]
            st.markdown("\n".join(lines))


def described() -> dict[str, Any]:
    """Draw who is meant, by whom and for what; return what a definition says of it."""
    left, middle, right = st.columns(3)
    with left:
        identifier = st.text_input(words.t("builder.id"), key="b_id", help=words.t("builder.id_help"))
        name = st.text_input(words.t("builder.name"), key="b_name")
    with middle:
        owner = st.text_input(words.t("audiences.owner"), key="b_owner")
        name_zh = st.text_input(words.t("builder.name_zh"), key="b_name_zh")
    with right:
        channels = st.multiselect(
            words.t("builder.channels"),
            CHANNELS,
            format_func=lambda one: words.label("channel", one),
            placeholder=words.t("control.choose"),
            key="b_channels",
        )
        schedule = st.selectbox(
            words.t("audiences.schedule"),
            SCHEDULES,
            format_func=lambda one: words.t(f"audience_schedule.{one}"),
            key="b_schedule",
        )
    # a draft has no name yet, and is counted all the same
    said = {"audience": identifier or "draft", "name": name or identifier or "draft", "owner": owner or "nobody"}
    said |= {"name_zh": name_zh} if name_zh else {}
    return {**said, "channels": channels or ["email"], "schedule": schedule}


def as_text(draft: dict[str, Any]) -> dict[str, Any] | None:
    """Draw a field for TOML, begun with a kept audience or an example; return what it says."""
    kept = [row["audience"] for row in state.ask(audiences.listed, home, stamp)]
    if kept:
        begun = st.selectbox(
            words.t("builder.begin_with"), kept, index=None, key="a_begin", placeholder=words.t("control.choose")
        )
        if begun and state.newly("a_begun", begun):
            state.hold(TEXT, toml_text.written(audiences.definition(home, begun)))
    example = {**draft, "rule": {"event": ["login"], "in_last_days": 30}}
    state.held(TEXT, toml_text.written(example))
    text = st.text_area(words.t("builder.text"), height=260, key=TEXT)
    try:
        return toml_text.read(text)
    except ValueError as fault:
        st.error(words.t("builder.no_toml", fault=str(fault)), icon=":material/error:")
        return None


def counted(found: dict[str, Any]) -> None:
    share = found["members"] / found["customers"] if found["customers"] else None
    controls.tiles(
        [
            (words.t("audiences.members"), words.number(found["members"]), words.t("builder.members_help")),
            (words.t("builder.share"), words.share(share), words.t("builder.share_help")),
        ]
    )
    for note in found["notes"]:
        st.warning(note, icon=":material/spellcheck:")
    if found["sample"]:
        st.caption(words.t("builder.sample", ids=words.t("word.comma").join(found["sample"])))


def saving(draft: dict[str, Any]) -> None:
    ready = all(draft.get(name) and draft[name] not in ("draft", "nobody") for name in ("audience", "owner"))
    asked = st.button(
        words.t("builder.save"),
        type=state.emphasis(),
        icon=":material/save:",
        disabled=not ready,
        help=None if ready else words.t("builder.save_help"),
    )
    if asked and controls.done(words, lambda: audiences.save(viewer, home, draft)):
        st.success(words.t("builder.saved", name=draft["audience"]), icon=":material/check_circle:")


def reaching() -> None:
    rows = [row for row in state.ask(audiences.listed, home, stamp) if row["retired_at"] is None]
    if not rows:
        st.write(words.t("audiences.none"))
        return
    named = {row["audience"]: views.named(row, words) for row in rows}
    chosen = controls.choice(words, "audiences.audience", tuple(named), "a_id", named)
    facts = state.ask(audiences.reach, viewer, home, chosen, run, stamp)
    controls.show(words, views.reach(facts, words), "a_reach")
    for note in facts["notes"]:
        st.caption(note)
    if len(facts["by_channel"]) > 1:
        st.subheader(words.t("audiences.by_channel"))
        controls.table(views.by_channel(facts, words), "a_channels")


def overlapping() -> None:
    rows = [row for row in state.ask(audiences.listed, home, stamp) if row["retired_at"] is None]
    if len(rows) < 2:
        st.write(words.t("audiences.too_few"))
        return
    named = {row["audience"]: views.named(row, words) for row in rows}
    begin = tuple(named)[:4]
    chosen = st.multiselect(
        words.t("audiences.which"),
        tuple(named),
        max_selections=8,
        format_func=lambda one: named[one],
        placeholder=words.t("control.choose"),
        **state.bind_many("a_with", tuple(named), begin),
    )
    if len(chosen) < 2:
        st.write(words.t("audiences.choose_two"))
        return
    facts = state.ask(audiences.overlap, viewer, home, tuple(chosen), run, stamp)
    controls.show(words, views.overlap(facts, named, words), "a_overlap", unfolded=True)


part = controls.switch(words, "audiences.part", PARTS, "a_part", parts)
with controls.section(words, f"audiences.head_{part}", f"audiences.help_{part}"):
    {"list": listing, "build": building, "reach": reaching, "overlap": overlapping}[part]()
people.drawer(desk, "a")
