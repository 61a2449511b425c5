"""What leaves of a chart: its table as CSV, or its picture. Guarded, dated, and on record before a byte is handed over.

A figure holds what its reader's role may see. Counts of groups that are too small for the role do not leave all the
same: they are masked in a table, and a picture that would show them is not made.
"""

from __future__ import annotations

import hashlib
import math
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import pandas as pd
import pyarrow as pa

from engine.domain.access import SMALL_GROUP, Right, Viewer
from engine.domain.errors import GroupTooSmall
from engine.exports import csv_dialects
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.workflows import session

Format = Literal["csv", "spreadsheet", "png"]
EXPORTED: Final = "chart.exported"
_FONT: Final = "Noto Sans, Noto Sans CJK SC, PingFang SC, Microsoft YaHei, sans-serif"
_WIDTH: Final = 960
_LINE: Final = 110  # letters of a title on one line; a Chinese one is as wide as two
_DIGITS: Final = re.compile(r"\d+")
_FEW: Final = f"<{SMALL_GROUP}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is exported of a figure.

    key : what it is called in the audit log, such as `j_funnel`. finding : its title. cut_off : run and date of the
    data in the reader's language. spec : the chart as Vega-Lite has it, made when it is asked for; None where there is
    none. uncounted : columns of the table whose whole numbers count nobody, such as a score.
    """

    key: str
    finding: str
    cut_off: str
    table: pd.DataFrame
    spec: Callable[[], Mapping[str, Any]] | None
    uncounted: frozenset[str] = frozenset()

    def file_name(self, run: Run, form: Format) -> str:
        """Return what the file is called: which chart, of which run, and so of which date."""
        ending = "png" if form == "png" else "csv"
        return f"wayline-{self.key}-{run.run_id}{'-excel' if form == 'spreadsheet' else ''}.{ending}"


def hides(chart: Chart, viewer: Viewer) -> bool:
    """Return whether the chart shows a count that is too small for the viewer's role."""
    if viewer.may(Right.SEE_SMALL_GROUPS):
        return False
    return any(_is_few(cell) for name in _counts(chart) for cell in chart.table[name])


def export(workspace: Workspace, run: Run, chart: Chart, form: Format, viewer: Viewer) -> bytes:
    """Return the bytes of a chart, after the export is on record.

    Raises
    ------
    GroupTooSmall
        A picture would show a count that the viewer's role does not see.
    StoreUnavailable
        It cannot be put on record: nothing leaves then.
    """
    made = _picture(chart, viewer) if form == "png" else _table(chart, form, viewer)
    details = {
        "run_id": run.run_id,
        "as_of": run.as_of.isoformat(),
        "format": form,
        "role": viewer.role.value,
        "rows": len(chart.table),
        "bytes": len(made),
        "sha256": hashlib.sha256(made).hexdigest(),
    }
    with Store(session.database_url(workspace), actor=viewer.name) as store:
        store.audit(EXPORTED, chart.key, details)
    return made


def _table(chart: Chart, form: Format, viewer: Viewer) -> bytes:
    rows = _masked(chart, viewer)
    columns = [pa.array([_cell(value) for value in rows[name]], pa.string()) for name in rows.columns]
    table = csv_dialects.clean(pa.table(columns, names=[_clean(str(name)) for name in rows.columns]))
    if form == "csv":
        dialect = csv_dialects.IMPORT
        return csv_dialects.csv_header(_quoted(table), dialect) + csv_dialects.csv_lines(table, dialect)
    dialect = csv_dialects.spreadsheet(",")
    told = csv_dialects.guarded(csv_dialects.clean(pa.table({"told": [chart.finding, chart.cut_off]})))
    first = "\ufeff".encode() + csv_dialects.csv_lines(told, dialect) + dialect.line_end.encode()
    names = csv_dialects.guarded(pa.table({"name": pa.array(table.column_names, pa.string())}))["name"].to_pylist()
    guarded = csv_dialects.guarded(table).rename_columns([f" {place}" for place in range(len(names))])
    header = csv_dialects.csv_header(_quoted(table, names), dialect).removeprefix("\ufeff".encode())
    return first + header + csv_dialects.csv_lines(guarded, dialect)


def _quoted(table: pa.Table, names: list[str] | None = None) -> list[str]:
    """Return the names of columns as a header spells them."""
    return ['"' + name.replace('"', '""') + '"' for name in names or table.column_names]


def _clean(name: str) -> str:
    return " ".join(name.split())


def _masked(chart: Chart, viewer: Viewer) -> pd.DataFrame:
    if not hides(chart, viewer):
        return chart.table
    few = {name: [_FEW if _is_few(cell) else cell for cell in chart.table[name]] for name in _counts(chart)}
    return chart.table.assign(**few)


def _counts(chart: Chart) -> list[str]:
    return [str(name) for name in chart.table.columns if str(name) not in chart.uncounted]


def _is_few(cell: object) -> bool:
    """Return whether a cell is a count of somebody, but of too few: a whole number, written as one or as text."""
    if isinstance(cell, bool):
        return False
    if isinstance(cell, str):
        return _DIGITS.fullmatch(cell) is not None and 0 < int(cell) < SMALL_GROUP
    try:
        number = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return math.isfinite(number) and number.is_integer() and 0 < number < SMALL_GROUP


def _cell(value: object) -> str | None:
    """Write a cell as text: numbers in full without an exponent, what is undefined as nothing."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return f"{value:.0f}" if value.is_integer() else f"{value:.6f}".rstrip("0").rstrip(".")
    return str(value)


def _picture(chart: Chart, viewer: Viewer) -> bytes:
    if hides(chart, viewer) or chart.spec is None:
        raise GroupTooSmall(SMALL_GROUP)
    import vl_convert  # noqa: PLC0415  a second to load, and most visits ask for no picture

    spec = dict(chart.spec())
    title = {
        "text": _lines(chart.finding),
        "subtitle": _lines(chart.cut_off),
        "anchor": "start",
        "fontSize": 15,
        "subtitleFontSize": 11,
        "subtitleColor": "#6B7785",
        "offset": 14,
    }
    config = {**spec.get("config", {}), "font": _FONT, "background": "#FFFFFF", "view": {"stroke": None}}
    drawn = {**spec, "title": title, "width": _WIDTH, "config": config, "padding": 16}
    made: bytes = vl_convert.vegalite_to_png(vl_spec=drawn, scale=2, allowed_base_urls=[])
    return made


def _lines(text: str) -> list[str]:
    width = _LINE if text.isascii() else _LINE * 6 // 10
    return textwrap.wrap(text, width, break_long_words=True) or [""]
