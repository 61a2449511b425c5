"""Which rows a preset can take: addresses in one form, one row a person, nothing that a spreadsheet would run.

What it cannot take is rejected with a code, a sentence and its number; nothing is dropped in silence. The same rows are
rejected whatever the format, so that all formats of an export have one content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.exports import csv_dialects as text
from engine.exports import members, normalise, plain_text
from engine.exports.presets.base import Context, Preset

CODES: Final = {
    "NO_EMAIL": ("email", "the bank has no address of e-mail, or one that is no address"),
    "NO_PHONE": ("phone", "the bank has no telephone number, or one without its country code"),
    "NO_IDENTIFIER": ("email", "neither an address of e-mail nor a telephone number that may be matched"),
    "ID_TOO_LONG": (members.ID, "the vendor takes shorter ids"),
    "DUPLICATE_KEY": ("", "another member has the same address or number; the vendor would mix the two up"),
    "FORMULA": ("", "the text begins like a formula that a spreadsheet would run"),
}
"""Every reason to reject a row: the column it is about, where it is always the same, and the sentence."""

ERROR_COLUMNS: Final = ("row_number", "external_id", "column", "error_code", "error_message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The rows that may be written and those that may not: `errors` has a row per reason, `rejected` counts members."""

    rows: pa.Table
    errors: pa.Table
    rejected: int


def check(rows: pa.Table, preset: Preset, context: Context) -> Checked:
    """Return canonical rows with texts and contacts as they leave, and why others of them cannot.

    row_number counts all of `rows`, from 1, in the order of their ids.
    """
    rows = _in_form(rows.sort_by(members.ID).combine_chunks())
    found = [*_contacts(rows, preset, context), *_ids(rows, preset), *_formulas(rows)]
    bad = np.zeros(rows.num_rows, dtype=bool)
    for _, _, at in found:
        bad[at] = True
    twice = _duplicates(rows, preset.key_on(context.channel), bad)
    bad[twice[2]] = True
    told = pa.concat_tables([_told(rows, *one) for one in (*found, twice)])
    order = [("row_number", "ascending"), ("error_code", "ascending"), ("column", "ascending")]
    return Checked(rows=rows.filter(pa.array(~bad)), errors=told.sort_by(order), rejected=int(bad.sum()))


_Found = tuple[str, str, Any]
"""A code, the column it is about, and the places of the rows."""


def _in_form(rows: pa.Table) -> pa.Table:
    for name in ("reason_text", "reason_text_zh"):
        rows = _set(rows, name, plain_text.without_markup(rows[name]))
    if "email" in rows.column_names:
        rows = _set(_set(rows, "email", normalise.email(rows["email"])), "phone", normalise.phone(rows["phone"]))
    return text.clean(rows)


def _contacts(rows: pa.Table, preset: Preset, context: Context) -> list[_Found]:
    needed = preset.needs(context.channel)
    if not needed:
        return []
    missing = np.ones(rows.num_rows, dtype=bool)
    for name in needed:
        missing &= _flags(pc.is_null(rows[name]))
    code = f"NO_{needed[0].upper()}" if len(needed) == 1 else "NO_IDENTIFIER"
    return [(code, CODES[code][0], np.flatnonzero(missing))]


def _ids(rows: pa.Table, preset: Preset) -> list[_Found]:
    if preset.most_id_bytes is None:
        return []
    long = pc.greater(pc.binary_length(rows[members.ID]), preset.most_id_bytes)
    return [("ID_TOO_LONG", members.ID, np.flatnonzero(_flags(long)))]


def _formulas(rows: pa.Table) -> list[_Found]:
    faults = text.dangerous(rows)
    return [
        ("FORMULA", name, faults.filter(pc.equal(faults["column"], name))["row"].to_numpy())
        for name in pc.unique(faults["column"]).to_pylist()
    ]


def _duplicates(rows: pa.Table, key: str, bad: Any) -> _Found:
    """Return who has the key of an earlier row; the first one by id stays."""
    if key == members.ID:
        return ("DUPLICATE_KEY", key, np.zeros(0, dtype=np.int64))
    left = np.flatnonzero(~bad)
    keys = rows[key].take(pa.array(left)).combine_chunks().dictionary_encode()
    codes = keys.indices.to_numpy(zero_copy_only=False)
    _, first = np.unique(codes, return_index=True)
    later = np.ones(len(left), dtype=bool)
    later[first] = False
    return ("DUPLICATE_KEY", key, left[later])


def _told(rows: pa.Table, code: str, column: str, at: Any) -> pa.Table:
    places = pa.array(at, pa.int64())
    ids = rows[members.ID].take(places)
    return pa.table(
        {
            "row_number": pc.add(places, 1),
            # an id that is a formula itself is not written down anywhere
            "external_id": pc.if_else(text.is_formula(ids), pa.scalar(None, pa.string()), ids),
            "column": pa.repeat(pa.scalar(column), len(places)),
            "error_code": pa.repeat(pa.scalar(code), len(places)),
            "error_message": pa.repeat(pa.scalar(CODES[code][1]), len(places)),
        }
    )


def _set(rows: pa.Table, name: str, column: Any) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, column)


def _flags(column: Any) -> Any:
    plain = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return plain.to_numpy(zero_copy_only=False)
