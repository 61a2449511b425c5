"""A tour of five questions, each on its own page with the filters set; where somebody stands is kept for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import streamlit as st

from engine.domain.access import Right
from engine.domain.errors import WaylineError
from engine.ui import state
from engine.ui.words import Words
from engine.workflows import tour

_PAGES: Final = Path(__file__).parent / "pages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One question of the tour and the page that answers it; `[tour] <page>` and `<page>_do` are its texts.

    Whoever lacks the right that the answer needs is not asked the question.
    """

    page: str
    right: Right | None = None
    filters: tuple[tuple[str, str], ...] = ()


STEPS: Final = (
    Step(page="journeys", filters=(("j_by", "all"),)),
    Step(page="recommendations"),
    Step(page="customer", right=Right.SEE_CUSTOMERS),
    Step(page="experiments"),
    Step(page="audiences", right=Right.BUILD_AUDIENCE, filters=(("a_part", "reach"),)),
)


def steps() -> tuple[Step, ...]:
    """Return the questions that the reader's role may have answered."""
    viewer = state.viewer()
    return tuple(step for step in STEPS if step.right is None or viewer.may(step.right))


def button(words: Words) -> None:
    """Place the button that begins the tour again; only where there is a run to look at."""
    if _has_run() and st.button(
        words.t("tour.start"), help=words.t("tour.start_help"), icon=":material/signpost:", type="tertiary"
    ):
        _go(words, 0)


def card(words: Words, page: str) -> None:
    """Place the step that somebody stands at, above the page; on the demo bank offer the tour to who is new."""
    at = tour.step(state.viewer(), state.home())
    if isinstance(at, int) and at < len(steps()) and _has_run():
        _step(words, at, page)
    elif at == "new" and page == "home" and tour.is_demo(state.home()) and _has_run():
        _offer(words)


def _offer(words: Words) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/signpost: {words.t('tour.offer')}", width="stretch")
        if st.button(words.t("tour.start"), type=state.emphasis(), key="tour_offer"):
            _go(words, 0)
        if st.button(words.t("tour.dismiss"), type="tertiary"):
            _end()


def _step(words: Words, at: int, page: str) -> None:
    asked = steps()
    step = asked[at]
    with st.container(border=True):
        st.caption(f":material/signpost: {words.t('tour.progress', number=at + 1, total=len(asked))}")
        st.markdown(f"**{words.t(f'tour.{step.page}')}** {words.t(f'tour.{step.page}_do')}")
        with st.container(horizontal=True):
            if page != step.page and st.button(words.t("work.to_data"), type=state.emphasis(), key="tour_show"):
                _go(words, at)
            if at and st.button(words.t("tour.back"), key="tour_back"):
                _go(words, at - 1)
            if at + 1 < len(asked):
                if st.button(
                    words.t("tour.next"), type=state.emphasis() if page == step.page else "secondary", key="tour_next"
                ):
                    _go(words, at + 1)
                if st.button(words.t("tour.end"), type="tertiary", key="tour_end"):
                    _end()
            elif st.button(words.t("tour.finish"), type=state.emphasis(), key="tour_finish"):
                _end()


def _go(words: Words, at: int) -> None:
    tour.go_to(state.viewer(), state.home(), at)
    step = steps()[at]
    filters = dict(step.filters)
    if step.page == "customer":
        found = tour.a_customer(state.viewer(), state.newest()[1])
        filters |= {"c_id": found} if found else {}
    language = {} if words.language == "en" else {state.LANGUAGE: words.language}
    st.switch_page(_PAGES / f"{step.page}.py", query_params={**filters, **language})


def _end() -> None:
    tour.go_to(state.viewer(), state.home(), None)
    st.rerun()


def _has_run() -> bool:
    try:
        state.newest()
    except WaylineError:
        return False
    return True
