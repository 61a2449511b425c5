"""Long work on the screen: started by a button, watched while it runs, found again by whoever comes back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import streamlit as st

from engine.domain.errors import NotAllowed, WaylineError
from engine.lake.jobs import Job
from engine.ui import state
from engine.ui.views import work as views
from engine.ui.words import Words
from engine.workflows import jobs

_PAGES: Final = Path(__file__).parent / "pages"
_SEEN: Final = "work seen under way"
_EVERY: Final = 2.0  # seconds between looks at work under way


def start(words: Words, kind: str, arguments: Sequence[str] = ()) -> Job | None:
    """Start a job for the reader; what forbids it is said, and None returned."""
    try:
        return jobs.start(state.viewer(), state.home(), kind, arguments)
    except WaylineError as fault:
        st.error(words.sentence(fault), icon=":material/error:")
        return None


def sidebar(words: Words) -> None:
    """Say in the sidebar what is under way, nothing where nothing is; and tell once what has ended meanwhile."""
    found = jobs.under_way(state.home())
    seen: tuple[str, ...] = state.held(_SEEN, ())
    now = tuple(job.job_id for job in found)
    if seen != now:
        state.hold(_SEEN, now)
        for job in [job for job in jobs.listed(state.home()) if job.job_id in seen and not job.runs]:
            told, _ = views.state(job, words)
            st.toast(
                f"{views.title(job, words)}: {told}",
                icon=":material/task_alt:" if job.went_well else ":material/error:",
            )
    if found:
        st.fragment(_in_sidebar, run_every=_EVERY)(words)


def _in_sidebar(words: Words) -> None:
    found = jobs.under_way(state.home())
    if not found:
        st.rerun()  # the page may show what was made meanwhile
    with st.container(border=True):
        st.caption(f":material/progress_activity: {words.t('work.title')}")
        for job in found:
            share, told = views.progress(job, words)
            st.markdown(f"**{views.title(job, words)}**")
            st.progress(share or 0.0, text=told)
            st.caption(views.since(job, words, datetime.now(UTC)))
        language = {} if words.language == "en" else {state.LANGUAGE: words.language}
        st.page_link(
            _PAGES / "data.py",
            label=words.t("work.to_data"),
            icon=":material/arrow_forward:",
            query_params={"d_part": "runs", **language},
        )


def watch(words: Words, kinds: Sequence[str], key: str) -> Job | None:
    """Show the newest job of some kinds as it goes, or how it ended, and return it; None where there is none.

    While it runs the card renews itself; when it ends the whole page does.
    """
    found = jobs.listed(state.home(), kinds)
    if not found:
        return None
    job = found[0]
    if job.runs:
        st.fragment(_running, run_every=_EVERY)(words, job.job_id, key)
    else:
        card(words, job, key)
    return job


def _running(words: Words, job_id: str, key: str) -> None:
    job = jobs.find(state.home(), job_id)
    if not job.runs:
        st.rerun()
    card(words, job, key)


def card(words: Words, job: Job, key: str) -> None:
    """Show one job: what it does, how far it is or how it ended, its steps and its log."""
    with st.container(border=True):
        told, colour = views.state(job, words)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{views.title(job, words)}**", width="content")
            st.badge(told, color=colour)  # type: ignore[arg-type]
            st.caption(views.since(job, words, datetime.now(UTC)), width="content")
        if job.runs:
            share, step = views.progress(job, words)
            st.progress(share or 0.0, text=step)
            st.caption(words.t("work.leave"))
            if st.button(words.t("work.stop"), key=f"{key}_stop", icon=":material/stop_circle:"):
                _stop(words, job)
        for place, sentence in enumerate(views.ending(job, words)):
            if place == 0 and job.error:
                st.error(sentence, icon=":material/error:")
            else:
                st.write(sentence)
        _details(words, job)


def _stop(words: Words, job: Job) -> None:
    try:
        jobs.stop(state.viewer(), state.home(), job.job_id)
    except WaylineError as fault:
        st.error(words.sentence(fault), icon=":material/error:")
    else:
        st.rerun()


def _details(words: Words, job: Job) -> None:
    try:
        lines = jobs.log(state.viewer(), state.home(), job.job_id)
    except NotAllowed:
        lines = ""
    if job.steps and not job.runs:
        with st.expander(words.t("work.steps"), icon=":material/checklist:"):
            st.dataframe(views.steps(job, words), hide_index=True, height="content")
    if lines and not job.runs:
        with st.expander(words.t("work.log"), icon=":material/notes:"):
            st.code(lines, language=None)
