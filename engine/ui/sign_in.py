"""Who sits at the app: the page before it while nobody is known, and the place in the sidebar that says who it is."""

from __future__ import annotations

from typing import Final, NoReturn

import streamlit as st

from engine.domain.errors import NotSignedIn, WaylineError
from engine.ui import state
from engine.ui.words import Words

WITHOUT: Final = {"signed_out": ":material/login:", "expired": ":material/schedule:"}
"""What somebody mends by signing in; whoever may not get in has to sign out first."""


def ask(words: Words, fault: WaylineError) -> NoReturn:
    """Draw, in place of any page, why nobody gets in and what to do, and stop there."""
    st.title(words.t("sign_in.title"))
    if not isinstance(fault, NotSignedIn):
        st.error(words.t("sign_in.settings", sentence=fault.sentence), icon=":material/error:")
        st.stop()
    st.write(words.t(f"sign_in.why_{fault.reason}"))
    if fault.reason in WITHOUT:
        st.button(words.t("sign_in.enter"), type=state.emphasis(), icon=WITHOUT[fault.reason], on_click=st.login)
    else:
        st.button(words.t("sign_in.leave"), icon=":material/logout:", on_click=st.logout)
    st.stop()


def here(words: Words) -> None:
    """Draw in the sidebar who is at the app and as what; on one machine both can be changed there."""
    viewer, is_local = state.viewer(), state.access_rules().mode == "local"
    with st.popover(
        words.t("sign_in.here", name=viewer.name, role=words.label("viewer_role", viewer.role)),
        icon=":material/person:",
        width="stretch",
    ):
        if is_local:
            st.text_input(
                words.t("sign_in.name"),
                key=state.NAME,
                placeholder=viewer.name,
                max_chars=state.MOST_OF_A_NAME,
                help=words.t("sign_in.name_help"),
                on_change=state.begin_anew,
            )
        roles = state.roles()
        if len(roles) > 1:
            state.begin(state.ROLE, viewer.role.value)
            st.selectbox(
                words.t("sign_in.role"),
                [role.value for role in roles],
                format_func=lambda role: words.label("viewer_role", role),
                key=state.ROLE,
                on_change=state.begin_anew,
            )
        st.caption(words.t(f"sign_in.about_{viewer.role}"))
        if is_local:
            st.warning(words.t("sign_in.local"), icon=":material/lock_open:")
        else:
            st.button(words.t("sign_in.leave"), icon=":material/logout:", on_click=st.logout)
