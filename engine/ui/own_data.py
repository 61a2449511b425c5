"""The five steps from a path to loaded tables: pick, match, check, consent, load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date
from pathlib import Path
from typing import Any, Final, cast

import streamlit as st

from engine.domain.curated import CURATED
from engine.domain.errors import WaylineError
from engine.domain.words import CONTACT_CHANNELS
from engine.intake.mapping import Mapping as MappingFile
from engine.ui import controls, own_columns, state, work
from engine.ui.views import load as views
from engine.ui.words import Words
from engine.workflows import own_data
from engine.workflows.own_data import Consent, File
from engine.workflows.view import data

STEPS: Final = ("pick", "map", "check", "consent", "load")
_FILES, _CONSENT, _CHECKED, _CURRENCY = "own files", "own consent", "own checked", "own currency"
_LEFT: Final = "own files that cannot be read"
_PICKED: Final = own_columns.PICKED


def draw(words: Words) -> None:
    """Draw the step that is chosen; where files are not picked in this session, a saved mapping still serves."""
    step = controls.switch(words, "load.step", STEPS, "l_step", {name: words.t(f"load_step.{name}") for name in STEPS})
    steps: dict[str, Callable[[Words], None]] = {
        "pick": _pick,
        "map": _map,
        "check": _check,
        "consent": _consent,
        "load": _load,
    }
    try:
        steps[step](words)
    except WaylineError as fault:
        st.error(words.sentence(fault), icon=":material/error:")


def _files() -> tuple[File, ...]:
    return cast("tuple[File, ...]", state.held(_FILES, ()))


def _saved() -> Path | None:
    path = data.workspace_of(state.home()).home / own_data.MAPPING
    return path if path.is_file() else None


def _next(words: Words, step: str, key: str) -> None:
    if st.button(words.t("load.next"), type=state.emphasis(), icon=":material/arrow_forward:", key=key):
        state.choose_next("l_step", step)


# 1 pick


def _pick(words: Words) -> None:
    if _saved() and not _files():
        st.caption(words.t("load.saved"))
    with st.form("l_pick", border=True):
        path = st.text_input(
            words.t("load.path"), placeholder=words.t("load.path_example"), help=words.t("load.path_help"), key="l_path"
        )
        currency = st.text_input(
            words.t("load.currency"),
            value=str(state.held(_CURRENCY, data.currency(state.home()))),
            help=words.t("load.currency_help"),
            max_chars=3,
            key="l_currency",
        )
        asked = st.form_submit_button(words.t("load.look"), icon=":material/search:")
    if asked:
        state.hold("own path", path)
        state.hold(_CURRENCY, currency.strip().upper())
    looked = str(state.held("own path", ""))
    public = own_data.public_set(looked) if looked else None
    if public is not None:
        _public(words, public, looked)
    elif asked:
        _take(looked)
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        _upload(words)
    with right, st.container(border=True, height="stretch"):
        st.markdown(f"**{words.t('load.templates')}**")
        st.write(words.t("load.templates_text"))
        st.download_button(
            words.t("load.templates_get"),
            own_data.templates_zip,
            "wayline-templates.zip",
            "application/zip",
            on_click="ignore",
            icon=":material/download:",
        )


def _take(*paths: str) -> None:
    viewer, home = state.viewer(), state.home()
    heads, faults = own_data.looked_at(viewer, home, *paths)
    if not heads:
        raise faults[0]
    files = own_data.propose(viewer, home, heads, str(state.held(_CURRENCY, "")))
    state.forget(_PICKED)
    state.hold(_FILES, files)
    state.hold(_CONSENT, own_data.suggested_consent(files))
    state.hold(_LEFT, faults)
    state.choose_next("l_step", "map")


def _public(words: Words, name: str, folder: str) -> None:
    with st.container(border=True):
        st.write(words.t("load.public", name=name))
        assumed = st.checkbox(words.t("load.public_consent"), key="l_assume")
        begin = st.button(words.t("load.public_go", name=name), type=state.emphasis(), icon=":material/play_arrow:")
    arguments = ("--from", name, str(Path(folder.strip())), *(("--assume-consent",) if assumed else ()))
    if begin and work.start(words, "init", arguments):
        st.rerun()
    job = work.watch(words, ("init",), "l_init")
    if job is not None and job.state == "done":
        _work_out(words)


def _upload(words: Words) -> None:
    most = data.upload_megabytes(state.home())
    st.markdown(f"**{words.t('load.upload')}**")
    sent = st.file_uploader(
        words.t("load.upload_help", megabytes=most), accept_multiple_files=True, max_upload_size=most, key="l_upload"
    )
    if sent and st.button(words.t("load.upload_go"), icon=":material/upload:"):
        kept = [own_data.keep_upload(state.viewer(), state.home(), one.name, one.getvalue()) for one in sent]
        _take(*map(str, kept))


# 2 match


def _map(words: Words) -> None:
    files = _files()
    if not files:
        st.info(words.t("load.needs_files"), icon=":material/info:")
        return
    st.markdown(f"**{views.found(files, words)}**")
    for fault in state.held(_LEFT, ()):
        st.warning(words.sentence(fault), icon=":material/block:")
    names = {str(place): _told(file, words) for place, file in enumerate(files)}
    place = int(controls.choice(words, "load.file", tuple(names), "l_file", names))
    file = _table_of(words, place, files[place])
    if file.table is not None:
        file = own_columns.draw(words, place, file)
    changed = tuple(file if here == place else one for here, one in enumerate(files))
    state.hold(_FILES, changed)
    _whole(words)
    _next(words, "check", "l_to_check")


def _told(file: File, words: Words) -> str:
    return f"{file.name} → {words.label('table', file.table) if file.table else words.t('load.leave_out')}"


def _table_of(words: Words, place: int, file: File) -> File:
    options = ("", *CURATED)
    chosen = st.selectbox(
        words.t("load.table"),
        options,
        index=options.index(file.table or ""),
        format_func=lambda name: words.label("table", name) if name else words.t("load.leave_out"),
        key=f"{_PICKED}{place}_table",
        placeholder=words.t("control.choose"),
    )
    table = chosen or None
    if table != file.table:
        file = own_data.taken_for(file, table, str(state.held(_CURRENCY, "")) or data.currency(state.home()))
        state.hold(_FILES, tuple(file if here == place else one for here, one in enumerate(_files())))
        st.rerun()  # the picker of files says what each is taken for
    seen = words.t("load.rows_seen", rows=words.number(file.head.rows))
    st.caption(f"{views.meaning(table, words)} {seen}" if table else seen)
    return file


def _whole(words: Words) -> None:
    """Ask what holds for all files; kept beside the fields, which other steps do not draw."""
    with st.container(border=True):
        st.markdown(f"**{words.t('load.whole')}**")
        left, right = st.columns(2)
        with left:
            _kept(words, "until", "2026-06-30")
        with right:
            _kept(words, "zone", "UTC")


def _kept(words: Words, name: str, example: str) -> None:
    written = st.text_input(
        words.t(f"load.{name}"),
        value=str(state.held(f"own {name}", "")),
        help=words.t(f"load.{name}_help"),
        placeholder=example,
        key=f"l_{name}",
    )
    state.hold(f"own {name}", written.strip())


def _made(words: Words, *, unfinished: bool = False) -> MappingFile | None:
    """Return the mapping as it stands in this session; None where no files are picked.

    `unfinished` leaves out consents that have no day yet: the step that asks for it comes later.
    """
    files = _files()
    if not files:
        return None
    day = _day(words, str(state.held("own until", "")))
    consent: Consent = state.held(_CONSENT, Consent())
    if unfinished and consent.recorded_at is None and consent.recorded_on is None:
        consent = Consent()
    return own_data.to_mapping(files, consent, day, str(state.held("own zone", "")) or None)


def _day(words: Words, text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        st.error(words.t("load.until_wrong", text=text), icon=":material/error:")
        st.stop()


def _save(made: MappingFile) -> None:
    currency = str(state.held(_CURRENCY, ""))
    if currency:
        own_data.keep_currency(state.viewer(), state.home(), currency)
    own_data.save(state.viewer(), state.home(), made)


# 3 check


def _check(words: Words) -> None:
    made = _made(words, unfinished=True)
    if made is None and _saved() is None:
        st.info(words.t("load.needs_mapping"), icon=":material/info:")
        return
    st.write(words.t("load.check_text"))
    job = work.watch(words, ("check",), "l_check")
    if job is None or not job.runs:
        label = "load.check_go" if job is None else "load.check_again"
        if st.button(words.t(label), type=state.emphasis(), icon=":material/fact_check:"):
            if made is not None:
                _save(made)
            own_data.begin_check(state.viewer(), state.home())
            state.hold(_CHECKED, made)
            st.rerun()
    if job is None or job.state not in ("done", "found") or job.result is None:
        return
    st.markdown(f"**{views.verdict(job.result, words)}**")
    shown = own_data.examples(state.viewer(), state.home())
    controls.sentences(views.findings(job.result, shown, words))
    errors = own_data.errors_file(state.viewer(), state.home())
    if errors is not None and views.totals(job.result)[2]:
        st.download_button(
            words.t("load.errors_get"),
            errors,
            own_data.ERRORS,
            "text/csv",
            on_click="ignore",
            help=words.t("load.errors_help"),
            icon=":material/download:",
        )
        st.caption(words.t("load.errors_help"))
    _next(words, "consent", "l_to_consent")


# 4 consent


def _consent(words: Words) -> None:
    files = _files()
    st.write(words.t("load.consent_text"))
    if not files:
        st.info(words.t("load.needs_files"), icon=":material/info:")
        return
    customers = next((file for file in files if file.table == "customers"), None)
    if any(file.table == "consents" for file in files):
        st.success(words.t("load.consent_file"), icon=":material/check:")
    elif customers is None:
        st.warning(words.t("load.consent_no_customers"), icon=":material/warning:")
    else:
        state.hold(_CONSENT, _channels(words, customers, state.held(_CONSENT, Consent())))
        chosen: Consent = state.held(_CONSENT, Consent())
        open_to = own_data.exportable(files, chosen)
        if open_to and chosen.recorded_at is None and chosen.recorded_on is None:
            st.warning(words.t("load.consent_undated"), icon=":material/event:")
        elif open_to:
            named = words.t("word.comma").join(words.t(f"load_channel.{one}") for one in open_to)
            st.success(words.t("load.consent_some", channels=named), icon=":material/check:")
        else:
            st.warning(words.t("load.consent_none"), icon=":material/block:")
    _next(words, "load", "l_to_load")


def _channels(words: Words, customers: File, held: Consent) -> Consent:
    options = ("", *customers.head.columns)

    def pick(label: str, chosen: str | None, key: str) -> str:
        return str(
            st.selectbox(
                label,
                options,
                index=options.index(chosen or ""),
                format_func=lambda one: one or words.t("load.none"),
                key=f"{_PICKED}{key}",
                placeholder=words.t("control.choose"),
            )
        )

    chosen: dict[str, str] = {}
    with st.grid(3, min_column_width=220):
        for channel in CONTACT_CHANNELS:
            label = words.t("load.consent_channel", channel=words.t(f"load_channel.{channel}"))
            source = pick(label, held.per_channel.get(channel), f"channel_{channel}")
            if source:
                chosen[channel] = source
    for source in dict.fromkeys(chosen.values()):
        if not own_data.is_answer(customers, source):
            st.warning(words.t("load.consent_odd", column=source), icon=":material/warning:")
    if not chosen:
        return Consent()
    left, right = st.columns(2)
    with left:
        recorded = pick(words.t("load.consent_recorded"), held.recorded_at, "recorded_at")
    with right:
        day = (
            ""
            if recorded
            else st.text_input(
                words.t("load.consent_day"),
                value=held.recorded_on.isoformat() if held.recorded_on else "",
                placeholder="2026-06-30",
                key=f"{_PICKED}recorded_on",
            )
        )
    return Consent(per_channel=chosen, recorded_at=recorded or None, recorded_on=_day(words, day.strip()))


# 5 load


def _load(words: Words) -> None:
    made = _made(words)
    if made is None and _saved() is None:
        st.info(words.t("load.needs_mapping"), icon=":material/info:")
        return
    st.write(words.t("load.load_text"))
    when = data.loaded_at(state.home())
    if when is not None:
        st.caption(words.t("load.load_replaces", when=words.instant(when.astimezone(UTC).replace(tzinfo=None))))
    if made is not None and made != state.held(_CHECKED, None):
        st.caption(words.t("load.load_unchecked"))
    job = work.watch(words, ("load",), "l_load")
    fresh = job is not None and job.state == "done" and job.result is not None
    if job is None or not job.runs:
        go = st.button(
            words.t("load.load_go"), type="secondary" if fresh else "primary", icon=":material/upload_file:", key="l_go"
        )
        if go:
            if made is not None:
                _save(made)
            own_data.begin_load(state.viewer(), state.home())
            st.rerun()
    if fresh and job is not None and job.result is not None:
        _result(words, job.result)
    _mapping(words)


def _result(words: Words, report: Mapping[str, Any]) -> None:
    rows, kept, refused = map(words.number, views.totals(report))
    st.success(words.t("load.load_done", rows=rows, kept=kept, refused=refused), icon=":material/check:")
    controls.table(views.loaded(report, words), "l_loaded")
    _work_out(words)


def _work_out(words: Words) -> None:
    run = work.watch(words, ("run",), "l_run")
    if run is not None and run.runs:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(words.t("load.run_go"), type=state.emphasis(), icon=":material/play_arrow:", key="l_run_go"):
            work.start(words, "run")
            st.rerun()
        if run is not None and run.state == "done":
            controls.link(words, "home", words.t("load.see"), ":material/arrow_forward:")


def _mapping(words: Words) -> None:
    path = _saved()
    if path is None:
        return
    text = path.read_text(encoding="utf-8")
    with st.expander(words.t("load.mapping"), icon=":material/terminal:"):
        st.code(f"wayline data load {path}\nwayline run", language="bash")
        st.code(text, language="toml")
        st.download_button(
            words.t("load.mapping_get"),
            text,
            own_data.MAPPING,
            "application/toml",
            on_click="ignore",
            icon=":material/download:",
        )
