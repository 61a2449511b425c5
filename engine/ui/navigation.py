"""The table of pages and the frame around them: page settings, sidebar, language."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from engine.ui import state, tour, work

LOGO: Final = Path(__file__).parent / "logo.svg"
PAGES: Final = Path(__file__).parent / "pages"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSpec:
    """One page: its file is `pages/<name>.py`, its texts stand under `[<name>]` in the catalogue."""

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
    PageSpec(name="exports", icon=":material/outbox:", group="decisions"),
    PageSpec(name="data", icon=":material/database:", group="foundations"),
    PageSpec(name="load", icon=":material/upload_file:", group="foundations"),
)


def set_up() -> StreamlitPage:
    """Draw the frame that every page shares and return the page that the reader chose."""
    st.set_page_config(page_title="Wayline", page_icon="🧭", layout="wide")
    st.logo(LOGO, size="large")
    words = state.words()
    groups: dict[str, list[StreamlitPage]] = {}
    for spec in SPECS:
        page = st.Page(
            PAGES / f"{spec.name}.py",
            title=words.t(f"{spec.name}.title"),
            icon=spec.icon,
            url_path=spec.name,
            default=spec.name == "home",
            help=words.t(f"{spec.name}.question"),
        )
        groups.setdefault(words.t(f"nav.{spec.group}"), []).append(page)
    chosen = st.navigation(groups, position="sidebar", expanded=True)
    with st.sidebar:
        state.language_switch()
        tour.button(words)
        work.sidebar(words)
    tour.card(words, chosen.url_path or "home")
    return chosen
