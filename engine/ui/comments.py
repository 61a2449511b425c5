"""Comments under a thing: who said what and when, a field for one's own, and a button that withdraws one's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from engine.domain.access import Right
from engine.store.persons import same
from engine.ui import controls, state
from engine.ui.words import Words
from engine.workflows import comments


def thread(words: Words, kind: str, subject: str) -> None:
    """Place the comments on a thing; what is written is shown as it is, never as formatting."""
    home, viewer = state.home(), state.viewer()
    key = f"comments_{kind}_{subject}"
    found = state.ask_freely(comments.on, home, viewer, kind, subject)
    if not found:
        st.caption(words.t("comments.none"))
    for one in found:
        with st.container(border=True, gap="xxsmall"):
            head = words.t("comments.head", name=controls.plain(one.written_by), when=words.instant(one.written_at))
            own = one.text is not None and same(one.written_by, viewer.name)
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                st.markdown(head, width="stretch")
                if own and st.button(
                    words.t("comments.withdraw"), key=f"{key}_{one.number}", type="tertiary", icon=":material/undo:"
                ):
                    _done(words, partial(comments.withdraw, home, viewer, one.number))
            if one.text is None:
                st.caption(words.t("comments.withdrawn"))
            else:
                st.text(one.text)
    if not viewer.may(Right.COMMENT):
        return
    with st.form(key, clear_on_submit=True, border=False):
        said = st.text_area(
            words.t("comments.text"), placeholder=words.t("comments.placeholder"), max_chars=4_000, height=90
        )
        sent = st.form_submit_button(words.t("comments.send"), icon=":material/chat:")
    if sent:
        _done(words, partial(comments.add, home, viewer, kind, subject, said))


def _done(words: Words, act: Callable[[], object]) -> None:
    if controls.done(words, act):
        st.rerun()


def folded(words: Words, kind: str, subject: str) -> None:
    """Place the comments on a thing folded away, under how many there are."""
    found = state.ask_freely(comments.on, state.home(), state.viewer(), kind, subject)
    said = sum(one.text is not None for one in found)
    with st.expander(words.t("comments.count", n=words.number(said)), icon=":material/chat:", expanded=bool(said)):
        thread(words, kind, subject)
