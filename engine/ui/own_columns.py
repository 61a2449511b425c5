"""Column by column: where it comes from, how sure that is, and values side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import streamlit as st

from engine.domain.curated import CURATED
from engine.domain.schema import Kind
from engine.intake import matching
from engine.ui import controls
from engine.ui.views import load as views
from engine.ui.words import Words
from engine.workflows import own_data
from engine.workflows.own_data import File

PICKED: Final = "l_m_"
"""How keys of the controls begin that match columns; new files need new ones."""


def draw(words: Words, place: int, file: File) -> File:
    """Draw the columns of the table that a file is taken for, and return the file as it is matched then."""
    contract = CURATED[str(file.table)]
    shown = [
        c.name for c in contract.source_columns if c.required or c.name in file.columns or c.name in file.constants
    ]
    rest = [c.name for c in contract.source_columns if c.name not in shown]
    chosen = {name: _column(words, place, file, name) for name in shown}
    if rest:
        with st.expander(words.t("load.others", count=words.number(len(rest)))):
            chosen |= {name: _column(words, place, file, name) for name in rest}
    columns = {name: source for name, (source, _) in chosen.items() if source}
    constants = {name: constant for name, (_, constant) in chosen.items() if constant}
    changed = own_data.rematched(file, columns, constants)
    changed = _written(words, place, replace(changed, matches=file.matches), file)
    unused = [name for name in file.head.columns if name not in columns.values()]
    if unused:
        st.caption(words.t("load.unused", columns=words.t("word.comma").join(map(controls.plain, unused))))
    return changed


def _column(words: Words, place: int, file: File, name: str) -> tuple[str, str]:
    """Draw one column of the table, and return the source column and the one value that are chosen for it, if any."""
    constant = ""
    column = CURATED[str(file.table)].column(name)
    with st.container(border=True):
        left, middle, right = st.columns((3, 3, 4), gap="medium", vertical_alignment="center")
        with left:
            st.markdown(
                f"**{controls.plain(name)}**" + (f" :red-badge[{words.t('load.needed')}]" if column.required else "")
            )
            st.caption(controls.plain(words.pick(column.meaning, column.meaning_zh)))
        key = f"{PICKED}{place}_{file.table}_{name}"
        with middle:
            options = ("", *file.head.columns)
            source = st.selectbox(
                f"{words.t('load.from_column')}: {name}",
                options,
                index=options.index(file.columns.get(name, "")),
                format_func=lambda one: one or words.t("load.none"),
                key=key,
                label_visibility="collapsed",
                placeholder=words.t("control.choose"),
            )
            if not source and column.required:
                constant = st.text_input(
                    f"{words.t('load.constant')}: {name}",
                    value=file.constants.get(name, ""),
                    placeholder=words.t("load.constant"),
                    label_visibility="collapsed",
                    key=f"{key}_constant",
                ).strip()
        with right:
            told, colour = views.confidence(file, name, source or None, words)
            st.badge(told, color=colour)  # type: ignore[arg-type]
            if source:
                values = own_data.sample_values(file, name, source)
                st.caption(" · ".join(map(controls.plain, values)) or words.t("load.no_values"))
                if column.kind in (Kind.DATE, Kind.INSTANT) and matching.ambiguous(file.head.columns[source]):
                    st.warning(words.t("load.ambiguous", column=source), icon=":material/event:")
    return str(source), constant


def _written(words: Words, place: int, changed: File, before: File) -> File:
    with st.expander(words.t("load.written"), icon=":material/edit:"), st.container(horizontal=True):
        money = st.segmented_control(
            words.t("load.money"),
            ("major", "minor"),
            default=before.money,
            required=True,
            format_func=lambda one: words.t(f"load.money_{one}"),
            key=f"{PICKED}{place}_{before.table}_money",
        )
        decimal = st.segmented_control(
            words.t("load.decimal"),
            (".", ","),
            default=before.decimal,
            required=True,
            key=f"{PICKED}{place}_{before.table}_decimal",
        )
        written = st.text_input(
            words.t("load.formats"),
            value=" | ".join(changed.date_formats),
            help=words.t("load.formats_help"),
            # other columns may be written otherwise: the field begins anew with them
            key=f"{PICKED}{place}_{before.table}_formats_{'_'.join(changed.date_formats)}",
        )
    formats = tuple(one.strip() for one in written.split("|") if one.strip())
    return replace(changed, money=money, decimal=decimal, date_formats=formats)
