"""The table of pages and the frame around them: page settings, sidebar, language."""

from __future__ import annotations

import logging
import secrets
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from engine.domain.access import Viewer
from engine.domain.errors import WaylineError
from engine.ui import sign_in, state, tour, work
from engine.ui.words import Words

LOGO: Final = Path(__file__).parent / "logo.svg"
PAGES: Final = Path(__file__).parent / "pages"


LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSpec:
    """One page: its file is `pages/<name>.py`, its texts stand under `[<name>]` in the catalogue.

    Who sees anything on it stands in `engine.domain.access.PAGES`.
    """

    name: str
    icon: str
    group: str


SPECS: Final = (
    PageSpec(name="home", icon=":material/today:", group="overview"),
    PageSpec(name="journeys", icon=":material/route:", group="customers"),
    PageSpec(name="segments", icon=":material/groups:", group="customers"),
    PageSpec(name="audiences", icon=":material/filter_alt:", group="customers"),
    PageSpec(name="customer", icon=":material/person_search:", group="customers"),
    PageSpec(name="recommendations", icon=":material/recommend:", group="decisions"),
    PageSpec(name="experiments", icon=":material/science:", group="decisions"),
    PageSpec(name="risk", icon=":material/shield:", group="decisions"),
    PageSpec(name="cases", icon=":material/notifications_active:", group="decisions"),
    PageSpec(name="exports", icon=":material/outbox:", group="decisions"),
    PageSpec(name="audit", icon=":material/verified_user:", group="foundations"),
    PageSpec(name="data", icon=":material/database:", group="foundations"),
    PageSpec(name="load", icon=":material/upload_file:", group="foundations"),
    PageSpec(name="settings", icon=":material/settings:", group="foundations"),
)


def run() -> None:
    """Run the page that the reader chose; what goes wrong is a sentence on it.

    Of a fault nobody foresaw the log keeps where it happened under the number that the reader sees. Its message is kept
    nowhere: it may hold what a customer's record says.
    """
    page = set_up()
    try:
        page.run()
    except WaylineError as fault:
        st.error(state.words().sentence(fault), icon=":material/error:")
    except Exception as fault:
        number = secrets.token_hex(4)
        frames = "".join(traceback.format_tb(fault.__traceback__))
        LOG.error("error %s on page %s: %s\n%s", number, page.url_path or "home", type(fault).__name__, frames)
        st.error(state.words().t("fault.unexpected", number=number), icon=":material/error:")


def set_up() -> StreamlitPage:
    """Draw the frame that every page shares and return the page that the reader chose."""
    st.set_page_config(page_title="Wayline", page_icon="🧭", layout="wide")
    st.logo(LOGO, size="large")
    words = state.words()
    try:
        viewer = state.viewer()
    except WaylineError as fault:
        st.navigation([_page(spec, words) for spec in SPECS], position="hidden")
        with st.sidebar:
            state.language_switch()
        sign_in.ask(words, fault)
    groups: dict[str, list[StreamlitPage]] = {}
    for spec in SPECS:
        groups.setdefault(words.t(f"nav.{spec.group}"), []).append(_page(spec, words, viewer))
    chosen = st.navigation(groups, position="sidebar", expanded=True)
    with st.sidebar:
        state.language_switch()
        sign_in.here(words)
        tour.button(words)
        work.sidebar(words)
    tour.card(words, chosen.url_path or "home")
    return chosen


def _page(spec: PageSpec, words: Words, viewer: Viewer | None = None) -> StreamlitPage:
    """Return the page as Streamlit has it; one of which the viewer sees nothing is not listed, and says so itself."""
    is_listed = viewer is None or viewer.opens(spec.name)
    return st.Page(
        PAGES / f"{spec.name}.py",
        title=words.t(f"{spec.name}.title"),
        icon=spec.icon,
        url_path=spec.name,
        default=spec.name == "home",
        visibility="visible" if is_listed else "hidden",
        help=words.t(f"{spec.name}.question"),
    )
