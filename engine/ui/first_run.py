"""What an empty workspace shows: the demo bank at one click, or the way to one's own data."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from engine.domain.access import Right
from engine.lake.workspace import Workspace
from engine.ui import state, work
from engine.ui.words import Words

_PAGES: Final = Path(__file__).parent / "pages"
SIZES: Final = ("2000", "8000", "20000")
WATCHED: Final = ("demo", "init", "load", "run")


def draw(words: Words) -> None:
    """Offer what can be done while there is no run to look at, and show it under way."""
    if not state.viewer().may(Right.LOAD_DATA):
        st.info(words.t("first_run.no_right"), icon=":material/info:")
        return
    job = work.watch(words, WATCHED, "first_run")
    if job is not None and job.runs:
        return
    loaded = Workspace(state.home().expanduser().resolve()).curated_tables()
    if loaded:
        _work_out(words)
    else:
        _welcome(words)


def _work_out(words: Words) -> None:
    with st.container(border=True):
        st.subheader(words.t("first_run.loaded"))
        st.write(words.t("first_run.loaded_text"))
        with st.container(horizontal=True, vertical_alignment="center"):
            run = st.button(words.t("first_run.run_start"), type=state.emphasis(), icon=":material/play_arrow:")
            st.page_link(_PAGES / "load.py", label=words.t("first_run.other"), icon=":material/upload_file:")
    if run and work.start(words, "run"):
        st.rerun()


def _welcome(words: Words) -> None:
    st.subheader(words.t("first_run.title"))
    st.caption(words.t("first_run.text"))
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        st.markdown(f"**:material/account_balance: {words.t('first_run.demo')}**")
        st.write(words.t("first_run.demo_text"))
        size = st.segmented_control(
            words.t("first_run.size"),
            SIZES,
            default=SIZES[1],
            required=True,
            format_func=lambda size: words.number(int(size)),
            key="first_run_size",
        )
        begin = st.button(words.t("first_run.demo_start"), type=state.emphasis(), icon=":material/play_arrow:")
    with right, st.container(border=True, height="stretch"):
        st.markdown(f"**:material/upload_file: {words.t('first_run.own')}**")
        st.write(words.t("first_run.own_text"))
        st.page_link(_PAGES / "load.py", label=words.t("first_run.own_start"), icon=":material/arrow_forward:")
    with st.expander(words.t("first_run.terminal"), icon=":material/terminal:"):
        st.code("wayline demo", language=None)
        st.code("wayline data load mapping.toml\nwayline run", language=None)
    if begin and work.start(words, "demo", ("--customers", str(size))):
        st.rerun()
