"""Lists of units as files: which column holds the ids, and where the rows go that were made of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow import csv, parquet

from engine.domain.errors import SettingsFault, UnknownName
from engine.intake.cells import BLANKS
from engine.intake.event_files import EventFile
from engine.lake.engine import identifier, quoted

_IDS: Final = ("unit_id", "unit", "customer_id", "customer", "user_id", "id")
_MOST_LISTED: Final = 50
_WRITERS: Final[Mapping[str, Callable[[pa.Table, str], None]]] = {
    ".csv": csv.write_csv,
    ".parquet": parquet.write_table,
}


def id_column(named: str | None, file: EventFile) -> str:
    """Return the column of the ids: the one that was named, else the first that is headed like an id.

    Raises
    ------
    UnknownName
        There is no column of that name.
    SettingsFault
        None was named, and none is headed like an id.
    """
    if named is not None:
        if named not in file.columns:
            raise UnknownName("column", named, list(file.columns)[:_MOST_LISTED])
        return named
    for name in _IDS:
        for column in file.columns:
            if column.lower() == name:
                return column
    shown = ", ".join(list(file.columns)[:_MOST_LISTED])
    raise SettingsFault(
        file.name,
        [f"no column is headed like an id. Found: {shown}. Name it with --column; a bare list needs a heading first."],
    )


def text(column: str) -> str:
    """Return SQL of a column as trimmed text, null where nothing is left."""
    return f"nullif(trim(CAST({identifier(column)} AS VARCHAR), {quoted(BLANKS)}), '')"


def refuse_out(asked: str, out: Path | None) -> None:
    """Raise SettingsFault, naming the command that asked, unless rows can be written to a file of this name."""
    if out is None:
        return
    if out.suffix not in _WRITERS:
        raise SettingsFault(asked, [f'--out "{out.name}": name a file that ends in {" or ".join(_WRITERS)}'])
    if not out.parent.is_dir():
        raise SettingsFault(asked, [f'--out: there is no folder "{out.parent}"; make it first'])


def given(rows: pa.Table, out: Path | None) -> dict[str, Any]:
    """Return the rows under "units"; with a file they are written to it, and "written" says where and how many."""
    if out is None:
        return {"units": rows.to_pylist()}
    # beside its place first: whoever reads it finds the old file or the whole new one
    handle, unfinished = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    os.close(handle)
    try:
        _WRITERS[out.suffix](rows, unfinished)
        Path(unfinished).replace(out)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise
    return {"written": {"path": str(out), "rows": rows.num_rows}}
