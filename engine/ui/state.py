"""The only reader and writer of session state, and the memory of answers: which language, which run, what was asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

import streamlit as st

from engine.config.access import AccessSettings
from engine.domain.access import Role, Viewer
from engine.domain.errors import WaylineError
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.ui.words import LANGUAGES, Language, Words
from engine.workflows import session
from engine.workflows.view import access, desk

LANGUAGE: Final = "lang"
_NOTICES: Final = "place of the notices"
_BETWEEN: Final = ","  # no id of an audience has one
SELECTED: Final = "_sel"
"""What follows the letter of a page in the key of its selection, as in `j_sel`."""
NAME: Final = "me_name"
ROLE: Final = "me_role"
MOST_OF_A_NAME: Final = 80
Answer = TypeVar("Answer")


def home() -> Path:
    """Return where the workspace lies: WAYLINE_HOME, else ./workspace."""
    return Path(os.environ.get("WAYLINE_HOME") or "workspace")


def language() -> Language:
    """Return the reader's language: chosen in this session, else named in the address, else English."""
    chosen = st.session_state.get(LANGUAGE) or st.query_params.get(LANGUAGE)
    return chosen if chosen in LANGUAGES else "en"


def language_switch() -> None:
    """Draw the switch between English and Chinese; the choice stands in the address and outlives a change of page."""
    if st.session_state.get(LANGUAGE) not in LANGUAGES:
        st.session_state[LANGUAGE] = language()
    if language() != "en":
        st.query_params[LANGUAGE] = language()  # the navigation drops it from the address
    st.segmented_control(
        "Language / 语言",
        list(LANGUAGES),
        format_func=lambda code: LANGUAGES[code],
        required=True,
        key=LANGUAGE,
        on_change=_write_address,
        args=(LANGUAGE, "en"),
    )


def bind(key: str, options: Sequence[str] | None, default: str) -> dict[str, Any]:
    """Tie a control to the address by its plain value, and return the arguments that the control needs.

    Streamlit's own binding writes the shown label into the address: a link shared between two languages breaks.
    The address wins when it changed from outside: a link, the browser's back button.
    """
    address, seen = st.query_params.get(key), f"{key} in the address"
    held = st.session_state.get(key)
    if key not in st.session_state or st.session_state.get(seen) != address:
        held = default if address is None else address
        if address is not None and options is not None and address not in options:
            st.session_state[f"{key} is unknown"] = address
    if options is not None and held not in options:
        held = default
    if address is not None and st.session_state.get(f"{key} is unknown") == address:
        _say_unknown(address)
    st.session_state[key] = held
    st.session_state[seen] = address
    return {"key": key, "on_change": _write_address, "args": (key, default)}


def bind_many(key: str, options: Sequence[str], default: Sequence[str]) -> dict[str, Any]:
    """Tie a control of several choices to the address, as `bind` does one; what is not known falls out, and is said."""
    address, seen = st.query_params.get(key), f"{key} in the address"
    held = st.session_state.get(key)
    if key not in st.session_state or st.session_state.get(seen) != address:
        held = list(default) if address is None else address.split(_BETWEEN)
        for one in [] if address is None else held:
            if one not in options:
                _say_unknown(one)
    st.session_state[key] = [one for one in held or [] if one in options]
    st.session_state[seen] = address
    return {"key": key, "on_change": _write_many, "args": (key, tuple(default))}


def _write_many(key: str, default: tuple[str, ...]) -> None:
    chosen = tuple(st.session_state.get(key) or ())
    if chosen == default:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = _BETWEEN.join(chosen)
    st.session_state[f"{key} in the address"] = st.query_params.get(key)


def notices() -> None:
    """Keep a place, here, for what is to be said of the page's address while its controls are drawn."""
    st.session_state[_NOTICES] = st.container()


def notice(told: str) -> None:
    """Say something of the page's address at the head of the page."""
    place = st.session_state.get(_NOTICES)
    if place is not None:
        place.warning(told.replace("[", r"\["), icon=":material/link_off:")


def _say_unknown(address: str) -> None:
    """Say that the address names what there is not, or is not for this reader; its length is no business of ours."""
    notice(Words(language=language()).t("head.unknown_in_address", value=address[:60]))


def _write_address(key: str, default: str) -> None:
    value = st.session_state.get(key)
    if value is None or value == default:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = value
    st.session_state[f"{key} in the address"] = st.query_params.get(key)


def words() -> Words:
    """Return the reader's language with the bank's own names for its products, journeys and experiments."""
    workspace = Workspace(home().expanduser().resolve())
    try:
        named, currency = ask(desk.names, workspace), ask(desk.base_currency, workspace)
    except WaylineError:
        return Words(language=language())  # a broken settings file is reported by the page, in words that still work
    return Words(language=language(), currency=currency, names=named)


def dark() -> bool:
    """Return whether the reader's theme is the dark one."""
    return st.context.theme.type == "dark"


def emphasis() -> Literal["primary", "secondary"]:
    """Return the kind of the button that leads on.

    On a dark ground no one colour reads well both as text and behind white text, and Streamlit has but one.
    """
    return "secondary" if dark() else "primary"


def ink() -> str:
    """Return the colour of text in charts; the theme's own for axes and legends is too pale to read."""
    return "#E4E9F0" if dark() else "#1B2430"


def viewer() -> Viewer:
    """Return who sits at the app, and as what.

    Raises
    ------
    NotSignedIn
        The bank's sign-in is asked for, and nobody is signed in who may get in.
    SettingsFault
        The settings do not say who may get in.
    """
    rules = access_rules()
    if rules.mode == "oidc":
        return access.signed_in(rules, st.user.to_dict(), st.session_state.get(ROLE), datetime.now(UTC))
    name = str(st.session_state.get(NAME) or "").strip() or session.this_person().name
    role = st.session_state.get(ROLE)
    return Viewer(name=name[:MOST_OF_A_NAME], role=Role(role) if role in set(Role) else rules.local_role)


def roles() -> tuple[Role, ...]:
    """Return what whoever sits at the app may work as; raises like `viewer`."""
    rules = access_rules()
    return access.roles_of(rules, st.user.to_dict(), datetime.now(UTC)) if rules.mode == "oidc" else tuple(Role)


def access_rules() -> AccessSettings:
    """Return who gets in and as what; raises SettingsFault."""
    return ask(access.settings, Workspace(home().expanduser().resolve()))


def newest() -> tuple[Workspace, Run]:
    """Return the workspace and its current run; raises RunMissing when there is none."""
    return desk.newest(home())


def ask(question: Callable[..., Answer], *subjects: Any) -> Answer:
    """Return the answer to a question about a run or a workspace, remembered until either changes."""
    key = (question.__module__, question.__qualname__, *map(_identity, subjects))
    return cast(Answer, _answer(key, lambda: question(*subjects)))


def bound(key: str, options: Sequence[str] | None, default: str) -> str:
    """Return what a control that is drawn later on the page is going to hold."""
    return str(bind(key, options, default) and st.session_state[key])


def value(key: str) -> str:
    """Return what a control holds that was tied to the address."""
    return str(st.session_state[key])


def newly(key: str, value: Any) -> bool:
    """Return whether something was clicked that was not clicked the last time; a chart keeps its selection."""
    if value == st.session_state.get(key):
        return False
    st.session_state[key] = value
    return value is not None


def choose(key: str, value: str, default: str) -> None:
    """Set a control before it is drawn, in the address too."""
    st.session_state[key] = value
    _write_address(key, default)


def choose_next(key: str, value: str) -> None:
    """Set a control that is already drawn: through the address, on a run of the page that begins at once."""
    st.query_params[key] = value
    st.rerun()


def addressed(key: str) -> str | None:
    """Return what stands in the address under a key, whether or not a control is drawn for it."""
    found: str | None = st.query_params.get(key)
    return found


def selected(page: str) -> str | None:
    """Return the selection that is open on a page, as it stands in the address; None while none is."""
    bind(page + SELECTED, None, "")
    return str(st.session_state[page + SELECTED]) or None


def select(page: str, written: str | None) -> None:
    """Open a selection on a page, or close it, in the address too."""
    choose(page + SELECTED, written or "", "")


def remember(prefix: str) -> None:
    """Keep what controls hold whose keys begin so, though they are not drawn on this run of the page."""
    for key in [str(one) for one in st.session_state if str(one).startswith(prefix)]:
        st.session_state[key] = st.session_state[key]


def held(key: str, default: Any) -> Any:
    """Return what a page holds under a key in this session."""
    return st.session_state.setdefault(key, default)


def begin(key: str, value: Any) -> None:
    """Set what a control holds that was not drawn yet in this session."""
    st.session_state.setdefault(key, value)


def begin_anew() -> None:
    """Drop all that pages hold in this session, and who it is stays: what one role asked for is not another's."""
    for key in [str(one) for one in st.session_state if one not in (LANGUAGE, NAME, ROLE)]:
        del st.session_state[key]


def hold(key: str, value: Any) -> None:
    """Hold something under a key in this session; a control of that key must not have been drawn yet."""
    st.session_state[key] = value


def say_held(key: str) -> None:
    """Say once what an act left to be told on the next run of the page: kinds of message and their texts."""
    for kind, text in st.session_state.pop(key, ()):
        (st.error if kind == "error" else st.success)(text)


def forget(prefix: str) -> None:
    """Drop everything that is held under keys that begin so."""
    for key in [str(one) for one in st.session_state if str(one).startswith(prefix)]:
        del st.session_state[key]


def ask_freely(question: Callable[..., Answer], *rest: Any) -> Answer:
    """Return the answer to a question about one customer; not remembered, so that nothing personal stays in memory."""
    return question(*rest)


@st.cache_data(max_entries=512, show_spinner=False)
def _answer(key: tuple[Hashable, ...], _call: Callable[[], Any]) -> Any:
    return _call()


def _identity(subject: object) -> Hashable:
    """Name a run, a workspace or a role so that whatever changes the answer gives it another name."""
    if isinstance(subject, Run):
        return f"{subject.folder} {subject.manifest['finished_at']}"
    if isinstance(subject, Workspace):
        marks = (subject.report_path, subject.settings_file)
        return f"{subject.home} {[path.stat().st_mtime_ns if path.is_file() else 0 for path in marks]}"
    if isinstance(subject, Viewer):
        return f"{Viewer.__name__} {subject.role}"  # answers differ by role; what is one's own is asked freely
    return repr(subject)
