"""Settings: who may do what, and which keys, rules and jobs are in force?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import streamlit as st

from engine.domain.grants import SCOPES
from engine.ui import controls, state
from engine.ui.views import settings as views
from engine.workflows.view import settings

PARTS: Final = ("roles", "keys", "rules", "jobs")
OPEN: Final = ("in_use", "ends_soon")

desk = controls.open_page("settings")
words, viewer, workspace, home = desk.words, desk.viewer, desk.workspace, state.home()


def roles() -> None:
    rules = state.ask_freely(settings.access, viewer, workspace)
    st.write(words.t(f"settings.mode_{rules.mode}", claim=rules.claim, name=rules.name_claim))
    if rules.mode == "oidc":
        controls.sentences(views.groups(rules, words))
    with controls.section(words, "settings.head_rights", "settings.help_rights", within=True):
        table = views.rights(state.ask_freely(settings.rights, viewer), words)
        controls.table(table, "z_rights")


def keys() -> None:
    rows = state.ask_freely(settings.keys, viewer, home)
    st.markdown(f"**{words.t('settings.finding_keys', n=words.number(sum(one['status'] in OPEN for one in rows)))}**")
    if rows:
        controls.table(views.keys(rows, words), "z_keys")
    making()
    named = tuple(dict.fromkeys(one["name"] for one in rows if one["status"] in OPEN))
    if named:
        changing(named)


def making() -> None:
    with st.expander(words.t("settings.make"), icon=":material/key:"), st.form("z_make", border=False):
        name = st.text_input(words.t("settings.key_name"), help=words.t("settings.key_name_help"))
        scopes = st.multiselect(
            words.t("settings.scopes"),
            tuple(SCOPES),
            format_func=lambda one: words.label("scope", one.replace(":", "_")),
            placeholder=words.t("control.choose"),
        )
        destination = st.text_input(words.t("settings.destination"), help=words.t("settings.destination_help"))
        days = st.number_input(words.t("settings.days"), min_value=1, max_value=730, value=365, step=1)
        asked = st.form_submit_button(words.t("settings.make_now"), type=state.emphasis(), icon=":material/key:")
    if asked:
        told_once(
            lambda: settings.create_key(
                state.viewer(), home, name.strip(), scopes=scopes, destination=destination.strip(), days=int(days)
            )
        )


def changing(named: tuple[str, ...]) -> None:
    with st.expander(words.t("settings.change"), icon=":material/sync:"), st.form("z_change", border=False):
        name = st.selectbox(words.t("settings.key"), named)
        act = st.radio(
            words.t("settings.act"), ("rotate", "revoke"), format_func=lambda one: words.t(f"settings.{one}")
        )
        days = st.number_input(words.t("settings.days"), min_value=1, max_value=730, value=365, step=1)
        overlap = st.number_input(words.t("settings.overlap"), min_value=0, max_value=720, value=24, step=1)
        asked = st.form_submit_button(words.t("settings.change_now"), icon=":material/check:")
    if not asked:
        return
    if act == "rotate":
        told_once(lambda: settings.rotate_key(state.viewer(), home, name, days=int(days), overlap_hours=float(overlap)))
    elif controls.done(words, lambda: settings.revoke_key(state.viewer(), home, name)):
        st.success(words.t("settings.revoked", name=name), icon=":material/check_circle:")


def told_once(make: Callable[[], dict[str, Any]]) -> None:
    """Make a key and show its secret on this run of the page alone: it is held nowhere."""
    made: list[dict[str, Any]] = []
    if controls.done(words, lambda: made.append(make())):
        st.success(words.t("settings.made", name=made[0]["name"]), icon=":material/check_circle:")
        st.code(made[0]["key"], language=None)


def rules() -> None:
    controls.sentences(views.rules(state.ask_freely(settings.rules, viewer, workspace), words))
    with controls.section(words, "settings.head_presets", "settings.help_presets", within=True):
        controls.table(views.presets(state.ask_freely(settings.presets, viewer, workspace), words), "z_presets")
    st.caption(words.t("settings.language"))


def jobs() -> None:
    rows = state.ask_freely(settings.schedules, viewer, home)
    if rows:
        controls.table(views.schedules(rows, words), "z_schedules")
    else:
        st.write(words.t("settings.no_schedules"))
        st.code('wayline schedule add nightly --cron "0 3 * * *" --job run --by NAME', language="bash")
    with controls.section(words, "settings.head_hooks", "settings.help_hooks", within=True):
        found = state.ask_freely(settings.hooks, viewer, home)
        if found:
            controls.table(views.hooks(found, words), "z_hooks")
        else:
            st.write(words.t("settings.no_hooks"))


ANSWERS: Final[dict[str, Callable[[], None]]] = {"roles": roles, "keys": keys, "rules": rules, "jobs": jobs}

part = controls.switch(words, "settings.part", PARTS, "z_part", {one: words.t(f"settings.part_{one}") for one in PARTS})
with controls.section(words, f"settings.head_{part}", f"settings.help_{part}"):
    ANSWERS[part]()
