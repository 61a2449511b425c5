"""What a file knows of its customers: which columns can be learned from, and cells of yes, no or numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.intake import applicant_files
from engine.intake.applicant_files import Kind, Why
from engine.intake.event_files import EventFile
from engine.lake.engine import DuckDBEngine

_YES: Final = ("true", "t", "yes", "y")
_NO: Final = ("false", "f", "no", "n")
_WHY: Final[Mapping[Why, str]] = {
    "id": "it has another value in nearly every row",
    "date": "it holds dates",
    "free_text": "it is free text",
    "many_values": "it has too many different values for the rows there are",
    "constant": "it is the same in every row",
    "empty": "it is empty",
    "nested": "its values are lists or records",
}


def named_twice(roles: Sequence[str]) -> list[str]:
    """Return a sentence for each column that plays more than one role."""
    return [f'"{name}" is named twice; a column plays one role' for name, times in Counter(roles).items() if times > 1]


def learnable(
    file: EventFile, names: Sequence[str], engine: DuckDBEngine, *, instead_of_dates: str = ""
) -> tuple[Mapping[str, Kind], list[str]]:
    """Return the kinds of the columns that can be learned from, and a sentence for each that cannot or not wholly.

    instead_of_dates : what to do with a column of dates, which is never learned from.
    """
    asked = replace(file, columns={name: file.columns[name] for name in names})
    found = applicant_files.columns(asked, engine)
    notes = []
    for one in found.left_out:
        advice = f"; {instead_of_dates}" if one.why == "date" and instead_of_dates else ""
        notes.append(f'"{one.name}" was not learned from: {_WHY[one.why]}{advice}.')
    notes += [
        f'"{one.name}": {one.no_number + one.infinite:,} values that are no numbers were read as unknown.'
        for one in found.unread
    ]
    return found.kinds, notes


def columns(rows: pa.Table, kinds: Mapping[str, Kind]) -> pa.Table:
    """Return the columns of these kinds as floats or text; as many rows without any column."""
    made = {
        name: pc.cast(rows[name], pa.float64() if kind == "number" else pa.string()) for name, kind in kinds.items()
    }
    return pa.table(made) if made else pa.table({"none": pa.nulls(rows.num_rows)}).select([])


def number_of(word: str) -> float | None:
    """Return a number, 1 for a yes and 0 for a no; None for any other word."""
    word = word.lower()
    if word in _YES or word in _NO:
        return float(word in _YES)
    try:
        return float(word)
    except ValueError:
        return None
