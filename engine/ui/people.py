"""The one panel of the app behind every mark: who the customers are, and the four verbs, always in the same order.

A page draws its figures and ends with `drawer`; a click, a picker or the address opens it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import streamlit as st

from engine.domain.access import Right
from engine.domain.errors import GroupTooSmall, WaylineError
from engine.ui import controls, state
from engine.ui.controls import Desk
from engine.ui.views import people as views
from engine.ui.views import selected_paths as paths_view
from engine.workflows import selected_audiences
from engine.workflows.view import people, selected_paths, selection
from engine.workflows.view.people import Counted
from engine.workflows.view.selection import Selection

CHANNELS: Final = ("email", "push", "sms", "post", "phone")


def drawer(desk: Desk, page: str) -> None:
    """Open the panel beside a page where a selection is open there; `page` is the letter that its keys begin with."""
    written = state.selected(page)
    if written is None:
        return
    words = desk.words
    try:
        one = selection.read(written)
    except WaylineError as fault:
        state.select(page, None)
        state.notice(words.t("people.bad_link", why=words.sentence(fault)))
        return
    try:
        found: Counted | WaylineError = state.ask(people.counted, desk.workspace, desk.run, one, desk.viewer)
    except WaylineError as fault:
        found = fault
    title = words.t("people.title") if isinstance(found, WaylineError) else views.how_many(one, found, words)
    panel = st.dialog(title, width="large", position="right", on_dismiss=partial(state.select, page, None))
    panel(partial(_panel, desk, one, found, page))()


def opener(desk: Desk, page: str, one: Selection, *, named: bool = True) -> None:
    """Place a button that says how many a selection holds, and what it is where it is `named`, and opens the panel."""
    words = desk.words
    try:
        found = state.ask(people.counted, desk.workspace, desk.run, one, desk.viewer)
    except GroupTooSmall as fault:
        st.caption(f":material/lock: {words.sentence(fault)}")
        return
    count = views.how_many(one, found, words)
    label = words.t("people.see", count=count)
    if named:
        label = words.t("people.open_list", sentence=views.sentence(one, found, words), count=count)
    st.button(
        label,
        key=f"{page}_open_{one.written()}",
        icon=":material/group:",
        disabled=not found.customers,
        on_click=state.select,
        args=(page, one.written()),
    )


def _panel(desk: Desk, one: Selection, found: Counted | WaylineError, page: str) -> None:
    words = desk.words
    told = None if isinstance(found, WaylineError) else found
    st.markdown(f"**{controls.plain(views.sentence(one, told, words))}**")
    if isinstance(found, WaylineError):
        st.info(words.sentence(found), icon=":material/info:")
        return
    if not found.customers:
        st.write(words.t("people.nobody"))
        return
    verbs: dict[str, Callable[[], None]] = {
        "view": partial(_list, desk, one, found, page),
        "save": partial(_save, desk, one, page),
        "paths": partial(_paths, desk, one, page),
        "export": partial(_export, desk, one, page),
    }
    verb = st.segmented_control(
        words.t("people.verbs"),
        tuple(verbs),
        format_func=lambda name: words.t(f"people.{name}"),
        default="view",
        required=True,
        key=f"{page}_verb_{one.written()}",
    )
    try:
        verbs[verb or "view"]()
    except WaylineError as fault:
        st.info(words.sentence(fault), icon=":material/info:")


def _list(desk: Desk, one: Selection, found: Counted, page: str) -> None:
    desk.viewer.require(Right.SEE_CUSTOMERS)
    key = f"{page}_people_{one.written()}"
    offset = controls.page_number(found.rows, f"{key}_page")
    rows = state.ask_freely(people.page, desk.workspace, desk.run, one, desk.viewer, offset)
    ids = tuple(rows["customer_id"])
    controls.customers(desk.words, views.table(one, rows, desk.words), ids, key, "people.pick_customer")


def _save(desk: Desk, one: Selection, page: str) -> None:
    """Draw the form that keeps the customers as an audience, or say under which name they are kept."""
    words, viewer = desk.words, desk.viewer
    viewer.require(Right.BUILD_AUDIENCE)
    name = state.ask_freely(selected_audiences.kept, desk.workspace, desk.run, one)
    if name is not None:
        st.success(words.t("people.kept", name=name), icon=":material/bookmark_added:")
        controls.link(words, "audiences", words.t("people.to_audiences"), ":material/filter_alt:")
        return
    _form(desk, one, page)


def _form(desk: Desk, one: Selection, page: str) -> None:
    words, viewer = desk.words, desk.viewer
    ways: tuple[selected_audiences.Way, ...] = ("frozen",)
    if selected_audiences.as_rule(one) is not None:
        ways = ("rule", "frozen")
    with st.form(f"{page}_save_{one.written()}"):
        audience = st.text_input(
            words.t("people.id"), value=views.suggested_id(one), help=words.t("people.id_help"), key=f"{page}_save_id"
        )
        called = st.text_input(
            words.t("people.name"), value=views.sentence(one, None, words)[:120], key=f"{page}_save_name"
        )
        way = st.radio(
            words.t("people.way"), ways, format_func=lambda each: words.t(f"people.way_{each}"), key=f"{page}_save_way"
        )
        channels = st.multiselect(
            words.t("people.channels"),
            CHANNELS,
            default=CHANNELS[:1],
            format_func=lambda each: words.label("channel", each),
            placeholder=words.t("control.choose"),
            key=f"{page}_save_channels",
        )
        asked = st.form_submit_button(words.t("people.save_now"), type=state.emphasis(), icon=":material/save:")
    if not asked:
        return
    made = selected_audiences.save(
        desk.workspace, desk.run, one, viewer, audience=audience.strip(), name=called, way=way,
        channels=channels or CHANNELS[:1],
    )  # fmt: skip
    st.success(words.t("people.saved", name=made["audience"], customers=words.number(made["members"])))
    controls.link(words, "audiences", words.t("people.to_audiences"), ":material/filter_alt:")
    controls.link(
        words, "exports", words.t("people.to_export", name=made["audience"]), ":material/outbox:",
        x_audience=made["audience"],
    )  # fmt: skip


def _export(desk: Desk, one: Selection, page: str) -> None:
    words, viewer = desk.words, desk.viewer
    viewer.require(Right.REQUEST_EXPORT)
    name = state.ask_freely(selected_audiences.kept, desk.workspace, desk.run, one)
    if name is None:
        st.write(words.t("people.export_first"))
        viewer.require(Right.BUILD_AUDIENCE)
        _form(desk, one, page)
        return
    st.success(words.t("people.kept", name=name), icon=":material/bookmark_added:")
    st.caption(words.t("people.export_next"))
    label = words.t("people.to_export", name=name)
    controls.link(words, "exports", label, ":material/outbox:", x_audience=name)


def _paths(desk: Desk, one: Selection, page: str) -> None:
    desk.viewer.require(Right.SEE_CUSTOMERS)
    with st.spinner(desk.words.t("people.working")):
        found = state.ask(selected_paths.around, desk.workspace, desk.run, one, desk.viewer)
    for side in ("before", "after") if found.is_dated else ("before",):
        controls.show(desk.words, paths_view.paths(found, side, desk.words), f"{page}_paths_{side}_{one.written()}")
